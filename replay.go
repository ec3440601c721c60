package kycbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kycbridge/event"
)

// Recomputed is what today's schemas and mapping make of the stored payloads of a verification,
// beside what was last published of it.
type Recomputed struct {
	Key      Key
	Payloads int            // that were read
	Before   *Revision      // last published; nil: nothing
	After    *Revision      // of today; nil: nothing would be published
	Events   []*event.Event // every revision that would lead from nothing, or from the base, to After
	// Blocked names the payload that fits today's schema or mapping no more, and so stands for a
	// verdict that would be forgotten: nothing is published of this verification. "" is none.
	Blocked string
	Why     string // of Blocked
	NoEvent string // of a preview: why the payload leads to no event; "" where it leads to one

	seq    uint64  // of Before
	newest Payload // of those that were read
}

// Differs reports whether a replay publishes a revision.
func (r Recomputed) Differs() bool {
	return r.Blocked == "" && r.After != nil && (r.Before == nil || !same(r.Before, r.After))
}

// Differences are those between what was published and what would be, without a value of a person.
func (r Recomputed) Differences() []event.Difference {
	return event.Differences(r.Before.Published(), r.After.Published())
}

// Replayer computes verifications anew from their stored payloads. It uses the Normalizer's own way
// for every payload, in the order in which they were stored, on a history that begins empty.
type Replayer struct {
	Normalizer *Normalizer
	// Examine says why today's schema refuses a payload; "" is that it does not.
	Examine func(a *Account, p Payload) (reason string)
	// Unmapped reports whether a payload could not be mapped when it came, and so is missed by nobody.
	Unmapped func(payloadID string) bool
	// Base is the last revision that rests on payloads which are no longer kept; nil where all are.
	Base func(ctx context.Context, k Key, kept []Payload) (*Revision, error)
}

// Recompute reads the stored payloads of a verification and publishes nothing.
func (r *Replayer) Recompute(ctx context.Context, k Key) (Recomputed, error) {
	out := Recomputed{Key: k}
	account, err := r.Normalizer.Accounts.Find(k.Provider, k.Account)
	if err != nil {
		return out, fmt.Errorf("account of the payloads is not configured here: %w", err)
	}
	last, err := r.Normalizer.Events.Last(ctx, k, true)
	if err != nil {
		return out, fmt.Errorf("read last event: %w", err)
	}
	out.Before, out.seq = last.Data, last.Seq
	course := &course{}
	if err := r.Normalizer.Log.History(ctx, k, func(p Payload) error {
		course.payloads = append(course.payloads, p)
		return nil
	}); err != nil {
		return out, fmt.Errorf("read stored payloads: %w", err)
	}
	if out.Payloads = len(course.payloads); out.Payloads > 0 {
		out.newest = course.payloads[out.Payloads-1]
	}
	if course.state.Data, err = r.Base(ctx, k, course.payloads); err != nil {
		return out, fmt.Errorf("read earlier events: %w", err)
	}
	n := *r.Normalizer
	n.Events, n.Log, n.Triggers, n.inMemory = course, course, nil, true
	for _, p := range course.payloads {
		if reason := r.refused(account, p); reason != "" {
			if !r.Unmapped(p.ID) {
				out.Blocked, out.Why = p.ID, reason
				return out, nil
			}
			continue
		}
		if _, err := n.Process(ctx, p); errors.Is(err, ErrUnmappable) && !r.Unmapped(p.ID) {
			out.Blocked, out.Why = p.ID, QuarantineUnmapped
			return out, nil
		} else if err != nil && !errors.Is(err, ErrUnmappable) {
			return out, err
		}
	}
	out.After, out.Events = course.state.Data, course.events
	return out, nil
}

// Preview is what one more payload would make of a verification: it is worked as if it were stored behind
// all others, on top of what was last published. Nothing is stored or published.
func (r *Replayer) Preview(ctx context.Context, k Key, p Payload) (Recomputed, error) {
	out := Recomputed{Key: k, newest: p}
	last, err := r.Normalizer.Events.Last(ctx, k, true)
	if err != nil {
		return out, fmt.Errorf("read last event: %w", err)
	}
	out.Before, out.seq = last.Data, last.Seq
	course := &course{state: last}
	if err := r.Normalizer.Log.History(ctx, k, func(stored Payload) error {
		course.payloads = append(course.payloads, stored)
		return nil
	}); err != nil {
		return out, fmt.Errorf("read stored payloads: %w", err)
	}
	course.payloads = append(course.payloads, p)
	out.Payloads = len(course.payloads)
	n := *r.Normalizer
	n.Events, n.Log, n.Triggers, n.inMemory = course, course, nil, true
	done, err := n.Process(ctx, p)
	switch {
	case errors.Is(err, ErrUnmappable):
		out.Blocked, out.Why = p.ID, QuarantineUnmapped
		return out, nil
	case err != nil:
		return out, err
	}
	out.NoEvent, out.After, out.Events = done.NoEvent, course.state.Data, course.events
	return out, nil
}

func (r *Replayer) refused(a *Account, p Payload) (reason string) {
	if p.Notice {
		return "" // ours
	}
	return r.Examine(a, p)
}

// Replay publishes one revision where today's result differs from what was last published, and
// nothing where it does not. It is safe beside live traffic and to be repeated.
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
		if erased, err := r.wasErased(ctx, out.newest); err != nil || erased {
			return out, nil, err
		}
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

// wasErased reports whether the verification that p is of was erased meanwhile.
func (r *Replayer) wasErased(ctx context.Context, p Payload) (bool, error) {
	erased, err := r.Normalizer.Log.WasErased(ctx, p)
	if err != nil {
		return false, fmt.Errorf("read stored payloads: %w", err)
	}
	return erased, nil
}

// revision makes the event that leads from what was published to what is right today.
func (r *Replayer) revision(out Recomputed) Sealed {
	next := *out.After
	next.Revision, next.Supersedes = 1, ""
	next.Provider.Event.Via = event.ViaReplay
	if before := out.Before; before != nil {
		next.Revision = before.Revision + 1
		next.Supersedes = event.ID(before.VerificationID, before.Revision)
		next.Memory.keep(before.Memory)
	}
	kind := kindOf(out.Before, &next)
	at := event.ParseInstant(next.Provider.Event.OccurredAt)
	if at.IsZero() {
		at = event.ParseInstant(next.Provider.Event.ReceivedAt)
	}
	f := Fact{Observation: Observation{OccurredAt: at}, Via: event.ViaReplay, ReceivedAt: at}
	return r.Normalizer.seal(next, kind, f)
}

// course is the history of one verification, held in memory while it is computed anew.
type course struct {
	state    State
	payloads []Payload
	events   []*event.Event
}

// Last returns the newest state of the course.
func (c *course) Last(context.Context, Key, bool) (State, error) {
	s := c.state
	s.Read = true
	return s, nil
}

// Publish appends an event to the course.
func (c *course) Publish(_ context.Context, _ Key, e Sealed, _ uint64) error {
	c.state = State{Data: &Revision{e.Data, e.Memory}, Seq: c.state.Seq + 1}
	c.events = append(c.events, e.Event)
	return nil
}

// WasErased is false of every payload of the course.
func (c *course) WasErased(context.Context, Payload) (bool, error) { return false, nil }

// History gives the payloads of the course.
func (c *course) History(_ context.Context, _ Key, each func(Payload) error) error {
	for _, p := range c.payloads {
		if err := each(p); err != nil {
			return err
		}
	}
	return nil
}
