package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge"
)

// Headers of JetStream's scheduled messages (server 2.12+). A message published on the subject of an existing
// schedule replaces it; a schedule with a time in the past fires at once.
const (
	headerSchedule = "Nats-Schedule"
	headerTarget   = "Nats-Schedule-Target"
)

const (
	dueAckWait = 30 * time.Second // a poller that has not answered by then is considered failed
	dueRetry   = 5 * time.Second  // before the retry of a due message whose result could not be stored
	duePull    = 20 * time.Second // how long a free worker waits for a message before it pulls again

	triggerPause = time.Second // before a trigger that coincides with a poll is handled
)

// Schedule sets the timer of w: its message becomes due at the given time. A timer of the same verification
// that was set meanwhile is replaced: w is merged with it (Watch.Merge), and becomes due earlier if the merged
// watch has an earlier LookBy or a trigger that w does not have.
func (s *Store) Schedule(ctx context.Context, w kycbridge.Watch, at time.Time) error {
	k := w.Key()
	for {
		timer, seq, err := s.readTimer(ctx, k)
		if err != nil {
			return err
		}
		merged, due := w, at
		if timer != nil {
			merged = w.Merge(*timer)
			if soon := s.clocks.read().Add(triggerPause); merged.Trigger != w.Trigger && soon.Before(due) {
				due = soon
			}
		}
		if by := merged.LookBy; !by.IsZero() && by.Before(due) {
			due = by
		}
		m := nats.NewMsg(s.names.timer(k))
		m.Header.Set(headerSchedule, "@at "+s.clocks.there(s.names.polls(), due).UTC().Format(time.RFC3339Nano))
		m.Header.Set(headerTarget, s.names.due(k.Provider, k.Account, k.VerificationID))
		err = s.putWatch(ctx, m, merged, jetstream.WithExpectLastSequencePerSubject(seq))
		var refused *jetstream.APIError
		if errors.As(err, &refused) && wrongLast(refused) && ctx.Err() == nil {
			continue // another process has just set it, or it is due
		}
		return err
	}
}

// Trigger makes w due now, in addition to a timer of its verification.
func (s *Store) Trigger(ctx context.Context, w kycbridge.Watch) error {
	k := w.Key()
	return s.putWatch(ctx, nats.NewMsg(s.names.due(k.Provider, k.Account, k.VerificationID)), w)
}

// putWatch stores w, unless the stream may lose it.
func (s *Store) putWatch(ctx context.Context, m *nats.Msg, w kycbridge.Watch, options ...jetstream.PublishOpt) error {
	if err := s.unsafe.of(s.names.polls()); err != nil {
		return err
	}
	body, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("write watch: %w", err)
	}
	m.Data = body
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	if _, err := s.js.PublishMsg(ctx, m, options...); err != nil {
		return fmt.Errorf("store watch: %w", err)
	}
	return nil
}

// Timer reads the timer of a verification; nil if it has none.
func (s *Store) Timer(ctx context.Context, k kycbridge.Key) (*kycbridge.Watch, error) {
	w, _, err := s.readTimer(ctx, k)
	return w, err
}

// Waiting is what is stored to poll a verification: its timer, merged with its newest due watch; nil for neither.
func (s *Store) Waiting(ctx context.Context, k kycbridge.Key) (*kycbridge.Watch, error) {
	timer, _, err := s.readWatch(ctx, k, s.names.timer(k))
	if err != nil {
		return nil, err
	}
	due, _, err := s.readWatch(ctx, k, s.names.due(k.Provider, k.Account, k.VerificationID))
	if err != nil || due == nil {
		return timer, err
	}
	if timer != nil {
		*due = due.Merge(*timer)
	}
	return due, nil
}

// readTimer reads a timer with its sequence; nil and 0 if it does not exist.
func (s *Store) readTimer(ctx context.Context, k kycbridge.Key) (*kycbridge.Watch, uint64, error) {
	return s.readWatch(ctx, k, s.names.timer(k))
}

// readWatch reads the newest watch on a subject of a verification, with its sequence.
func (s *Store) readWatch(ctx context.Context, k kycbridge.Key, subject string) (*kycbridge.Watch, uint64, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := s.polls.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read watch: %w", err)
	}
	w, ok := watchOf(k, raw.Data)
	if !ok {
		return nil, raw.Sequence, nil
	}
	return &w, raw.Sequence, nil
}

