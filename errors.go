package kycbridge

import "errors"

// The kinds of failure. The path attaches the kind; the edges turn it into a status or an exit code.
var (
	// ErrNotFound: no such provider or account, or no such verification.
	ErrNotFound = errors.New("not found")
	// ErrUnauthenticated: no credential of the account admits the request.
	ErrUnauthenticated = errors.New("unauthenticated")
	// ErrUnavailable: the store did not acknowledge; the caller should send again.
	ErrUnavailable = errors.New("store unavailable")
	// ErrConflict: another worker has published a revision since the last event was read.
	ErrConflict = errors.New("superseded by another revision")
	// ErrUnmappable: a payload that no retry will turn into an event.
	ErrUnmappable = errors.New("cannot be mapped")
)

// FieldError names a place in a body and what was expected there, never the value that stands there.
type FieldError struct {
	Path    string `json:"path"` // JSON pointer; "" is the whole body
	Message string `json:"message"`
}
