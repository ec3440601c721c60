package kycbridge

import (
	"context"
	"time"

	"kycbridge/event"
)

// Watch is a polled session: what to request, until when, and what is known of it. It is stored as the
// timer of its next poll, so it survives restarts and any process can continue it.
type Watch struct {
	Provider  string `json:"provider"`
	Account   string `json:"account"`
	Reference string `json:"reference"` // the provider's id of the verification
	// Trigger is set if a callback announced a result: the value in the callback that the fetched body
	// lacks, or NoTrigger if nothing is lacking.
	Trigger string `json:"trigger,omitempty"`
	// TriggeredAt is when that callback was received: its content has that time, however late it is
	// fetched.
	TriggeredAt time.Time `json:"triggered_at,omitzero"`
	// Handled is when the newest callback was received whose value has been fetched with a result. The value of an
	// older one no longer counts.
	Handled  time.Time `json:"handled,omitzero"`
	Since    time.Time `json:"since"`    // when the session began, or the watch was requested
	Deadline time.Time `json:"deadline"` // when kycbridge ends the session if the provider has not
	// with a trigger: stored bodies may be lost, so only those that are still in the store count as seen
	IgnoreSeen bool `json:"anew,omitempty"`
	// this watch was requested explicitly: poll once, whatever is known
	Asked    bool            `json:"asked,omitempty"`
	LookBy   time.Time       `json:"look_by,omitzero"`   // after a submission: the next poll is not later
	Status   event.Status    `json:"status,omitempty"`   // at the last poll
	Failures int             `json:"failures,omitempty"` // failed polls in a row
	Missing  int             `json:"missing,omitempty"`  // polls in a row at which the provider did not know it
	Looks    int             `json:"looks,omitempty"`    // further polls since a trigger without a new result
	Seen     map[string]Seen `json:"seen,omitempty"`     // by part: the body that was stored last
}

// Session is an open session with its next poll.
type Session struct {
	Watch
	Next time.Time // of the poll; zero: due now
}

// Seen is the body of a part that was stored last.
type Seen struct {
	PayloadID string `json:"payload_id"`
	Digest    string `json:"digest"`            // of the body, as Digest returns it
	Trigger   string `json:"trigger,omitempty"` // that the body was fetched for; see Watch.Trigger
	// TriggeredAt is the receipt of the callback that Trigger comes from.
	TriggeredAt time.Time `json:"triggered_at,omitzero"`
}

// NoTrigger is the value of Watch.Trigger for a callback without a value that the fetched body lacks.
const NoTrigger = "-"

// Key is the verification of w.
func (w Watch) Key() Key {
	return Key{w.Provider, w.Account, event.VerificationID(w.Provider, w.Account, w.Reference)}
}

// Merge is w with the fields of another watch of its verification, set meanwhile, that must not be lost:
// an open trigger, a later deadline, an explicit or earlier poll.
func (w Watch) Merge(other Watch) Watch {
	if w.LookBy.IsZero() || !other.LookBy.IsZero() && other.LookBy.Before(w.LookBy) {
		w.LookBy = other.LookBy
	}
	if other.Deadline.After(w.Deadline) {
		w.Deadline = other.Deadline
	}
	w.Asked = w.Asked || other.Asked
	if other.Handled.After(w.Handled) {
		w.Handled = other.Handled
	}
	if other.isOpen(w.Handled) && (w.Trigger == "" || w.Trigger == NoTrigger || other.Trigger != NoTrigger &&
		other.TriggeredAt.After(w.TriggeredAt)) {
		w.Trigger, w.TriggeredAt, w.Looks = other.Trigger, other.TriggeredAt, other.Looks
	}
	if w.Seen == nil {
		w.Seen = other.Seen
	}
	return w
}

// isOpen reports whether w has a trigger that still counts if a callback received at handled has been handled.
func (w Watch) isOpen(handled time.Time) bool {
	return w.Trigger != "" && (w.Trigger == NoTrigger || w.TriggeredAt.IsZero() || w.TriggeredAt.After(handled))
}

// Handle is w without its trigger, which has been handled: an older value must not return from a timer that was set
// before.
func (w Watch) Handle() Watch {
	if w.Trigger != "" && w.Trigger != NoTrigger && w.TriggeredAt.After(w.Handled) {
		w.Handled = w.TriggeredAt
	}
	w.Trigger, w.TriggeredAt, w.Looks = "", time.Time{}, 0
	return w
}

// Triggers requests that a result is fetched now. When it returns, the request is durable.
type Triggers interface {
	Trigger(ctx context.Context, w Watch) error
}
