package simulated

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"kycbridge/internal/simulate"
)

// upload is the size limit of a request body, in bytes.
const upload = 32 << 20

var reference = regexp.MustCompile(`^[A-Za-z0-9_/\\,.+@-]+$`)

func invalid(w http.ResponseWriter, what string) {
	refuse(w, http.StatusBadRequest, "invalid_request", what+" is missing or not valid")
}

func unknown(w http.ResponseWriter) {
	refuse(w, http.StatusNotFound, "journey_not_found", "There is no such journey")
}

// read reads a JSON request; if it returns false, it has answered the request with an error.
func (d *provider) read(w http.ResponseWriter, r *http.Request, v any) bool {
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, upload)).Decode(v) != nil {
		invalid(w, "body")
		return false
	}
	return true
}

// reply is an answer that a handler makes while it holds the lock, with the callbacks to send afterwards.
type reply struct {
	status    int
	body      []byte
	callbacks []callback
}

var answerOK = reply{status: http.StatusOK, body: []byte(`{"success":true}`)}

func no(status int, code, message string) reply {
	return reply{status: status, body: fault(status, code, message).Body}
}

// on handles a call about an existing journey, under the lock.
func (d *provider) on(w http.ResponseWriter, id string, handle func(j *journey, now time.Time) reply) {
	d.server.Lock()
	j := d.journeys[id]
	if j == nil {
		d.server.Unlock()
		unknown(w)
		return
	}
	reply := handle(j, d.server.Now())
	d.server.Unlock()
	simulate.Answer(w, reply.status, reply.body)
	d.send(reply.callbacks)
}

func (d *provider) start(w http.ResponseWriter, r *http.Request) {
	var in struct {
		FlowID      string `json:"flow_id"`
		ReferenceNo string `json:"reference_no"`
		Applicant   *struct {
			FullName string `json:"full_name"`
		} `json:"applicant_details"`
	}
	if !d.read(w, r, &in) {
		return
	}
	switch {
	case in.FlowID == "":
		invalid(w, "flow_id")
		return
	case !reference.MatchString(in.ReferenceNo):
		invalid(w, "reference_no")
		return
	case in.Applicant != nil && in.Applicant.FullName == "":
		invalid(w, "full_name")
		return
	}
	s := d.server
	s.Lock()
	id := fmt.Sprintf("a0000000-0000-4000-8000-%012x", s.Next())
	j, callbacks := d.begin(id, in.ReferenceNo, in.FlowID, simulate.PersonOf(in.ReferenceNo, s.Person))
	if in.Applicant != nil {
		j.fullName = in.Applicant.FullName
	}
	s.Unlock()
	simulate.Answer(w, http.StatusOK, writeJSON(map[string]any{
		"journey_id": id, "reference_no": in.ReferenceNo, "is_completed": false, "step_summaries": []any{},
	}))
	d.send(callbacks)
}

// step is a step in either form, multipart or JSON.
type step struct {
	journey, step string
	skip          bool
	images        []simulate.Canned
}

func (d *provider) step(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, upload)
	read := stepJSON
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		read = stepForm
	}
	in, err := read(r)
	switch {
	case err != nil:
		invalid(w, "body")
		return
	case in.journey == "":
		invalid(w, "journey_id")
		return
	case in.step == "":
		invalid(w, "step_id")
		return
	case len(in.images) == 0 && !in.skip:
		invalid(w, "image")
		return
	}
	d.on(w, in.journey, func(j *journey, now time.Time) reply {
		if j.look(now).frozen {
			return no(http.StatusBadRequest, "journey_completed", "The journey is completed")
		}
		j.stand(now)
		j.take(in)
		return answerOK
	})
}

// take records a step. Its images are available under the paths in the result, or under paths made from the
// step's id.
func (j *journey) take(in step) {
	kind := "Document"
	if in.step == "1" || strings.Contains(in.step, "face") {
		kind = "Selfie"
	}
	j.handed[in.step] = handed{kind: kind, turn: len(j.changes)}
	paths := []string{"img-" + in.step + "-1", "img-" + in.step + "-2"}
	switch in.step {
	case "0":
		paths = []string{"img-doc-front-1", "img-doc-back-1"}
	case "1":
		paths = []string{"img-selfie-1", "img-selfie-2"}
	}
	for i, image := range in.images {
		j.images[paths[i]] = image
	}
}

func stepForm(r *http.Request) (step, error) {
	if err := r.ParseMultipartForm(upload); err != nil {
		return step{}, err
	}
	in := step{journey: r.FormValue("journey_id"), step: r.FormValue("step_id"), skip: r.FormValue(SkipField) == "true"}
	for _, field := range []string{"image", "image2"} {
		file, header, err := r.FormFile(field)
		if err != nil {
			break
		}
		body, err := io.ReadAll(file)
		file.Close()
		if err != nil {
			return in, err
		}
		in.images = append(in.images,
			simulate.Canned{Status: http.StatusOK, ContentType: header.Header.Get("Content-Type"), Body: body})
	}
	return in, nil
}

func stepJSON(r *http.Request) (step, error) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return step{}, err
	}
	text := func(key string) string { s, _ := body[key].(string); return s }
	in := step{journey: text("journey_id"), step: text("step_id"), skip: text(SkipField) == "true"}
	if number, ok := body["step_id"].(float64); ok {
		in.step = fmt.Sprint(number)
	}
	for _, field := range []string{"image", "image2"} {
		if text(field) == "" {
			break
		}
		image, err := base64.StdEncoding.DecodeString(text(field))
		if err != nil {
			return in, err
		}
		in.images = append(in.images,
			simulate.Canned{Status: http.StatusOK, ContentType: http.DetectContentType(image), Body: image})
	}
	return in, nil
}

