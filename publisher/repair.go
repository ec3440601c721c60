package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// durable is a consumer that must exist for as long as this process uses a stream.
type durable struct {
	stream string
	config jetstream.ConsumerConfig
	// queue: a message is deleted once it is processed, so every message in the stream is still unprocessed.
	queue bool
}

// same reports whether two values name the same consumer.
func (d durable) same(other durable) bool {
	return d.stream == other.stream && d.config.Durable == other.config.Durable
}

// Moved is a consumer that was missing, or whose position was after the end of its stream: the stream has lost
// messages, and would assign their sequences to new messages, which the consumer would treat as processed.
type Moved struct {
	Stream   string // its name
	Consumer string // its durable name
	Missing  bool   // it was created again
	Reached  uint64 // the position that it had reached; if it was missing, the end of the stream
	Last     uint64 // the end of the stream
	From     uint64 // the position from which it continues
}

// Repaired lists defects of streams and consumers that were repaired.
type Repaired struct {
	Streams   []string // were missing and were created again, empty
	Consumers []Moved
	Shorter   []Shorter // have lost their end
}

// Empty reports whether there was no defect.
func (m Repaired) Empty() bool { return len(m.Streams)+len(m.Consumers)+len(m.Shorter) == 0 }

// and is what two attempts at one repair have repaired.
func (m Repaired) and(later Repaired) Repaired {
	return Repaired{slices.Concat(m.Streams, later.Streams), slices.Concat(m.Consumers, later.Consumers),
		slices.Concat(m.Shorter, later.Shorter)}
}

// Log writes one line for all streams and one for each consumer.
func (m Repaired) Log(log *zap.Logger) {
	if len(m.Streams) > 0 {
		log.Error("streams were missing and have been created again, empty: their content is lost",
			zap.Strings("streams", m.Streams))
	}
	for _, s := range m.Shorter {
		reported := func(c Moved) bool { return c.Stream == s.Stream && !c.Missing }
		if !slices.Contains(m.Streams, s.Stream) && !slices.ContainsFunc(m.Consumers, reported) {
			s.log(log)
		}
	}
	for _, c := range m.Consumers {
		fields := []zap.Field{zap.String("stream", c.Stream), zap.String("consumer", c.Consumer),
			zap.Uint64("begins_at", c.From)}
		if c.Missing {
			log.Warn(
				"a consumer was missing and has been created again: messages that were processed before are processed once more",
				fields...)
			continue
		}
		log.Error("a stream has become shorter than the position of its consumer: messages are lost, the consumer "+
			"continues at the end of the stream",
			append(fields, zap.Uint64("stream_ends_at", c.Last), zap.Uint64("consumer_had_come_to", c.Reached))...)
	}
}

// CheckNeeded receives when streams and consumers must be checked: the connection is restored after a
// loss, or a request did not find its stream or consumer.
func (c *Connection) CheckNeeded() <-chan struct{} { return c.checkNeeded }

// requestCheck makes CheckNeeded receive.
func (c *Connection) requestCheck() {
	select {
	case c.checkNeeded <- struct{}{}:
	default: // a check is already requested
	}
}

const (
	repairDelay    = retryPause      // a deletion in progress ends within this time
	repairRetry    = time.Second     // before a failed repair is retried
	repairPatience = 5               // failed attempts until what they have repaired is logged without the rest
	repairInterval = 5 * time.Second // a server may lose messages while it runs, without an error
)

// Maintain repairs streams and consumers of the store on request and every few seconds, until ctx ends.
// then is called when the connection was restored, or a defect was found.
func (s *Store) Maintain(ctx context.Context, log *zap.Logger, then func()) {
	s.maintain(ctx, s.Repair, log, func() {
		s.pulls.renew() // what is received from now on comes through this connection
		then()
	})
}

// Maintain repairs the event stream in the same way.
func (b *Bus) Maintain(ctx context.Context, log *zap.Logger, then func()) {
	b.maintain(ctx, b.Repair, log, then)
}

func (c *Connection) maintain(
	ctx context.Context, repair func(context.Context) (Repaired, error), log *zap.Logger, then func(),
) {
	var warning rateLimitedWarning
	// What an attempt repaired before it failed is logged together with the rest of the repair, so that each loss is
	// reported once; or earlier, if several attempts fail.
	var unlogged Repaired
	defer func() { unlogged.Log(log) }()
	changed, failures, life := false, 0, c.life()
	tick := time.NewTicker(repairInterval)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-c.CheckNeeded():
			pause(ctx, repairDelay)
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if !c.Connected() {
			// The client library reports a failed handshake to no handler, such as a certificate that is not trusted.
			c.warnUnreachable(log, c.nc.LastError())
			continue // CheckNeeded receives again when the connection is restored
		}
		attempt, cancel := context.WithTimeout(ctx, openTimeout)
		repaired, err := repair(attempt)
		cancel()
		unlogged, changed = unlogged.and(repaired), changed || !repaired.Empty()
		if !unlogged.Empty() {
			failures++
		}
		if err == nil || failures > repairPatience {
			unlogged.Log(log)
			unlogged, failures = Repaired{}, 0
		}
		if err == nil {
			warning.reset()
			if now := c.life(); now != life || changed {
				life, changed = now, false
				then()
			}
			continue
		}
		warning.warn(log, "cannot check streams and consumers, trying again", zap.String("connection", c.name),
			zap.Error(err))
		c.requestCheck()
		pause(ctx, repairRetry)
	}
}

