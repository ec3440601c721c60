package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A server may lose the newest messages of a stream: those that it had not flushed when it lost its power, that its
// disk did not take, or that are missing in the copy from which it was restored. It assigns their sequences to the
// next messages. A message that this process received before must then not be acknowledged, recorded or deleted by its
// sequence, because that would acknowledge, record or delete another message, which nobody has processed.

// received is a message as this process received it.
type received struct {
	seq    uint64
	stored time.Time // when the stream stored it
	life   int       // of the connection
	at     time.Time // when this process received it
}

// heldLong is how long a message may be in this process before it is looked up in its stream again although the
// connection was not lost: the stream may be on another server of a cluster than the one to which this process is
// connected.
const heldLong = time.Second

// isReplaced reports whether a stream has lost a message since this process received it. It asks the server only if
// that is possible.
func (c *Connection) isReplaced(ctx context.Context, stream jetstream.Stream, m received) (bool, error) {
	if c.life() == m.life && time.Since(m.at) < heldLong {
		return false, nil
	}
	ctx, cancel := c.whileUp(ctx)
	defer cancel()
	return c.isLost(ctx, stream, m.seq, m.stored)
}

// isLost reports whether a stream does not hold the message that it stored under a sequence and at a time. An erased
// message is not lost.
func (c *Connection) isLost(ctx context.Context, stream jetstream.Stream, seq uint64, stored time.Time) (bool, error) {
	raw, err := stream.GetMsg(ctx, seq)
	switch {
	case err == nil:
		return !raw.Time.Equal(stored), nil
	case !errors.Is(err, jetstream.ErrMsgNotFound):
		return false, fmt.Errorf("look up a delivered message: %w", err)
	}
	last, err := c.newest(ctx, stream.CachedInfo().Config.Name)
	return seq > last, err
}

// remembered is the number of deliveries that are remembered: more than can be unacknowledged.
const remembered = 2 * unprocessed

// compact is a delivery that is remembered. There are many, so they are small, and the collection of garbage does not
// visit them.
type compact struct {
	seq    uint64 // 0: none
	stored int64  // nanoseconds since 1970, as a message's time is in a stream
}

func (m received) compact() compact { return compact{m.seq, m.stored.UnixNano()} }

// message is the delivery, without its connection and when it was received.
func (p compact) message() received { return received{seq: p.seq, stored: time.Unix(0, p.stored)} }

// deliveries are the newest deliveries of the payload log to this process.
type deliveries struct {
	mu      sync.Mutex
	recent  [remembered]compact // by sequence
	newest  received
	life    int      // of the connection when the newest one was noted
	suspect received // may be lost; seq 0: there is none
	sure    received // the newest one when it was last found in the log; at is when that was
}

// note records a delivery, and the connection that exists now. again reports whether the sequence was that of another
// message before.
func (d *deliveries) note(m received, life int) (again bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	this, before := m.compact(), d.recent[m.seq%remembered]
	again = before.seq == this.seq && before.stored != this.stored
	switch {
	case again && (d.suspect.seq == 0 || before.seq < d.suspect.seq):
		d.suspect = before.message()
	case d.life != life && d.suspect.seq == 0:
		d.suspect = d.newest // before the connection was lost; later deliveries would hide that it is missing
	}
	d.recent[m.seq%remembered], d.life = this, life
	if again || m.seq > d.newest.seq {
		d.newest = m
	}
	return again
}

// witnesses are the messages that must still be in the log.
func (d *deliveries) witnesses() (suspect, newest received) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.suspect, d.newest
}

// before are the remembered deliveries before a lost one, newest first.
func (d *deliveries) before(lost received) (all []received) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.recent {
		if p.seq > 0 && p.seq < lost.seq && p.stored < lost.stored.UnixNano() {
			all = append(all, p.message())
		}
	}
	slices.SortFunc(all, func(a, b received) int { return cmp.Compare(b.seq, a.seq) })
	return all
}

// cleared removes a suspect that is not lost.
func (d *deliveries) cleared(suspect received) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.suspect == suspect {
		d.suspect = received{}
	}
}

// forget removes the lost deliveries: those from a sequence on that were stored no later than the last of them.
func (d *deliveries) forget(first uint64, last received) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.newest, d.suspect, d.sure = received{}, received{}, received{}
	for i, p := range d.recent {
		if p.seq >= first && p.stored <= last.stored.UnixNano() {
			d.recent[i] = compact{}
		} else if p.seq > d.newest.seq {
			d.newest = p.message()
		}
	}
}

// isSure reports whether a later delivery than m was found in the log a moment ago.
func (d *deliveries) isSure(m received) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sure.life == m.life && d.sure.seq >= m.seq && time.Since(d.sure.at) < heldLong
}

// found records that a delivery was in the log at a time.
func (d *deliveries) found(m received, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m.at = at
	d.sure = m
}

// payloadReplaced is isReplaced for the payload log. While payloads wait in this process, one look per second serves
// for all of them, because a stream loses its newest messages.
func (s *Store) payloadReplaced(ctx context.Context, m received) (bool, error) {
	_, newest := s.delivered.witnesses()
	if s.life() != m.life || newest.life != m.life || newest.seq < m.seq {
		return s.isReplaced(ctx, s.payloadLog, m)
	}
	if time.Since(m.at) < heldLong || s.delivered.isSure(m) {
		return false, nil
	}
	began := time.Now()
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	lost, err := s.isLost(ctx, s.payloadLog, newest.seq, newest.stored)
	if err != nil || lost {
		return lost, err // the message is delivered again, if it is not lost as well
	}
	s.delivered.found(newest, began)
	return false, nil
}

// firstLost is the first of the recent deliveries that the log has lost, and the last one that it lost; of sequence 0
// if it holds all of them.
func (s *Store) firstLost(ctx context.Context) (first, last received, err error) {
	suspect, newest := s.delivered.witnesses()
	for _, m := range []received{suspect, newest} {
		if m.seq == 0 {
			continue
		}
		lost, err := s.isLost(ctx, s.payloadLog, m.seq, m.stored)
		if err != nil {
			return received{}, received{}, err
		}
		if lost {
			first, err = s.firstLostBefore(ctx, m)
			return first, m, err
		}
	}
	s.delivered.cleared(suspect)
	return received{}, received{}, nil
}

// firstLostBefore looks for the first lost delivery, backwards from a lost one to one that the log holds.
func (s *Store) firstLostBefore(ctx context.Context, lost received) (first received, err error) {
	first = lost
	for _, m := range s.delivered.before(lost) {
		raw, err := s.payloadLog.GetMsg(ctx, m.seq)
		switch {
		case err == nil && raw.Time.Equal(m.stored):
			return first, nil
		case err == nil:
			first = m
		case !errors.Is(err, jetstream.ErrMsgNotFound): // else it is lost, or was erased
			return received{}, fmt.Errorf("look up a delivered message: %w", err)
		}
	}
	return first, nil
}
