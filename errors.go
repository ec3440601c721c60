package kycbridge

import (
	"errors"

	"kycbridge/document"
)

// The kinds of failure. The path attaches the kind; the edges turn it into a status or an exit code.
var (
	// ErrNotFound: no such provider or account, or no such verification.
	ErrNotFound = errors.New("not found")
	// ErrUnauthenticated: no credential of the account admits the request.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrUnavailable: the store did not acknowledge; the caller should send again.
	ErrUnavailable = errors.New("store unavailable")
	// ErrTooLarge: a callback is over the body limit.
	ErrTooLarge = errors.New("body over the limit")
	// ErrConflict: another worker has published a revision since the last event was read.
	ErrConflict = errors.New("superseded by another revision")
	// ErrUnmappable: a payload that no retry will turn into an event.
	ErrUnmappable = errors.New("cannot be mapped")
)

// RefusedError is the error of a callback that no credential admits. Why is for the operator and holds
// nothing of the request; the caller is never told.
type RefusedError struct{ Why string }

// Error names the reason.
func (e *RefusedError) Error() string { return "no credential admits the callback: " + e.Why }

// Unwrap makes it an ErrUnauthenticated.
func (e *RefusedError) Unwrap() error { return ErrUnauthenticated }

// FieldError names a place in a body and what was expected there, never the value that stands there.
type FieldError = document.Fault
