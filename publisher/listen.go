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
	listenPending  = 8192            // events in the queue
	listenBytes    = 16 << 20        // of these events
	missedInterval = 2 * time.Second // how often missed events are checked
)

// Listener receives events as they are published.
type Listener struct{ *Connection }

// Listen passes every event that is published from now on until ctx ends. Above a limit, events that
// arrive faster than each returns are dropped; missed receives how many.
func (l Listener) Listen(
	ctx context.Context, names Names, each func(kycbridge.PublishedEvent), missed func(n int),
) error {
	sub, err := l.nc.SubscribeSync(names.EventSubjects())
	if err != nil {
		return fmt.Errorf("listen to events: %w", err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := sub.SetPendingLimits(listenPending, listenBytes); err != nil {
		return fmt.Errorf("listen to events: %w", err)
	}
	dropped, lastCheck := 0, time.Now()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, nats.ErrSlowConsumer):
			return fmt.Errorf("listen to events: %w", err)
		}
		if err != nil || time.Since(lastCheck) > missedInterval {
			lastCheck = time.Now()
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

// NewListener prepares a connection to listen to events. Dropped events are reported to the caller, not
// logged.
func NewListener(c *Connection) Listener {
	c.nc.SetErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})
	return Listener{c}
}
