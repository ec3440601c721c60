package publisher

import (
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// order tracks the sequences that a stream acknowledges, in order to detect that the stream has become shorter.
// The sequence of a new message must be higher than every sequence that was acknowledged before the message was
// sent. If it is not, the stream has lost its end and has assigned the sequence a second time.
type order struct {
	mu       sync.Mutex
	highest  uint64 // acknowledged so far
	again    uint64 // lowest that was assigned again; 0: none
	reached  uint64 // highest before that
	repairs  int    // of sequences that were assigned again
	repaired uint64 // the lowest sequence that the last of them covers
}

// sentAt describes the acknowledgements that had arrived when a message was sent.
type sentAt struct {
	highest uint64
	repairs int
}

// sent is for the message that is sent next. The caller passes it to note.
func (o *order) sent() sentAt {
	o.mu.Lock()
	defer o.mu.Unlock()
	return sentAt{o.highest, o.repairs}
}

// note records the acknowledgement of a message, and reports whether an unresolved sequence was assigned
// again. before is what sent returned. Acknowledgements of messages that were sent together arrive in any
// order.
func (o *order) note(a jetstream.PubAck, before sentAt) (again bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case a.Duplicate:
	case a.Sequence > before.highest, before.repairs != o.repairs && a.Sequence >= o.repaired:
		// In the second case the message was sent before a repair that covers its sequence as well.
		o.highest = max(o.highest, a.Sequence)
	default:
		if o.again == 0 || a.Sequence < o.again {
			o.again = a.Sequence
		}
		o.reached = max(o.reached, o.highest)
		o.highest = a.Sequence // later sequences are compared with the stream as it is now
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

// resolve records that the consumers of the stream continue at a sequence or before it. A lower sequence that was
// assigned again meanwhile remains.
func (o *order) resolve(from uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.repairs++
	o.repaired = from
	if o.again >= from {
		o.again, o.reached = 0, 0
	}
}

// endsAt accepts the current stream, with its last message, as complete. The consumers of the stream continue at the
// sequence from, which is the first that was lost, or before it.
func (o *order) endsAt(last, from uint64) {
	o.resolve(from)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.again == 0 {
		o.highest, o.reached = min(o.highest, last), 0
	}
}

// lowest is the lowest of several sequences.
type lowest struct {
	mu  sync.Mutex
	seq uint64 // 0: none
}

// lower adds a sequence; 0 adds nothing.
func (l *lowest) lower(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq > 0 && (l.seq == 0 || seq < l.seq) {
		l.seq = seq
	}
}

func (l *lowest) load() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seq
}

// clear forgets what load returned, unless a lower sequence was added since.
func (l *lowest) clear(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seq == seq {
		l.seq = 0
	}
}
