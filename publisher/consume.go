package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge"
)

// Consumer is the name of the durable consumer that all replicas share.
const Consumer = "normalizer"

const (
	ackWait   = 15 * time.Second // a process that has not answered by then is considered failed
	heartbeat = 5 * time.Second  // how often a waiting worker reports that it is alive
	inFlight  = 1024             // unacknowledged messages of a consumer of the poll stream, over all replicas
	// unprocessed limits the unacknowledged payloads over all replicas. It includes those that were returned for a later
	// delivery, for example of an account that is not configured: beyond the limit they stop all others.
	unprocessed = 1 << 15
	pulled      = 256 // payloads that this process has requested and not taken from the client library
	perWorker   = 8   // payloads that may wait for each worker, if they are spread evenly
	retryPause  = 250 * time.Millisecond
	keyPause    = 5 * time.Second // before the retry of a payload whose key is not available
	keyTries    = 3               // of a payload whose key was destroyed; if it then still exists, it counts as damaged
)

// Work processes one payload and returns its disposition. The payload is done when retryIn is zero, else
// it is retried after that time.
type Work func(ctx context.Context, p kycbridge.Payload, attempt int) (done kycbridge.Disposition,
	retryIn time.Duration)

// ConsumeOptions configure the processing of stored payloads.
type ConsumeOptions struct {
	Workers int // payloads of different verifications that are processed at once
	// Exclusive: no other process works on this log. Payloads that an earlier process pulled and did not
	// finish are then delivered again at once, not after a delay.
	Exclusive bool
	// Hold reports whether NATS is unavailable, so that no payload can be processed. A worker then holds a failed
	// payload, and the payloads after it wait, which keeps their order. A payload that fails for another reason is
	// returned to the stream for a later delivery and blocks no other payload.
	Hold func() bool
	Work Work        // is called for each payload
	Log  *zap.Logger // required
}

// Consume processes stored payloads until ctx ends, with several workers. This process works on those of one
// verification one after another, in the order in which they were stored. When Consume returns, no worker is running,
// and unprocessed payloads are available to other processes.
func (s *Store) Consume(ctx context.Context, o ConsumeOptions) error {
	if err := retryUntilReady(ctx, func(ctx context.Context) error { return s.begin(ctx, o) }); err != nil {
		return ignoreShutdown(ctx, err)
	}
	lanes := newLanes(o.Workers, func(d delivery) delivery { return d.aside(s.nc) })
	var running, recording sync.WaitGroup
	records := newRecorder(s)
	worked, allWorked := context.WithCancel(context.WithoutCancel(ctx))
	recording.Go(func() { records.run(worked) })
	recording.Go(func() { lanes.keep(worked) })
	for range o.Workers {
		running.Go(func() { lanes.work(func(m delivery) { s.workOne(ctx, m, o, records) }) })
	}
	s.dispatch(ctx, lanes, o.Log)
	lanes.close()
	running.Wait()
	allWorked()
	recording.Wait()
	return nil
}

// begin creates or updates the consumer and sets the position at which processing continues.
func (s *Store) begin(ctx context.Context, o ConsumeOptions) error {
	d := s.normalizer()
	s.durables.add(d)
	if _, err := s.makeNormalizer(ctx); err != nil {
		return err
	}
	moved, err := s.realign(ctx, d, 0)
	if err != nil {
		return err
	}
	if moved != nil {
		s.tried.Store(moved.Reached)
		Repaired{Consumers: []Moved{*moved}}.Log(o.Log)
	}
	if err := s.coverStored(ctx); err != nil || !o.Exclusive {
		return err
	}
	return s.takeOver(ctx)
}

// coverStored flushes the payloads that are stored, so that no worker waits for the flush of each.
func (s *Store) coverStored(ctx context.Context) error {
	log, err := s.js.Stream(ctx, s.names.payloads())
	if err != nil {
		return fmt.Errorf("look up the payload log: %w", err)
	}
	state := log.CachedInfo().State
	if state.Msgs == 0 {
		return nil
	}
	if err := s.disk.flush(ctx, s.names.payloads()); err != nil {
		return err
	}
	s.disk.noteFlushed(s.names.payloads(), state.LastSeq)
	return nil
}

// normalizer is the consumer of the payload log.
func (s *Store) normalizer() durable {
	return durable{stream: s.names.payloads(), config: jetstream.ConsumerConfig{
		Durable:       Consumer,
		Description:   "Turns stored payloads into canonical events",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxDeliver:    -1,
		MaxAckPending: unprocessed,
	}}
}

