package kycbridge

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"kycbridge/event"
)

// TestFactsAreMergedByGroup: a payload replaces its groups as a whole and keeps the others.
func TestFactsAreMergedByGroup(t *testing.T) {
	known := person("OLD", progress(event.StatusProcessing))
	known.Risk, known.Extensions = &event.Risk{Level: "low"}, map[string]any{"a": "1", "b": "2"}
	known.Session = &event.Session{Channel: "web", CreatedAt: "2026-03-02T11:00:00Z"}
	first, _, _ := Next(nil, at(1, known))
	type facts struct {
		Number, Name, Birthdate any
		Checks, Media           int
		Risk                    bool
		Extensions              map[string]any
		Session                 string
	}
	unchanged := facts{"NUMBER-OLD", "OLD", "1990-02-01", 1, 1, true, known.Extensions, "web 2026-03-02T11:00:00Z "}
	change := func(edit func(*facts)) facts {
		f := unchanged
		edit(&f)
		return f
	}
	cases := map[string]struct {
		news func(*Observation)
		want facts
	}{
		"nothing": {func(o *Observation) {}, unchanged},
		"a document takes the claims along": {func(o *Observation) {
			o.Documents = []event.Document{{DocumentID: "d", Type: "idcard", DocumentNumber: "NEW"}}
		},
			change(func(f *facts) { f.Number, f.Name, f.Birthdate = "NEW", nil, nil })},
		"claims take the documents along": {func(o *Observation) { o.ExtractedClaims = event.Claims{"given_name": "NEW"} },
			change(func(f *facts) { f.Number, f.Name, f.Birthdate = nil, "NEW", nil })},
		"an empty list is a list": {func(o *Observation) { o.Checks, o.Media = []event.Check{}, []event.Media{} },
			change(func(f *facts) { f.Checks, f.Media = 0, 0 })},
		"checks replace the checks": {func(o *Observation) {
			o.Checks = []event.Check{{CheckID: "x", Type: event.CheckMRZ}, {CheckID: "y", Type: event.CheckAge}}
		}, change(func(f *facts) { f.Checks = 2 })},
		"extensions replace the extensions": {func(o *Observation) { o.Extensions = map[string]any{"a": "3"} },
			change(func(f *facts) { f.Extensions = map[string]any{"a": "3"} })},
		"a session knows member by member": {
			func(o *Observation) { o.Session = &event.Session{EndedAt: "2026-03-02T12:00:00Z"} },
			change(func(f *facts) { f.Session += "2026-03-02T12:00:00Z" })},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			o := progress(event.StatusInReview)
			tc.news(&o)
			d, _, _ := Next(&first, at(2, o))
			session := d.Session.Channel + " " + d.Session.CreatedAt + " " + d.Session.EndedAt
			got := facts{
				Name: d.ExtractedClaims["given_name"], Birthdate: d.ExtractedClaims["birthdate"], Checks: len(d.Checks),
				Media: len(d.Media), Risk: d.Risk != nil, Extensions: d.Extensions, Session: session,
			}
			if len(d.Documents) > 0 {
				got.Number = d.Documents[0].DocumentNumber
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// TestAnApprovalKeepsItsPerson: a newer end of the session has another document. The approval keeps the
// person that it was given for; empty groups are filled.
func TestAnApprovalKeepsItsPerson(t *testing.T) {
	first, _, _ := Next(nil, at(1, person("OLD", bySystem(event.OutcomeApproved))))
	other := person("NEW", ended(event.StatusFailed))
	other.Risk = &event.Risk{Level: "low"}
	d, _, noEvent := Next(&first, at(2, other))
	if noEvent != "" || d.Decision.Outcome != event.OutcomeApproved || d.Risk == nil {
		t.Fatalf("%q: %+v, %+v; want an approval with the risk filled in", noEvent, d.Decision, d.Risk)
	}
	if got := d.Documents[0].DocumentNumber; got != "NUMBER-OLD" || d.ExtractedClaims["given_name"] != "OLD" {
		t.Errorf("the approval vouches for %s, %v", got, d.ExtractedClaims["given_name"])
	}
}

// TestTestTrafficStaysTestTraffic: a verification that the provider has marked as a test stays a test,
// whatever the environment of the account.
func TestTestTrafficStaysTestTraffic(t *testing.T) {
	live := *testAccount
	live.Environment = event.EnvironmentLive
	flow := progress(event.StatusInProgress)
	flow.Test = true
	for name, tc := range map[string]struct {
		facts []Observation
		want  event.Environment
	}{
		"never said": {[]Observation{progress(event.StatusCreated), bySystem(event.OutcomeApproved)},
			event.EnvironmentLive},
		"said first":   {[]Observation{flow, bySystem(event.OutcomeApproved)}, event.EnvironmentTest},
		"said at last": {[]Observation{progress(event.StatusCreated), flow}, event.EnvironmentTest},
	} {
		t.Run(name, func(t *testing.T) {
			var facts []Fact
			for i, o := range tc.facts {
				f := fact(i, o)
				f.Account = &live
				facts = append(facts, f)
			}
			if last, _ := run(t, facts...); last.Environment != tc.want {
				t.Errorf("environment %s", last.Environment)
			}
		})
	}
}
