package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge"
)

const (
	hearPending = 8192            // events that wait for whoever hears them
	hearBytes   = 16 << 20        // of these
	hearAgain   = 2 * time.Second // how often is looked whether some were missed
)

// Hearing tells of events as they are published.
type Hearing struct{ *Connection }

// Hear gives every event that is published from now on until ctx ends. Events that come faster than each
// takes them are passed over beyond a bound; missed is told how many.
func (h Hearing) Hear(
	ctx context.Context, names Names, each func(kycbridge.PublishedEvent), missed func(n int),
) error {
	sub, err := h.nc.SubscribeSync(names.EventSubjects())
	if err != nil {
		return fmt.Errorf("hear events: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := sub.SetPendingLimits(hearPending, hearBytes); err != nil {
		return fmt.Errorf("hear events: %w", err)
	}
	dropped, looked := 0, time.Now()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, nats.ErrSlowConsumer):
			return fmt.Errorf("hear events: %w", err)
		}
		if err != nil || time.Since(looked) > hearAgain {
			looked = time.Now()
			if n, _ := sub.Dropped(); n > dropped {
				missed(n - dropped)
				dropped = n
			}
		}
		if err != nil || !isEvent(m.Header) {
			continue
		}
		if e, ok := publishedEvent(m.Subject, m.Data); ok {
			e.At = time.Now().UTC()
			each(e)
		}
	}
}

// NewHearing makes a connection ready to hear events; falling behind is told to whoever hears, not logged.
func NewHearing(c *Connection) Hearing {
	c.nc.SetErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	return Hearing{c}
}