// makeNormalizer creates the consumer of the payload log if it is missing, or updates it. A new one starts at the
// beginning: an earlier one may have delivered every payload that is stored now.
func (s *Store) makeNormalizer(ctx context.Context) (jetstream.Consumer, error) {
	d := s.normalizer()
	_, err := s.js.Consumer(ctx, d.stream, d.config.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		last, err := s.newest(ctx, d.stream)
		if err != nil {
			return nil, err
		}
		s.tried.Store(max(s.tried.Load(), last))
	}
	return s.make(ctx, d)
}

// takeOver restarts deliveries after the last payload up to which all payloads are acknowledged. The server then counts
// the deliveries of a payload from 1 again.
func (s *Store) takeOver(ctx context.Context) error {
	consumer, err := s.js.Consumer(ctx, s.names.payloads(), Consumer)
	if err != nil {
		return fmt.Errorf("look up consumer %s: %w", Consumer, err)
	}
	info := consumer.CachedInfo()
	if info.NumAckPending == 0 {
		return nil
	}
	s.tried.Store(info.Delivered.Stream)
	if _, err := s.payloadLog.ResetConsumer(ctx, Consumer); err != nil {
		return fmt.Errorf("take over the deliveries of consumer %s: %w", Consumer, err)
	}
	return nil
}

// dispatch distributes messages to the lanes, and renews the subscription if it ends. It returns when ctx has ended;
// workers then return the messages that were already pulled.
func (s *Store) dispatch(ctx context.Context, lanes *lanes, log *zap.Logger) {
	var warning rateLimitedWarning
	for ctx.Err() == nil {
		err := s.pull(ctx, func(d delivery) {
			warning.reset()
			lanes.put(d)
		})
		if ctx.Err() == nil && err != nil {
			s.requestCheck()
			warning.warn(log, "cannot read stored payloads, trying again", zap.Error(err))
			pause(ctx, retryPause)
		}
	}
}

// delivery is a payload that was pulled, with the epoch of the pull.
type delivery struct {
	jetstream.Msg
	received

	deliveries uint64 // of this message, so far
	epoch      uint64
}

// delivery describes a message that was pulled through a connection. ok is false if it does not come from JetStream.
func (s *Store) delivery(m jetstream.Msg, life int, epoch uint64) (d delivery, ok bool) {
	meta, err := m.Metadata()
	if err != nil {
		return delivery{}, false
	}
	d = delivery{m, received{meta.Sequence.Stream, meta.Timestamp, life, time.Now()}, meta.NumDelivered, epoch}
	if s.delivered.note(d.received, s.life()) {
		s.requestCheck()
	}
	return d, true
}

// pull forwards messages until ctx ends, an error or a renewal. They count as received through the connection with
// which the pull began, also after it was lost and established again: until the renewal that follows, it is not known
// which of them were received before.
func (s *Store) pull(ctx context.Context, pass func(delivery)) error {
	s.turn.Lock()
	s.pulling.Lock()
	defer s.pulling.Unlock()
	lasting, done := s.pulls.untilRenewal(ctx)
	defer done()
	epoch, life := s.epoch.Load(), s.life()
	s.turn.Unlock()
	messages, err := s.messages(ctx)
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(lasting, func() {
		if s.epoch.Load() != epoch {
			messages.Stop() // pending messages are delivered again
			return
		}
		messages.Drain()
	})()
	err = forward(messages, s.requestCheck, func(m jetstream.Msg) {
		if d, ok := s.delivery(m, life, epoch); ok {
			pass(d)
		}
	})
	if lasting.Err() == nil {
		return err
	}
	return nil
}

// messages starts pulling. The consumer is created again if it was deleted.
func (s *Store) messages(ctx context.Context) (jetstream.MessagesContext, error) {
	consumer, err := s.makeNormalizer(ctx)
	if err != nil {
		return nil, err
	}
	return consumer.Messages(s.atMost(pulled, s.payloadLog), jetstream.PullHeartbeat(heartbeat))
}

// forward passes messages on until there are no more. silent is called when heartbeats of the server are
// missing: it may have lost the consumer.
func forward(messages jetstream.MessagesContext, silent func(), pass func(jetstream.Msg)) error {
	for {
		m, err := messages.Next()
		if errors.Is(err, jetstream.ErrNoHeartbeat) {
			silent()
			continue // the library renews the pull
		}
		if err != nil {
			return err
		}
		pass(m)
	}
}

