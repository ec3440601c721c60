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
	if err := insist(ctx, func(ctx context.Context) error { return s.begin(ctx, o) }); err != nil {
		return unlessEnded(ctx, err)
	}
	lanes := make([]chan delivery, o.Workers)
	var running, recording sync.WaitGroup
	records := newRecorder(s)
	worked, allWorked := context.WithCancel(context.WithoutCancel(ctx))
	recording.Go(func() { records.run(worked) })
	for i := range lanes {
		lanes[i] = make(chan delivery, perWorker)
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

// begin makes the consumer, or brings it up to date, and puts it where work goes on.
func (s *Store) begin(ctx context.Context, o ConsumeOptions) error {
	d := s.normalizer()
	s.durables.add(d)
	if _, err := s.make(ctx, d); err != nil {
		return err
	}
	moved, err := s.realign(ctx, d, 0)
	if err != nil {
		return err
	}
	if moved != nil {
		Mended{Consumers: []Moved{*moved}}.Say(o.Log)
	}
	if !o.Alone {
		return nil
	}
	return s.takeOver(ctx)
}

// normalizer is the consumer of the payload log.
func (s *Store) normalizer() durable {
	return durable{stream: s.names.payloads(), config: jetstream.ConsumerConfig{
		Durable:       Consumer,
		Description:   "Turns stored payloads into canonical events",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: inFlight,
	}}
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
func (s *Store) dispatch(ctx context.Context, lanes []chan delivery, log *zap.Logger) {
	seed := maphash.MakeSeed()
	var told nag
	for ctx.Err() == nil {
		err := s.pull(ctx, func(d delivery) {
			told.over()
			lanes[maphash.String(seed, d.Subject())%uint64(len(lanes))] <- d
		})
		if ctx.Err() == nil && err != nil {
			s.suspect()
			told.warn(log, "cannot read stored payloads, trying again", zap.Error(err))
			pause(ctx, retryPause)
		}
	}
}

// delivery is a message, and since when deliveries count that were pulled together with it.
type delivery struct {
	jetstream.Msg
	epoch uint64
}

// pull passes messages on until ctx ends, an error or a renewal.
func (s *Store) pull(ctx context.Context, pass func(delivery)) error {
	s.turn.Lock()
	s.pulling.Lock()
	defer s.pulling.Unlock()
	lasting, done := s.pulls.lasting(ctx)
	defer done()
	epoch := s.epoch.Load()
	s.turn.Unlock()
	messages, err := s.messages(ctx)
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(lasting, func() {
		if s.epoch.Load() != epoch {
			messages.Stop() // what waits comes again
			return
		}
		messages.Drain()
	})()
	err = forward(messages, s.suspect, func(m jetstream.Msg) { pass(delivery{m, epoch}) })
	if lasting.Err() == nil {
		return err
	}
	return nil
}

// messages begins to pull. The consumer is made anew should somebody have deleted it.
func (s *Store) messages(ctx context.Context) (jetstream.MessagesContext, error) {
	consumer, err := s.make(ctx, s.normalizer())
	if err != nil {
		return nil, err
	}
	return consumer.Messages(jetstream.PullMaxMessages(pulled), jetstream.PullHeartbeat(heartbeat))
}

// forward passes messages on until there are no more. silent is called when the server gives no
// sign of life: it may have lost the consumer.
func forward(messages jetstream.MessagesContext, silent func(), pass func(jetstream.Msg)) error {
	for {
		m, err := messages.Next()
		if errors.Is(err, jetstream.ErrNoHeartbeat) {
			silent()
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
func (s *Store) workOne(ctx context.Context, m delivery, o ConsumeOptions, records *recorder) {
	meta, err := m.Metadata()
	if err != nil {
		return // no delivery of the server's
	}
	if isBar(m.Subject()) {
		// Whoever put it up has written down that it goes, unless it was killed meanwhile.
		if s.noteErasing(ctx, s.names.payloads(), meta.Sequence.Stream) == nil {
			_ = m.Ack()
		}
		return
	}
	p := payloadOf(m.Subject(), m.Headers(), m.Data())
	if !ours(m.Headers()) {
		s.passOver(s.names.payloads())
		records.add(passedOver(p, meta, kycbridge.DispositionForeign), func() { _ = m.Term() })
		return
	}
	if !whole(p) {
		o.Log.Error("a message in the payload log was altered; it is passed over",
			zap.String("provider", p.Provider), zap.String("account", p.Account), zap.Uint64("sequence", meta.Sequence.Stream))
		records.add(passedOver(p, meta, kycbridge.DispositionDamaged), func() { _ = m.Term() })
		return
	}
	p.Seq = meta.Sequence.Stream
	for attempt := int(meta.NumDelivered); ctx.Err() == nil; attempt++ {
		if s.epoch.Load() != m.epoch {
			return // deliveries began anew, and this one comes again
		}
		done, retryIn := o.Work(ctx, p, attempt)
		if retryIn == 0 {
			done.Seq, done.StoredAt = meta.Sequence.Stream, meta.Timestamp
			done.Mark, done.Verification = kycbridge.PayloadMark(p.ID), kycbridge.VerificationMark(p.VerificationID)
			records.add(done, func() { _ = m.Ack() })
			return
		}
		if ctx.Err() == nil && !o.Hold() {
			_ = m.NakWithDelay(retryIn)
			return
		}
		keepHeld(ctx, m, min(retryIn, heartbeat))
	}
	_ = m.Nak()
}

// passedOver is what is recorded of a message that is not worked.
func passedOver(p kycbridge.Payload, meta *jetstream.MsgMetadata, why string) kycbridge.Disposition {
	return kycbridge.Disposition{Seq: meta.Sequence.Stream, StoredAt: meta.Timestamp, Mark: kycbridge.PayloadMark(p.ID), Why: why,
		Verification: kycbridge.VerificationMark(p.VerificationID)}
}

// keepHeld lets time pass and tells the server that the message is still held.
func keepHeld(ctx context.Context, m jetstream.Msg, d time.Duration) {
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
