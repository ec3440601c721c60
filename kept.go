package kycbridge

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"kycbridge/event"
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
	Why      string // why there is none: a NoEvent word, "quarantined" or "damaged"
	New      []NewValue

	// Sequences are given out again when a log has lost messages or was restored. What follows says
	// which payload the sequence stood for; entries of early versions have none of it.
	Mark         uint64    // PayloadMark of its id; 0: not known
	StoredAt     time.Time // when it was stored, to the second
	Verification string    // VerificationMark of its verification
	At           time.Time // when this was recorded
}

// Of reports whether d speaks of a payload with this id that was received then. An entry without a
// mark does if it was not recorded before the payload came; clocks may differ by a minute.
func (d Disposition) Of(id string, receivedAt time.Time) bool {
	if d.Mark != 0 {
		return d.Mark == PayloadMark(id)
	}
	return !d.At.Before(receivedAt.Add(-time.Minute))
}

// PayloadMark is a number that stands for a payload id where ids must not stand.
func PayloadMark(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return max(binary.BigEndian.Uint64(sum[:8]), 1)
}

// MarkUnknown is the mark in the disposition of a payload of which only the sequence is known. No payload
// that can be met has this mark.
const MarkUnknown = 1

// VerificationMark is the beginning of a verification id: enough to find the verification by.
func VerificationMark(id string) string { return id[:min(len(id), len("00000000-0000-5000"))] }

// Why a payload led to no event, where the lifecycle had no say.
const (
	DispositionQuarantined = "quarantined" // it was accepted and could not be mapped
	DispositionDamaged     = "damaged"     // its bytes were damaged in the store
	DispositionForeign     = "foreign"     // it is a message of somebody else
	DispositionAskedAgain  = "asked again" // it is gone, and its provider was asked for the result once more
)

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

// Count is how many sequences h spans.
func (h Held) Count() uint64 {
	if h.Last < h.First || h.Last == 0 {
		return 0
	}
	return h.Last - h.First + 1
}

// Content is what a stream is for.
type Content string

// The contents of streams whose holes mean something.
const (
	ContentPayloads     Content = "payloads"
	ContentQuarantine   Content = "quarantine"
	ContentDispositions Content = "dispositions"
	ContentEvents       Content = "events"
)

// Range is sequences in a row: the first and the last.
type Range [2]uint64

// Held is what a stream holds, by the count of its server.
type Held struct {
	Stream      string
	Content     Content
	First, Last uint64        // sequences
	Gone        []uint64      // between them, and hold no message
	Age         time.Duration // after which messages go; 0: never
	Bounded     bool          // the oldest may have been dropped for want of room
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
	// Marks stand for the erased payloads of the log, so that their repetitions are known.
	Marks Marks `json:"marks,omitempty"`
}

// Marks stand for payloads, body and id together, and name nobody: digests cut to 64 bits, in
// hexadecimal, one behind the other.
type Marks string

// maxMarks bounds what a tombstone remembers of one verification; the oldest goes first.
const maxMarks = 4096

// Add returns m with the mark of p.
func (m Marks) Add(p Payload) Marks {
	one := markOf(p)
	if m += one; len(m) > maxMarks*len(one) {
		m = m[len(m)-maxMarks*len(one):]
	}
	return m
}

func markOf(p Payload) Marks { return Marks(fmt.Sprintf("%016x", PayloadMark(p.ID+" "+p.Digest))) }

// Holds reports whether p is a repetition of one of the erased payloads.
func (t *Tombstone) Holds(p Payload) bool {
	one := markOf(p)
	for marks := t.Marks; len(marks) >= len(one); marks = marks[len(one):] {
		if strings.HasPrefix(string(marks), string(one)) {
			return true
		}
	}
	return false
}

// EventMeta is a published event without its body.
type EventMeta struct {
	Key
	Seq  uint64
	ID   string
	Kind event.Kind
	At   time.Time // when it was published

	PayloadID string    // of the newest fact that it knows; "" in events of early versions
	Until     time.Time // the instant of that fact
}

// PublishedEvent is an event as it lies in the event stream.
type PublishedEvent struct {
	Key
	Seq   uint64    // in the event stream; 0: not known
	At    time.Time // when it was published
	Event *event.Event
}

// ErrEnough ends a reading early; it is no error to whoever began it.
var ErrEnough = errors.New("enough")
