package kycbridge

import (
	"errors"
	"fmt"
	"time"
)

// ErrHeld means that a legal hold keeps what is stored about a verification.
var ErrHeld = errors.New("held")

// Hold keeps everything that is stored about a verification from being erased, by age or by a purge.
type Hold struct {
	Provider       string    `json:"provider"`
	Account        string    `json:"account"`
	VerificationID string    `json:"verification_id"`
	Reason         string    `json:"reason"`         // such as a case number
	By             string    `json:"by"`             // name of the token or certificate, or os: and a user of the system
	Since          time.Time `json:"since"`          // when it was placed
	Until          time.Time `json:"until,omitzero"` // when it ends by itself; zero: only when it is released

	Released      time.Time `json:"released,omitzero"` // when it was released; zero: it was not
	ReleasedBy    string    `json:"released_by,omitempty"`
	ReleaseReason string    `json:"release_reason,omitempty"`
}

// Key is the held verification.
func (h Hold) Key() Key { return Key{h.Provider, h.Account, h.VerificationID} }

// Holds reports whether h keeps its verification at a time.
func (h Hold) Holds(at time.Time) bool {
	return h.VerificationID != "" && h.Released.IsZero() && (h.Until.IsZero() || at.Before(h.Until))
}

// IsSame reports whether h and o are the same hold, released or not.
func (h Hold) IsSame(o Hold) bool {
	return h.Key() == o.Key() && h.Reason == o.Reason && h.By == o.By && h.Since.Equal(o.Since) && h.Until.Equal(o.Until)
}

// Ended is when h ended, if it no longer holds at a time; zero: it still holds.
func (h Hold) Ended(at time.Time) time.Time {
	switch {
	case h.Holds(at):
		return time.Time{}
	case !h.Released.IsZero() && (h.Until.IsZero() || h.Released.Before(h.Until)):
		return h.Released
	}
	return h.Until
}

// HeldError is the error of an erasure of a held verification.
type HeldError struct{ Hold Hold }

// Error names the reason, and the command that releases the hold.
func (e *HeldError) Error() string {
	until := ""
	if !e.Hold.Until.IsZero() {
		until = " until " + e.Hold.Until.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("verification %s is held%s (%s): nothing of it is erased before `kycbridge payloads release`",
		e.Hold.VerificationID, until, e.Hold.Reason)
}

// Unwrap makes it an ErrHeld.
func (e *HeldError) Unwrap() error { return ErrHeld }
