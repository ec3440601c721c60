package test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"kycbridge/event"
	"kycbridge/internal/simulate"
	"kycbridge/test/wait"
)

// slowWatches is a world with fast persons and without callbacks, polled only every ten minutes: any earlier poll is
// caused by a submission.
func slowWatches(t *testing.T) *world {
	t.Helper()
	return newWorld(t, worldOptions{speed: 1000, account: "    poll: {interval: 10m, deadline: 1h}\n",
		simulate: func(_ string, o *simulate.Options) {
			o.Callbacks.Withhold = true
		}})
}

// submitStep submits a step of a journey and expects it to be accepted.
func (w *world) submitStep(t *testing.T, journey, what, body string) {
	t.Helper()
	var answer struct{ Status string }
	if status := w.api(http.MethodPost, startsPath+"/idwise/acme/"+journey+what, body,
		&answer); status != http.StatusOK || answer.Status != "submitted" {
		t.Fatalf("%s answered %d %+v", what, status, answer)
	}
}

const oneImage = `{"image":"aW1hZ2UtZnJvbnQ="}`

// TestAStepStartsAWatch: an unwatched journey is watched from its first step on, up to the verdict that
// follows its completion.
func TestAStepStartsAWatch(t *testing.T) {
	t.Parallel()
	w := slowWatches(t)
	journey := w.sims["idwise"].Begin("case-1", simulate.Expire) // the person submits nothing
	if n := w.sessions(t); n != 0 {
		t.Fatalf("%d sessions before", n)
	}
	w.submitStep(t, journey, "/steps/0", oneImage)
	if n := w.sessions(t); n != 1 {
		t.Errorf("%d sessions after a step", n)
	}
	id := event.VerificationID("idwise", "acme", journey)
	events := w.until(id, "it is known", func(events []event.Event) bool { return len(events) > 0 })
	if e := events[0].Data.Provider.Event; e.Name != "watched" || e.Via != event.ViaStart {
		t.Errorf("it begins with %+v", e)
	}
	w.submitStep(t, journey, "/steps/1", oneImage)
	w.submitStep(t, journey, "/complete", "")
	events = w.until(id, "it is approved", func(events []event.Event) bool {
		return last(events).Data.Decision.Outcome == event.OutcomeApproved
	})
	if d := last(events).Data; d.Status != event.StatusCompleted || !d.Decision.Final {
		t.Errorf("\n%s", historyOf(events))
	}
}

// TestAStepBringsTheNextLookForward: with ten minutes between two polls, a submitted step causes a poll at once.
func TestAStepBringsTheNextLookForward(t *testing.T) {
	t.Parallel()
	w := slowWatches(t)
	s := w.sims["idwise"]
	journey := s.Begin("case-1", simulate.Expire)
	w.watch("idwise", journey)
	looks := func() int { return s.Stats().Calls["get-journey-summary"] }
	wait.For(t, 20*time.Second, "the first look", func() bool { return looks() == 1 && w.sessions(t) == 1 })
	w.submitStep(t, journey, "/steps/0", oneImage)
	wait.For(t, 20*time.Second, "a look after the step", func() bool { return looks() == 2 })
}

// TestAReviewOverrulesTheSystem: a submitted decision becomes an event, by a poll of the result and not by the
// submission itself.
func TestAReviewOverrulesTheSystem(t *testing.T) {
	t.Parallel()
	w := slowWatches(t)
	journey := w.sims["idwise"].Begin("case-1", simulate.Reject)
	id := event.VerificationID("idwise", "acme", journey)
	wait.For(t, 20*time.Second, "the journey is decided", func() bool {
		var answer map[string]any
		return w.api(http.MethodPost, startsPath+"/idwise/acme/"+journey+"/review",
			`{"decision":"approved","comment":"Seen in the branch"}`, &answer) == http.StatusOK
	})
	events := w.until(id, "it is approved", func(events []event.Event) bool {
		return last(events).Data.Decision.Outcome == event.OutcomeApproved
	})
	d := last(events).Data
	if d.Decision.Stage != event.StageManualReview || d.Decision.ActorType != event.ActorHuman ||
		d.Provider.Event.Via == event.ViaStart {
		t.Errorf("\n%s", historyOf(events))
	}
	for _, e := range events {
		raw, err := json.Marshal(e)
		if err != nil || bytes.Contains(raw, []byte("Seen in the branch")) {
			t.Errorf("the comment is in an event, or %v", err)
		}
	}
}

// TestRefusedSubmissions: refusals of the provider and of kycbridge are problems as documented, and start no watch.
func TestRefusedSubmissions(t *testing.T) {
	t.Parallel()
	w, api := frozenWorld(t, nil), describedAPI(t)
	journey := w.sims["idwise"].Begin("case-1", simulate.Expire)
	s := w.sims["idwise"]
	refusal := simulate.Canned{Status: 200, ContentType: "application/json",
		Body: []byte(`{"success":false,"message":"` + providersWords + `"}`)}
	for name, tt := range map[string]struct {
		provider, reference, what, body string
		canned                          string // the call that is refused with a 200
		status                          int
		problem                         string
	}{
		"no such journey":         {"idwise", "nobody", "/complete", "", "", 404, "provider_not_found"},
		"review of nothing yet":   {"idwise", journey, "/review", `{"decision":"approved"}`, "", 422, "provider_invalid"},
		"no such decision":        {"idwise", journey, "/review", `{"decision":"Approved"}`, "", 422, "invalid_request"},
		"resubmission of nothing": {"idwise", journey, "/review", `{"decision":"resubmit"}`, "", 422, "invalid_request"},
		"completion refused":      {"idwise", journey, "/complete", "", "complete-journey", 422, "provider_invalid"},
		"step refused":            {"idwise", journey, "/steps/0", oneImage, "process-journey-step", 422, "provider_invalid"},
		"step without an image":   {"idwise", journey, "/steps/0", `{"additional_data":{}}`, "", 422, "provider_invalid"},
		"completion elsewhere":    {"ondato", "b1", "/complete", "", "", 422, "unsupported"},
		"review elsewhere":        {"signzy", "J1", "/review", `{"decision":"approved"}`, "", 422, "unsupported"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.canned != "" {
				s.Can(tt.canned, refusal)
			}
			got := w.submit(t, startsPath+"/"+tt.provider+"/acme/"+tt.reference+tt.what, tt.body)
			m := api.wantProblem(t, w, got, tt.status, tt.problem)
			if words, _ := m["provider_message"].(string); tt.canned != "" && words != providersWords {
				t.Errorf("the provider's words are %q", words)
			}
			if m["may_have_submitted"] != nil {
				t.Errorf("%s", got.body)
			}
		})
	}
	if n := w.sessions(t); n != 0 {
		t.Errorf("%d sessions are watched", n)
	}
}

// submit posts to the operators' API.
func (w *world) submit(t *testing.T, path, body string) startAnswer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.app.AdminAddr()+path,
		strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+worldToken)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return startAnswer{res.StatusCode, res.Header, raw}
}
