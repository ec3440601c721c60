package kycbridge

import (
	"errors"

	"kycbridge/document"
)

// The kinds of errors. The domain sets the kind; handlers and commands translate it into a status or an
// exit code.
var (
	// ErrNotFound: no such provider or account, or no such verification.
	ErrNotFound = errors.New("not found")
	// ErrUnauthenticated: the request has no valid credential of the account.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrUnavailable: the store did not acknowledge; the caller should send again.
	ErrUnavailable = errors.New("store unavailable")
	// ErrBusy: more payloads arrive than can be processed; the caller should send again later.
	ErrBusy = errors.New("over the limit")
	// ErrTooLarge: a callback is over the body limit.
	ErrTooLarge = errors.New("body over the limit")
	// ErrConflict: another worker has published a revision since the last event was read.
	ErrConflict = errors.New("superseded by another revision")
	// ErrErased: the verification was erased after the request whose answer is to be stored.
	ErrErased = errors.New("the verification was erased meanwhile")
	// ErrUnmappable: a payload that cannot become an event, however often it is retried.
	ErrUnmappable = errors.New("cannot be mapped")
)

// RefusedError is the error of a callback without a valid credential. Why is for the operator and contains
// nothing of the request; it is never sent to the caller.
type RefusedError struct{ Why string }

// Error names the reason.
func (e *RefusedError) Error() string { return "no credential admits the callback: " + e.Why }

// Unwrap makes it an ErrUnauthenticated.
func (e *RefusedError) Unwrap() error { return ErrUnauthenticated }

// FieldError names a pointer in a body and the expectation there, never the value.
type FieldError = document.Fault
