package kycbridge

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kycbridge/event"
)

// ruleCase is a history and its result.
type ruleCase struct {
	facts []Fact
	want  string // for every fact, the kind of its event or why it made no event
	ends  string // status/outcome and the codes of the reasons
}

// checkRule runs the histories of a rule.
func checkRule(t *testing.T, rows map[string]ruleCase) {
	t.Helper()
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			last, kinds := run(t, r.facts...)
			if got := strings.Join(kinds, " "); got != r.want {
				t.Errorf("events %s, want %s", got, r.want)
			}
			if got := ends(last); got != r.ends {
				t.Errorf("ended as %s, want %s", got, r.ends)
			}
		})
	}
}

// at is o with the provider's time minute minutes after noon; it is received an hour after noon.
func at(minute int, o Observation) Fact {
	f := fact(60, o)
	f.OccurredAt = noon.Add(time.Duration(minute) * time.Minute)
	f.Payload.ID = fmt.Sprint("at", minute, o.Effect, o.Decision, o.Status)
	return f
}

// lateAt is at, received an hour later.
func lateAt(minute int, o Observation) Fact {
	f := at(minute, o)
	f.ReceivedAt = noon.Add(2 * time.Hour)
	return f
}

// undated is o with an unreadable time, received minute minutes after noon.
func undated(minute int, o Observation) Fact {
	f := fact(minute, o)
	f.OccurredAt, f.Untimed = time.Time{}, true
	f.Payload.ID = fmt.Sprint("undated", minute)
	return f
}

// looked is o as an API answer without a time, requested minute minutes after noon.
func looked(minute int, o Observation) Fact {
	f := fact(minute, o)
	f.OccurredAt, f.Via = time.Time{}, event.ViaFetch
	f.Payload.ID = fmt.Sprint("looked", minute)
	return f
}

// callbackAt is o as a callback without a time, received minute minutes after noon.
func callbackAt(minute int, o Observation) Fact {
	f := looked(minute, o)
	f.Via, f.Payload.ID = event.ViaCallback, fmt.Sprint("heard", minute)
	return f
}

// of is o as a fact of an attempt.
func of(attempt string, o Observation) Observation {
	o.Attempt = Attempt{ID: attempt, Prefix: "kyc_"}
	o.References = map[string]string{"idv_id": "i", "kyc_identification_id": attempt}
	o.ProviderStatus = map[string]any{"kyc_status": string(o.Status)}
	return o
}

// person is o with the document and the claims of a person, a passed check and an image.
func person(name string, o Observation) Observation {
	o.Documents = []event.Document{{DocumentID: "document", Type: "passport", DocumentNumber: "NUMBER-" + name}}
	o.ExtractedClaims = event.Claims{"given_name": name, "birthdate": "1990-02-01"}
	o.Checks = []event.Check{{CheckID: "face-" + name, Type: event.CheckFaceMatch, Result: event.ResultPassed}}
	o.Media = []event.Media{{Kind: "selfie", ProviderRef: "image-" + name}}
	return o
}

// ends is the state of a verification: status/outcome and the codes of the reasons, except those of the
// test's own ends.
func ends(d *Revision) string {
	got := fmt.Sprintf("%s/%s", d.Status, d.Decision.Outcome)
	for _, r := range d.Reasons {
		got += " " + r.Code
	}
	return got
}

func approved() Observation { return bySystem(event.OutcomeApproved) }
func rejected() Observation { return bySystem(event.OutcomeRejected) }

// contradiction is a body whose values for the decision disagree: it is not attributable to a stage.
func contradiction() Observation {
	o := doubtBy(event.StageSystem, event.ActorUnspecified)
	o.Reasons = []event.Reason{{Code: event.ReasonContradiction}}
	return o
}

func unknownNote() Observation {
	return Observation{Effect: EffectNote, Status: event.StatusUnknown,
		Reasons:        []event.Reason{{Code: event.ReasonUnmappedStatus}},
		ProviderStatus: map[string]any{"kyc_status": "Pondered"}}
}

func progressWithFacts() Observation {
	o := progress(event.StatusProcessing)
	o.ExternalReference = "ref-1"
	return o
}

func dated(year int, o Observation) Observation {
	o.OccurredAt = time.Date(year, 12, 31, 23, 0, 0, 0, time.UTC)
	return o
}

// crossed is a checker's verdict from a callback, an API or both.
func crossed(outcome, callback, api event.Outcome) Observation {
	o := checker(outcome)
	o.Cross = Cross{Callback: callback, API: api}
	return o
}
