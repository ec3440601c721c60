package kycbridge

import (
	"fmt"
	"testing"

	"kycbridge/event"
)

func TestAdmittedBy(t *testing.T) {
	cases := map[string]struct {
		p    Payload
		want string
	}{
		"a callback":                      {Payload{Via: event.ViaCallback, Placement: "hmac"}, "hmac"},
		"a callback kept by an older one": {Payload{Via: event.ViaCallback}, ""},
		"a fetched body":                  {Payload{Via: event.ViaFetch}, "api"},
		"a polled body":                   {Payload{Via: event.ViaPoll}, "api"},
		"a start of ours":                 {Payload{Via: event.ViaStart, Notice: true}, "notice"},
		"a deadline of ours":              {Payload{Via: event.ViaDeadline, Notice: true}, "notice"},
		"our finding that it is unknown":  {Payload{Via: event.ViaFetch, Notice: true}, "notice"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := tc.p.admittedBy(); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}

// read is a fact that was requested from the provider.
func read(f Fact) Fact {
	f.Via = event.ViaFetch
	return f
}

// TestConfirmedBelongsToTheVerdict: confirmed states how the payload of the current verdict was read, not
// how the last payload was.
func TestConfirmedBelongsToTheVerdict(t *testing.T) {
	unconfirmed := checker(event.OutcomeRejected)
	unconfirmed.StatusDetail = event.DetailUnconfirmed
	factsOnly := func(minute int) Fact {
		o := progress(event.StatusProcessing)
		o.ExternalReference = fmt.Sprint("ref-", minute)
		return fact(minute, o)
	}
	again := bySystem(event.OutcomeApproved)
	again.ExternalReference = "ref"
	cases := map[string]struct {
		facts []Fact
		want  bool
	}{
		"a callback's verdict":                      {[]Fact{fact(0, bySystem(event.OutcomeApproved))}, false},
		"a fetched verdict":                         {[]Fact{read(fact(0, bySystem(event.OutcomeApproved)))}, true},
		"fetched progress is no verdict":            {[]Fact{read(fact(0, progress(event.StatusProcessing)))}, false},
		"a word of a webhook beside a fetched body": {[]Fact{read(fact(0, unconfirmed))}, false},
		"facts of a callback leave it": {[]Fact{read(fact(0, bySystem(event.OutcomeApproved))), factsOnly(1)},
			true},
		"fetched facts do not confirm": {[]Fact{fact(0, bySystem(event.OutcomeApproved)), read(factsOnly(1))},
			false},
		"the same verdict by callback leaves it": {[]Fact{read(fact(0, bySystem(event.OutcomeApproved))),
			fact(1, again)}, true},
		"the same verdict, fetched with more, makes": {[]Fact{fact(0, bySystem(event.OutcomeApproved)),
			read(fact(1, again))}, true},
		"another verdict by callback takes it": {[]Fact{read(fact(0, bySystem(event.OutcomeApproved))),
			fact(1, byHuman(event.OutcomeRejected))}, false},
		"a resubmission by callback takes it": {[]Fact{read(fact(0, bySystem(event.OutcomeApproved))),
			fact(1, resubmit())}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			last, _ := run(t, tc.facts...)
			if last.Payload.Confirmed != tc.want {
				t.Errorf("confirmed is %v", last.Payload.Confirmed)
			}
		})
	}
}
