package archive

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// Timers are the timers of single sessions; nil for one that is not asked about.
type Timers interface {
	Timer(ctx context.Context, k kycbridge.Key) (*kycbridge.Watch, error)
}

// The kinds of steps of a timeline.
const (
	StepPayload    = "payload"
	StepQuarantine = "quarantined"
	StepEvent      = "event"
)

// Timeline is what became of one verification, oldest first. Nothing in it is about a person: references that
// may be are masked, and differences as well.
type Timeline struct {
	Provider       string            `json:"provider"`
	Account        string            `json:"account"`
	VerificationID string            `json:"verification_id"`
	References     map[string]string `json:"references,omitempty"` // the provider's
	Revision       int               `json:"revision,omitempty"`
	Status         string            `json:"status,omitempty"`
	StatusDetail   string            `json:"status_detail,omitempty"`
	Outcome        string            `json:"outcome,omitempty"`
	Final          bool              `json:"final,omitempty"`
	Open           *Open             `json:"open,omitempty"` // nil: it is not asked about
	Erased         string            `json:"erased,omitempty"`
	Steps          []Step            `json:"steps"`
}

// Open is a session that is asked about.
type Open struct {
	Since    string `json:"since"`
	Deadline string `json:"deadline"`
	Failures int    `json:"failures,omitempty"` // looks in a row that failed
}

// Step is a payload that came, or an event that was published.
type Step struct {
	At   string `json:"at"`
	Kind string `json:"kind"`

	// Of a payload.
	Via       string                 `json:"via,omitempty"`
	Event     string                 `json:"event,omitempty"` // what the provider calls the message
	PayloadID string                 `json:"payload_id,omitempty"`
	Seq       uint64                 `json:"seq,omitempty"`
	NoEvent   string                 `json:"no_event,omitempty"` // why it led to none
	Pending   bool                   `json:"pending,omitempty"`  // it is not worked yet
	Reason    string                 `json:"reason,omitempty"`   // of quarantine
	Errors    []kycbridge.FieldError `json:"errors,omitempty"`

	// Of an event, or of the one that a payload led to.
	Revision     int                `json:"revision,omitempty"`
	EventID      string             `json:"event_id,omitempty"`
	Status       string             `json:"status,omitempty"`
	StatusDetail string             `json:"status_detail,omitempty"`
	Outcome      string             `json:"outcome,omitempty"`
	Final        bool               `json:"final,omitempty"`
	Reasons      []string           `json:"reasons,omitempty"`
	Changed      []event.Difference `json:"changed,omitempty"`
}

// Timeline tells what became of a verification. It returns kycbridge.ErrNotFound if nothing is known of it.
func (a *Archive) Timeline(ctx context.Context, k kycbridge.Key) (Timeline, error) {
	t := Timeline{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID, Steps: []Step{}}
	events, err := a.eventSteps(ctx, k, &t)
	if err != nil {
		return t, err
	}
	if err := a.payloadSteps(ctx, k, &t, events); err != nil {
		return t, err
	}
	for _, e := range events {
		if !e.told { // its payload is gone, or it was replayed
			t.Steps = append(t.Steps, e.Step)
		}
	}
	if err := a.quarantineSteps(ctx, k, &t); err != nil {
		return t, err
	}
	slices.SortStableFunc(t.Steps, func(x, y Step) int {
		return cmp.Compare(event.ParseInstant(x.At).UnixNano(), event.ParseInstant(y.At).UnixNano())
	})
	if err := a.standing(ctx, k, &t); err != nil {
		return t, err
	}
	if len(t.Steps) == 0 && t.Open == nil && t.Erased == "" {
		return t, fmt.Errorf("nothing is known of verification %s: %w", k.VerificationID, kycbridge.ErrNotFound)
	}
	return t, nil
}

// eventStep is an event with the payload that led to it.
type eventStep struct {
	Step
	payload string
	told    bool
}