// watchOf decodes a watch of this verification. A message that another program writes to the stream,
// permitted or not, cannot redirect a poll to another verification: the key is derived from the reference
// only, and must be equal to k. Unknown members come from a newer version.
func watchOf(k kycbridge.Key, body []byte) (kycbridge.Watch, bool) {
	var w kycbridge.Watch
	if json.Unmarshal(body, &w) != nil || w.Reference == "" {
		return w, false
	}
	return w, w.Key() == k
}

// PollOptions configure the processing of due watches of one account.
type PollOptions struct {
	Account   kycbridge.AccountKey
	Workers   int  // sessions that are polled at once
	Exclusive bool // no other process polls: watches that an earlier process held are due again at once
	// Work polls one session and sets its next timer, or none if it has ended. On an error the watch stays
	// due and is retried; again reports a redelivery.
	Work func(ctx context.Context, w kycbridge.Watch, again bool) error
	Log  *zap.Logger
}

// ConsumeDue processes due watches of one account until ctx ends. Each account has a consumer of its own,
// so that a slow or limited provider delays no other.
func (s *Store) ConsumeDue(ctx context.Context, o PollOptions) error {
	config := jetstream.ConsumerConfig{
		Durable: pollerName(o.Account), Description: "Asks the provider about open sessions",
		FilterSubject: s.names.due(o.Account.Provider, o.Account.Account, ">"),
		AckPolicy:     jetstream.AckExplicitPolicy, AckWait: dueAckWait, MaxDeliver: -1, MaxAckPending: inFlight,
	}
	return s.consumePolls(ctx, config, o.Workers, o.Exclusive, o.Log, func(ctx context.Context, m jetstream.Msg) error {
		tokens := strings.Split(m.Subject(), ".")
		k := kycbridge.Key{Provider: o.Account.Provider, Account: o.Account.Account, VerificationID: tokens[len(tokens)-1]}
		w, ok := watchOf(k, m.Data())
		if !ok {
			s.countForeign(s.names.polls())
			return nil
		}
		meta, err := m.Metadata()
		return o.Work(ctx, w, err == nil && meta.NumDelivered > 1)
	})
}

// WatchOptions configure the handling of requests to watch.
type WatchOptions struct {
	Exclusive bool // no other process handles requests: those that an earlier process held are delivered at once
	// Take sets up a watch. An error is retried; an invalid request is logged by Take.
	Take func(ctx context.Context, a kycbridge.AccountKey, body []byte) error
	Log  *zap.Logger
}

// ConsumeWatches handles requests that are published on <prefix>.watch.<provider>.<account>.
func (s *Store) ConsumeWatches(ctx context.Context, o WatchOptions) error {
	config := jetstream.ConsumerConfig{
		Durable: "watcher", Description: "Takes requests to watch a verification",
		FilterSubject: s.names.watches(),
		AckPolicy:     jetstream.AckExplicitPolicy, AckWait: dueAckWait, MaxDeliver: -1, MaxAckPending: inFlight,
	}
	return s.consumePolls(ctx, config, 4, o.Exclusive, o.Log, func(ctx context.Context, m jetstream.Msg) error {
		tokens := strings.Split(m.Subject(), ".")
		n := len(tokens)
		return o.Take(ctx, kycbridge.AccountKey{Provider: tokens[n-2], Account: tokens[n-1]}, m.Data())
	})
}

// consumePolls processes messages of the poll stream with several workers and deletes each when it is
// done. A message is pulled only when a worker is free.
func (s *Store) consumePolls(ctx context.Context, config jetstream.ConsumerConfig, workers int, exclusive bool,
	log *zap.Logger, work func(context.Context, jetstream.Msg) error) error {
	d := durable{stream: s.names.polls(), config: config, queue: true}
	if err := retryUntilReady(ctx,
		func(ctx context.Context) error { return s.beginPolls(ctx, d, exclusive, log) }); err != nil {
		return ignoreShutdown(ctx, err)
	}
	var running sync.WaitGroup
	var warning rateLimitedWarning
	for range workers {
		running.Go(func() {
			for ctx.Err() == nil {
				err := s.workPolls(ctx, d, work)
				if ctx.Err() != nil {
					return
				}
				s.requestCheck()
				if !errors.Is(err, jetstream.ErrNoHeartbeat) { // an unavailable server, which is logged elsewhere
					warning.warn(log, "cannot read due watches, trying again", zap.String("consumer", config.Durable), zap.Error(err))
					pause(ctx, retryPause)
				}
			}
		})
	}
	running.Wait()
	return nil
}

