package simulate

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

//go:embed idwise/*.json
var idwiseFiles embed.FS

const idwiseFlow = "f1000000-0000-4000-8000-000000000001"

// idwiseJourney is one journey. All of it is guarded by Server.mu.
type idwiseJourney struct {
	id, reference, flow string
	begun               time.Time // in life time, like all others here
	clock               func(time.Time) time.Time
	origin              time.Time // when the script began
	script              script
	// changes are when the course was changed by a call; callbacks that were due later are void.
	changes []time.Time
	// driven: our caller hands in the steps. The script stands still; rest is what follows.
	driven   bool
	rest     script
	reviewed *idwiseLook // what a review by call made of it; nil: the script's
	ended    time.Time   // when it was decided
	handed   map[string]idwiseHanded
	images   map[string]Canned
	asked    time.Time // for a summary, last
	told     bool      // its end has been answered
	fullName string    // as the start said it
}

// idwiseHanded is a step handed in by a call.
type idwiseHanded struct {
	kind string
	turn int // how many changes there had been
}

// begin makes a journey that has just begun. The caller holds mu and sends what comes back.
func (d *idwise) begin(id, reference, flow, person string) (*idwiseJourney, []idwiseCallback) {
	now := d.server.Now()
	j := &idwiseJourney{
		id: id, reference: reference, flow: flow, begun: now, clock: d.server.onClock,
		handed: map[string]idwiseHanded{}, images: map[string]Canned{},
	}
	d.journeys[id] = j
	return j, d.play(j, idwiseScript(person), now)
}

func idwiseBegin(s *Server, externalReference, person string) string {
	d := s.state.(*idwise)
	if person == "" {
		person = personOf(externalReference, s.Person)
	}
	s.mu.Lock()
	id := fmt.Sprintf("65f%021x", s.next())
	_, callbacks := d.begin(id, externalReference, idwiseFlow, person)
	s.mu.Unlock()
	d.send(callbacks)
	return id
}

// age is how long the script has run.
func (j *idwiseJourney) age(now time.Time) time.Duration { return now.Sub(j.origin) }

func (j *idwiseJourney) look(now time.Time) idwiseLook {
	if j.reviewed != nil {
		return *j.reviewed
	}
	return idwiseLooks[j.script.now(j.age(now)).state]
}

// over reports whether the journey is decided for good.
func (j *idwiseJourney) over(now time.Time) bool {
	return j.look(now).end && (j.reviewed != nil || j.script.last(j.age(now)))
}

// change ends the course that the journey was on.
func (j *idwiseJourney) change(now time.Time) { j.changes = append(j.changes, now) }

// stand lets the script stand still where it is, because our caller takes over.
func (j *idwiseJourney) stand(now time.Time) {
	if j.driven {
		return
	}
	age := j.age(now)
	j.driven = true
	j.rest = idwiseRest(j.script, age)
	if j.reviewed != nil { // a review by call wants steps again
		j.rest = idwiseRest(idwiseScript(Resubmit), 10*time.Minute)
	}
	j.script, j.origin = script{{0, j.script.now(age).state, nil}}, now
	j.change(now)
}

// play sets a journey on a script from now and returns its callbacks. The caller holds mu.
func (d *idwise) play(j *idwiseJourney, sc script, now time.Time) []idwiseCallback {
	j.script, j.origin, j.driven, j.reviewed = sc, now, false, nil
	var out []idwiseCallback
	for _, b := range sc {
		out = append(out, d.callbacks(j, b.callbacks, idwiseLooks[b.state], b.at)...)
	}
	return out
}

// idwiseCallback is a callback and its time from now.
type idwiseCallback struct {
	Message
	after time.Duration
}

// callbacks makes callbacks of one moment, each with an event id of its own. The caller holds mu.
func (d *idwise) callbacks(j *idwiseJourney, events []string, l idwiseLook, after time.Duration) []idwiseCallback {
	token := cmp.Or(d.server.Credentials.Callback, IDWiseCallback)
	turn, due := len(j.changes), d.server.Now().Add(after)
	var out []idwiseCallback
	for _, event := range events {
		id := fmt.Sprintf("e0000000-0000-4000-8000-%012x", d.server.next())
		out = append(out, idwiseCallback{after: after, Message: Message{
			URL:    d.server.CallbackURL,
			Header: http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}},
			Body:   idwiseHook(event, id, j, l),
			Void: func() bool {
				d.server.mu.Lock()
				defer d.server.mu.Unlock()
				return len(j.changes) > turn && due.After(j.changes[turn])
			},
		}})
	}
	return out
}

// send sends callbacks. The caller does not hold mu.
func (d *idwise) send(callbacks []idwiseCallback) {
	for _, c := range callbacks {
		d.server.send(c.Message, c.after)
	}
}

