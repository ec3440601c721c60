package kycbridge

import "errors"

// IndexKind says what an indexed id is called by.
type IndexKind string

// The kinds of ids by which verifications and payloads are found.
const (
	IndexVerification IndexKind = "verification"       // our own
	IndexExternal     IndexKind = "external_reference" // the caller's
	IndexReference    IndexKind = "reference"          // the provider's
	IndexPayload      IndexKind = "payload"
)

// Indexed is an entry of the index: something that may bear the id that was looked up. The index holds keyed
// digests and no ids, so who looks up compares the id with that of the verification or payload itself.
type Indexed struct {
	Kind           IndexKind
	VerificationID string // "" for a payload whose verification is not known; Shelf and Seq then name it
	Shelf          Shelf
	Seq            uint64
}

// IndexLag is how many stored messages the index does not know yet.
type IndexLag struct{ Events, Payloads int }

// Total is the number of all of them.
func (l IndexLag) Total() int { return l.Events + l.Payloads }

// ErrAmbiguous says that more ids begin with a text than can be looked at.
var ErrAmbiguous = errors.New("too many ids begin like this")