// complete ends the submission of steps. If a step is missing, the journey stays incomplete.
func (d *provider) complete(w http.ResponseWriter, r *http.Request) {
	var in struct {
		JourneyID string `json:"journey_id"`
	}
	if !d.read(w, r, &in) {
		return
	}
	d.on(w, in.JourneyID, func(j *journey, now time.Time) reply {
		l := j.look(now)
		if l.frozen {
			return no(http.StatusBadRequest, "journey_completed", "The journey is completed")
		}
		j.stand(now)
		reply := answerOK
		if j.status("0", l) == missing || j.status("1", l) == missing {
			reply.callbacks = d.play(j, simulate.Script{simulate.At(0, "incomplete", done)}, now)
			return reply
		}
		j.change(now)
		reply.callbacks = d.play(j, j.rest, now)
		return reply
	})
}

func (d *provider) summary(w http.ResponseWriter, r *http.Request) {
	d.on(w, r.PathValue("id"), func(j *journey, now time.Time) reply {
		if !j.asked.IsZero() && now.Sub(j.asked) < interval {
			d.early++
			return no(http.StatusTooManyRequests, "too_many_requests", "Summaries are to be asked for every 2 seconds at most")
		}
		j.asked = now
		d.server.ToldEnd(j.told)
		return reply{status: http.StatusOK, body: j.summaryBody(now)}
	})
}

func (d *provider) result(w http.ResponseWriter, r *http.Request) {
	d.on(w, r.PathValue("id"), func(j *journey, now time.Time) reply {
		d.server.ToldEnd(j.told)
		j.told = j.told || j.over(now)
		return reply{status: http.StatusOK, body: j.resultBody(now)}
	})
}

// reviewIn is the body of a review call.
type reviewIn struct {
	NewDecision string `json:"new_decision"`
	StepReviews []struct {
		StepID         string `json:"step_id"`
		ReviewDecision string `json:"review_decision"`
	} `json:"step_reviews"`
}

func (d *provider) review(w http.ResponseWriter, r *http.Request) {
	var in reviewIn
	if !d.read(w, r, &in) {
		return
	}
	d.on(w, r.PathValue("id"), func(j *journey, now time.Time) reply {
		l := j.look(now)
		var redo []string
		for _, step := range in.StepReviews {
			if step.ReviewDecision == "Resubmit" {
				redo = append(redo, step.StepID)
			}
		}
		switch again := in.NewDecision == resubmit; {
		case !slices.Contains([]string{"Approved", "Rejected", resubmit}, in.NewDecision):
			return no(http.StatusBadRequest, "invalid_request", "new_decision is missing or not valid")
		case again && redo == nil:
			return no(http.StatusBadRequest, "invalid_request", "step_reviews must name a step to resubmit")
		case !l.frozen || l.system == "Incomplete":
			return no(http.StatusBadRequest, "journey_not_completed", "The journey is not completed")
		}
		reply := answerOK
		reply.callbacks = d.decide(j, l, in.NewDecision, redo, now)
		return reply
	})
}

// decide sets a reviewer's decision, which replaces the rest of the script.
func (d *provider) decide(j *journey, l look, decision string, redo []string, now time.Time) []callback {
	j.ended = j.end(now)
	again := decision == resubmit
	l.manual, l.frozen, l.end, l.redo = decision, !again, !again, redo
	events := review
	if again {
		events = append(slices.Clone(events), required)
	}
	j.change(now)
	j.reviewed, j.told = &l, false
	return d.callbacks(j, events, l, 0)
}

func (d *provider) delete(w http.ResponseWriter, r *http.Request) {
	d.on(w, r.PathValue("id"), func(j *journey, now time.Time) reply {
		j.change(now)
		delete(d.journeys, j.id)
		return answerOK
	})
}

// aml answers an amended search with success, and any other request with no matches.
func (d *provider) aml(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPut {
		var in struct {
			Entity struct {
				FullName string `json:"full_name"`
			} `json:"entity_details"`
		}
		if !d.read(w, r, &in) {
			return
		}
		if in.Entity.FullName == "" {
			invalid(w, "full_name")
			return
		}
		d.on(w, r.PathValue("id"), func(*journey, time.Time) reply { return answerOK })
		return
	}
	d.on(w, r.PathValue("id"), func(*journey, time.Time) reply {
		return reply{status: http.StatusOK, body: []byte(`{"applicability":"Applicable","matches":[]}`)}
	})
}

// pixel is the image for every path without a submitted image: a GIF of one pixel.
const pixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff," +
	"\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

func (d *provider) image(w http.ResponseWriter, r *http.Request) {
	d.server.Lock()
	j := d.journeys[r.PathValue("id")]
	path := r.PathValue("path")
	if j == nil || !strings.HasPrefix(path, "img-") {
		d.server.Unlock()
		refuse(w, http.StatusNotFound, "image_not_found", "There is no such image")
		return
	}
	image, ok := j.images[path]
	d.server.Unlock()
	if !ok {
		image = simulate.Canned{Status: http.StatusOK, ContentType: "image/gif", Body: []byte(pixel)}
	}
	image.Write(w)
}
