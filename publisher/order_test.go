package publisher

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// TestOrderOfAcknowledgements: within a commit they come in any order; a sequence that a commit before
// has seen already was given out again.
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
		told := false
		for _, commit := range test.commits {
			for _, seq := range commit {
				o.note(jetstream.PubAck{Sequence: max(seq, 1), Duplicate: seq == 0})
			}
			told = o.next()
		}
		if got := o.givenAgain(); got != test.again || told != (test.again != 0) {
			t.Errorf("%s: given again %d (told %v), want %d", name, got, told, test.again)
		}
		o.dealtWith(test.again)
		if o.givenAgain() != 0 || o.next() {
			t.Errorf("%s: still told after it was dealt with", name)
		}
	}
}
