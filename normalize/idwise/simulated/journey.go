package simulated

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"kycbridge/internal/simulate"
)

//go:embed bodies/*.json
var bodies embed.FS

const flow = "f1000000-0000-4000-8000-000000000001"

// journey is one journey. The server's lock guards all of it.
type journey struct {
	id, reference, flow string
	begun               time.Time // in simulated time, as are all other times here
	clock               func(time.Time) time.Time
	origin              time.Time // when the script began
	script              simulate.Script
	// changes are the times at which a call changed the course; callbacks that were due later are void.
	changes []time.Time
	// driven: the API's caller submits the steps. The script is paused; rest is what follows.
	driven   bool
	rest     simulate.Script
	reviewed *look     // the state after a review by call; nil: the script's
	ended    time.Time // when it was decided
	handed   map[string]handed
	images   map[string]simulate.Canned
	asked    time.Time // time of the last summary request
	told     bool      // a call has already returned its end
	fullName string    // as in the start
}

// handed is a step submitted by a call.
type handed struct {
	kind string
	turn int // number of changes before it
}

// begin makes a journey that starts now. The caller holds the lock and sends the returned callbacks.
func (d *provider) begin(id, reference, flow, person string) (*journey, []callback) {
	now := d.server.Now()
	j := &journey{
		id: id, reference: reference, flow: flow, begun: now, clock: d.server.OnClock,
		handed: map[string]handed{}, images: map[string]simulate.Canned{},
	}
	d.journeys[id] = j
	return j, d.play(j, scriptOf(person), now)
}

func begin(s *simulate.Server, externalReference, person string) string {
	d := s.State.(*provider)
	if person == "" {
		person = simulate.PersonOf(externalReference, s.Person)
	}
	s.Lock()
	id := fmt.Sprintf("65f%021x", s.Next())
	_, callbacks := d.begin(id, externalReference, flow, person)
	s.Unlock()
	d.send(callbacks)
	return id
}

// age returns how long the script has run.
func (j *journey) age(now time.Time) time.Duration { return now.Sub(j.origin) }

func (j *journey) look(now time.Time) look {
	if j.reviewed != nil {
		return *j.reviewed
	}
	return looks[j.script.Now(j.age(now)).State]
}

// over reports whether the journey has its last decision.
func (j *journey) over(now time.Time) bool {
	return j.look(now).end && (j.reviewed != nil || j.script.Last(j.age(now)))
}

// change ends the course of the journey and makes its later callbacks void.
func (j *journey) change(now time.Time) { j.changes = append(j.changes, now) }

// stand pauses the script in its current state, because the API's caller now submits the steps.
func (j *journey) stand(now time.Time) {
	if j.driven {
		return
	}
	age := j.age(now)
	j.driven = true
	j.rest = restOf(j.script, age)
	if j.reviewed != nil { // a review by call requests steps again
		j.rest = restOf(scriptOf(simulate.Resubmit), 10*time.Minute)
	}
	j.script, j.origin = simulate.Script{simulate.At(0, j.script.Now(age).State)}, now
	j.change(now)
}

// play starts a script for a journey now and returns its callbacks. The caller holds the lock.
func (d *provider) play(j *journey, sc simulate.Script, now time.Time) []callback {
	j.script, j.origin, j.driven, j.reviewed = sc, now, false, nil
	var out []callback
	for _, b := range sc {
		out = append(out, d.callbacks(j, b.Callbacks, looks[b.State], b.At)...)
	}
	return out
}

// callback is a callback with its delay from now.
type callback struct {
	simulate.Message
	after time.Duration
}

// callbacks makes the callbacks of one moment, each with an event id of its own. The caller holds the lock.
func (d *provider) callbacks(j *journey, events []string, l look, after time.Duration) []callback {
	token := cmp.Or(d.server.Credentials.Callback, Callback)
	turn, due := len(j.changes), d.server.Now().Add(after)
	var out []callback
	for _, event := range events {
		id := fmt.Sprintf("e0000000-0000-4000-8000-%012x", d.server.Next())
		out = append(out, callback{after: after, Message: simulate.Message{
			URL:    d.server.CallbackURL,
			Header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}},
			Body:   hook(event, id, j, l),
			Void: func() bool {
				d.server.Lock()
				defer d.server.Unlock()
				return len(j.changes) > turn && due.After(j.changes[turn])
			},
		}})
	}
	return out
}

// send sends callbacks. The caller does not hold the lock.
func (d *provider) send(callbacks []callback) {
	for _, c := range callbacks {
		d.server.Send(c.Message, c.after)
	}
}