// Repair creates missing streams of the store, and repairs consumers that are missing or whose position is
// after the end of their stream. It may be called again after an error.
func (s *Store) Repair(ctx context.Context) (m Repaired, err error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	m.Streams, err = s.createMissing(ctx, s.wanted())
	if len(m.Streams) > 0 {
		s.recent.clear()
	}
	if err == nil {
		err = s.noteLifted(ctx)
	}
	if err != nil {
		return m, err
	}
	if err := s.sealer.keep(ctx); err != nil {
		return m, err
	}
	reused := s.payloads.order.reused()
	lost, last, err := s.firstLost(ctx)
	if err != nil {
		return m, err
	}
	s.unaligned.lower(reused)
	s.unaligned.lower(lost.seq)
	if m.Shorter, err = s.checkEnds(ctx); err != nil {
		return m, err
	}
	again := s.unaligned.load()
	if err := s.realignAll(ctx, again, last.seq, &m); err != nil {
		return m, err
	}
	s.unaligned.clear(again)
	if reused > 0 {
		s.payloads.order.resolve(reused)
	}
	if lost.seq > 0 {
		s.delivered.forget(again, last)
	}
	return m, nil
}

// realignAll repairs the consumers that are missing or whose position is after the end of their stream, and adds them
// to m. Those of the payload log continue at the sequence again, if it is not 0: messages from there on were lost. last
// is the newest payload that is known to have been delivered.
func (s *Store) realignAll(ctx context.Context, again, last uint64, m *Repaired) error {
	durables := s.durables.all()
	if n := s.normalizer(); again > 0 && !slices.ContainsFunc(durables, n.same) {
		durables = append(durables, n) // other processes use the log, and may not have detected the loss
	}
	for _, d := range durables {
		end := again
		if d.queue {
			end = 0
		}
		moved, err := s.realign(ctx, d, end)
		if err != nil {
			return err
		}
		if moved != nil && moved.Missing {
			s.pulls.renew()
		}
		if moved != nil && d.same(s.normalizer()) {
			moved.Reached = max(moved.Reached, last)
			s.tried.Store(moved.Reached)
		}
		if moved != nil && !slices.Contains(m.Streams, moved.Stream) {
			m.Consumers = append(m.Consumers, *moved)
		}
	}
	return nil
}

// Repair creates the event stream if it is missing.
func (b *Bus) Repair(ctx context.Context) (m Repaired, err error) {
	ctx, cancel := b.whileUp(ctx)
	defer cancel()
	m.Streams, err = b.createMissing(ctx, b.wanted)
	if len(m.Streams) > 0 {
		b.forgetCached() // cached events are no longer in the stream
	}
	if err == nil {
		m.Shorter, err = b.repairEnd(ctx)
	}
	b.removeHostileConsumers(ctx)
	return m, err
}

// createMissing creates the missing streams and returns their names. A stream that has become unsafe is no error: it is
// logged and not ready, and everything else is still repaired, because it is in use. After an error nothing is changed,
// but unsafe streams are still found.
func (c *Connection) createMissing(ctx context.Context, wanted []stream) (made []string, err error) {
	var found []unsafeStream
	for _, want := range wanted {
		isNew, fault := false, error(nil)
		if err == nil {
			isNew, fault = c.ensure(ctx, want)
		} else {
			fault = c.examine(ctx, want)
		}
		known, isKnown := errors.AsType[unsafeStream](c.unsafe.of(want.config.Name))
		edited, isEdited := errors.AsType[unsafeStream](fault)
		switch {
		case isEdited:
			found = append(found, edited)
		case fault != nil && isKnown: // it could not be examined: what was found before remains
			found = append(found, known)
		case isNew:
			made = append(made, want.config.Name)
		}
		if !isEdited {
			err = cmp.Or(err, fault)
		}
	}
	c.unsafe.note(c.log, found)
	return made, err
}

