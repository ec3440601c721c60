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

// note takes the outcome of a write. A lost compare-and-set or a known id is the answer of a stream
// in order, and a caller that left says nothing about it.
func (h *health) note(err error) {
	var refused *jetstream.APIError
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil, errors.As(err, &refused) && refused.Code < 500, errors.Is(err, nats.ErrMaxPayload):
		h.first, h.last = time.Time{}, time.Time{}
	case errors.Is(err, context.Canceled):
	default:
		h.last, h.counts = time.Now(), recent
		if unanswered(err) {
			h.counts = momentary
		}
		if h.first.IsZero() {
			h.first = h.last
		}
	}
}

// failed reports whether a write has failed just now.
func (h *health) failed() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.last.IsZero() && time.Since(h.last) < h.counts
}

// failingFor is from the first to the last of the writes that failed since one was good.
func (h *health) failingFor() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.last.Sub(h.first)
}
