package publisher

import (
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// order tracks the sequences that a stream acknowledges, in order to detect that the stream has become shorter.
// The sequence of a new message must be higher than every sequence that was acknowledged before the message was
// sent. If it is not, the stream has lost its end and has assigned the sequence a second time.
type order struct {
	mu      sync.Mutex
	highest uint64 // acknowledged so far
	again   uint64 // lowest that was assigned again; 0: none
	reached uint64 // highest before that
}

// sent is the highest sequence so far. The caller passes it to note for the message that it sends next.
func (o *order) sent() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.highest
}

// note records the acknowledgement of a message, and reports whether an unresolved sequence was assigned
// again. before is what sent returned. Acknowledgements of messages that were sent together arrive in any
// order.
func (o *order) note(a jetstream.PubAck, before uint64) (again bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case a.Duplicate:
	case a.Sequence <= before:
		if o.again == 0 || a.Sequence < o.again {
			o.again = a.Sequence
		}
		o.reached = max(o.reached, o.highest)
		o.highest = a.Sequence // later sequences are compared with the stream as it is now
	default:
		o.highest = max(o.highest, a.Sequence)
	}
	return o.again != 0
}

// reused is the lowest unresolved sequence that was assigned again; 0 if none was.
func (o *order) reused() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.again
}

// flushed reports whether this process has seen an acknowledgement for a sequence or a later one, and no
// sequence that was assigned again.
func (o *order) flushed(seq uint64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.highest >= seq && o.again == 0
}

// farthest is the highest sequence that was ever assigned, also before the stream became shorter.
func (o *order) farthest() uint64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return max(o.reached, o.highest)
}

// resolve clears a sequence that reused returned.
func (o *order) resolve(seq uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.again == seq {
		o.again, o.reached = 0, 0
	}
}

// endsAt accepts the current stream as complete: the sequences after its last message are resolved.
func (o *order) endsAt(last uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.highest > last || o.again != 0 {
		o.highest, o.again, o.reached = last, 0, 0
	}
}
