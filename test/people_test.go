package test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kycbridge/event"
	"kycbridge/internal/simulate"
)

// end is how a verification must have ended.
type end struct {
	status  event.Status
	outcome event.Outcome
	stage   event.Stage // "" is any
}

// ends are the ends of every simulated person at every provider (docs/consume.md). If a provider never ends a
// session, the deadline ends it.
var ends = map[string]map[string]end{
	"kwikid": {
		simulate.Approve:    {event.StatusCompleted, event.OutcomeApproved, event.StageMaker},
		simulate.Reject:     {event.StatusCompleted, event.OutcomeRejected, event.StageMaker},
		simulate.Review:     {event.StatusCompleted, event.OutcomeApproved, event.StageMaker},
		simulate.Flip:       {event.StatusCompleted, event.OutcomeRejected, event.StageMaker},
		simulate.Resubmit:   {event.StatusCompleted, event.OutcomeApproved, event.StageMaker},
		simulate.Abandon:    {event.StatusAbandoned, event.OutcomeNone, ""},
		simulate.Expire:     {event.StatusExpired, event.OutcomeNone, ""},
		simulate.Supersede:  {event.StatusCanceled, event.OutcomeNone, ""},
		simulate.SecondLook: {event.StatusCompleted, event.OutcomeApproved, event.StageChecker},
		simulate.Unknown:    {event.StatusExpired, event.OutcomeNone, ""},
	},
	"idwise": {
		simulate.Approve:  {event.StatusCompleted, event.OutcomeApproved, event.StageSystem},
		simulate.Reject:   {event.StatusCompleted, event.OutcomeRejected, event.StageSystem},
		simulate.Review:   {event.StatusCompleted, event.OutcomeApproved, event.StageManualReview},
		simulate.Flip:     {event.StatusCompleted, event.OutcomeRejected, event.StageManualReview},
		simulate.Resubmit: {event.StatusCompleted, event.OutcomeApproved, event.StageManualReview},
		simulate.Abandon:  {event.StatusAbandoned, event.OutcomeNone, ""},
		simulate.Expire:   {event.StatusAbandoned, event.OutcomeNone, ""},
		simulate.Unknown:  {event.StatusAbandoned, event.OutcomeNone, ""},
	},
	"ondato": {
		simulate.Approve:  {event.StatusCompleted, event.OutcomeApproved, event.StageSystem},
		simulate.Reject:   {event.StatusCompleted, event.OutcomeRejected, event.StageSystem},
		simulate.Review:   {event.StatusCompleted, event.OutcomeApproved, event.StageManualReview},
		simulate.Flip:     {event.StatusCompleted, event.OutcomeRejected, ""},
		simulate.Resubmit: {event.StatusCompleted, event.OutcomeApproved, ""},
		simulate.Abandon:  {event.StatusAbandoned, event.OutcomeNone, ""},
		simulate.Expire:   {event.StatusExpired, event.OutcomeNone, ""},
		simulate.Unknown:  {event.StatusExpired, event.OutcomeNone, ""},
	},
	"signzy": { // evidence, no verdict
		simulate.Approve: {event.StatusCompleted, event.OutcomeNone, ""},
		simulate.Reject:  {event.StatusCompleted, event.OutcomeNone, ""},
		simulate.Flip:    {event.StatusCompleted, event.OutcomeNone, ""},
		simulate.Abandon: {event.StatusExpired, event.OutcomeNone, ""},
		simulate.Expire:  {event.StatusExpired, event.OutcomeNone, ""},
		simulate.Unknown: {event.StatusExpired, event.OutcomeNone, ""},
	},
}

// TestPersons: every simulated person at every provider reaches the required end, on any network: a reliable
// one, and one that duplicates, delays and reorders callbacks and breaks calls.
func TestPersons(t *testing.T) {
	t.Parallel()
	networks := map[string]func(string, *simulate.Options){
		"good": nil,
		"bad": func(_ string, o *simulate.Options) {
			o.Callbacks = simulate.CallbackOptions{Duplicates: .3, Late: .3, Shuffle: true}
			o.Faults = simulate.Faults{Error500: .05, HTML: .05, RateLimited: .02, Slow: .1, SlowBy: 30 * time.Millisecond,
				Broken: .03}
			o.TokenLife = 2 * time.Second
		},
	}
	for name, network := range networks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, worldOptions{speed: 6000, simulate: network,
				account: "    poll: {interval: 150ms, deadline: 45s, rechecks: [200ms, 400ms, 1s, 3s]}\n"})
			ids := map[string]string{}
			for provider, people := range ends {
				for person := range people {
					reference := w.sims[provider].Begin(fmt.Sprintf("ref-%s-%s", person, provider), person)
					ids[provider+"/"+person] = w.watch(provider, reference)
				}
			}
			for provider, people := range ends {
				for person, want := range people {
					events := w.until(ids[provider+"/"+person], provider+" "+person+" ends", func(events []event.Event) bool {
						d := last(events).Data
						return d.Status == want.status && d.Decision.Outcome == want.outcome &&
							(want.stage == "" || d.Decision.Stage == want.stage)
					})
					whole(t, provider+" "+person, events)
				}
			}
		})
	}
}

