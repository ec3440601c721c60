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
	historyAge   = 10 * time.Second // how long a history counts after it was last read; it is kept up to twice as long
)

// histories keeps the payloads of verifications with long histories that were read lately. A worker reads the whole
// history to judge one late payload: if hundreds of a verification are late, the server would be asked for all of them
// hundreds of times, while other verifications wait for the same worker. A history counts only if the server still has
// as many messages of it, so erased payloads are not returned. The zero value is empty.
type histories struct {
	mu     sync.Mutex
	known  map[kycbridge.Key]history
	bytes  int         // of their bodies
	forget *time.Timer // removes those that nobody reads any more; nil: none is known
}

// history is what was stored of a verification when it was last read.
type history struct {
	payloads []kycbridge.Payload
	messages int    // altered ones, which are no payloads, included
	last     uint64 // sequence of the last message
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

// History reads the stored payloads of one verification, oldest first.
func (s *Store) History(ctx context.Context, k kycbridge.Key, each func(kycbridge.Payload) error) error {
	of, err := s.wholeHistory(ctx, k)
	if err != nil {
		return err
	}
	for _, p := range of.payloads {
		if err := each(p); err != nil {
			return err
		}
	}
	return nil
}

// wholeHistory reads what was stored since the history was last read, or all of it.
func (s *Store) wholeHistory(ctx context.Context, k kycbridge.Key) (history, error) {
	known := s.histories.get(k)
	if known.messages > 0 && time.Since(known.read) < historyAge {
		left, end, err := s.messagesOf(ctx, k)
		if err != nil {
			return history{}, err
		}
		of, err := s.readHistory(ctx, k, known, end)
		if err != nil || of.messages == left {
			s.histories.put(k, of)
			return of, err
		}
	}
	of, err := s.readHistory(ctx, k, history{}, 0)
	if err == nil {
		s.histories.put(k, of)
	}
	return of, err
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

// readHistory reads the messages after those that are known, up to a sequence; 0: all.
func (s *Store) readHistory(ctx context.Context, k kycbridge.Key, known history, end uint64) (history, error) {
	of := known
	of.payloads = slices.Clip(of.payloads) // others read the same history
	err := s.readSubject(ctx, s.payloadLog, s.names.payload(k), of.last+1, func(raw *jetstream.RawStreamMsg) error {
		if end > 0 && raw.Sequence > end {
			return nil
		}
		p, err := s.payload(ctx, raw.Subject, raw.Header, raw.Data)
		if err != nil {
			return err
		}
		of.messages++
		of.last, of.bytes = raw.Sequence, of.bytes+len(p.Body)
		if whole(p) {
			p.Seq = raw.Sequence
			of.payloads = append(of.payloads, p)
		}
		return nil
	})
	return of, err
}
