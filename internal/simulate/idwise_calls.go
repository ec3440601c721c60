package simulate

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
)

// idwiseUpload bounds what is taken as a step, in bytes.
const idwiseUpload = 32 << 20

var idwiseReference = regexp.MustCompile(`^[A-Za-z0-9_/\\,.+@-]+$`)

func idwiseInvalid(w http.ResponseWriter, what string) {
	idwiseRefuse(w, http.StatusBadRequest, "invalid_request", what+" is missing or not valid")
}

func idwiseUnknown(w http.ResponseWriter) {
	idwiseRefuse(w, http.StatusNotFound, "journey_not_found", "There is no such journey")
}

// read reads a JSON request; false: it was refused.
func (d *idwise) read(w http.ResponseWriter, r *http.Request, v any) bool {
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, idwiseUpload)).Decode(v) != nil {
		idwiseInvalid(w, "body")
		return false
	}
	return true
}

// idwiseReply is an answer that handlers make while they hold mu, and the callbacks to send after.
type idwiseReply struct {
	status    int
	body      []byte
	callbacks []idwiseCallback
}

var idwiseOK = idwiseReply{status: http.StatusOK, body: []byte(`{"success":true}`)}

func idwiseNo(status int, code, message string) idwiseReply {
	return idwiseReply{status: status, body: idwiseFault(status, code, message).Body}
}

// on handles a call about a journey that exists, under mu.
func (d *idwise) on(w http.ResponseWriter, id string, handle func(j *idwiseJourney, now time.Time) idwiseReply) {
	d.server.mu.Lock()
	j := d.journeys[id]
	if j == nil {
		d.server.mu.Unlock()
		idwiseUnknown(w)
		return
	}
	reply := handle(j, d.server.Now())
	d.server.mu.Unlock()
	answer(w, reply.status, reply.body)
	d.send(reply.callbacks)
}

func (d *idwise) start(w http.ResponseWriter, r *http.Request) {
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
		idwiseInvalid(w, "flow_id")
		return
	case !idwiseReference.MatchString(in.ReferenceNo):
		idwiseInvalid(w, "reference_no")
		return
	case in.Applicant != nil && in.Applicant.FullName == "":
		idwiseInvalid(w, "full_name")
		return
	}
	s := d.server
	s.mu.Lock()
	id := fmt.Sprintf("a0000000-0000-4000-8000-%012x", s.next())
	j, callbacks := d.begin(id, in.ReferenceNo, in.FlowID, personOf(in.ReferenceNo, s.Person))
	if in.Applicant != nil {
		j.fullName = in.Applicant.FullName
	}
	s.mu.Unlock()
	answer(w, http.StatusOK, idwiseJSON(map[string]any{
		"journey_id": id, "reference_no": in.ReferenceNo, "is_completed": false, "step_summaries": []any{},
	}))
	d.send(callbacks)
}

// idwiseStep is a step as either form carries it.
type idwiseStep struct {
	journey, step string
	skip          bool
	images        []Canned
}

func (d *idwise) step(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, idwiseUpload)
	read := idwiseStepJSON
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data") {
		read = idwiseStepForm
	}
	in, err := read(r)
	switch {
	case err != nil:
		idwiseInvalid(w, "body")
		return
	case in.journey == "":
		idwiseInvalid(w, "journey_id")
		return
	case in.step == "":
		idwiseInvalid(w, "step_id")
		return
	case len(in.images) == 0 && !in.skip:
		idwiseInvalid(w, "image")
		return
	}
	d.on(w, in.journey, func(j *idwiseJourney, now time.Time) idwiseReply {
		if j.look(now).frozen {
			return idwiseNo(http.StatusBadRequest, "journey_completed", "The journey is completed")
		}
		j.stand(now)
		j.take(in)
		return idwiseOK
	})
}

// take notes a step. Its images can be had under the paths that the result names, or under paths made
// of the step's id.
func (j *idwiseJourney) take(in idwiseStep) {
	kind := "Document"
	if in.step == "1" || strings.Contains(in.step, "face") {
		kind = "Selfie"
	}
	j.handed[in.step] = idwiseHanded{kind: kind, turn: len(j.changes)}
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

func idwiseStepForm(r *http.Request) (idwiseStep, error) {
	if err := r.ParseMultipartForm(idwiseUpload); err != nil {
		return idwiseStep{}, err
	}
	in := idwiseStep{journey: r.FormValue("journey_id"), step: r.FormValue("step_id"), skip: r.FormValue(IDWiseSkipField) == "true"}
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
		in.images = append(in.images, Canned{Status: http.StatusOK, ContentType: header.Header.Get("Content-Type"), Body: body})
	}
	return in, nil
}

func idwiseStepJSON(r *http.Request) (idwiseStep, error) {
	var body map[string]any
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		return idwiseStep{}, err
	}
	text := func(key string) string { s, _ := body[key].(string); return s }
	in := idwiseStep{journey: text("journey_id"), step: text("step_id"), skip: text(IDWiseSkipField) == "true"}
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
		in.images = append(in.images, Canned{Status: http.StatusOK, ContentType: http.DetectContentType(image), Body: image})
	}
	return in, nil
}

