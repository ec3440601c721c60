package publisher

import (
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// order watches the sequences under which a stream acknowledges. One that is not above those of the
// commits before it was given out twice: the stream has become shorter in between.
type order struct {
	mu      sync.Mutex
	before  uint64 // highest of earlier commits
	highest uint64 // of this commit as well
	again   uint64 // lowest that was given out again; 0: none
	reached uint64 // highest before that
}

// note takes an acknowledgement. Those of one commit come in any order.
func (o *order) note(a jetstream.PubAck) {
	if a.Duplicate {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if a.Sequence <= o.before {
		if o.again == 0 || a.Sequence < o.again {
			o.again = a.Sequence
		}
		o.reached = max(o.reached, o.highest)
		o.highest = a.Sequence // what follows is compared with the stream as it is now
		return
	}
	o.highest = max(o.highest, a.Sequence)
}

// next ends a commit, and reports whether a sequence was given out again that nobody has dealt with.
func (o *order) next() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.before = o.highest
	return o.again != 0
}

// givenAgain is the lowest sequence that was given out again and not dealt with; 0 if there is none.
func (o *order) givenAgain() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.again
}

// flushed reports whether this process knows that the stream has taken something at a sequence or behind
// it.
func (o *order) flushed(seq uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.highest >= seq && o.again == 0
}

// farthest is the highest sequence that was ever given out, before the stream became shorter too.
func (o *order) farthest() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return max(o.reached, o.highest)
}

// dealtWith forgets a sequence that givenAgain has told.
func (o *order) dealtWith(seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.again == seq {
		o.again, o.reached = 0, 0
	}
}

// endsAt takes a stream as it is now for whole: what lay behind its last message is dealt with.
func (o *order) endsAt(last uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.highest > last || o.again != 0 {
		o.before, o.highest, o.again, o.reached = last, last, 0, 0
	}
}
