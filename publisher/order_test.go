package publisher

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// TestOrderOfAcknowledgements: the acknowledgements of messages that were sent together arrive in any
// order; a sequence that was acknowledged before these messages were sent has been assigned again.
func TestOrderOfAcknowledgements(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		commits [][]uint64 // 0 is a duplicate of 1
		again   uint64
	}{
		"ascending":            {[][]uint64{{1, 2, 3}, {4}, {5, 6}}, 0},
		"in any order":         {[][]uint64{{3, 1, 2}, {6, 4, 5}}, 0},
		"a duplicate":          {[][]uint64{{1, 2}, {0}, {3}}, 0},
		"given again":          {[][]uint64{{59, 60}, {31}, {32, 33}}, 31},
		"given again together": {[][]uint64{{59, 60}, {33, 31, 32}, {34}}, 31},
		"twice":                {[][]uint64{{60}, {31}, {32}, {11}}, 11},
	} {
		var o order
		repeated := false
		for _, together := range test.commits {
			before := o.sent()
			for _, seq := range together {
				repeated = o.note(jetstream.PubAck{Sequence: max(seq, 1), Duplicate: seq == 0}, before)
			}
		}
		if got := o.reused(); got != test.again || repeated != (test.again != 0) {
			t.Errorf("%s: reused %d (reported %v), want %d", name, got, repeated, test.again)
		}
		o.resolve(max(test.again, 1))
		if o.reused() != 0 || o.note(jetstream.PubAck{Sequence: o.sent().highest + 1}, o.sent()) {
			t.Errorf("%s: still reported after it was resolved", name)
		}
	}
}

// TestLateAcknowledgements: an acknowledgement of a message that was sent before a repair counts only if the repair
// does not cover its sequence.
func TestLateAcknowledgements(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		repair func(*order)
		late   uint64
		again  uint64
	}{
		"the next one after the repaired":   {func(o *order) { o.resolve(31) }, 32, 0},
		"one before it":                     {func(o *order) { o.resolve(31) }, 30, 30},
		"one after an accepted end":         {func(o *order) { o.endsAt(40, 31) }, 35, 0},
		"one before an accepted end":        {func(o *order) { o.endsAt(40, 36) }, 35, 31},
		"a sequence beyond all others":      {func(o *order) { o.resolve(31) }, 61, 0},
		"a lower one that is not repaired":  {func(o *order) { o.resolve(40) }, 41, 31},
		"the end, without one that is back": {func(o *order) { o.endsAt(31, 31) }, 32, 0},
	} {
		var o order
		o.note(jetstream.PubAck{Sequence: 60}, o.sent())
		before := o.sent()
		o.note(jetstream.PubAck{Sequence: 31}, before)
		test.repair(&o)
		o.note(jetstream.PubAck{Sequence: test.late}, before)
		if got := o.reused(); got != test.again {
			t.Errorf("%s: assigned again from %d, want %d", name, got, test.again)
		}
		o.note(jetstream.PubAck{Sequence: 5}, o.sent())
		if o.reused() != 5 {
			t.Errorf("%s: the next loss is not seen", name)
		}
	}
}