// idwiseHook is a webhook's body: ids and decisions, nothing about the person
// (https://docs.idwise.com/docs/webhook-specifications). Finished Journey never tells of a review.
func idwiseHook(event, id string, j *idwiseJourney, l idwiseLook) []byte {
	body := map[string]any{"eventId": id, "journeyId": j.id, "referenceNo": j.reference, "systemDecision": l.system}
	if event == idwiseReviewed || event == idwiseUpdated || event == idwiseRequired {
		body["manualDecision"], body["finalDecision"] = idwiseOrNull(l.manual), l.final()
	}
	switch event {
	case idwiseUpdated:
		body["action"], body["manualReviewDecision"] = "Manual Review", idwiseOrNull(l.manual)
	case idwiseRequired:
		steps := []any{}
		for _, step := range l.redo {
			steps = append(steps, map[string]any{"stepId": step, "reasonCode": "RESUBMIT_BAD_QUALITY"})
		}
		body["trigger"], body["requiredSteps"] = "Manual Review", steps
	}
	return idwiseJSON(map[string]any{"event": event, "body": body})
}

func idwiseOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// status is how far a step has come.
func (j *idwiseJourney) status(step string, l idwiseLook) string {
	if h, ok := j.handed[step]; ok && h.turn == len(j.changes) {
		return idwiseSubmitted
	}
	switch {
	case slices.Contains(l.redo, step):
		return idwiseMissing
	case step == "0":
		return l.steps[0]
	case step == "1":
		return l.steps[1]
	}
	return idwiseSubmitted // a further step is known from its hand-in only
}

// summaryBody is a summary; the document's step id is a number and the others are text, as in the
// vendor's sample.
func (j *idwiseJourney) summaryBody(now time.Time) []byte {
	l := j.look(now)
	steps := []any{j.summaryStep(0, "0", "Document", "Photo ID", l), j.summaryStep("1", "1", "Selfie", "Selfie", l)}
	for _, id := range idwiseKeys(j.handed) {
		if id != "0" && id != "1" {
			steps = append(steps, j.summaryStep(id, id, j.handed[id].kind, "Further step", l))
		}
	}
	body := map[string]any{"journey_id": j.id, "is_completed": l.frozen, "step_summaries": steps}
	if l.frozen && l.system != "Incomplete" {
		word := "Passed"
		if l.result == idwiseFailed {
			word = "Failed"
		}
		body["result"] = map[string]any{
			"interim_rule_assessment": word,
			"interim_rule_details":    map[string]any{"same_subject": map[string]any{"name": "Same Person", "result": word}},
		}
	}
	return idwiseJSON(body)
}

func (j *idwiseJourney) summaryStep(id any, step, kind, title string, l idwiseLook) any {
	status := j.status(step, l)
	result := map[string]any{
		"has_passed_rules": nil, "is_concluded": nil, "status": status,
		"error_user_feedback_code": nil, "error_user_feedback_title": "", "error_user_feedback_details": "",
	}
	switch {
	case status == idwiseSubmitted:
		result["has_passed_rules"], result["is_concluded"] = step != "0" || l.result != idwiseFailed, true
	case slices.Contains(l.redo, step):
		result["has_passed_rules"], result["is_concluded"] = false, false
		result["error_user_feedback_code"] = "RESUBMIT_BAD_QUALITY"
	}
	return map[string]any{
		"definition": map[string]any{"step_id": id, "step_type": kind, "step_title": title},
		"result":     result,
	}
}

// resultBody is a result, model version 3.0.
func (j *idwiseJourney) resultBody(now time.Time) []byte {
	l := j.look(now)
	var body map[string]any
	raw, err := idwiseFiles.ReadFile("idwise/" + string(l.result) + ".json")
	if err == nil {
		err = json.Unmarshal(raw, &body)
	}
	if err != nil {
		panic(err) // the file lies in this binary
	}
	body["journey_id"], body["flow_id"], body["reference_number"] = j.id, j.flow, j.reference
	body["system_decision"], body["manual_decision"], body["final_decision"] = l.system, idwiseOrNull(l.manual), l.final()
	body["start_time"], body["end_time"] = idwiseTime(j.clock(j.begun)), nil
	if end := j.end(now); l.frozen && !end.IsZero() {
		body["end_time"] = idwiseTime(j.clock(end))
	}
	if applicant, ok := body["applicant"].(map[string]any); ok && j.fullName != "" {
		applicant["full_name"] = j.fullName
	}
	return idwiseJSON(body)
}

// end is when the journey was decided; it does not move when the result is read again.
func (j *idwiseJourney) end(now time.Time) time.Time {
	if j.reviewed != nil {
		return j.ended
	}
	for _, b := range j.script {
		if l := idwiseLooks[b.state]; b.at <= j.age(now) && l.frozen && l.system != "Incomplete" {
			return j.origin.Add(b.at)
		}
	}
	return time.Time{}
}

// idwiseTime has no zone, as the vendor's has none.
func idwiseTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000") }

func idwiseKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
