package publisher

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// Limits of histories.
const (
	longHistory  = 64               // payloads from which a history is kept
	historyBytes = 8 << 20          // bodies of all histories that are kept
	historyLeast = 1 << 10          // what a payload counts at least: a small body has an id, a digest and headers too
	historyAge   = 10 * time.Second // after it was last read, a history is kept for so long, and for twice as long at most
)

// histories keeps the payloads of verifications with long histories that were read lately. A worker reads the whole
// history to judge one late payload: if hundreds of a verification are late, the server would be asked for all of them
// hundreds of times, while other verifications wait for the same worker. A history counts only if the server still has
// as many messages of it, so erased payloads are not returned, and the same last one: a log that has lost its end gives
// the sequences of lost messages to others. The zero value is empty.
type histories struct {
	mu     sync.Mutex
	known  map[kycbridge.Key]history
	bytes  int         // of their bodies
	forget *time.Timer // removes those that nobody reads any more; nil: none is known
}

// history is what was stored of a verification when it was last read.
type history struct {
	payloads []kycbridge.Payload
	messages int       // altered ones, which are no payloads, included
	last     uint64    // sequence of the last message
	stored   time.Time // when the log stored it
	bytes    int
	read     time.Time
}

// get returns the history that was read last; an empty one if none is kept.
func (h *histories) get(k kycbridge.Key) history {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.known[k]
}

// put keeps a history if it is long and there is room.
func (h *histories) put(k kycbridge.Key, of history) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remove(k)
	if of.messages < longHistory || h.bytes+of.bytes > historyBytes {
		return
	}
	if h.known == nil {
		h.known = map[kycbridge.Key]history{}
	}
	if h.forget == nil {
		h.forget = time.AfterFunc(historyAge, h.forgetOld)
	}
	of.read = time.Now()
	h.known[k], h.bytes = of, h.bytes+of.bytes
}

func (h *histories) remove(k kycbridge.Key) {
	h.bytes -= h.known[k].bytes
	delete(h.known, k)
}

// forgetOld removes the histories that nobody reads any more: they are about persons, who may be erased.
func (h *histories) forgetOld() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for k, of := range h.known {
		if time.Since(of.read) >= historyAge {
			h.remove(k)
		}
	}
	if h.forget = nil; len(h.known) > 0 {
		h.forget = time.AfterFunc(historyAge, h.forgetOld)
	}
}

// add adds the next message; isPayload: it was not altered. Of a history that is too large only the number is known.
func (h *history) add(p kycbridge.Payload, stored time.Time, isPayload bool) {
	h.messages++
	h.last, h.stored, h.bytes = p.Seq, stored, h.bytes+max(len(p.Body), historyLeast)
	switch {
	case h.bytes > historyBytes:
		h.payloads = nil
	case isPayload:
		h.payloads = append(h.payloads, p)
	}
}

// History passes the stored payloads of one verification to each, oldest first.
func (s *Store) History(ctx context.Context, k kycbridge.Key, each func(kycbridge.Payload) error) error {
	known, err := s.knownHistory(ctx, k)
	if err != nil {
		return err
	}
	for _, p := range known.payloads {
		if err := each(p); err != nil {
			return err
		}
	}
	if known.messages > 0 {
		return nil
	}
	var of history
	err = s.readHistory(ctx, k, 1, func(p kycbridge.Payload, stored time.Time, isPayload bool) error {
		if of.add(p, stored, isPayload); isPayload {
			return each(p)
		}
		return nil
	})
	if err == nil {
		s.histories.put(k, of)
	}
	return err
}

// knownHistory is the history that is kept, with what was stored since; an empty one if none is kept, or if the server
// does not have all of it any more.
func (s *Store) knownHistory(ctx context.Context, k kycbridge.Key) (of history, err error) {
	if of = s.histories.get(k); of.messages == 0 {
		return of, nil
	}
	left, end, err := s.messagesOf(ctx, k)
	if err != nil {
		return of, err
	}
	of.payloads = slices.Clip(of.payloads) // others read the same history
	last, hasLast := of, false
	err = s.readHistory(ctx, k, last.last, func(p kycbridge.Payload, stored time.Time, isPayload bool) error {
		switch {
		case p.Seq == last.last:
			hasLast = stored.Equal(last.stored)
		case p.Seq <= end:
			of.add(p, stored, isPayload)
		}
		return nil
	})
	if err != nil || !hasLast || of.messages != left || of.bytes > historyBytes {
		return history{}, err
	}
	s.histories.put(k, of)
	return of, nil
}

// messagesOf is how many messages of a verification are in the log, up to its last sequence.
func (s *Store) messagesOf(ctx context.Context, k kycbridge.Key) (n int, end uint64, err error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	subject := s.names.payload(k)
	info, err := s.payloadLog.Info(ctx, jetstream.WithSubjectFilter(subject))
	if err != nil {
		return 0, 0, fmt.Errorf("count stored payloads: %w", err)
	}
	return int(info.State.Subjects[subject]), info.State.LastSeq, nil
}

// readHistory passes the messages of a verification from a sequence on to each, with the time when the log stored it;
// isPayload: the message was not altered.
func (s *Store) readHistory(
	ctx context.Context, k kycbridge.Key, from uint64,
	each func(p kycbridge.Payload, stored time.Time, isPayload bool) error,
) error {
	return s.readSubject(ctx, s.payloadLog, s.names.payload(k), from, func(raw *jetstream.RawStreamMsg) error {
		p, err := s.payload(ctx, raw.Subject, raw.Header, raw.Data)
		if err != nil {
			return err
		}
		p.Seq = raw.Sequence
		return each(p, raw.Time, whole(p))
	})
}
