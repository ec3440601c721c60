package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
)

// Reads from the newest end of a stream: a page costs the same however much is stored.
const (
	windowFirst = 512    // sequences of the first read
	windowMost  = 8192   // maximum sequences of one read
	windowsMost = 50_000 // sequences that one call examines
)

// NewestKept returns kept payloads without bodies, newest first, before a sequence (0: from the end),
// until take returns false. It reads a limited number of messages. next is the sequence before which the
// next call continues; 0: nothing older exists.
func (s *Store) NewestKept(
	ctx context.Context, q kycbridge.KeptQuery, before uint64, take func(kycbridge.Kept) bool,
) (next uint64, err error) {
	shelf, err := s.shelf(q.Shelf)
	if err != nil {
		return 0, fmt.Errorf("read newest payloads: %w", err)
	}
	q.HeadersOnly = true
	filter, err := s.keptSubjects(q)
	if err != nil {
		return 0, fmt.Errorf("read newest payloads: %w", err)
	}
	o := scanOptions{subjects: filter, headers: true}
	return s.backwards(ctx, shelf, o, before, func(m jetstream.Msg, meta *jetstream.MsgMetadata) bool {
		if isBar(m.Subject()) || !ours(m.Headers()) {
			return true
		}
		k := keptOf(q.Shelf, m.Subject(), m.Headers(), nil, meta.Sequence.Stream)
		if q.VerificationID != "" && k.VerificationID != q.VerificationID {
			return true
		}
		return take(k)
	})
}

// NewestEvents returns published events, newest first, as NewestKept returns payloads. Empty provider or
// account match all.
func (b *Bus) NewestEvents(
	ctx context.Context, provider, account string, before uint64, take func(kycbridge.PublishedEvent) bool,
) (next uint64, err error) {
	o := scanOptions{}
	if provider != "" || account != "" {
		if provider != "" && !token(provider) || account != "" && !token(account) {
			return 0, nil // no account has this name
		}
		o.subjects = []string{
			b.names.event(kycbridge.Key{Provider: orAny(provider), Account: orAny(account), VerificationID: "*"}, "*"),
		}
	}
	return b.backwards(ctx, b.names.events(), o, before, func(m jetstream.Msg, meta *jetstream.MsgMetadata) bool {
		if !isEvent(m.Headers()) {
			return true
		}
		e, ok := publishedEvent(m.Subject(), m.Data())
		if !ok {
			return true
		}
		e.Seq, e.At = meta.Sequence.Stream, meta.Timestamp.UTC()
		return take(e)
	})
}

// publishedEvent decodes an event of the stream.
func publishedEvent(subject string, body []byte) (kycbridge.PublishedEvent, bool) {
	tokens := strings.Split(subject, ".")
	n := len(tokens)
	if n < 4 {
		return kycbridge.PublishedEvent{}, false
	}
	e, err := event.Decode(body)
	if err != nil {
		return kycbridge.PublishedEvent{}, false
	}
	k := kycbridge.Key{Provider: tokens[n-4], Account: tokens[n-3], VerificationID: tokens[n-1]}
	return kycbridge.PublishedEvent{Key: k, Event: &e}, true
}

// inWindow is a message of a window.
type inWindow struct {
	jetstream.Msg
	meta *jetstream.MsgMetadata
}

// backwards reads a stream in windows, the newest first, and passes the messages of each newest first.
func (c *Connection) backwards(
	ctx context.Context,
	stream string,
	o scanOptions,
	before uint64,
	take func(jetstream.Msg, *jetstream.MsgMetadata) bool,
) (next uint64, err error) {
	now, err := c.js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("look up stream %s: %w", stream, err)
	}
	state := now.CachedInfo().State
	first, end := max(state.FirstSeq, 1), state.LastSeq+1
	if before > 0 {
		end = min(end, before)
	}
	window := uint64(windowFirst)
	for looked := uint64(0); end > first && looked < windowsMost; window = min(2*window, windowMost) {
		from := first
		if end-first > window {
			from = end - window
		}
		o.from = from
		all, err := c.window(ctx, stream, o, end)
		if err != nil {
			return 0, err
		}
		for _, m := range slices.Backward(all) {
			if !take(m.Msg, m.meta) {
				return older(m.meta.Sequence.Stream, first), nil
			}
		}
		looked += end - from
		end = from
	}
	return older(end, first), nil
}

// older is the sequence at which the next call continues; 0 if nothing is left.
func older(seq, first uint64) uint64 {
	if seq <= first {
		return 0
	}
	return seq
}

// window reads the messages from o.from up to before end.
func (c *Connection) window(ctx context.Context, stream string, o scanOptions, end uint64) (all []inWindow, err error) {
	err = c.scanAll(ctx, stream, o, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		if meta.Sequence.Stream >= end {
			return errScanned
		}
		all = append(all, inWindow{m, meta})
		return nil
	})
	return all, err
}

// Sessions returns open sessions with their next poll, in the order in which they were last set, from a
// sequence on, until take returns false. next is where the next call continues; 0: there are no more.
func (s *Store) Sessions(ctx context.Context, from uint64, take func(kycbridge.Session) bool) (next uint64, err error) {
	any := kycbridge.Key{Provider: "*", Account: "*", VerificationID: "*"}
	o := scanOptions{subjects: []string{s.names.timer(any), s.names.due("*", "*", "*")}, from: from}
	err = s.scanAll(ctx, s.names.polls(), o, func(m jetstream.Msg, meta *jetstream.MsgMetadata) error {
		k, ok := keyOf(m.Subject())
		if !ok {
			return nil
		}
		w, ok := watchOf(k, m.Data())
		if !ok {
			return nil
		}
		if take(kycbridge.Session{Watch: w, Next: nextLook(m.Headers().Get(headerSchedule))}) {
			return nil
		}
		next = meta.Sequence.Stream
		return errScanned
	})
	return next, err
}

// Session reads the open session of a verification; nil if it has none.
func (s *Store) Session(ctx context.Context, k kycbridge.Key) (*kycbridge.Session, error) {
	ctx, cancel := s.whileUp(ctx)
	defer cancel()
	raw, err := s.polls.GetLastMsgForSubject(ctx, s.names.timer(k))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read timer: %w", err)
	}
	w, ok := watchOf(k, raw.Data)
	if !ok {
		return nil, nil
	}
	return &kycbridge.Session{Watch: w, Next: nextLook(raw.Header.Get(headerSchedule))}, nil
}

// nextLook reads when a timer is due; zero: it is due now.
func nextLook(schedule string) time.Time {
	at, err := time.Parse(time.RFC3339Nano, strings.TrimPrefix(schedule, "@at "))
	if err != nil {
		return time.Time{}
	}
	return at
}