// workOne processes a message until it is done, or returns it for redelivery when ctx ends. A lost acknowledgement
// causes only a redelivery.
func (s *Store) workOne(ctx context.Context, m delivery, o ConsumeOptions, records *recorder) {
	m, ok := s.readAgain(ctx, m)
	if !ok {
		return
	}
	if !s.isDurable(ctx, m) {
		putBack(ctx, m)
		return
	}
	if isBar(m.Subject()) {
		// The process that wrote the bar has recorded this erasure, unless it was killed meanwhile.
		if s.recordErasing(ctx, s.names.payloads(), m.seq) == nil {
			s.settle(m, m.Ack)
		}
		return
	}
	p, ok := s.processable(ctx, m, o, records)
	if !ok {
		return
	}
	p.Seq = m.seq
	p.Again = m.deliveries > 1 || p.Seq <= s.tried.Load()
	for attempt := int(m.deliveries); s.isThere(ctx, m); attempt++ {
		done, retryIn := o.Work(ctx, p, attempt)
		if retryIn == 0 {
			done.Seq, done.StoredAt = m.seq, m.stored
			done.Mark, done.Verification = kycbridge.PayloadMark(p.ID), kycbridge.VerificationMark(p.VerificationID)
			records.add(done, func() { s.settle(m, m.Ack) })
			return
		}
		if ctx.Err() == nil && !o.Hold() {
			s.giveBack(m, retryIn)
			return
		}
		keepHeld(ctx, m, min(retryIn, heartbeat))
	}
	putBack(ctx, m)
}

// processable decodes a payload that was delivered. It answers the server itself, and returns false, if the payload
// waits for its key, is foreign or was altered.
func (s *Store) processable(
	ctx context.Context, m delivery, o ConsumeOptions, records *recorder,
) (p kycbridge.Payload, ok bool) {
	p, err := s.payload(ctx, m.Subject(), m.Headers(), m.Data())
	if err != nil {
		s.keyWarning.warn(o.Log, "a stored payload waits for the key of its body", zap.String("provider", p.Provider),
			zap.String("account", p.Account), zap.String("payload_id", p.ID), zap.Error(err))
		s.giveBack(m, keyPause)
		return p, false
	}
	if p.Body == nil && len(m.Data()) > 0 && m.deliveries <= keyTries {
		s.giveBack(m, keyPause) // its key was destroyed: the payload is probably being erased
		return p, false
	}
	if !ours(m.Headers()) {
		s.countForeign(s.names.payloads())
		records.add(passedOver(p, m, kycbridge.DispositionForeign), func() { s.settle(m, m.Term) })
		return p, false
	}
	if !whole(p) {
		o.Log.Error("a message in the payload log was altered; it is skipped",
			zap.String("provider", p.Provider), zap.String("account", p.Account), zap.Uint64("sequence", m.seq))
		records.add(passedOver(p, m, kycbridge.DispositionDamaged), func() { s.settle(m, m.Term) })
		return p, false
	}
	return p, true
}

// putBack makes a message available to other processes when this one ends.
func putBack(ctx context.Context, m delivery) {
	if ctx.Err() != nil {
		_ = m.Nak()
	}
}

// isThere reports whether a message must be processed: not if ctx has ended, if deliveries were restarted, which
// deliver it again, or if the log has lost it. While the server does not answer, it waits.
func (s *Store) isThere(ctx context.Context, m delivery) bool {
	for ctx.Err() == nil && s.epoch.Load() == m.epoch {
		isReplaced, err := s.payloadReplaced(ctx, m.received)
		if err == nil {
			return !isReplaced
		}
		keepHeld(ctx, m, retryPause)
	}
	return false
}

// isDurable waits until a payload is on the disk, and then reports whether it must be processed, as isThere does. An
// embedded server delivers a payload before it is flushed. If power failed then, the payload would be lost, and a
// subscriber may already have received its event; later the same id could belong to another event.
func (s *Store) isDurable(ctx context.Context, m delivery) bool {
	for s.isThere(ctx, m) {
		if s.disk.covers(ctx, s.names.payloads(), m.seq) == nil {
			return true
		}
		keepHeld(ctx, m, retryPause)
	}
	return false
}

// settle answers the server that a message is done, unless the log has lost it meanwhile.
func (s *Store) settle(m delivery, answer func() error) {
	ctx, cancel := context.WithTimeout(context.Background(), publishTimeout)
	defer cancel()
	if isReplaced, err := s.payloadReplaced(ctx, m.received); err == nil && !isReplaced {
		_ = answer()
	}
}

// passedOver is the disposition of a message that is not processed.
func passedOver(p kycbridge.Payload, m delivery, why string) kycbridge.Disposition {
	return kycbridge.Disposition{Seq: m.seq, StoredAt: m.stored, Mark: kycbridge.PayloadMark(p.ID),
		Why:          why,
		Verification: kycbridge.VerificationMark(p.VerificationID)}
}

// keepHeld waits. Meanwhile it reports to the server that the message is still in progress.
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
