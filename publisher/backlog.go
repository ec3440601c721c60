package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

// backlogOf is the number of messages on the subjects of a consumer that it has not acknowledged. It can be too low,
// but is zero only if there is none: the server tells the publisher of a message that it is stored before it counts the
// message for consumers.
func backlogOf(ctx context.Context, stream jetstream.Stream, info *jetstream.ConsumerInfo) (int, error) {
	if n := int(info.NumPending) + info.NumAckPending; n > 0 {
		return n, nil
	}
	subject := info.Config.FilterSubject
	if subject == "" {
		subject = ">"
	}
	_, err := stream.GetMsg(ctx, info.Delivered.Stream+1, jetstream.WithGetMsgSubject(subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("look for messages after those of consumer %s: %w", info.Name, err)
	}
	return 1, nil
}

// Backlog is the number of stored payloads that are not processed yet, waiting or in progress.
func (s *Store) Backlog(ctx context.Context) (int, error) {
	p, err := s.Progress(ctx)
	return p.Backlog, err
}

// Progress is how far the processing of the payload log is.
type Progress struct {
	Backlog   int    // payloads that are stored and not processed
	Retried   int    // of these, payloads that were tried in vain: they wait for a key or for their account, for example
	Processed uint64 // payloads in all; it may restart at a lower number when deliveries restart
}

// Progress asks the server. Of the payloads that another process has tried once, Retried omits those whose second
// attempt is not due yet.
func (s *Store) Progress(ctx context.Context) (Progress, error) {
	c, err := s.js.Consumer(ctx, s.names.payloads(), Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) { // no normalizer has run yet
		stream, err := s.js.Stream(ctx, s.names.payloads())
		if err != nil {
			return Progress{}, err
		}
		return Progress{Backlog: int(stream.CachedInfo().State.Msgs)}, nil
	}
	if err != nil {
		return Progress{}, err
	}
	info := c.CachedInfo()
	delivered, waiting := info.Delivered.Stream, uint64(info.NumAckPending)
	backlog, err := backlogOf(ctx, s.payloadLog, info)
	return Progress{
		Backlog:   backlog,
		Retried:   min(info.NumRedelivered+int(s.returned.Load()), info.NumAckPending),
		Processed: delivered - min(delivered, waiting),
	}, err
}

// redelivery is how long the server may take to deliver a payload again that is due.
const redelivery = time.Second

// giveBack returns a payload to the server, which delivers it again after a while.
func (s *Store) giveBack(m delivery, after time.Duration) {
	_ = m.NakWithDelay(after)
	if m.deliveries > 1 {
		return // the server counts it itself
	}
	s.returned.Add(1)
	time.AfterFunc(after+redelivery, func() { s.returned.Add(-1) })
}

// Position is the progress of the Normalizer. Without its consumer everything is pending.
func (s *Store) Position(ctx context.Context) (kycbridge.Position, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	// The stream first: the consumer's position is then at least as recent.
	stream, err := s.js.Stream(ctx, s.names.payloads())
	if err != nil {
		return kycbridge.Position{}, fmt.Errorf("look up the payload log: %w", err)
	}
	state := stream.CachedInfo().State
	isWhole := state.FirstSeq <= 1 && state.NumDeleted == 0
	consumer, err := s.js.Consumer(ctx, s.names.payloads(), Consumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return kycbridge.Position{Last: state.LastSeq, Pending: int(state.Msgs), Whole: isWhole}, nil
	}
	if err != nil {
		return kycbridge.Position{}, fmt.Errorf("look up consumer %s: %w", Consumer, err)
	}
	info := consumer.CachedInfo()
	pending, err := backlogOf(ctx, s.payloadLog, info)
	if err != nil {
		return kycbridge.Position{}, err
	}
	p := kycbridge.Position{Floor: info.AckFloor.Stream, Last: max(state.LastSeq, info.AckFloor.Stream),
		Pending: pending, Whole: isWhole}
	if p.Pending == 0 {
		p.Floor = p.Last // the newest messages may have been erased, and are then never acknowledged
	}
	return p, nil
}

// Due is the number of due watches of an account that are not processed yet.
func (s *Store) Due(ctx context.Context, a kycbridge.AccountKey) (int, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	consumer, err := s.js.Consumer(ctx, s.names.polls(), pollerName(a))
	if err != nil {
		return 0, err
	}
	return backlogOf(ctx, s.polls, consumer.CachedInfo())
}
