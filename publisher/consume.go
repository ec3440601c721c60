package publisher

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge"
)

// Consumer is the name of the durable consumer that all replicas share.
const Consumer = "normalizer"

const (
	ackWait    = 60 * time.Second // a worker that has not answered by then is taken for dead
	inFlight   = 4096             // unacknowledged payloads over all replicas
	pulled     = 512              // payloads on their way to this process
	perWorker  = 32               // payloads that may wait for one worker
	retryPause = time.Second
)

// Work processes one delivery: done when retryIn is zero, else to be delivered again after it.
type Work func(ctx context.Context, p kycbridge.Payload, attempt int) (retryIn time.Duration)

// Consume works stored payloads until ctx ends, with several workers. Payloads of one verification
// always meet the same worker of this process, in the order in which they were stored. When it
// returns, no worker is running.
func (s *Store) Consume(ctx context.Context, workers int, work Work, log *zap.Logger) error {
	consumer, err := s.js.CreateOrUpdateConsumer(ctx, s.names.payloads(), jetstream.ConsumerConfig{
		Durable:       Consumer,
		Description:   "Turns stored payloads into canonical events",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: inFlight,
	})
	if err != nil {
		return fmt.Errorf("create consumer %s: %w", Consumer, err)
	}
	lanes := make([]chan jetstream.Msg, workers)
	var running sync.WaitGroup
	for i := range lanes {
		lanes[i] = make(chan jetstream.Msg, perWorker)
		running.Add(1)
		go func() {
			defer running.Done()
			for m := range lanes[i] {
				s.workOne(ctx, m, work, log)
			}
		}()
	}
	defer running.Wait()
	defer func() {
		for _, lane := range lanes {
			close(lane)
		}
	}()
	return s.dispatch(ctx, consumer, lanes, log)
}

// dispatch hands messages to the lanes, and takes the subscription up again if it ends.
func (s *Store) dispatch(ctx context.Context, consumer jetstream.Consumer, lanes []chan jetstream.Msg, log *zap.Logger) error {
	seed := maphash.MakeSeed()
	for ctx.Err() == nil {
		messages, err := consumer.Messages(jetstream.PullMaxMessages(pulled), jetstream.PullHeartbeat(5*time.Second))
		if err != nil {
			log.Warn("cannot read stored payloads, trying again", zap.Error(err))
			pause(ctx, retryPause)
			continue
		}
		stop := context.AfterFunc(ctx, messages.Stop)
		for {
			m, err := messages.Next()
			if errors.Is(err, jetstream.ErrNoHeartbeat) {
				continue // the pull is renewed by the library
			}
			if err != nil {
				if ctx.Err() == nil {
					log.Warn("reading stored payloads was interrupted, trying again", zap.Error(err))
				}
				break
			}
			lane := lanes[maphash.String(seed, m.Subject())%uint64(len(lanes))]
			select {
			case lane <- m:
			case <-ctx.Done():
			}
		}
		stop()
		messages.Stop()
		pause(ctx, retryPause)
	}
	return nil
}

// workOne processes a message and answers it. An answer that is lost costs only a redelivery.
func (s *Store) workOne(ctx context.Context, m jetstream.Msg, work Work, log *zap.Logger) {
	if ctx.Err() != nil {
		return // another delivery will do it
	}
	attempt := 1
	if meta, err := m.Metadata(); err == nil {
		attempt = int(meta.NumDelivered)
	}
	p := payloadOf(m.Subject(), m.Headers(), m.Data())
	if !whole(p) {
		log.Error("a message in the payload log is not ours, or was altered; it is passed over", zap.String("provider", p.Provider), zap.String("account", p.Account))
		_ = m.Term()
		return
	}
	retryIn := work(ctx, p, attempt)
	var err error
	if retryIn > 0 {
		err = m.NakWithDelay(retryIn)
	} else {
		err = m.Ack()
	}
	if err != nil && ctx.Err() == nil {
		log.Debug("answer to a delivery was not sent", zap.Error(err))
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Backlog is how many stored payloads have not been worked yet, waiting or under way.
func (s *Store) Backlog(ctx context.Context) (int, error) {
	c, err := s.js.Consumer(ctx, s.names.payloads(), Consumer)
	if err != nil {
		return 0, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return 0, err
	}
	return int(info.NumPending) + info.NumAckPending, nil
}
