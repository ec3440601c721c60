package publisher

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

const (
	// remembered is how many verifications' last events are kept in memory. The compare-and-set keeps
	// the memory honest.
	remembered = 8192
	// memorable is the size up to which an event is kept in memory, bytes.
	memorable = 64 << 10
)

// The instant of the newest fact that an event knows, and the payload that told it (kycbridge.Data).
const (
	headerUntil   = "Kyc-Until"
	headerUntilID = "Kyc-Until-Payload"
)

// Bus publishes canonical events and reads them back.
type Bus struct {
	*Connection
	names  Names
	events *committer
	last   *lru.Cache[kycbridge.Key, kycbridge.State]
	stream jetstream.Stream
}

// OpenBus creates the event stream, or brings it up to date, and opens it.
func OpenBus(ctx context.Context, c *Connection, names Names, maxBody, replicas int) (*Bus, error) {
	for _, want := range busStreams(names, maxBody, replicas) {
		if err := insist(ctx, func(ctx context.Context) error { return ensure(ctx, c.js, want) }); err != nil {
			return nil, err
		}
	}
	var stream jetstream.Stream
	err := insist(ctx, func(ctx context.Context) (err error) {
		stream, err = c.reader(ctx, names.events())
		return err
	})
	if err != nil {
		return nil, err
	}
	last, err := lru.New[kycbridge.Key, kycbridge.State](remembered)
	if err != nil {
		return nil, err
	}
	return &Bus{Connection: c, names: names, events: newCommitter(c), last: last, stream: stream}, nil
}

// Close ends publishing and the connection.
func (b *Bus) Close() {
	b.events.Close()
	b.Connection.Close()
}

// Ready reports whether the bus is there and has taken what was last tried.
func (b *Bus) Ready(ctx context.Context) error {
	if b.events.health.failed() {
		return errors.New("the last event was not acknowledged")
	}
	return b.ready(ctx, b.names.events())
}

// FailingFor is for how long every event that was tried has failed; 0 while all is well.
func (b *Bus) FailingFor() time.Duration { return b.events.health.failingFor() }

// Last returns the last published revision of a verification.
func (b *Bus) Last(ctx context.Context, k kycbridge.Key, fresh bool) (kycbridge.State, error) {
	if known, ok := b.last.Get(k); ok && !fresh {
		return known, nil
	}
	ctx, cancel := b.whileUp(ctx)
	defer cancel()
	raw, err := b.stream.GetLastMsgForSubject(ctx, b.names.anyEvent(k))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return kycbridge.State{Read: true}, nil
	}
	if err != nil {
		return kycbridge.State{}, err
	}
	state, err := b.revision(raw)
	if err != nil {
		return kycbridge.State{}, err
	}
	if len(raw.Data) <= memorable {
		b.last.Add(k, state)
	}
	state.Read = true
	return state, nil
}

// revision reads a published event back.
func (b *Bus) revision(raw *jetstream.RawStreamMsg) (kycbridge.State, error) {
	e, err := kycbridge.DecodeEvent(raw.Data)
	if err != nil {
		return kycbridge.State{}, fmt.Errorf("event at sequence %d of %s cannot be read back", raw.Sequence, b.names.events())
	}
	e.Data.UntilID = raw.Header.Get(headerUntilID)
	e.Data.Until = kycbridge.ParseInstant(raw.Header.Get(headerUntil))
	return kycbridge.State{Data: &e.Data, Seq: raw.Sequence}, nil
}

// Publish appends e if the last event of its verification is still the one at seq after.
func (b *Bus) Publish(ctx context.Context, k kycbridge.Key, kind kycbridge.Kind, e *kycbridge.Event, body []byte, after uint64) error {
	m := &nats.Msg{
		Subject: b.names.event(k, kind),
		Header: nats.Header{
			"Content-Type":                          {"application/cloudevents+json"},
			nats.MsgIdHdr:                           {e.ID},
			headerUntil:                             {kycbridge.Instant(e.Data.NewestAt())},
			jetstream.ExpectedLastSubjSeqHeader:     {strconv.FormatUint(after, 10)},
			jetstream.ExpectedLastSubjSeqSubjHeader: {b.names.anyEvent(k)},
		},
		Data: body,
	}
	if e.Traceparent != "" {
		// Lower case, as W3C and the propagators of OpenTelemetry write it: names in NATS are not folded.
		m.Header["traceparent"] = []string{e.Traceparent}
	}
	if e.Data.UntilID != "" {
		m.Header[headerUntilID] = []string{plain(e.Data.UntilID)}
	}
	ack, err := b.events.Publish(ctx, m)
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused) && wrongLast(refused):
		b.last.Remove(k)
		return kycbridge.ErrConflict
	case errors.Is(err, nats.ErrMaxPayload) || errors.As(err, &refused) && refused.ErrorCode == messageTooLarge:
		return fmt.Errorf("event of %d bytes is larger than the bus takes: %w", len(body), kycbridge.ErrUnmappable)
	case err != nil:
		b.last.Remove(k)
		return err
	case ack.Duplicate:
		// An event of this revision exists; whether it says the same, only reading it tells.
		b.last.Remove(k)
		return kycbridge.ErrConflict
	}
	b.last.Remove(k)
	if len(body) <= memorable {
		b.last.Add(k, kycbridge.State{Data: &e.Data, Seq: ack.Sequence})
	}
	return nil
}

// Events is how many events the stream holds.
func (b *Bus) Events(ctx context.Context) (int, error) {
	stream, err := b.js.Stream(ctx, b.names.events())
	if err != nil {
		return 0, err
	}
	return int(stream.CachedInfo().State.Msgs), nil
}

// messageTooLarge is the server's code for a message over the stream's limit.
const messageTooLarge = 10054

// wrongLast reports whether the compare-and-set failed.
func wrongLast(e *jetstream.APIError) bool {
	const wrongLastSequence, wrongLastSequenceConstant = 10071, 10164
	return e.ErrorCode == wrongLastSequence || e.ErrorCode == wrongLastSequenceConstant
}
