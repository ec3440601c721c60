package kycbridge

import (
	"context"
	"time"

	"kycbridge/event"
)

// Watch is an open session that is asked about: what to ask, until when, and what is known of it.
// It lies in the store as the timer of its next question, so it survives restarts and any process
// may take it up.
type Watch struct {
	Provider  string `json:"provider"`
	Account   string `json:"account"`
	Reference string `json:"reference"`
	// Trigger is set where a callback said that there is a result: the word of it that the fetched
	// body lacks, or "-" for none.
	Trigger string `json:"trigger,omitempty"`
	// TriggeredAt is when that callback came: what it says is as old as that, however late it is fetched.
	TriggeredAt time.Time       `json:"triggered_at,omitzero"`
	Since       time.Time       `json:"since"`
	Deadline    time.Time       `json:"deadline"`
	Anew        bool            `json:"anew,omitempty"`     // with a trigger: what was stored may be gone, so only what is stored counts as seen
	Asked       bool            `json:"asked,omitempty"`    // somebody asked for this watch: look once, whatever is known
	LookBy      time.Time       `json:"look_by,omitzero"`   // something was handed in: the next look comes no later
	Status      event.Status    `json:"status,omitempty"`   // at the last look
	Failures    int             `json:"failures,omitempty"` // looks in a row that failed
	Missing     int             `json:"missing,omitempty"`  // looks in a row at which the provider did not know it
	Looks       int             `json:"looks,omitempty"`    // further looks since a trigger that nothing new has followed
	Seen        map[string]Seen `json:"seen,omitempty"`     // by part: what was stored last
}

// Session is an open session as it waits for its next look.
type Session struct {
	Watch
	Next time.Time // of the look; zero: it is due
}

// Seen is the body of a part that was stored last.
type Seen struct {
	PayloadID string `json:"payload_id"`
	Digest    string `json:"digest"`
	Trigger   string `json:"trigger,omitempty"`
	// TriggeredAt is of the callback that Trigger is a word of.
	TriggeredAt time.Time `json:"triggered_at,omitzero"`
}

// NoTrigger stands in Watch.Trigger for a callback whose words do not matter.
const NoTrigger = "-"

// Key is the verification of w.
func (w Watch) Key() Key {
	return Key{w.Provider, w.Account, event.VerificationID(w.Provider, w.Account, w.Reference)}
}

// Merge is w with what must not be lost of another watch of its verification that was set meanwhile:
// a trigger that is still to be followed, a later deadline, a wish to look whatever is known, or soon.
func (w Watch) Merge(other Watch) Watch {
	if w.LookBy.IsZero() || !other.LookBy.IsZero() && other.LookBy.Before(w.LookBy) {
		w.LookBy = other.LookBy
	}
	if other.Deadline.After(w.Deadline) {
		w.Deadline = other.Deadline
	}
	w.Asked = w.Asked || other.Asked
	if other.Trigger != "" && (w.Trigger == "" || w.Trigger == NoTrigger || other.Trigger != NoTrigger && other.TriggeredAt.After(w.TriggeredAt)) {
		w.Trigger, w.TriggeredAt, w.Looks = other.Trigger, other.TriggeredAt, other.Looks
	}
	if w.Seen == nil {
		w.Seen = other.Seen
	}
	return w
}

// Triggers takes note that a result is to be fetched now. When it returns, that is durable.
type Triggers interface {
	Trigger(ctx context.Context, w Watch) error
}
