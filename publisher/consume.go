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
	ackWait    = 15 * time.Second // a worker that has not answered by then is taken for dead
	heartbeat  = 5 * time.Second  // how often a worker that waits says that it lives
	inFlight   = 1024             // unacknowledged payloads over all replicas
	pulled     = 256              // payloads on their way to this process
	perWorker  = 8                // payloads that may wait for one worker
	retryPause = 250 * time.Millisecond
)

// Work processes one payload and says what became of it. It is done when retryIn is zero, else to be
// tried again after it.
type Work func(ctx context.Context, p kycbridge.Payload, attempt int) (done kycbridge.Disposition, retryIn time.Duration)

// ConsumeOptions say how stored payloads are worked.
type ConsumeOptions struct {
	Workers int
	// Alone: no other process works this log. What a process before this one had taken and not
	// finished is then delivered again at once, not after a while.
	Alone bool
	// Hold reports whether NATS is away, so that nothing can be done with any payload. One that fails
	// then is held, and those behind it wait: their order is kept. One that fails by itself is given
	// back and stands in nobody's way.
	Hold func() bool
	Work Work
	Log  *zap.Logger
}

// Consume works stored payloads until ctx ends, with several workers. Payloads of one verification
// meet the same worker of this process, in the order in which they were stored. When Consume returns,
// no worker is running, and what was not worked is free for others.
func (s *Store) Consume(ctx context.Context, o ConsumeOptions) error {
	err := insist(ctx, func(ctx context.Context) error {
		if _, err := s.consumer(ctx); err != nil || !o.Alone {
			return err
		}
		return s.takeOver(ctx)
	})
	if err != nil {
		return err
	}
	lanes := make([]chan jetstream.Msg, o.Workers)
	var running, recording sync.WaitGroup
	records := newRecorder(s)
	worked, allWorked := context.WithCancel(context.WithoutCancel(ctx))
	recording.Go(func() { records.run(worked) })
	for i := range lanes {
		lanes[i] = make(chan jetstream.Msg, perWorker)
		running.Go(func() {
			for m := range lanes[i] {
				s.workOne(ctx, m, o, records)
			}
		})
	}
	s.dispatch(ctx, lanes, o.Log)
	for _, lane := range lanes {
		close(lane)
	}
	running.Wait()
	allWorked()
	recording.Wait()
	return nil
}

// consumer creates the durable consumer, or brings it up to date.
func (s *Store) consumer(ctx context.Context) (jetstream.Consumer, error) {
	consumer, err := s.js.CreateOrUpdateConsumer(ctx, s.names.payloads(), jetstream.ConsumerConfig{
		Durable:       Consumer,
		Description:   "Turns stored payloads into canonical events",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: inFlight,
	})
	if err != nil {
		return nil, fmt.Errorf("create consumer %s: %w", Consumer, err)
	}
	return consumer, nil
}

// takeOver makes deliveries begin behind the last payload up to which all are answered.
func (s *Store) takeOver(ctx context.Context) error {
	consumer, err := s.js.Consumer(ctx, s.names.payloads(), Consumer)
	if err != nil {
		return fmt.Errorf("look up consumer %s: %w", Consumer, err)
	}
	info := consumer.CachedInfo()
	if info.NumAckPending == 0 {
		return nil
	}
	if _, err := s.log.ResetConsumer(ctx, Consumer); err != nil {
		return fmt.Errorf("take over the deliveries of consumer %s: %w", Consumer, err)
	}
	return nil
}

// dispatch hands messages to the lanes, and takes the subscription up again if it ends. When ctx
// ends it gives back what has been pulled already.
func (s *Store) dispatch(ctx context.Context, lanes []chan jetstream.Msg, log *zap.Logger) {
	seed := maphash.MakeSeed()
	for ctx.Err() == nil {
		messages, err := s.messages(ctx)
		if err != nil {
			log.Warn("cannot read stored payloads, trying again", zap.Error(err))
			pause(ctx, retryPause)
			continue
		}
		stop := context.AfterFunc(ctx, messages.Drain)
		err = forward(messages, func(m jetstream.Msg) {
			lanes[maphash.String(seed, m.Subject())%uint64(len(lanes))] <- m
		})
		stop()
		messages.Stop()
		if ctx.Err() == nil {
			log.Warn("reading stored payloads was interrupted, trying again", zap.Error(err))
			pause(ctx, retryPause)
		}
	}
}

// messages begins to pull. The consumer is made anew should somebody have deleted it.
func (s *Store) messages(ctx context.Context) (jetstream.MessagesContext, error) {
	consumer, err := s.consumer(ctx)
	if err != nil {
		return nil, err
	}
	return consumer.Messages(jetstream.PullMaxMessages(pulled), jetstream.PullHeartbeat(heartbeat))
}

// forward passes messages on until there are no more.
func forward(messages jetstream.MessagesContext, pass func(jetstream.Msg)) error {
	for {
		m, err := messages.Next()
		if errors.Is(err, jetstream.ErrNoHeartbeat) {
			continue // the pull is renewed by the library
		}
		if err != nil {
			return err
		}
		pass(m)
	}
}

// workOne works a message until it is done, or gives it back when ctx ends. An answer that is lost
// costs only a redelivery.
func (s *Store) workOne(ctx context.Context, m jetstream.Msg, o ConsumeOptions, records *recorder) {
	p := payloadOf(m.Subject(), m.Headers(), m.Data())
	if !whole(p) {
		o.Log.Error("a message in the payload log is not ours, or was altered; it is passed over", zap.String("provider", p.Provider), zap.String("account", p.Account))
		_ = m.Term()
		return
	}
	attempt, seq := 1, uint64(0)
	if meta, err := m.Metadata(); err == nil {
		attempt, seq = int(meta.NumDelivered), meta.Sequence.Stream
	}
	for ; ctx.Err() == nil; attempt++ {
		done, retryIn := o.Work(ctx, p, attempt)
		if retryIn == 0 {
			done.Seq = seq
			records.add(done, func() { _ = m.Ack() })
			return
		}
		if ctx.Err() == nil && !o.Hold() {
			_ = m.NakWithDelay(retryIn)
			return
		}
		wait(ctx, m, min(retryIn, heartbeat))
	}
	_ = m.Nak()
}

// wait lets time pass and tells the server that the message is still held.
func wait(ctx context.Context, m jetstream.Msg, d time.Duration) {
	for ; d > 0 && ctx.Err() == nil; d -= heartbeat {
		_ = m.InProgress()
		pause(ctx, min(d, heartbeat))
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
	if errors.Is(err, jetstream.ErrConsumerNotFound) { // no normalizer has been here yet
		stream, err := s.js.Stream(ctx, s.names.payloads())
		if err != nil {
			return 0, err
		}
		return int(stream.CachedInfo().State.Msgs), nil
	}
	if err != nil {
		return 0, err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return 0, err
	}
	return int(info.NumPending) + info.NumAckPending, nil
}
