package publisher

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
)

// Revisions reads every event of a verification in order.
func (b *Bus) Revisions(ctx context.Context, k kycbridge.Key, each func(kycbridge.State) error) error {
	stored, err := b.eventsOf(ctx, k)
	for i := 0; err == nil && i < len(stored); i++ {
		if !isEvent(stored[i].Header) {
			b.countForeign(b.names.events())
			continue
		}
		var state kycbridge.State
		if state, err = b.revision(stored[i]); err == nil {
			state.Read = true
			err = each(state)
		}
	}
	if err != nil && !errors.Is(err, kycbridge.ErrEnough) {
		return fmt.Errorf("read revisions: %w", err)
	}
	return nil
}

// RevisionOf returns the revision that the event of a payload has, 0 if it has none. The events of a replay name a
// payload too, and are not counted. An event that cannot be read is skipped, so that it does not block the payload.
func (b *Bus) RevisionOf(ctx context.Context, k kycbridge.Key, payloadID string) (revision int, err error) {
	stored, err := b.eventsOf(ctx, k)
	if err != nil {
		return 0, fmt.Errorf("read revisions: %w", err)
	}
	named, err := json.Marshal(payloadID)
	if err != nil {
		return 0, fmt.Errorf("read revisions: %w", err)
	}
	for _, raw := range stored {
		if !bytes.Contains(raw.Data, named) {
			continue // decoding every event of a long history would take longer than processing a payload
		}
		e, err := event.Decode(raw.Data) // what it names is not encrypted
		if err == nil && isEvent(raw.Header) && e.Data.Payload.ID == payloadID &&
			e.Data.Provider.Event.Via != event.ViaReplay {
			return e.Data.Revision, nil
		}
	}
	return 0, nil
}

// NewestRevision is the highest revision of the stored events of a verification, 0 if there is none. Events that cannot
// be read are counted.
func (b *Bus) NewestRevision(ctx context.Context, k kycbridge.Key) (newest int, err error) {
	stored, err := b.eventsOf(ctx, k)
	if err != nil {
		return 0, fmt.Errorf("read revisions: %w", err)
	}
	for _, raw := range stored {
		if !isEvent(raw.Header) {
			continue
		}
		newest++
		if e, err := event.Decode(raw.Data); err == nil { // the revision is not encrypted
			newest = max(newest, e.Data.Revision)
		}
	}
	return newest, nil
}

// CountRevisions counts the events of a verification without reading their content.
func (b *Bus) CountRevisions(ctx context.Context, k kycbridge.Key) (n int, err error) {
	stored, err := b.eventsOf(ctx, k)
	if err != nil {
		return 0, fmt.Errorf("count revisions: %w", err)
	}
	for _, raw := range stored {
		if isEvent(raw.Header) {
			n++
		}
	}
	return n, nil
}

// eventsOf are the messages of a verification in the event stream. They are read separately for each kind of
// event: for a subject with a wildcard the server would search every message of each block file that it opens.
func (b *Bus) eventsOf(ctx context.Context, k kycbridge.Key) (found []*jetstream.RawStreamMsg, err error) {
	for _, kind := range []event.Kind{event.KindUpdated, event.KindCompleted, event.KindClosed} {
		err = b.readSubject(ctx, b.stream, b.names.event(k, kind), 1, func(raw *jetstream.RawStreamMsg) error {
			found = append(found, raw)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortFunc(found, func(x, y *jetstream.RawStreamMsg) int { return cmp.Compare(x.Sequence, y.Sequence) })
	return found, nil
}

// OldestEvent is the time when the oldest event of the stream was stored.
func (b *Bus) OldestEvent(ctx context.Context) (time.Time, error) {
	return b.firstStored(ctx, b.names.events())
}

// Published reads the events published since a time, without bodies. Empty provider or account match all.
func (b *Bus) Published(
	ctx context.Context, provider, account string, since time.Time, each func(kycbridge.EventMeta) error,
) error {
	o := scanOptions{since: since, headers: true}
	if provider != "" || account != "" {
		if provider != "" && !token(provider) || account != "" && !token(account) {
			return errors.New("read published events: no account is called that")
		}
		o.subjects = []string{b.names.event(kycbridge.Key{Provider: orAny(provider), Account: orAny(account),
			VerificationID: "*"}, "*")}
	}
	return b.scanAll(ctx, b.names.events(), o, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		tokens := strings.Split(m.Subject(), ".")
		n := len(tokens)
		if n < 4 || !isEvent(m.Headers()) {
			b.countForeign(b.names.events())
			return nil
		}
		return each(kycbridge.EventMeta{
			Key:  kycbridge.Key{Provider: tokens[n-4], Account: tokens[n-3], VerificationID: tokens[n-1]},
			Seq:  meta.Sequence.Stream,
			ID:   m.Headers().Get(nats.MsgIdHdr),
			Kind: event.Kind(tokens[n-2]),
			At:   b.clocks.here(b.names.events(), meta.Timestamp).UTC(),

			PayloadID: m.Headers().Get(headerUntilID),
			Until:     event.ParseInstant(m.Headers().Get(headerUntil)),
		})
	})
}
