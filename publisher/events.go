package publisher

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
)

// Headers with the instant of the newest fact of an event, and the payload that carried it
// (kycbridge.Data).
const (
	headerUntil   = "Kyc-Until"
	headerUntilID = "Kyc-Until-Payload"
	// headerMemory holds the lifecycle state that is not part of the event (kycbridge.Memory).
	headerMemory = "Kyc-Memory"
)

// eventType is the content type of an event.
const eventType = "application/cloudevents+json"

// Bus publishes canonical events and reads them back.
type Bus struct {
	*Connection
	names  Names
	wanted []stream

	evicting   sync.Mutex
	evicted    time.Time // when the consumers of the stream were last inspected
	evictFails rateLimitedWarning
	events     *committer
	last       *lastEvents
	recent     recentIDs
	stream     jetstream.Stream
	end        end
	sign       func(body []byte) string // nil: events are not signed
	salted     bool                     // events get a digest and a salt for their leaf
	sealer     Sealer                   // nil: events of the profile encrypted are neither published nor read
}

// OpenBus creates or updates the event stream and opens it.
func OpenBus(ctx context.Context, c *Connection, names Names, maxBody, replicas int) (*Bus, error) {
	wanted := busStreams(names, maxBody, replicas)
	if err := c.open(ctx, wanted); err != nil {
		return nil, err
	}
	var stream jetstream.Stream
	err := retryUntilReady(ctx, func(ctx context.Context) (err error) {
		stream, err = c.reader(ctx, names.events())
		return err
	})
	if err != nil {
		return nil, err
	}
	last, err := newLastEvents(cachedIdle)
	if err != nil {
		return nil, err
	}
	b := &Bus{Connection: c, names: names, wanted: wanted, events: newCommitter(c, names.events()), last: last,
		stream: stream}
	if found, err := c.js.Stream(ctx, names.events()); err == nil { // on failure the first check of the end reads it
		b.end.at(found.CachedInfo().Config.Metadata[restoredKey])
	}
	b.removeHostileConsumers(ctx)
	return b, nil
}

// SignWith makes the bus sign the bytes of every event that it publishes from now on (event.SignatureHeader).
func (b *Bus) SignWith(sign func(body []byte) string) { b.sign = sign }

// Close ends publishing and the connection.
func (b *Bus) Close() {
	b.events.Close()
	b.Connection.Close()
}

// Ready reports whether the bus is available and its last write succeeded.
func (b *Bus) Ready(ctx context.Context) error {
	if err := b.disk.unready(b.names.events()); err != nil {
		return err
	}
	if err := b.events.health.fault("the last event"); err != nil {
		return err
	}
	return b.ready(ctx, b.names.events())
}

// FailingFor is how long all event writes have failed; 0 if the last one succeeded.
func (b *Bus) FailingFor() time.Duration { return b.events.health.failingFor() }

// confirm ensures that an event that was read is durable. While writes fail, the server also shows those that it could
// not flush: a payload that found its own there would count as processed, and its event would be gone after a restart.
func (b *Bus) confirm(ctx context.Context) error {
	if !b.events.health.failing() {
		return nil
	}
	if err := b.disk.flush(ctx, b.names.events()); err != nil {
		return fmt.Errorf("flush earlier events: %w", err)
	}
	return nil
}

// Last returns the last published revision of a verification.
func (b *Bus) Last(ctx context.Context, k kycbridge.Key, fresh bool) (kycbridge.State, error) {
	if known, ok := b.last.get(k); ok && !fresh {
		return known, nil
	}
	ctx, cancel := b.whileUp(ctx)
	defer cancel()
	raw, err := b.stream.GetLastMsgForSubject(ctx, b.names.anyEvent(k))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return kycbridge.State{Read: true}, nil
	}
	if err == nil {
		err = b.confirm(ctx)
	}
	if err != nil {
		return kycbridge.State{}, err
	}
	var state kycbridge.State
	if isEvent(raw.Header) {
		state, err = b.revision(raw)
	} else {
		state, err = b.before(ctx, k, raw.Sequence)
	}
	if err != nil {
		return kycbridge.State{}, err
	}
	b.last.put(k, state, len(raw.Data))
	state.Read = true
	return state, nil
}

// isEvent reports whether a message of the event stream has the headers that kycbridge writes.
func isEvent(h nats.Header) bool {
	return h.Get("Content-Type") == eventType && h.Get(nats.MsgIdHdr) != ""
}

// before is the last event of a verification before a foreign message. Its sequence is set to that of the foreign
// message, because the next event must follow that message.
func (b *Bus) before(ctx context.Context, k kycbridge.Key, foreign uint64) (kycbridge.State, error) {
	var last kycbridge.State
	err := b.Revisions(ctx, k, func(s kycbridge.State) error {
		if s.Seq < foreign {
			last = s
		}
		return nil
	})
	last.Seq = foreign
	return last, err
}

// revision reads a published event back.
func (b *Bus) revision(raw *jetstream.RawStreamMsg) (kycbridge.State, error) {
	e, err := event.Decode(raw.Data)
	if err != nil {
		return kycbridge.State{}, fmt.Errorf("event at sequence %d of %s cannot be read back", raw.Sequence, b.names.events())
	}
	if err := b.open(&e.Data); err != nil {
		return kycbridge.State{}, fmt.Errorf("event at sequence %d of %s cannot be decrypted: %w", raw.Sequence,
			b.names.events(), err)
	}
	b.end.at(e.RestoredTime) // another process may have written it, and the next event must not be older
	until := event.ParseInstant(raw.Header.Get(headerUntil))
	memory := kycbridge.Recall(&e, raw.Header.Get(headerMemory), until, raw.Header.Get(headerUntilID))
	return kycbridge.State{Data: &kycbridge.Revision{Data: e.Data, Memory: memory}, Seq: raw.Sequence,
		At: raw.Time.UTC()}, nil
}