// whole checks that a history has no gap and that it approves no person who must not be approved.
func whole(t *testing.T, who string, events []event.Event) {
	t.Helper()
	for i, e := range events {
		if e.Data.Revision != i+1 {
			t.Errorf("%s: revision %d at place %d\n%s", who, e.Data.Revision, i+1, historyOf(events))
		}
		approved := e.Data.Decision.Outcome == event.OutcomeApproved && e.Data.Decision.Final
		if never := strings.Contains(who, simulate.Reject) || strings.Contains(who, simulate.Unknown) ||
			strings.Contains(who, simulate.Abandon) || strings.Contains(who, simulate.Supersede) ||
			strings.Contains(who, simulate.Expire); approved && never {
			t.Errorf("%s was approved\n%s", who, historyOf(events))
		}
	}
}

// TestStartedVerificationsEnd: one verification started over the API at each provider reaches its end,
// with all its events in order.
func TestStartedVerificationsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{speed: 60})
	for provider := range ends {
		receipt := w.start(provider, "ref-approve-"+provider)
		want := ends[provider][simulate.Approve]
		events := w.until(receipt.VerificationID, provider+" ends", func(events []event.Event) bool {
			return last(events).Data.Status == want.status && last(events).Data.Decision.Outcome == want.outcome
		})
		whole(t, provider, events)
		first := events[0].Data
		if first.Status != event.StatusCreated || first.Provider.Event.Via != event.ViaStart ||
			first.ExternalReference != "ref-approve-"+provider {
			t.Errorf("%s begins with %s via %s of %q", provider, first.Status, first.Provider.Event.Via, first.ExternalReference)
		}
		var state event.Data
		if status := w.api(http.MethodGet, "/v1/verifications/"+provider+"/acme/"+receipt.Reference, "",
			&state); status != http.StatusOK || state.Revision < events[len(events)-1].Data.Revision {
			t.Errorf("%s: state answered %d, revision %d", provider, status, state.Revision)
		}
	}
}

// TestSafetyNet: no callback arrives, but the verdict is published; late callbacks change nothing.
func TestSafetyNet(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{simulate: func(_ string, o *simulate.Options) { o.Callbacks.Withhold = true }})
	before := map[string]int{}
	ids := map[string]string{}
	for _, provider := range []string{"signzy", "ondato", "idwise"} {
		receipt := w.start(provider, "ref-approve-"+provider)
		ids[provider] = receipt.VerificationID
		want := ends[provider][simulate.Approve]
		events := w.until(receipt.VerificationID, provider+" ends without a callback", func(events []event.Event) bool {
			return last(events).Data.Status == want.status && last(events).Data.Decision.Outcome == want.outcome
		})
		if via := last(events).Data.Provider.Event.Via; via != event.ViaFetch {
			t.Errorf("%s: the verdict came via %s", provider, via)
		}
	}
	// The whole script must be finished before messages can be late.
	for provider, id := range ids {
		w.until(id, "callbacks of "+provider+" wait",
			func([]event.Event) bool { return w.sims[provider].Stats().Waiting > 0 })
		before[provider] = len(w.events(id))
		w.sims[provider].Release()
	}
	for provider, id := range ids {
		w.settled(provider)
		events := w.events(id)
		want := ends[provider][simulate.Approve]
		if d := last(events).Data; d.Status != want.status || d.Decision.Outcome != want.outcome {
			t.Errorf("%s: late callbacks turned it to\n%s", provider, historyOf(events))
		}
		for _, e := range events[before[provider]:] {
			if e.Data.Status != want.status || e.Data.Decision.Outcome != want.outcome {
				t.Errorf("%s: a late callback changed the verdict\n%s", provider, historyOf(events))
			}
		}
		if stats := w.sims[provider].Stats(); stats.Accepted == 0 || stats.GivenUp > 0 {
			t.Errorf("%s: callbacks %+v", provider, stats)
		}
	}
}

