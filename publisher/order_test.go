package publisher

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// TestOrderOfAcknowledgements: the acknowledgements of messages that were sent together arrive in any
// order; a sequence that was acknowledged before these messages were sent has been assigned again.
func TestOrderOfAcknowledgements(t *testing.T) {
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
		o.resolve(test.again)
		if o.reused() != 0 || o.note(jetstream.PubAck{Sequence: o.sent() + 1}, o.sent()) {
			t.Errorf("%s: still reported after it was resolved", name)
		}
	}
}