// hook returns a webhook's body: ids and decisions, no data about the person
// (https://docs.idwise.com/docs/webhook-specifications). Finished Journey never contains a review.
func hook(event, id string, j *journey, l look) []byte {
	body := map[string]any{"eventId": id, "journeyId": j.id, "referenceNo": j.reference, "systemDecision": l.system}
	if event == reviewed || event == updated || event == required {
		body["manualDecision"], body["finalDecision"] = orNull(l.manual), l.final()
	}
	switch event {
	case updated:
		body["action"], body["manualReviewDecision"] = "Manual Review", orNull(l.manual)
	case required:
		steps := []any{}
		for _, step := range l.redo {
			steps = append(steps, map[string]any{"stepId": step, "reasonCode": "RESUBMIT_BAD_QUALITY"})
		}
		body["trigger"], body["requiredSteps"] = "Manual Review", steps
	}
	return writeJSON(map[string]any{"event": event, "body": body})
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// status returns the status of a step.
func (j *journey) status(step string, l look) string {
	if h, ok := j.handed[step]; ok && h.turn == len(j.changes) {
		return submitted
	}
	switch {
	case slices.Contains(l.redo, step):
		return missing
	case step == "0":
		return l.steps[0]
	case step == "1":
		return l.steps[1]
	}
	return submitted // a further step exists only once it is submitted
}

// summaryBody returns a summary. The document's step id is a number and the others are text, as in the
// vendor's sample.
func (j *journey) summaryBody(now time.Time) []byte {
	l := j.look(now)
	steps := []any{j.summaryStep(0, "0", "Document", "Photo ID", l), j.summaryStep("1", "1", "Selfie", "Selfie", l)}
	for _, id := range keys(j.handed) {
		if id != "0" && id != "1" {
			steps = append(steps, j.summaryStep(id, id, j.handed[id].kind, "Further step", l))
		}
	}
	body := map[string]any{"journey_id": j.id, "is_completed": l.frozen, "step_summaries": steps}
	if l.frozen && l.system != "Incomplete" {
		word := "Passed"
		if l.result == failed {
			word = "Failed"
		}
		body["result"] = map[string]any{
			"interim_rule_assessment": word,
			"interim_rule_details":    map[string]any{"same_subject": map[string]any{"name": "Same Person", "result": word}},
		}
	}
	return writeJSON(body)
}

func (j *journey) summaryStep(id any, step, kind, title string, l look) any {
	status := j.status(step, l)
	result := map[string]any{
		"has_passed_rules": nil, "is_concluded": nil, "status": status,
		"error_user_feedback_code": nil, "error_user_feedback_title": "", "error_user_feedback_details": "",
	}
	switch {
	case status == submitted:
		result["has_passed_rules"], result["is_concluded"] = step != "0" || l.result != failed, true
	case slices.Contains(l.redo, step):
		result["has_passed_rules"], result["is_concluded"] = false, false
		result["error_user_feedback_code"] = "RESUBMIT_BAD_QUALITY"
	}
	return map[string]any{
		"definition": map[string]any{"step_id": id, "step_type": kind, "step_title": title},
		"result":     result,
	}
}

// resultBody returns a result, model version 3.0.
func (j *journey) resultBody(now time.Time) []byte {
	l := j.look(now)
	var body map[string]any
	raw, err := bodies.ReadFile("bodies/" + string(l.result) + ".json")
	if err == nil {
		err = json.Unmarshal(raw, &body)
	}
	if err != nil {
		panic(err) // the file is embedded in this binary
	}
	body["journey_id"], body["flow_id"], body["reference_number"] = j.id, j.flow, j.reference
	body["system_decision"], body["manual_decision"], body["final_decision"] = l.system, orNull(l.manual), l.final()
	body["start_time"], body["end_time"] = timeText(j.clock(j.begun)), nil
	if end := j.end(now); l.frozen && !end.IsZero() {
		body["end_time"] = timeText(j.clock(end))
	}
	if applicant, ok := body["applicant"].(map[string]any); ok && j.fullName != "" {
		applicant["full_name"] = j.fullName
	}
	return writeJSON(body)
}

// end returns when the journey was decided; it does not change when the result is read again.
func (j *journey) end(now time.Time) time.Time {
	if j.reviewed != nil {
		return j.ended
	}
	for _, b := range j.script {
		if l := looks[b.State]; b.At <= j.age(now) && l.frozen && l.system != "Incomplete" {
			return j.origin.Add(b.At)
		}
	}
	return time.Time{}
}

// timeText formats a time without a zone, as the vendor does.
func timeText(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000") }

func keys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