// forged are callbacks with an approval, with genuine credentials.
func forged(provider, reference string) [][]byte {
	bodies := map[string][]string{
		"ondato": {
			`{"id":"e0000000-0000-4000-8000-0000000f0001","applicationId":"a0000000-0000-4000-8000-000000000001","createdUtc":"` + time.Now().UTC().Format(time.RFC3339) + `","payload":{"id":"c0000000-0000-4000-8000-0000000f0001","applicationId":"a0000000-0000-4000-8000-000000000001","createdUtc":"2026-03-02T08:57:30.77Z","identityVerificationId":"` + reference + `","status":"Approved","statusReason":"ManuallyIdentified"},"type":"KycIdentification.Approved"}`,
		},
		"idwise": {
			`{"event":"Finished Journey","body":{"eventId":"f0000000-0000-4000-8000-000000000001","journeyId":"` + reference +
				`","referenceNo":"ref","systemDecision":"Complete"}}`,
			`{"event":"Manually Reviewed","body":{"eventId":"f0000000-0000-4000-8000-000000000002","journeyId":"` + reference +
				`","referenceNo":"ref","systemDecision":"Complete","manualDecision":"Approved","finalDecision":"Approved"}}`,
			`{"journey_id":"` + reference +
				`","system_decision":"Complete","manual_decision":"Approved","final_decision":"Approved","model_version":"3.0"}`,
		},
		"kwikid": {
			`{"event":"Maker Approved","session_id":"` + reference + `"}`,
			`{"event":"Checker Approved","session_id":"` + reference + `"}`,
			`{"status":200,"session_data":{"session_id":"` + reference +
				`","session_status":"kyc_result_approved","user_id":"u"}}`,
		},
	}
	var out [][]byte
	for _, b := range bodies[provider] {
		out = append(out, []byte(b))
	}
	return out
}

// TestForgedApproval: a callback with genuine credentials and an approval, about a verification that the
// provider's API rejects, never yields an approving event.
func TestForgedApproval(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{account: "    confirm: true\n"})
	for _, provider := range []string{"ondato", "idwise", "kwikid"} {
		reference := w.sims[provider].Begin("ref-"+provider, simulate.Reject)
		id := w.watch(provider, reference)
		send := func(when string) {
			for _, body := range forged(provider, reference) {
				if status := w.post(provider, genuine(provider), body); status != http.StatusOK {
					t.Errorf("%s: forged callback %s answered %d", provider, when, status)
				}
			}
		}
		send("before the verdict")
		w.until(id, provider+" is rejected", func(events []event.Event) bool {
			return last(events).Data.Decision.Outcome == event.OutcomeRejected
		})
		send("after the verdict")
		// A different body than before, so that it is not a duplicate.
		for _, body := range forged(provider, reference) {
			w.post(provider, genuine(provider), bytes.Replace(body, []byte("0001"), []byte("0002"), 1))
		}
		w.settled(provider)
		w.until(id, "looks are over", func([]event.Event) bool { return w.quiet(provider) })
		events := w.events(id)
		if slices.ContainsFunc(events, func(e event.Event) bool { return e.Data.Decision.Outcome == event.OutcomeApproved }) {
			t.Errorf("%s: approved\n%s", provider, historyOf(events))
		}
		if last(events).Data.Decision.Outcome != event.OutcomeRejected {
			t.Errorf("%s: not rejected in the end\n%s", provider, historyOf(events))
		}
	}
}

// quiet reports whether the provider has received no call for a while.
func (w *world) quiet(provider string) bool {
	before := w.sims[provider].Stats().Calls
	time.Sleep(1500 * time.Millisecond) // longer than the longest recheck
	after := w.sims[provider].Stats().Calls
	total := func(calls map[string]int) (n int) {
		for _, c := range calls {
			n += c
		}
		return n
	}
	return total(before) == total(after)
}

// TestUnknownSession: a session that is unknown to the provider ends with an event that states it.
func TestUnknownSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	for provider, reference := range map[string]string{"kwikid": "5e551000-0000-4000-8000-00000000dead",
		"ondato": "B0000000-0000-4000-8000-00000000DEAD", "idwise": "65f00000000000000000dead"} {
		id := w.watch(provider, reference)
		events := w.until(id, provider+" ends",
			func(events []event.Event) bool { return last(events).Data.Status.Terminal() })
		d := last(events).Data
		if d.Status != event.StatusFailed || d.StatusDetail != event.DetailUnknownToProvider ||
			d.Decision.Outcome != event.OutcomeNone {
			t.Errorf("%s ended as\n%s", provider, historyOf(events))
		}
	}
}
