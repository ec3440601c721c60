package kycbridge

import "errors"

// IndexKind is the kind of an indexed id.
type IndexKind string

// The kinds of ids by which verifications and payloads are found.
const (
	IndexVerification IndexKind = "verification"       // of kycbridge
	IndexExternal     IndexKind = "external_reference" // the caller's
	IndexReference    IndexKind = "reference"          // the provider's
	IndexPayload      IndexKind = "payload"
)

// Indexed is a candidate of the index for a searched id. The index holds keyed digests and no ids, so the
// caller compares the id with that of the verification or payload itself.
type Indexed struct {
	Kind           IndexKind // of the id that was found
	VerificationID string    // "" for a payload without a known verification; Shelf and Seq identify it then
	Shelf          Shelf     // of a payload
	Seq            uint64    // of a payload: sequence in the stream of Shelf
}

// IndexLag is the number of stored messages that are not indexed yet.
type IndexLag struct{ Events, Payloads int }

// Total is the number of all of them.
func (l IndexLag) Total() int { return l.Events + l.Payloads }

// ErrAmbiguous means that too many ids begin with a text.
var ErrAmbiguous = errors.New("too many ids begin like this")