// complete ends the hand-in. What is missing then makes the journey incomplete for good.
func (d *idwise) complete(w http.ResponseWriter, r *http.Request) {
	var in struct {
		JourneyID string `json:"journey_id"`
	}
	if !d.read(w, r, &in) {
		return
	}
	d.on(w, in.JourneyID, func(j *idwiseJourney, now time.Time) idwiseReply {
		l := j.look(now)
		if l.frozen {
			return idwiseNo(http.StatusBadRequest, "journey_completed", "The journey is completed")
		}
		j.stand(now)
		reply := idwiseOK
		if j.status("0", l) == idwiseMissing || j.status("1", l) == idwiseMissing {
			reply.callbacks = d.play(j, script{{0, "incomplete", []string{idwiseDone}}}, now)
			return reply
		}
		j.change(now)
		reply.callbacks = d.play(j, j.rest, now)
		return reply
	})
}

func (d *idwise) summary(w http.ResponseWriter, r *http.Request) {
	d.on(w, r.PathValue("id"), func(j *idwiseJourney, now time.Time) idwiseReply {
		if !j.asked.IsZero() && now.Sub(j.asked) < idwiseInterval {
			d.early++
			return idwiseNo(http.StatusTooManyRequests, "too_many_requests", "Summaries are to be asked for every 2 seconds at most")
		}
		j.asked = now
		d.server.toldEnd(j.told)
		return idwiseReply{status: http.StatusOK, body: j.summaryBody(now)}
	})
}

func (d *idwise) result(w http.ResponseWriter, r *http.Request) {
	d.on(w, r.PathValue("id"), func(j *idwiseJourney, now time.Time) idwiseReply {
		d.server.toldEnd(j.told)
		j.told = j.told || j.over(now)
		return idwiseReply{status: http.StatusOK, body: j.resultBody(now)}
	})
}

// idwiseReviewIn is a review by call.
type idwiseReviewIn struct {
	NewDecision string `json:"new_decision"`
	StepReviews []struct {
		StepID         string `json:"step_id"`
		ReviewDecision string `json:"review_decision"`
	} `json:"step_reviews"`
}

func (d *idwise) review(w http.ResponseWriter, r *http.Request) {
	var in idwiseReviewIn
	if !d.read(w, r, &in) {
		return
	}
	d.on(w, r.PathValue("id"), func(j *idwiseJourney, now time.Time) idwiseReply {
		l := j.look(now)
		var redo []string
		for _, step := range in.StepReviews {
			if step.ReviewDecision == "Resubmit" {
				redo = append(redo, step.StepID)
			}
		}
		switch again := in.NewDecision == idwiseResubmit; {
		case !slices.Contains([]string{"Approved", "Rejected", idwiseResubmit}, in.NewDecision):
			return idwiseNo(http.StatusBadRequest, "invalid_request", "new_decision is missing or not valid")
		case again && redo == nil:
			return idwiseNo(http.StatusBadRequest, "invalid_request", "step_reviews must name a step to resubmit")
		case !l.frozen || l.system == "Incomplete":
			return idwiseNo(http.StatusBadRequest, "journey_not_completed", "The journey is not completed")
		}
		reply := idwiseOK
		reply.callbacks = d.decide(j, l, in.NewDecision, redo, now)
		return reply
	})
}

// decide sets a reviewer's decision, which ends whatever the script had in mind.
func (d *idwise) decide(j *idwiseJourney, l idwiseLook, decision string, redo []string, now time.Time) []idwiseCallback {
	j.ended = j.end(now)
	again := decision == idwiseResubmit
	l.manual, l.frozen, l.end, l.redo = decision, !again, !again, redo
	events := idwiseReview
	if again {
		events = append(slices.Clone(events), idwiseRequired)
	}
	j.change(now)
	j.reviewed, j.told = &l, false
	return d.callbacks(j, events, l, 0)
}

func (d *idwise) delete(w http.ResponseWriter, r *http.Request) {
	d.on(w, r.PathValue("id"), func(j *idwiseJourney, now time.Time) idwiseReply {
		j.change(now)
		delete(d.journeys, j.id)
		return idwiseOK
	})
}

// aml answers an amended search, or that there is nothing on anybody.
func (d *idwise) aml(w http.ResponseWriter, r *http.Request) {
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
			idwiseInvalid(w, "full_name")
			return
		}
		d.on(w, r.PathValue("id"), func(*idwiseJourney, time.Time) idwiseReply { return idwiseOK })
		return
	}
	d.on(w, r.PathValue("id"), func(*idwiseJourney, time.Time) idwiseReply {
		return idwiseReply{status: http.StatusOK, body: []byte(`{"applicability":"Applicable","matches":[]}`)}
	})
}

// idwisePixel stands for every image that nobody handed in: a GIF of one pixel.
const idwisePixel = "GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"

func (d *idwise) image(w http.ResponseWriter, r *http.Request) {
	d.server.mu.Lock()
	j := d.journeys[r.PathValue("id")]
	path := r.PathValue("path")
	if j == nil || !strings.HasPrefix(path, "img-") {
		d.server.mu.Unlock()
		idwiseRefuse(w, http.StatusNotFound, "image_not_found", "There is no such image")
		return
	}
	image, ok := j.images[path]
	d.server.mu.Unlock()
	if !ok {
		image = Canned{Status: http.StatusOK, ContentType: "image/gif", Body: []byte(idwisePixel)}
	}
	image.write(w)
}
