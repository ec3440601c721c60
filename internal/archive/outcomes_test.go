package archive

import (
	"testing"
	"time"

	"kycbridge"
)

// TestOutcomesOfReusedSequences: a disposition counts for its own payload and for no other with the same
// sequence.
func TestOutcomesOfReusedSequences(t *testing.T) {
	came := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	kept := func(id string) kycbridge.Kept {
		return kycbridge.Kept{Payload: kycbridge.Payload{ID: id, ReceivedAt: came}, Seq: 7}
	}
	said := func(id string, revision int, why string) kycbridge.Disposition {
		return kycbridge.Disposition{Seq: 7, Revision: revision, Why: why, Mark: kycbridge.PayloadMark(id),
			At: came.Add(time.Second)}
	}
	early := func(revision int, why string, after time.Duration) kycbridge.Disposition {
		return kycbridge.Disposition{Seq: 7, Revision: revision, Why: why, At: came.Add(after)}
	}
	for name, test := range map[string]struct {
		last     uint64
		recorded []kycbridge.Disposition
		revision int
		why      string
	}{
		"its own":                       {9, []kycbridge.Disposition{said("a", 2, "")}, 2, ""},
		"of another payload":            {9, []kycbridge.Disposition{said("b", 2, "")}, 0, ""},
		"of both":                       {9, []kycbridge.Disposition{said("b", 2, ""), said("a", 0, "old")}, 0, "old"},
		"of both, the other later":      {9, []kycbridge.Disposition{said("a", 0, "old"), said("b", 2, "")}, 0, "old"},
		"worked twice":                  {9, []kycbridge.Disposition{said("a", 2, ""), said("a", 0, "unchanged")}, 2, ""},
		"behind the end of the log":     {5, []kycbridge.Disposition{said("b", 1, ""), said("a", 3, "")}, 3, ""},
		"early version":                 {9, []kycbridge.Disposition{early(2, "", time.Second)}, 2, ""},
		"early version, before it came": {9, []kycbridge.Disposition{early(2, "", -time.Hour)}, 0, ""},
		"early version and worked again": {9,
			[]kycbridge.Disposition{early(2, "", time.Second), said("a", 0, "unchanged")}, 2, ""},
		"early version of another, and it": {9, []kycbridge.Disposition{early(2, "", -time.Hour), said("a", 0, "old")}, 0,
			"old"},
	} {
		f := newOutcomes(test.last)
		for _, d := range test.recorded {
			f.add(d)
		}
		got := f.of(kept("a"))
		if got.outcome.revision() != test.revision || got.outcome.revision() == 0 && f.words[got.outcome] != test.why {
			t.Errorf("%s: revision %d, %q; want %d, %q", name, got.outcome.revision(), f.words[got.outcome&0xff], test.revision,
				test.why)
		}
	}
	if f := newOutcomes(9); f.of(kept("a")).outcome != noOutcome {
		t.Error("a payload without a disposition has an outcome")
	}
}
