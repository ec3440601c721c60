package publisher

import (
	"errors"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

// TestRemapKeepsARejection: a replay of the quarantine maps a payload that could not be mapped before. It must not
// leave out a rejection that the current schema refuses.
func TestRemapKeepsARejection(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	account := tool.Accounts[kycbridge.AccountKey{Provider: "ondato", Account: "acme"}]
	corrected := false
	account.Provider.Identify = func(doc document.Object, _ event.Via) kycbridge.Identity {
		return kycbridge.Identity{Reference: doc.Text("ref"), Document: doc}
	}
	account.Provider.Map = func(
		doc document.Object, _ kycbridge.Payload, _ kycbridge.Settings,
	) (kycbridge.Observation, error) {
		at, _ := time.Parse(time.RFC3339, doc.Text("at"))
		o := kycbridge.Observation{Effect: kycbridge.EffectVerdict, EventName: "verdict", OccurredAt: at,
			References: map[string]string{"id": "v"}}
		switch doc.Text("say") {
		case "rejected":
			o.Status, o.Decision = event.StatusCompleted, event.Decision{Outcome: event.OutcomeRejected, Final: true,
				Stage: event.StageManualReview, ActorType: event.ActorHuman}
		case "approved":
			if !corrected {
				return o, errors.New("unknown form")
			}
			o.Status, o.Decision = event.StatusCompleted, event.Decision{Outcome: event.OutcomeApproved, Final: true,
				Stage: event.StageSystem, ActorType: event.ActorSystem}
		}
		return o, nil
	}
	account.Provider.Validate = func(_ string, doc document.Object) []kycbridge.FieldError {
		if corrected && doc.Text("say") == "rejected" {
			return []kycbridge.FieldError{{Message: "the new schema refuses it"}}
		}
		return nil
	}
	intake := tool.Intake
	n := &kycbridge.Normalizer{Accounts: tool.Accounts, Events: NewPredicting(bus), Log: store, Quarantine: store,
		Mapping: "1", TypePrefix: "io.kycbridge", SourcePrefix: "/kycbridge", MaxAttempts: 1,
		RevisionOf: bus.RevisionOf, Now: time.Now}
	tool.Replayer = &kycbridge.Replayer{Normalizer: n, Examine: intake.Decode,
		Unmapped: func(string) bool { return false }}
	bodies := []string{
		`{"ref":"v","say":"approved","at":"2026-03-02T08:00:00Z"}`,
		`{"ref":"v","say":"rejected","at":"2026-03-02T09:00:00Z"}`,
	}
	var k kycbridge.Key
	for _, body := range bodies {
		r, err := intake.Ingest(t.Context(), account, kycbridge.Payload{Via: event.ViaCallback, Body: []byte(body),
			ReceivedAt: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)})
		must(t, err)
		k = kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: r.VerificationID}
	}
	must(t, store.History(t.Context(), k, func(p kycbridge.Payload) error {
		_, _, _ = n.Work(t.Context(), p, 1) // the first one cannot be mapped
		return nil
	}))
	corrected = true
	o := archive.ReplayOptions{Filter: archive.Filter{Status: archive.StatusQuarantined}}
	_, err := tool.Replay(t.Context(), o, func(r archive.Replayed) error {
		if r.Result != archive.ResultStillQuarantined {
			t.Errorf("the result is %+v", r)
		}
		return nil
	})
	must(t, err)
	last, err := bus.Last(t.Context(), k, true)
	must(t, err)
	if d := last.Data; d.Revision != 1 || d.Decision.Outcome != event.OutcomeRejected {
		t.Errorf("after the replay: revision %d, %s, final %v", d.Revision, d.Decision.Outcome, d.Decision.Final)
	}
}
