package kycbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kycbridge/document"
	"kycbridge/event"
)

// Recomputed is the result of the current schemas and mapping for the stored payloads of a verification,
// beside its last published state.
type Recomputed struct {
	Key      Key            // of the verification
	Payloads int            // number of payloads read
	Before   *Revision      // last published; nil: nothing
	After    *Revision      // current result; nil: nothing would be published
	Events   []*event.Event // every revision from nothing, or from the base, to After
	// Blocked is the payload that no longer fits the current schema or mapping, and whose verdict would be
	// lost: nothing is published of this verification. "": none.
	Blocked string
	Why     string // of Blocked
	NoEvent string // of a preview: why the payload leads to no event; "" if it leads to one

	seq     uint64  // of Before
	newest  Payload // of those that were read
	differs bool    // After is another state than Before
}

// Differs reports whether a replay publishes a revision.
func (r Recomputed) Differs() bool { return r.differs }

// finish sets the result.
func (r *Recomputed) finish(after *Revision, events []*event.Event) {
	r.After, r.Events = after, events
	r.differs = after != nil && (r.Before == nil || !same(r.Before, after))
}

// Differences are those between the published state and the new one, without personal values.
func (r Recomputed) Differences() []event.Difference {
	return event.Differences(r.Before.Published(), r.After.Published())
}

// Replayer recomputes verifications from their stored payloads. It processes every payload like the
// Normalizer, in the order in which they were stored, on an initially empty history.
type Replayer struct {
	Normalizer *Normalizer
	// Examine decodes the body of a payload, and states why the current schema refuses it; "" if it does not.
	Examine func(a *Account, p Payload) (doc document.Object, reason string)
	// Unmapped reports whether a payload could not be mapped when it was received, so that it is in no
	// published state.
	Unmapped func(payloadID string) bool
	// Base is the last revision that is based on payloads that are not stored any more; nil if no
	// such revision exists.
	Base func(ctx context.Context, k Key, kept []Payload) (*Revision, error)
	// Whole: the log seems to hold every payload, so Base is called only if the result would differ from
	// the published state. A log that was lost and created again seems whole too; the events show it.
	Whole bool
}

// Recompute reads the stored payloads of a verification and publishes nothing.
func (r *Replayer) Recompute(ctx context.Context, k Key) (Recomputed, error) {
	stored, err := r.read(ctx, k)
	if err != nil {
		return Recomputed{Key: k}, err
	}
	var onEmpty Recomputed
	if r.Whole {
		if onEmpty, err = r.recompute(ctx, stored, nil); err != nil || !onEmpty.Differs() {
			return onEmpty, err
		}
	}
	var base *Revision
	if r.Base != nil {
		if base, err = r.Base(ctx, k, stored.payloads); err != nil {
			return Recomputed{Key: k}, fmt.Errorf("read earlier events: %w", err)
		}
	}
	if r.Whole && base == nil {
		return onEmpty, nil
	}
	return r.recompute(ctx, stored, base)
}

// storedState is what is stored of a verification.
type storedState struct {
	key      Key
	last     State
	payloads []Payload
}

// read reads the last event first: a payload that is stored afterwards leads to a conflict, not to a loss.
func (r *Replayer) read(ctx context.Context, k Key) (stored storedState, err error) {
	stored.key = k
	if stored.last, err = r.Normalizer.Events.Last(ctx, k, true); err != nil {
		return stored, fmt.Errorf("read last event: %w", err)
	}
	err = r.Normalizer.Log.History(ctx, k, func(p Payload) error {
		stored.payloads = append(stored.payloads, p)
		return nil
	})
	if err != nil {
		return stored, fmt.Errorf("read stored payloads: %w", err)
	}
	return stored, nil
}

// recompute processes stored payloads on a base; nil: on an empty history.
func (r *Replayer) recompute(ctx context.Context, stored storedState, base *Revision) (Recomputed, error) {
	out := Recomputed{Key: stored.key, Before: stored.last.Data, seq: stored.last.Seq, Payloads: len(stored.payloads)}
	account, err := r.Normalizer.Accounts.Find(stored.key.Provider, stored.key.Account)
	if err != nil {
		return out, fmt.Errorf("account of the payloads is not configured here: %w", err)
	}
	if out.Payloads > 0 {
		out.newest = stored.payloads[out.Payloads-1]
	}
	history := &inMemoryHistory{state: State{Data: base}, payloads: stored.payloads}
	n := *r.Normalizer
	n.Events, n.Log, n.Triggers, n.Recalled, n.inMemory = history, history, nil, nil, true
	n.Documents = &Documents{} // so that no body is decoded again for its mapping
	for _, p := range stored.payloads {
		doc, reason := r.examine(account, p)
		if reason != "" {
			if !r.Unmapped(p.ID) {
				out.Blocked, out.Why = p.ID, reason
				return out, nil
			}
			continue
		}
		if doc != nil {
			n.Documents.put(p, doc)
		}
		if _, err := n.Process(ctx, p); errors.Is(err, ErrUnmappable) && !r.Unmapped(p.ID) {
			out.Blocked, out.Why = p.ID, QuarantineUnmapped
			return out, nil
		} else if err != nil && !errors.Is(err, ErrUnmappable) {
			return out, err
		}
	}
	out.finish(history.state.Data, history.events)
	return out, nil
}

