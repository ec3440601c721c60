package archive

import (
	"context"
	"errors"

	"kycbridge"
	"kycbridge/event"
)

// The kinds of steps of a timeline.
const (
	StepPayload    = "payload"
	StepQuarantine = "quarantined"
	StepEvent      = "event"
)

// Timeline is the history of one verification, oldest first. It contains nothing about a person: possibly
// personal references and differences are masked.
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
	Open           *Open             `json:"open,omitempty"` // nil: it is not polled
	Erased         string            `json:"erased,omitempty"`
	Unfinished     bool              `json:"erasure_unfinished,omitempty"` // some of it may still be stored
	Steps          []Step            `json:"steps"`
	Cut            bool              `json:"cut,omitempty"` // there are more steps than these
}

// Open is a polled session.
type Open struct {
	Since    string `json:"since"`
	Deadline string `json:"deadline"`
	Failures int    `json:"failures,omitempty"` // failed polls in a row
}

// Step is a received payload, or a published event.
type Step struct {
	At   string `json:"at"`
	Kind string `json:"kind"`

	// Of a payload.
	Via       string                 `json:"via,omitempty"`
	Event     string                 `json:"event,omitempty"` // the provider's name of the message type
	PayloadID string                 `json:"payload_id,omitempty"`
	Seq       uint64                 `json:"seq,omitempty"`
	NoEvent   string                 `json:"no_event,omitempty"` // why it led to none
	Pending   bool                   `json:"pending,omitempty"`  // not processed yet
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

// Timeline returns the history of a verification. It returns kycbridge.ErrNotFound if nothing is known of
// it.
func (a *Archive) Timeline(ctx context.Context, k kycbridge.Key) (Timeline, error) {
	t := Timeline{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID, Steps: []Step{}}
	history, err := a.History(ctx, k)
	if err != nil && !errors.Is(err, kycbridge.ErrNotFound) {
		return t, err
	}
	t.Cut = history.Cut
	t.setLast(history.Last)
	for _, s := range history.Steps {
		t.Steps = append(t.Steps, stepOf(s))
	}
	if w := history.Session; w != nil {
		t.Open = &Open{Since: event.Instant(w.Since), Deadline: event.Instant(w.Deadline), Failures: w.Failures}
	}
	tombstone, tombstoneErr := a.Tombstones.Tombstone(ctx, k)
	if tombstoneErr != nil {
		return t, tombstoneErr
	}
	if tombstone != nil {
		t.Erased, t.Unfinished = event.Instant(tombstone.At), tombstone.Unfinished
	}
	if t.Open != nil || t.Erased != "" {
		return t, nil
	}
	return t, err
}

// setLast sets the current state from the last event; nil: no event was published.
func (t *Timeline) setLast(last *event.Data) {
	if last == nil {
		return
	}
	t.Revision, t.Status, t.StatusDetail = last.Revision, string(last.Status), last.StatusDetail
	t.Outcome, t.Final = string(last.Decision.Outcome), last.Decision.Final
	t.References = map[string]string{}
	for name, reference := range last.Provider.References {
		t.References[name] = maskUnless(reference, event.HarmlessID(reference))
	}
}

// stepOf is a step without personal data.
func stepOf(l HistoryStep) Step {
	if l.Revision != nil {
		return revisionStep(l)
	}
	e := l.Payload.Entry
	s := Step{At: e.ReceivedAt, Kind: StepPayload, Via: e.Via, Event: e.Event, PayloadID: e.PayloadID, Seq: e.Seq,
		Revision: l.Payload.Revision, NoEvent: l.Payload.NoEvent, Pending: l.Payload.Pending}
	if l.Payload.Kept.Shelf == kycbridge.ShelfQuarantine {
		s.Kind, s.Reason, s.Errors = StepQuarantine, e.Reason, l.Payload.Kept.Errors
	}
	return s
}

func revisionStep(l HistoryStep) Step {
	d := l.Revision.Data
	name := d.Provider.Event.Name
	s := Step{At: event.Instant(l.At), Kind: StepEvent, Via: string(d.Provider.Event.Via),
		Event:    maskUnless(name, event.HarmlessWord(name, d.Provider.Name)),
		Revision: d.Revision, EventID: event.ID(d.VerificationID, d.Revision),
		Status: string(d.Status), StatusDetail: d.StatusDetail,
		Outcome: string(d.Decision.Outcome), Final: d.Decision.Final,
	}
	for _, r := range d.Reasons {
		s.Reasons = append(s.Reasons, r.Code)
	}
	for _, difference := range l.Revision.Differences {
		s.Changed = append(s.Changed, difference.Masked())
	}
	return s
}
