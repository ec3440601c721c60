package kycbridge

import (
	"errors"
	"time"
)

// Shelf says where a kept payload lies.
type Shelf string

// The shelves.
const (
	ShelfPayloads   Shelf = "payloads"   // the payload log: accepted
	ShelfQuarantine Shelf = "quarantine" // authentic, and could not be processed
	ShelfRefused    Shelf = "refused"    // failed authentication
)

// Kept is a payload as it lies in the store, with all that was kept beside it.
type Kept struct {
	Payload
	Shelf   Shelf
	Seq     uint64 // sequence in its stream: the name of this very copy
	Size    int    // of the body in bytes, also where the body itself was not read
	Reason  string // why it is in quarantine
	Errors  []FieldError
	Request *Request // of a refused one: what is needed to authenticate it again
}

// Disposition is what became of a stored payload when it was processed.
type Disposition struct {
	Seq      uint64 // of the payload in the payload log
	Revision int    // of the event that it led to; 0: none
	Why      string // why there is none: a NoEvent word, or "quarantined"
	New      []NewValue
}

// DispositionQuarantined marks a payload that was accepted and could not be mapped.
const DispositionQuarantined = "quarantined"

// KeptQuery selects kept payloads. What is empty selects everything.
type KeptQuery struct {
	Shelf          Shelf // empty: the payload log
	Provider       string
	Account        string
	VerificationID string
	Reason         string    // of quarantine
	Since          time.Time // kept at or after
	From           uint64    // first sequence
	HeadersOnly    bool      // leave the bodies out
}

// Position says how far the Normalizer has come in the payload log.
type Position struct {
	Floor   uint64 // every payload up to this sequence is done with
	Last    uint64 // the newest sequence
	Pending int    // payloads that are not done with
	Whole   bool   // nothing has been taken out of the log, by age or by hand
}

// Tombstone says that a verification was erased, and nothing about the person.
type Tombstone struct {
	Provider       string    `json:"provider"`
	Account        string    `json:"account"`
	VerificationID string    `json:"verification_id"`
	At             time.Time `json:"at"`
	Payloads       int       `json:"payloads"` // how many of each were erased
	Quarantined    int       `json:"quarantined"`
	Refused        int       `json:"refused"`
	Events         int       `json:"events"`
	Watches        int       `json:"watches"`
}

// EventMeta is a published event without its body.
type EventMeta struct {
	Key
	Seq  uint64
	ID   string
	Kind Kind
	At   time.Time // when it was published
}

// ErrEnough ends a reading early; it is no error to whoever began it.
var ErrEnough = errors.New("enough")
