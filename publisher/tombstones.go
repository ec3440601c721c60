package publisher

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
)

const (
	// erasedDelay is how old the set of erased verifications may be. A bar keeps the payloads of a verification out of the
	// log for longer than that after its tombstone was written.
	erasedDelay = 250 * time.Millisecond
	// erasedWait is how long a payload waits for the set to be read. After a failure none waits for erasedRetry, in
	// which the set is read again beside them, until it succeeds.
	erasedWait, erasedRetry = time.Second, 5 * time.Second
)

// erasedVerifications is the set of verifications that have a tombstone, as digests, so that a payload of any other
// needs no request to the server: some 20 bytes for each.
type erasedVerifications struct {
	reading sync.Mutex // held by the caller that reads what is new

	mu    sync.RWMutex
	marks map[uint64]struct{}
	end   uint64    // of what was read of the stream of tombstones
	whole bool      // everything was read once
	began time.Time // of the last reading
	valid time.Duration

	retrying bool // after a failure
	retries  sync.WaitGroup
}

// has reports whether the set contains a verification, and whether it is recent. Before everything was read once, any
// verification may have a tombstone.
func (e *erasedVerifications) has(verificationID string, now time.Time) (has, recent bool) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	_, has = e.marks[kycbridge.PayloadMark(verificationID)]
	wall := now.Round(0).Sub(e.began.Round(0)) // which continues while the machine is suspended
	return has || !e.whole, max(now.Sub(e.began), wall) < e.valid && wall >= 0
}

// add adds the verification that a message names.
func (e *erasedVerifications) add(verificationID string, seq uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.marks == nil {
		e.marks = map[uint64]struct{}{}
	}
	e.marks[kycbridge.PayloadMark(verificationID)] = struct{}{}
	e.end = seq
}

// read records the outcome of a reading that started at began: the stream was read up to the sequence end, or err.
func (e *erasedVerifications) read(end uint64, began time.Time, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.began, e.valid = began, erasedDelay; err != nil {
		e.valid = erasedRetry
		return
	}
	e.end, e.whole = end, true
}

// tombstoneOfErased is the tombstone of a verification; nil if it was not erased. It may miss one that is younger than
// erasedDelay. If the tombstones cannot be read at present, those that are known count: callbacks must not depend on
// another stream than theirs.
func (s *Store) tombstoneOfErased(ctx context.Context, k kycbridge.Key) (t *storedTombstone, err error) {
	if !s.nc.IsConnected() {
		return nil, nats.ErrDisconnected // nothing can be stored either, unless the connection comes back just now
	}
	isErased, isRecent := s.erased.has(k.VerificationID, time.Now())
	if !isRecent {
		s.readErasedVerifications(ctx)
		isErased, _ = s.erased.has(k.VerificationID, time.Now())
	}
	if !isErased {
		return nil, nil
	}
	t, _, err = s.readTombstone(ctx, k)
	return t, err
}

// readErasedVerifications adds the tombstones that were written since the last time, unless another caller has just
// read them.
func (s *Store) readErasedVerifications(ctx context.Context) {
	s.erased.reading.Lock()
	defer s.erased.reading.Unlock()
	if _, isRecent := s.erased.has("", time.Now()); isRecent {
		return
	}
	if s.readNewTombstones(ctx) != nil && s.erased.beginRetries() {
		s.erased.retries.Go(s.retryTombstones)
	}
}

// readNewTombstones adds the tombstones that were written since the last time.
func (s *Store) readNewTombstones(ctx context.Context) error {
	e, began := &s.erased, time.Now()
	ctx, cancel := context.WithTimeout(ctx, erasedWait)
	defer cancel()
	end, err := s.newest(ctx, s.names.tombstones())
	if err == nil && end != e.end {
		from := e.end + 1
		if end < e.end {
			from = 1 // the stream has become shorter
		}
		err = s.readSubject(ctx, s.tombstones, s.names.join("tombstone.>"), from, func(raw *jetstream.RawStreamMsg) error {
			if t, ok := s.tombstoneOf(raw.Subject, raw.Data); ok {
				e.add(t.VerificationID, raw.Sequence)
			}
			return nil
		})
	}
	e.read(end, began, err)
	return err
}

// beginRetries reports whether no caller has begun to read again after a failure yet.
func (e *erasedVerifications) beginRetries() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	begins := !e.retrying
	e.retrying = true
	return begins
}

// endRetries allows the next failure to begin retries.
func (e *erasedVerifications) endRetries() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.retrying = false
}

// retryTombstones reads the tombstones until it succeeds or the store is closed: a bar ends sooner than payloads would
// wait for them again.
func (s *Store) retryTombstones() {
	for {
		pause(s.sealer.life, erasedDelay)
		if s.sealer.life.Err() != nil || s.retryTombstonesOnce() == nil {
			return
		}
	}
}

// retryTombstonesOnce ends the retries after a success. No caller reads meanwhile, so the next failure begins them
// again.
func (s *Store) retryTombstonesOnce() error {
	s.erased.reading.Lock()
	defer s.erased.reading.Unlock()
	err := s.readNewTombstones(s.sealer.life)
	if err == nil {
		s.erased.endRetries()
	}
	return err
}

// repeatsErased reports whether p is a callback that was erased with its verification. A body that was requested does
// not count: it was requested again.
func repeatsErased(t *storedTombstone, p kycbridge.Payload) bool {
	return p.Via == event.ViaCallback && t.Holds(p)
}

// precedesErasure reports whether p was requested, created as a notice, or read from where it was kept, before the end
// of an erasure. The bar alone does not keep it out of the log: it may come after the bar has ended.
func precedesErasure(t *storedTombstone, p kycbridge.Payload) bool {
	since := p.ReadAt
	if p.Via.Asked() || p.Notice {
		since = p.ReceivedAt
	}
	return !since.IsZero() && t.isAfter(since)
}

// isAfter reports whether the erasure ended after a time of this process. The clock of the server decides, not that of
// the process that erased, which may be a command on any machine: if it was ahead, everything that is requested of a
// new history would be dropped until its time has come, and if it was behind, old answers would be stored again.
func (t *storedTombstone) isAfter(at time.Time) bool { return t.stored.After(at) }

// continueAfter records in the payload m the newest erased revision: if m begins a new history, it goes on from that.
func continueAfter(m *nats.Msg, t *storedTombstone) {
	if t.Revision > 0 {
		m.Header[headerErased] = []string{strconv.Itoa(t.Revision)}
	}
}
