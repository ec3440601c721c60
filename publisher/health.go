package publisher

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// How long a failed write counts against readiness: without traffic nothing would take it back. What
// nobody answered counts briefly, because readiness asks for the stream's leader itself.
const (
	recent    = 10 * time.Second
	momentary = 2 * time.Second
)

// health keeps track of whether a stream takes what is written: a connection can be up and the disk
// behind it full.
type health struct {
	mu          sync.Mutex
	first, last time.Time     // failed writes since the last good one
	counts      time.Duration // of the last one: recent or momentary
}

// note takes the outcome of a write that began at a time. What the server answers from memory says
// nothing about the disk: a known id, a lost compare-and-set, a message that is too large. Nor does a
// caller that left.
func (h *health) note(began time.Time, pub *jetstream.PubAck, err error) {
	var refused *jetstream.APIError
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil && (pub == nil || !pub.Duplicate):
		h.first, h.last = time.Time{}, time.Time{}
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, nats.ErrMaxPayload), errors.As(err, &refused) && refused.Code < 500:
	default:
		h.last, h.counts = time.Now(), recent
		if unanswered(err) {
			h.counts = momentary
		}
		if h.first.IsZero() {
			h.first = began
		}
	}
}

// failed reports whether a write has failed just now.
func (h *health) failed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.last.IsZero() && time.Since(h.last) < h.counts
}

// failingFor is from the beginning of the first to the end of the last of the writes that failed since one was good.
func (h *health) failingFor() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last.Sub(h.first)
}

// failing reports whether no write was good since one has failed.
func (h *health) failing() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.first.IsZero()
}

// probeSize is that of a large callback: where it finds room, callbacks do.
const probeSize = 32 << 10

// probePatience is how long a probe waits for its answer.
const probePatience = 5 * time.Second

// Probe writes to the payload log, if a write has failed and none was good since: callbacks that are
// known already would never find out that it takes nothing, or that it does again. What is written
// vanishes after a second.
func (s *Store) Probe(ctx context.Context) {
	if !s.payloads.health.failing() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, probePatience)
	defer cancel()
	_, _ = s.payloads.Publish(ctx, s.probe(probeSize)) // its outcome is noted
}

// probe is a message of the payload log that vanishes after a second.
func (s *Store) probe(size int) *nats.Msg {
	return &nats.Msg{Subject: s.names.probe(), Header: nats.Header{jetstream.MsgTTLHeader: {barLast.String()}},
		Data: make([]byte, size)}
}