// Preview is the effect of one more payload on a verification: it is processed as if it were stored after
// all others, on top of the last published state. Nothing is stored or published.
func (r *Replayer) Preview(ctx context.Context, k Key, p Payload) (Recomputed, error) {
	out := Recomputed{Key: k, newest: p}
	last, err := r.Normalizer.Events.Last(ctx, k, true)
	if err != nil {
		return out, fmt.Errorf("read last event: %w", err)
	}
	out.Before, out.seq = last.Data, last.Seq
	inMemoryHistory := &inMemoryHistory{state: last}
	if err := r.Normalizer.Log.History(ctx, k, func(stored Payload) error {
		inMemoryHistory.payloads = append(inMemoryHistory.payloads, stored)
		return nil
	}); err != nil {
		return out, fmt.Errorf("read stored payloads: %w", err)
	}
	inMemoryHistory.payloads = append(inMemoryHistory.payloads, p)
	out.Payloads = len(inMemoryHistory.payloads)
	n := *r.Normalizer
	n.Events, n.Log, n.Triggers, n.Recalled, n.inMemory = inMemoryHistory, inMemoryHistory, nil, nil, true
	done, err := n.Process(ctx, p)
	switch {
	case errors.Is(err, ErrUnmappable):
		out.Blocked, out.Why = p.ID, QuarantineUnmapped
		return out, nil
	case err != nil:
		return out, err
	}
	out.NoEvent = done.NoEvent
	out.finish(inMemoryHistory.state.Data, inMemoryHistory.events)
	return out, nil
}

func (r *Replayer) examine(a *Account, p Payload) (doc document.Object, reason string) {
	if p.Notice {
		return nil, "" // a notice
	}
	return r.Examine(a, p)
}

// Replay publishes one revision if the current result differs from the last published state, and nothing
// otherwise. It is safe beside live traffic and can be repeated.
func (r *Replayer) Replay(ctx context.Context, k Key) (Recomputed, *event.Event, error) {
	for tries := 0; ; tries++ {
		out, err := r.Recompute(ctx, k)
		if err != nil || !out.Differs() {
			return out, nil, err
		}
		e := r.revision(out)
		if e.Body, err = json.Marshal(e.Event); err != nil {
			return out, nil, fmt.Errorf("write event: %w", ErrUnmappable)
		}
		e.Checked = time.Now()
		if erased, err := r.wasErased(ctx, out.newest); err != nil || erased {
			return out, nil, err
		}
		e.NotErased = notErased(r.Normalizer.Log, out.newest)
		err = r.Normalizer.Events.Publish(ctx, k, e, out.seq)
		if errors.Is(err, ErrConflict) && tries < maxConflicts && ctx.Err() == nil {
			time.Sleep(conflictPause(tries))
			continue
		}
		if err != nil {
			return out, nil, fmt.Errorf("publish event: %w", err)
		}
		return out, e.Event, nil
	}
}

// wasErased reports whether the verification of p was erased meanwhile.
func (r *Replayer) wasErased(ctx context.Context, p Payload) (bool, error) {
	erased, err := r.Normalizer.Log.WasErased(ctx, p)
	if err != nil {
		return false, fmt.Errorf("read stored payloads: %w", err)
	}
	return erased, nil
}

// revision creates the event from the published state to the current result.
func (r *Replayer) revision(out Recomputed) Outgoing {
	next := *out.After
	next.Revision, next.Supersedes = out.newest.Erased+1, ""
	next.Provider.Event.Via = event.ViaReplay
	if before := out.Before; before != nil {
		next.Revision = before.Revision + 1
		next.Supersedes = event.ID(before.VerificationID, before.Revision)
		next.Memory.mergeEarlier(before.Memory)
	}
	kind := kindOf(out.Before, &next)
	at := event.ParseInstant(next.Provider.Event.OccurredAt)
	if at.IsZero() {
		at = event.ParseInstant(next.Provider.Event.ReceivedAt)
	}
	f := Fact{Observation: Observation{OccurredAt: at}, Via: event.ViaReplay, ReceivedAt: at}
	return r.Normalizer.envelope(next, kind, f)
}

// inMemoryHistory is the history of one verification while it is recomputed.
type inMemoryHistory struct {
	state    State
	payloads []Payload
	events   []*event.Event
}

// Last returns the newest state of the history.
func (c *inMemoryHistory) Last(context.Context, Key, bool) (State, error) {
	s := c.state
	s.Read = true
	return s, nil
}

// Publish appends an event to the history.
func (c *inMemoryHistory) Publish(_ context.Context, _ Key, e Outgoing, _ uint64) error {
	c.state = State{Data: &Revision{e.Data, e.Memory}, Seq: c.state.Seq + 1}
	c.events = append(c.events, e.Event)
	return nil
}

// WasErased is false for every payload of the history.
func (c *inMemoryHistory) WasErased(context.Context, Payload) (bool, error) { return false, nil }

// History returns the payloads of the history.
func (c *inMemoryHistory) History(_ context.Context, _ Key, each func(Payload) error) error {
	for _, p := range c.payloads {
		if err := each(p); err != nil {
			return err
		}
	}
	return nil
}
