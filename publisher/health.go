package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// How long a failed write counts against readiness. The time is limited, because without traffic no later write would
// clear the failure. It is short for an unanswered write, because the readiness check itself asks the stream's leader,
// unless writes have been failing for longer: a server whose disk is full answers every question, but no write.
const (
	recent    = 10 * time.Second
	momentary = 2 * time.Second
)

// health records whether a stream accepts writes: a connection can be up while the disk behind it is full.
type health struct {
	mu          sync.Mutex
	first, last time.Time     // failed writes since the last good one
	counts      time.Duration // for how long the last failed write counts: recent or momentary
	why         error         // of the last failed write
}

// takesNothing are the codes with which a server refuses every write, although it reports them as faults of the
// request.
var takesNothing = []jetstream.ErrorCode{
	10002, // a limit of the account is reached
	10109, // the stream is sealed
	10120, // the account has no limits for streams with this number of replicas
}

// note records the outcome of a write that started at a time. It ignores outcomes that prove nothing about the disk:
// answers from the server's memory (a known id, a failed compare-and-set, a message that is too large), a message that
// was not sent because its condition no longer holds, and a cancelled context.
func (h *health) note(began time.Time, pub *jetstream.PubAck, err error) {
	var refused *jetstream.APIError
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil && (pub == nil || !pub.Duplicate):
		h.first, h.last = time.Time{}, time.Time{}
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, nats.ErrMaxPayload), errors.As(err, &refused) &&
		refused.Code < 500 && !slices.Contains(takesNothing, refused.ErrorCode),
		errors.Is(err, kycbridge.ErrConflict), errors.Is(err, errOutdated):
	default:
		h.last, h.counts, h.why = time.Now(), recent, err
		if unanswered(err) {
			h.counts = momentary
		}
		if h.first.IsZero() {
			h.first = began
		}
	}
}

// failed reports whether a write has failed recently.
func (h *health) failed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	counts := h.counts
	if h.last.Sub(h.first) > recent+momentary { // more than one write that waited for its whole timeout
		counts = recent
	}
	return !h.last.IsZero() && time.Since(h.last) < counts
}

// failingFor is the time from the start of the first to the end of the last failed write since a
// successful one.
func (h *health) failingFor() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last.Sub(h.first)
}

// fault is why writes have failed recently; nil if they have not.
func (h *health) fault(what string) error {
	if !h.failed() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	return fmt.Errorf("%s was not acknowledged: %w", what, cmp.Or(h.why, nats.ErrTimeout))
}

// failing reports whether no write has succeeded since one failed.
func (h *health) failing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.first.IsZero()
}

// probeSize is the size of a large callback: if the log accepts a probe, it accepts callbacks.
const probeSize = 32 << 10

// probeTimeout limits the wait for the answer to a probe.
const probeTimeout = 5 * time.Second

// Probe writes to the payload log if a write has failed and none has succeeded since: duplicate callbacks
// alone would never detect that the log fails, or that it has recovered. The probe expires after a second.
func (s *Store) Probe(ctx context.Context) {
	if !s.payloads.health.failing() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	_ = s.putProbe(ctx, probeSize) // the outcome is recorded
}

// putProbe stores a probe, and records the erasure of its sequence in the log: the normalizer records the probes that
// it reads, but a probe may expire before the normalizer reads it.
func (s *Store) putProbe(ctx context.Context, size int) error {
	ack, err := s.payloads.Publish(ctx, s.probe(size))
	if err == nil {
		_ = s.recordErasing(ctx, s.names.payloads(), ack.Sequence)
	}
	return err
}

// probe is a message of the payload log that expires after a second.
func (s *Store) probe(size int) *nats.Msg {
	return &nats.Msg{Subject: s.names.probe(), Header: nats.Header{jetstream.MsgTTLHeader: {barLast.String()}},
		Data: make([]byte, size)}
}