// beginPolls creates or updates a consumer of the poll stream.
func (s *Store) beginPolls(ctx context.Context, d durable, exclusive bool, log *zap.Logger) error {
	s.durables.add(d)
	if exclusive {
		// Restart with the messages in the stream: a server that was killed may have kept the
		// acknowledgement of a message and lost its deletion, and would never deliver it again.
		err := s.js.DeleteConsumer(ctx, d.stream, d.config.Durable)
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("take over the deliveries of consumer %s: %w", d.config.Durable, err)
		}
	}
	if _, err := s.make(ctx, d); err != nil {
		return err
	}
	moved, err := s.realign(ctx, d, 0)
	if moved != nil {
		Repaired{Consumers: []Moved{*moved}}.Log(log)
	}
	return err
}

// workPolls processes messages one by one. A message is pulled only when a worker is free, so that none waits
// in this process while another process could handle it.
func (s *Store) workPolls(ctx context.Context, d durable, work func(context.Context, jetstream.Msg) error) error {
	consumer, err := s.make(ctx, d)
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		lasting, done := s.pulls.untilRenewal(ctx)
		life := s.life()
		pull, cancel := context.WithTimeout(lasting, duePull)
		batch, err := consumer.Fetch(1, jetstream.FetchContext(pull))
		if err == nil {
			for m := range batch.Messages() {
				s.workPoll(ctx, m, life, work)
			}
			err = batch.Error()
		}
		renewed := lasting.Err() != nil
		cancel()
		done()
		if err != nil && !renewed && !errors.Is(err, nats.ErrTimeout) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
	}
	return nil
}

// workPoll processes one message. Meanwhile it reports to the server that the message is still in progress.
func (s *Store) workPoll(
	ctx context.Context, m jetstream.Msg, life int, work func(context.Context, jetstream.Msg) error,
) {
	meta, err := m.Metadata()
	if err != nil {
		return // not a JetStream delivery
	}
	this := received{meta.Sequence.Stream, meta.Timestamp, life, time.Now()}
	held, release := context.WithCancel(ctx)
	var holding sync.WaitGroup
	holding.Go(func() {
		for {
			pause(held, dueAckWait/3)
			if held.Err() != nil {
				return
			}
			_ = m.InProgress()
		}
	})
	err = work(ctx, m)
	release()
	holding.Wait()
	if err != nil {
		_ = m.NakWithDelay(dueRetry)
		return
	}
	// Delete before the acknowledgement: a message that is acknowledged and not deleted would never be redelivered.
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	if isReplaced, err := s.isReplaced(clean, s.polls, this); err != nil || isReplaced {
		return
	}
	_ = s.polls.DeleteMsg(clean, this.seq)
	_ = m.Ack()
}

// Watched is the number of watches: timers, and those that are due.
func (s *Store) Watched(ctx context.Context) (int, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	stream, err := s.js.Stream(ctx, s.names.polls())
	if err != nil {
		return 0, err
	}
	return int(stream.CachedInfo().State.Msgs), nil
}

// pollerName is the name of the consumer of an account's due watches. No token contains the equals sign, so
// no two accounts share a name.
func pollerName(a kycbridge.AccountKey) string { return "poller-" + a.Provider + "=" + a.Account }

// Watches reads all open sessions, oldest first: timers, and watches that are due. A session with both is
// returned twice. Foreign messages are skipped.
func (s *Store) Watches(ctx context.Context, each func(w kycbridge.Watch, due bool) error) error {
	both := []string{s.names.timer(kycbridge.Key{Provider: "*", Account: "*", VerificationID: "*"}),
		s.names.due("*", "*", "*")}
	return s.scanAll(ctx, s.names.polls(), scanOptions{subjects: both},
		func(m jetstream.Msg, _ *jetstream.MsgMetadata) error {
			k, ok := keyOf(m.Subject())
			if !ok {
				return nil
			}
			w, ok := watchOf(k, m.Data())
			if !ok {
				return nil
			}
			return each(w, m.Subject() != s.names.timer(k))
		})
}