// realign compares a consumer with its stream, and resets a consumer whose position is after the end of the
// stream to this end. It returns nil if no repair was needed. again is a sequence that the stream is known to
// have assigned twice; 0: none.
func (c *Connection) realign(ctx context.Context, d durable, again uint64) (*Moved, error) {
	name := d.config.Durable
	consumer, err := c.js.Consumer(ctx, d.stream, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		last, err := c.newest(ctx, d.stream) // every message may have been processed
		if err != nil {
			return nil, err
		}
		if _, err := c.make(ctx, d); err != nil {
			return nil, err
		}
		return &Moved{Stream: d.stream, Consumer: name, Missing: true, Reached: last, From: 1}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up consumer %s: %w", name, err)
	}
	// Look up the stream after the consumer: messages delivered in between are in the stream by then.
	last, err := c.newest(ctx, d.stream)
	if err != nil {
		return nil, err
	}
	info := consumer.CachedInfo()
	end := last + 1 // the next sequence of the stream when it had become shorter
	if again > 0 {
		end = min(end, again)
	}
	reached := max(info.Delivered.Stream, info.AckFloor.Stream)
	if reached < end {
		return nil, nil
	}
	moved := &Moved{Stream: d.stream, Consumer: name, Reached: reached, Last: end - 1,
		From: min(info.AckFloor.Stream+1, end)}
	if d.queue {
		moved.From = 1
	}
	return moved, c.reset(ctx, d, moved.From)
}

// WorkAgain restarts the processing of payloads at a sequence, in their order. Payloads that this process holds
// or has pulled are dropped: they are delivered again.
func (s *Store) WorkAgain(ctx context.Context, from uint64) error {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	consumer, err := s.js.Consumer(ctx, s.names.payloads(), Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil // it will be created, and starts at the beginning
	}
	if err != nil {
		return fmt.Errorf("look up consumer %s: %w", Consumer, err)
	}
	s.turn.Lock() // no new pull starts
	defer s.turn.Unlock()
	s.epoch.Add(1)
	s.pulls.renew()
	s.pulling.Lock() // the current pull has ended
	defer s.pulling.Unlock()
	info := consumer.CachedInfo()
	s.tried.Store(info.Delivered.Stream)
	return s.reset(ctx, s.normalizer(), min(from, info.AckFloor.Stream+1))
}

// reset restarts the deliveries of a consumer at a sequence.
func (c *Connection) reset(ctx context.Context, d durable, from uint64) error {
	name := d.config.Durable
	if atLeast(c.nc.ConnectedServerVersion(), 2, 14) {
		if _, err := c.js.ResetConsumerToSequence(ctx, d.stream, name, from); err != nil {
			return fmt.Errorf("reset consumer %s: %w", name, err)
		}
		return nil
	}
	// An older server cannot reset a consumer. A new one starts at the beginning: processed messages are
	// processed again, without effect.
	if err := c.js.DeleteConsumer(ctx, d.stream, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("delete consumer %s: %w", name, err)
	}
	_, err := c.make(ctx, d)
	return err
}

// make creates or updates a durable consumer. A server that is still removing the folder of a deleted
// consumer removes that of the new one as well; such a consumer is deleted, so that the next attempt
// creates an intact one.
func (c *Connection) make(ctx context.Context, d durable) (jetstream.Consumer, error) {
	consumer, err := c.js.CreateOrUpdateConsumer(ctx, d.stream, d.config)
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && strings.Contains(api.Description, "no such file") {
		_ = c.js.DeleteConsumer(ctx, d.stream, d.config.Durable) // on failure the next attempt returns an error again
	}
	if err != nil {
		return nil, fmt.Errorf("create consumer %s: %w", d.config.Durable, err)
	}
	return consumer, nil
}

// registry holds the consumers of this process.
type registry struct {
	mu    sync.Mutex
	known map[string]durable
}

func (r *registry) add(d durable) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known == nil {
		r.known = map[string]durable{}
	}
	r.known[d.config.Durable] = d
}

// all are the consumers sorted by name.
func (r *registry) all() []durable {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []durable
	for _, name := range slices.Sorted(maps.Keys(r.known)) {
		out = append(out, r.known[name])
	}
	return out
}

// pulls is the lifetime of pull requests. A consumer that is created again does not answer the requests that
// were sent to its predecessor, and they would wait until they time out.
type pulls struct {
	mu    sync.Mutex
	valid context.Context
	end   context.CancelFunc
}

// renew cancels all requests to the previous consumers.
func (p *pulls) renew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end != nil {
		p.end()
		p.valid = nil
	}
}

// untilRenewal is ctx, which also ends at the next renewal.
func (p *pulls) untilRenewal(ctx context.Context) (context.Context, context.CancelFunc) {
	p.mu.Lock()
	if p.valid == nil {
		p.valid, p.end = context.WithCancel(context.Background())
	}
	valid := p.valid
	p.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(valid, cancel)
	return ctx, func() { stop(); cancel() }
}