// Publish appends e if the last event of its verification is still at the sequence after (0: there is none), and
// returns when it is durable. It returns ErrConflict if another event was published meanwhile, or the payload was
// erased, and ErrUnmappable if the event is larger than the bus takes. Once it is stored, the stream sends it to live
// subscribers.
func (b *Bus) Publish(ctx context.Context, k kycbridge.Key, e kycbridge.Outgoing, after uint64) error {
	if err := b.mayPublish(ctx, e.Event); err != nil {
		return err
	}
	body, err := b.bodyOf(e)
	if err != nil {
		return err
	}
	revision := &kycbridge.Revision{Data: e.Data, Memory: e.Memory}
	forgotten := b.recent.forgotten()
	ack, err := b.events.PublishIf(ctx, b.message(k, e, revision, body, after), condition{e.Checked, e.NotErased})
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused) && wrongLast(refused), errors.Is(err, kycbridge.ErrConflict):
		b.last.remove(k)
		return kycbridge.ErrConflict
	case errors.Is(err, nats.ErrMaxPayload) || errors.As(err, &refused) && refused.ErrorCode == messageTooLarge:
		return fmt.Errorf("event of %d bytes is larger than the bus takes: %w", len(body), kycbridge.ErrUnmappable)
	case err != nil:
		b.last.remove(k)
		return err
	case ack.Duplicate:
		// An event with this revision was just stored; its content is not known and must be read.
		b.last.remove(k)
		b.waitForgotten(ctx, ack.Sequence)
		return kycbridge.ErrConflict
	}
	b.recent.add(forgotten, ack.Sequence, idsOf(&e.Data))
	b.last.put(k, kycbridge.State{Data: revision, Seq: ack.Sequence}, len(body))
	return nil
}

// message encodes an event for the stream. The server stores it only if the last event of its verification is at the
// sequence after.
func (b *Bus) message(
	k kycbridge.Key, e kycbridge.Outgoing, revision *kycbridge.Revision, body []byte, after uint64,
) *nats.Msg {
	newest, newestID := revision.Newest()
	m := &nats.Msg{
		Subject: b.names.put(k, e.Kind),
		Header: nats.Header{
			"Content-Type":                          {eventType},
			nats.MsgIdHdr:                           {e.ID},
			headerUntil:                             {event.Instant(newest)},
			headerMemory:                            {e.Memory.Encode()},
			jetstream.ExpectedLastSubjSeqHeader:     {strconv.FormatUint(after, 10)},
			jetstream.ExpectedLastSubjSeqSubjHeader: {b.names.anyEvent(k)},
		},
		Data: body,
	}
	if e.Traceparent != "" {
		// Lower case, as W3C and the propagators of OpenTelemetry write it: NATS header names are
		// case-sensitive.
		m.Header["traceparent"] = []string{e.Traceparent}
	}
	if b.salted {
		m.Header[headerDigest], m.Header[headerSalt] = []string{kycbridge.Digest(body)}, newSalt()
	}
	if b.sign != nil {
		m.Header[event.SignatureHeader] = []string{b.sign(body)}
	}
	if newestID != "" {
		m.Header[headerUntilID] = []string{headerText(newestID)}
	}
	return m
}

// waitForgotten waits until the server has forgotten the id of an event that was erased meanwhile.
func (b *Bus) waitForgotten(ctx context.Context, seq uint64) {
	ctx, cancel := b.whileUp(ctx)
	defer cancel()
	if _, err := b.stream.GetMsg(ctx, seq); errors.Is(err, jetstream.ErrMsgNotFound) {
		pause(ctx, eventWindow)
	}
}

// Events is the number of events in the stream.
func (b *Bus) Events(ctx context.Context) (int, error) {
	stream, err := b.js.Stream(ctx, b.names.events())
	if err != nil {
		return 0, err
	}
	return int(stream.CachedInfo().State.Msgs), nil
}

// messageTooLarge is the server's code for a message over the stream's limit.
const messageTooLarge = 10054

// The server's codes for a failed compare-and-set; the second code also means that another compare-and-set is in
// progress in a cluster.
const wrongLastSequence, wrongLastSequenceConstant = 10071, 10164

// wrongLast reports whether the compare-and-set failed.
func wrongLast(e *jetstream.APIError) bool {
	return e.ErrorCode == wrongLastSequence || e.ErrorCode == wrongLastSequenceConstant
}

// Send publishes a CloudEvent on any other subject. If a stream listens on that subject, it returns when
// the stream has acknowledged it, and id prevents duplicates; else when the server has it, which does not
// guarantee delivery.
func (b *Bus) Send(ctx context.Context, subject string, e []byte, id string) error {
	ctx, cancel := b.whileUp(ctx)
	defer cancel()
	ctx, cancelTimeout := context.WithTimeout(ctx, publishTimeout)
	defer cancelTimeout()
	m := &nats.Msg{Subject: subject, Data: e, Header: nats.Header{
		"Content-Type": {eventType}, nats.MsgIdHdr: {headerText(id)}}}
	switch _, err := b.js.StreamNameBySubject(ctx, subject); {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		if err := b.nc.PublishMsg(m); err != nil {
			return fmt.Errorf("send to %s: %w", subject, err)
		}
		if err := b.nc.FlushWithContext(ctx); err != nil {
			return fmt.Errorf("send to %s: %w", subject, err)
		}
	case err != nil:
		return fmt.Errorf("look up the stream of %s: %w", subject, err)
	default:
		if _, err := b.js.PublishMsg(ctx, m); err != nil {
			return fmt.Errorf("send to %s: %w", subject, err)
		}
	}
	return nil
}
