package kycbridge

import (
	"errors"
	"time"
)

// The errors of a request to start a verification.
var (
	// ErrKeyReused: the idempotency key has been used with another request.
	ErrKeyReused = errors.New("idempotency key was used for another request")
	// ErrKeyPending: a start with this idempotency key is in progress, or was interrupted and its result
	// is not known.
	ErrKeyPending = errors.New("a start with this idempotency key is under way or was interrupted")
	// ErrUnsupported: the account's provider, or its configuration, does not support the operation.
	ErrUnsupported = errors.New("not supported for this account")
)

// StartReceipt is the answer to a start.
type StartReceipt struct {
	VerificationID string `json:"verification_id"`
	Reference      string `json:"reference"`            // the provider's id of the verification
	URL            string `json:"url,omitempty"`        // the applicant's page; the URL itself grants access
	ExpiresAt      string `json:"expires_at,omitempty"` // of the URL, RFC 3339

	// Repeated: this start was made before, under the same idempotency key.
	Repeated bool `json:"-"`
}

// UnwatchedError is a verification for which the provider has executed the request, and which could not be
// watched. The caller has to request a watch with Reference; the request must not be repeated.
type UnwatchedError struct {
	Receipt StartReceipt // what the start has created
	Err     error        // why it is not watched
}

// Error names the reference.
func (e *UnwatchedError) Error() string {
	return "the provider has done it, and the verification is not watched: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *UnwatchedError) Unwrap() error { return e.Err }

// WatchRequest requests polling of a verification that was started elsewhere.
type WatchRequest struct {
	Reference         string    // the provider's id of the verification
	ExternalReference string    // "" if the caller has none
	Deadline          time.Time // zero: the account's
}

// MediaRef identifies an image or video in the state of a verification.
type MediaRef struct {
	Reference string // the provider's id of the verification
	Ref       string // media[].provider_ref of the event
}
