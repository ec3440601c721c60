package publisher

import (
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

// durable is a consumer of ours that must exist for as long as this process works a stream.
type durable struct {
	stream string
	config jetstream.ConsumerConfig
	// queue: a message is deleted once it is worked, so whatever lies in the stream is still to be done.
	queue bool
}

// same reports whether two are the same consumer.
func (d durable) same(other durable) bool {
	return d.stream == other.stream && d.config.Durable == other.config.Durable
}

// Moved tells of a consumer that was missing, or stood further on than its stream reaches: the
// stream has lost messages, and would give out their sequences again to messages that the consumer
// takes for worked.
type Moved struct {
	Stream   string
	Consumer string
	Missing  bool   // it was made again
	Reached  uint64 // how far it had come
	Last     uint64 // where the stream ends
	From     uint64 // where it begins again
}

// Mended is what was wrong with streams and consumers, and has been put right.
type Mended struct {
	Streams   []string // were missing and have been made again, empty
	Consumers []Moved
	Shorter   []Shorter // have lost their end
}

// Nothing reports whether all was in order.
func (m Mended) Nothing() bool { return len(m.Streams)+len(m.Consumers)+len(m.Shorter) == 0 }

// Say tells an operator, in one line for all streams and one for each consumer.
func (m Mended) Say(log *zap.Logger) {
	if len(m.Streams) > 0 {
		log.Error("streams were gone and have been made again, empty: what they held is lost", zap.Strings("streams", m.Streams))
	}
	for _, s := range m.Shorter {
		told := func(c Moved) bool { return c.Stream == s.Stream && !c.Missing }
		if !slices.Contains(m.Streams, s.Stream) && !slices.ContainsFunc(m.Consumers, told) {
			s.say(log)
		}
	}
	for _, c := range m.Consumers {
		fields := []zap.Field{zap.String("stream", c.Stream), zap.String("consumer", c.Consumer), zap.Uint64("begins_at", c.From)}
		if c.Missing {
			log.Warn("a consumer was gone and has been made again: what was worked already is worked once more", fields...)
			continue
		}
		log.Error("a stream has become shorter than its consumer had come: messages are lost, the consumer begins again where the stream ends",
			append(fields, zap.Uint64("stream_ends_at", c.Last), zap.Uint64("consumer_had_come_to", c.Reached))...)
	}
}

// Trouble yields when there is reason to look after streams and consumers: the connection is back
// after a loss, or something was asked for that is not there.
func (c *Connection) Trouble() <-chan struct{} { return c.trouble }

// suspect makes Trouble yield.
func (c *Connection) suspect() {
	select {
	case c.trouble <- struct{}{}:
	default: // it will yield already
	}
}

const (
	mendAfter = retryPause      // a deletion that is under way ends within that
	mendPause = time.Second     // before a repair is tried again
	mendEvery = 5 * time.Second // a server may lose messages while it runs, and says nothing
)

// Tend mends streams and consumers of the store whenever there is reason to and every few seconds,
// until ctx ends. then is called when the connection was lost and is back, or something was wrong.
func (s *Store) Tend(ctx context.Context, log *zap.Logger, then func()) {
	s.tend(ctx, s.Mend, log, then)
}

// Tend mends the event stream in the same way.
func (b *Bus) Tend(ctx context.Context, log *zap.Logger, then func()) { b.tend(ctx, b.Mend, log, then) }

func (c *Connection) tend(ctx context.Context, mend func(context.Context) (Mended, error), log *zap.Logger, then func()) {
	var told nag
	life := c.life()
	tick := time.NewTicker(mendEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-c.Trouble():
			pause(ctx, mendAfter)
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if !c.Connected() {
			continue // it yields again when the connection is back
		}
		attempt, cancel := context.WithTimeout(ctx, openPatience)
		mended, err := mend(attempt)
		cancel()
		mended.Say(log)
		if err == nil {
			told.over()
			if now := c.life(); now != life || !mended.Nothing() {
				life = now
				then()
			}
			continue
		}
		told.warn(log, "cannot look after streams and consumers, trying again", zap.String("connection", c.name), zap.Error(err))
		c.suspect()
		pause(ctx, mendPause)
	}
}

// Mend makes streams of the store that are missing, and puts consumers right that are missing or
// stand ahead of their stream. It may be called again after an error.
func (s *Store) Mend(ctx context.Context) (m Mended, err error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	if m.Streams, err = s.remake(ctx, s.wanted); err != nil {
		return m, err
	}
	again := s.payloads.order.givenAgain()
	if m.Shorter, err = s.lookAtEnd(ctx); err != nil {
		return m, err
	}
	durables := s.durables.all()
	if n := s.normalizer(); again > 0 && !slices.ContainsFunc(durables, n.same) {
		durables = append(durables, n) // others work the log; they may not have noticed
	}
	for _, d := range durables {
		end := again
		if d.queue {
			end = 0
		}
		moved, err := s.realign(ctx, d, end)
		if err != nil {
			return m, err
		}
		if moved != nil && moved.Missing {
			s.pulls.renew()
		}
		if moved != nil && !slices.Contains(m.Streams, moved.Stream) {
			m.Consumers = append(m.Consumers, *moved)
		}
	}
	s.payloads.order.dealtWith(again)
	return m, nil
}

// Mend makes the event stream if it is missing.
func (b *Bus) Mend(ctx context.Context) (m Mended, err error) {
	ctx, cancel := b.whileUp(ctx)
	defer cancel()
	m.Streams, err = b.remake(ctx, b.wanted)
	if len(m.Streams) > 0 {
		b.last.Purge() // what was remembered is not in the stream any more
	}
	if err == nil {
		m.Shorter, err = b.mendEnd(ctx)
	}
	b.evict(ctx)
	return m, err
}

// remake makes the streams that are missing and names them.
func (c *Connection) remake(ctx context.Context, wanted []stream) (made []string, err error) {
	for _, want := range wanted {
		isNew, err := ensure(ctx, c.js, want)
		if err != nil {
			return made, err
		}
		if isNew {
			made = append(made, want.config.Name)
		}
	}
	return made, nil
}

// realign compares a consumer with its stream and makes it begin where the stream ended if it stands
// further on; nil if it was in order. again is a sequence that the stream is known to have given out
// a second time; 0: none.
func (c *Connection) realign(ctx context.Context, d durable, again uint64) (*Moved, error) {
	name := d.config.Durable
	consumer, err := c.js.Consumer(ctx, d.stream, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		if _, err := c.make(ctx, d); err != nil {
			return nil, err
		}
		return &Moved{Stream: d.stream, Consumer: name, Missing: true, From: 1}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look up consumer %s: %w", name, err)
	}
	// The stream after the consumer: what is delivered in between lies in the stream by then.
	last, err := c.newest(ctx, d.stream)
	if err != nil {
		return nil, err
	}
	info := consumer.CachedInfo()
	end := last + 1 // where the stream ended when it had become shorter
	if again > 0 {
		end = min(end, again)
	}
	reached := max(info.Delivered.Stream, info.AckFloor.Stream)
	if reached < end {
		return nil, nil
	}
	moved := &Moved{Stream: d.stream, Consumer: name, Reached: reached, Last: end - 1, From: min(info.AckFloor.Stream+1, end)}
	if d.queue {
		moved.From = 1
	}
	return moved, c.reset(ctx, d, moved.From)
}

// WorkAgain has the payloads from a sequence on worked once more, in their order. What this process has
// in hand or pulled already is dropped: it comes again.
func (s *Store) WorkAgain(ctx context.Context, from uint64) error {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	consumer, err := s.js.Consumer(ctx, s.names.payloads(), Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return nil // it will be made, and begins at the beginning
	}
	if err != nil {
		return fmt.Errorf("look up consumer %s: %w", Consumer, err)
	}
	s.turn.Lock() // nobody begins to pull
	defer s.turn.Unlock()
	s.epoch.Add(1)
	s.pulls.renew()
	s.pulling.Lock() // whoever pulled has ended
	defer s.pulling.Unlock()
	return s.reset(ctx, s.normalizer(), min(from, consumer.CachedInfo().AckFloor.Stream+1))
}

// reset makes deliveries of a consumer begin at a sequence.
func (c *Connection) reset(ctx context.Context, d durable, from uint64) error {
	name := d.config.Durable
	if atLeast(c.nc.ConnectedServerVersion(), 2, 14) {
		if _, err := c.js.ResetConsumerToSequence(ctx, d.stream, name, from); err != nil {
			return fmt.Errorf("reset consumer %s: %w", name, err)
		}
		return nil
	}
	// An older server cannot move a consumer. A new one begins at the beginning: what was worked is
	// worked again, which changes nothing.
	if err := c.js.DeleteConsumer(ctx, d.stream, name); err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("delete consumer %s: %w", name, err)
	}
	_, err := c.make(ctx, d)
	return err
}