// eventSteps are the events of a verification in the order of their revisions.
func (a *Archive) eventSteps(ctx context.Context, k kycbridge.Key, t *Timeline) (steps []*eventStep, err error) {
	var before *event.Data
	err = a.Events.Revisions(ctx, k, func(state kycbridge.State) error {
		d := state.Data.Published()
		s := &eventStep{payload: d.Payload.ID, Step: Step{
			At: d.Provider.Event.ReceivedAt, Kind: StepEvent, Via: string(d.Provider.Event.Via),
			Event:    discreet(d.Provider.Event.Name, event.HarmlessWord(d.Provider.Event.Name, k.Provider)),
			Revision: d.Revision, EventID: event.ID(k.VerificationID, d.Revision),
			Status: string(d.Status), StatusDetail: d.StatusDetail, Outcome: string(d.Decision.Outcome), Final: d.Decision.Final,
		}}
		for _, r := range d.Reasons {
			s.Reasons = append(s.Reasons, r.Code)
		}
		for _, difference := range event.Differences(before, d) {
			s.Changed = append(s.Changed, difference.Masked())
		}
		before = d
		steps = append(steps, s)
		return nil
	})
	if before != nil {
		t.Revision, t.Status, t.StatusDetail = before.Revision, string(before.Status), before.StatusDetail
		t.Outcome, t.Final = string(before.Decision.Outcome), before.Decision.Final
		t.References = map[string]string{}
		for name, reference := range before.Provider.References {
			t.References[name] = discreet(reference, event.HarmlessID(reference))
		}
	}
	return steps, err
}

// payloadSteps adds the payloads of the log, each with the events that it led to behind it.
func (a *Archive) payloadSteps(ctx context.Context, k kycbridge.Key, t *Timeline, events []*eventStep) error {
	var kept []kycbridge.Kept
	if err := a.keptOf(ctx, k, func(p kycbridge.Kept) error { kept = append(kept, p); return nil }); err != nil {
		return err
	}
	for _, p := range kept {
		e := a.entryOf(p)
		s := Step{At: e.ReceivedAt, Kind: StepPayload, Via: e.Via, Event: e.Event, PayloadID: e.PayloadID, Seq: e.Seq}
		var led []Step
		for _, published := range events {
			if published.payload == p.ID {
				published.told = true
				after := published.Step
				after.At = s.At // an event may tell another time than the store
				led = append(led, after)
			}
		}
		if len(led) > 0 {
			s.Revision = led[0].Revision
		} else if err := a.fateOf(ctx, p, &s); err != nil {
			return err
		}
		t.Steps = append(append(t.Steps, s), led...)
	}
	return nil
}

// fateWindows are how long before its receipt a payload may be recorded as worked: by the same clock, and by
// one that goes wrong by a minute.
var fateWindows = [...]time.Duration{time.Second, time.Minute}

// fateReads is how many dispositions are read for the fate of one payload. Behind that it is not told.
const fateReads = 200_000

// fateOf tells why a payload led to no event. Payloads are worked soon after they came, so their dispositions
// are among the first of those that were recorded since.
func (a *Archive) fateOf(ctx context.Context, p kycbridge.Kept, s *Step) error {
	for _, window := range fateWindows {
		read, known := 0, false
		err := a.Ledger.Dispositions(ctx, p.ReceivedAt.Add(-window), func(d kycbridge.Disposition) error {
			if d.Seq == p.Seq && d.Of(p.ID, p.ReceivedAt) {
				s.NoEvent, s.Revision, known = d.Why, d.Revision, true
				return kycbridge.ErrEnough
			}
			if read++; read > fateReads {
				return kycbridge.ErrEnough
			}
			return nil
		})
		if known || err != nil && !errors.Is(err, kycbridge.ErrEnough) {
			return err
		}
	}
	position, err := a.Ledger.Position(ctx)
	s.Pending = err == nil && p.Seq > position.Floor
	return err
}

// quarantineSteps adds the payloads in quarantine that name the verification.
func (a *Archive) quarantineSteps(ctx context.Context, k kycbridge.Key, t *Timeline) error {
	places, err := a.Index.QuarantinedOf(ctx, k.VerificationID)
	if err != nil {
		return err
	}
	for _, seq := range places {
		p, err := a.Shelves.KeptAt(ctx, kycbridge.ShelfQuarantine, seq)
		if errors.Is(err, kycbridge.ErrNotFound) || err == nil && p.VerificationID != k.VerificationID {
			continue
		}
		if err != nil {
			return err
		}
		e := a.entryOf(p)
		t.Steps = append(t.Steps, Step{At: e.ReceivedAt, Kind: StepQuarantine, Via: e.Via, Event: e.Event, PayloadID: e.PayloadID, Seq: e.Seq,
			Reason: e.Reason, Errors: p.Errors})
	}
	return nil
}

// standing adds whether the verification is asked about, and whether it was erased.
func (a *Archive) standing(ctx context.Context, k kycbridge.Key, t *Timeline) error {
	w, err := a.Timers.Timer(ctx, k)
	if err != nil {
		return err
	}
	if w != nil {
		t.Open = &Open{Since: event.Instant(w.Since), Deadline: event.Instant(w.Deadline), Failures: w.Failures}
	}
	grave, err := a.Graves.Buried(ctx, k)
	if err != nil {
		return err
	}
	if grave != nil {
		t.Erased = event.Instant(grave.At)
	}
	return nil
}
