package publisher

import (
	"context"
	"errors"
	"sync"

	"github.com/nats-io/nats.go"
)

const (
	livePending = 16384    // events that wait for the live subscribers of one reader
	liveBytes   = 32 << 20 // of these events
)

// live forwards events to the live subscribers of one reader of the embedded server. Otherwise the stream
// would deliver an event to each subscription itself before it acknowledges the next one, and a reader
// controls how many subscriptions it has. A reader with very many subscriptions receives events late, and misses
// events that exceed the queue.
type live struct {
	conn       *Connection
	names      Names
	owner      string
	sendBudget *budget

	mu   sync.Mutex
	stop context.CancelFunc
	work sync.WaitGroup
}

func newLive(c *Connection, names Names, owner string, sendBudget *budget) *live {
	c.ignoreDropped() // events are missed then: live delivery is at most once
	return &live{conn: c, names: names, owner: owner, sendBudget: sendBudget}
}

// start forwards events from now on. It returns after the server has registered the subscription.
func (l *live) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	sub, err := l.conn.nc.SubscribeSync(l.names.EventSubjects())
	if err == nil {
		err = errors.Join(sub.SetPendingLimits(livePending, liveBytes), l.conn.nc.Flush())
	}
	if err != nil {
		return // the connection is closed
	}
	ctx, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.work.Go(func() { l.run(ctx, sub) })
}

// end stops forwarding.
func (l *live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stop != nil {
		l.stop()
		l.work.Wait()
		l.stop = nil
	}
}

func (l *live) run(ctx context.Context, sub *nats.Subscription) {
	defer func() { _ = sub.Unsubscribe() }()
	for l.sendBudget.wait(ctx) == nil {
		m, err := sub.NextMsgWithContext(ctx)
		if errors.Is(err, nats.ErrSlowConsumer) {
			continue // events were missed; later ones are forwarded
		}
		if err != nil {
			return
		}
		m.Subject, m.Reply = l.names.join("answer", l.owner, m.Subject), ""
		_ = l.conn.nc.PublishMsg(m)
		_ = l.conn.nc.FlushWithContext(ctx) // the server has delivered it to every subscription
	}
}
