package kycbridge

import (
	"errors"
	"time"
)

// The kinds of failure of a request to start a verification.
var (
	// ErrKeyReused: the idempotency key has been used with another request.
	ErrKeyReused = errors.New("idempotency key was used for another request")
	// ErrKeyPending: a start with this idempotency key is under way, or was interrupted and its end is
	// not known.
	ErrKeyPending = errors.New("a start with this idempotency key is under way or was interrupted")
	// ErrUnsupported: the account's provider, or its configuration, lacks the ability.
	ErrUnsupported = errors.New("not supported for this account")
)

// StartReceipt is the answer to a start.
type StartReceipt struct {
	VerificationID string `json:"verification_id"`
	Reference      string `json:"reference"`
	URL            string `json:"url,omitempty"`        // where to send the applicant; whoever has it can enter
	ExpiresAt      string `json:"expires_at,omitempty"` // of the URL, RFC 3339

	// Repeated: this start was made before, under the same idempotency key.
	Repeated bool `json:"-"`
}

// UnwatchedError is a verification for which the provider has done what was asked, and which could not be
// put under watch. The caller has to ask for a watch with Reference; the request must not be repeated.
type UnwatchedError struct {
	Receipt StartReceipt
	Err     error
}

// Error names the reference.
func (e *UnwatchedError) Error() string {
	return "the provider has done it, and the verification is not watched: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *UnwatchedError) Unwrap() error { return e.Err }

// WatchRequest asks that a verification that was started elsewhere be asked about.
type WatchRequest struct {
	Reference         string
	ExternalReference string    // "" if the caller has none
	Deadline          time.Time // zero: the account's
}

// MediaRef names an image or video in the state of a verification: Ref is media[].provider_ref as
// the event has it.
type MediaRef struct {
	Reference string
	Ref       string
}
