package oracle

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// TestAllowed lists results that the oracle accepts.
func TestAllowed(t *testing.T) {
	at := func(minute int, f Fact) Fact { f.At = time.Unix(int64(minute)*60, 0); return f }
	of := func(attempt int, f Fact) Fact { f.Attempt = attempt; return f }
	untimed := func(f Fact) Fact { f.Untimed = true; return f }
	approved, rejected, working := State{"completed", "approved"}, State{"completed", "rejected"}, State{"processing",
		"none"}
	started, review, expired := State{"in_progress", "none"}, State{"in_review", "review"}, State{"expired", "none"}
	over := Fact{Weight: Ended, State: expired}
	for name, c := range map[string]struct {
		facts []Fact
		want  []State
	}{
		"nothing that counts": {[]Fact{{}}, nil},
		"the newest sign": {[]Fact{at(2, progress("processing")), at(1, progress("in_progress"))},
			[]State{working}},
		"an end, whatever came after": {[]Fact{at(2, over), at(3, progress("processing"))}, []State{expired}},
		"a verdict over an end":       {[]Fact{at(2, over), at(1, decided("approved"))}, []State{approved}},
		"the newest verdict": {[]Fact{at(3, decided("rejected")), at(1, byPerson(decided("approved")))},
			[]State{rejected}},
		"a person over a machine": {[]Fact{at(1, byPerson(decided("rejected"))),
			at(2, byMachine(decided("approved")))}, []State{rejected}},
		"a person's that was replaced": {[]Fact{at(1, byPerson(decided("approved"))), at(2, decided("rejected")),
			at(3, byMachine(decided("approved")))}, []State{approved}},
		"verdicts without a time that agree": {[]Fact{untimed(decided("approved")), untimed(decided("approved"))},
			[]State{approved}},
		"verdicts without a time that differ": {[]Fact{untimed(decided("approved")), untimed(decided("rejected"))},
			[]State{review}},
		"a second attempt with a verdict": {[]Fact{of(1, at(9, decided("approved"))),
			of(2, at(8, decided("rejected")))}, []State{rejected}},
		"a second attempt after a rejection": {[]Fact{of(1, at(1, decided("rejected"))),
			of(2, at(2, progress("in_progress")))}, []State{started, working}},
		"a second attempt beside an approval": {[]Fact{of(1, at(1, decided("approved"))),
			of(2, at(2, progress("in_progress")))}, []State{approved, started, working}},
		"no verdict of the second counts back": {[]Fact{of(1, at(1, decided("rejected"))),
			of(2, at(2, decided("approved")))}, []State{approved}},
	} {
		t.Run(name, func(t *testing.T) {
			got := Allowed(c.facts)
			if len(got) != len(c.want) || slices.ContainsFunc(c.want, func(s State) bool { return !got[s] }) {
				t.Errorf("allowed %v, want %v", slices.Collect(maps.Keys(got)), c.want)
			}
		})
	}
}

// TestOnlyALossIsReported: neither a line without a loss nor one about another stream counts as a report.
func TestOnlyALossIsReported(t *testing.T) {
	for line, want := range map[string]bool{
		`{"level":"error","msg":"messages are damaged and lost","stream":"KYC_PAYLOADS"}`:                               true,
		`{"level":"warn","msg":"a stream has become shorter","stream":"KYC_PAYLOADS"}`:                                  true,
		`{"level":"error","msg":"messages are damaged and lost","stream":"KYC_EVENTS"}`:                                 false,
		`{"level":"error","msg":"messages were damaged: they are right again, and nothing is lost","s":"KYC_PAYLOADS"}`: false,
		`{"level":"info","msg":"messages are damaged and lost","stream":"KYC_PAYLOADS"}`:                                false,
		`{"level":"error","msg":"cannot write","stream":"KYC_PAYLOADS"}`:                                                false,
		`lost KYC_PAYLOADS`: false,
	} {
		if got := lossIn(line, payloads) != ""; got != want {
			t.Errorf("%s: told %v", line, got)
		}
	}
}