// make creates a durable consumer, or brings it up to date. A server that is still removing the
// folder of one that was deleted takes that of the new one along; such a consumer is deleted, so that
// the next attempt makes a whole one.
func (c *Connection) make(ctx context.Context, d durable) (jetstream.Consumer, error) {
	consumer, err := c.js.CreateOrUpdateConsumer(ctx, d.stream, d.config)
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && strings.Contains(api.Description, "no such file") {
		_ = c.js.DeleteConsumer(ctx, d.stream, d.config.Durable) // an error is met again by the next attempt
	}
	if err != nil {
		return nil, fmt.Errorf("create consumer %s: %w", d.config.Durable, err)
	}
	return consumer, nil
}

// registry knows the consumers that this process works with.
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

// all are the consumers in the order of their names.
func (r *registry) all() []durable {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []durable
	for _, name := range slices.Sorted(maps.Keys(r.known)) {
		out = append(out, r.known[name])
	}
	return out
}

// pulls is what requests to consumers rest on. A consumer that is made again knows nothing of the
// requests that wait at the one before it, and they would wait for their time to end.
type pulls struct {
	mu    sync.Mutex
	valid context.Context
	end   context.CancelFunc
}

// renew ends all that rests on the consumers as they were.
func (p *pulls) renew() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end != nil {
		p.end()
		p.valid = nil
	}
}

// lasting is ctx, ended as well by the next renewal.
func (p *pulls) lasting(ctx context.Context) (context.Context, context.CancelFunc) {
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
