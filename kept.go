package kycbridge

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"kycbridge/event"
)

// Shelf is the stream of a stored payload.
type Shelf string

// The shelves.
const (
	ShelfPayloads   Shelf = "payloads"   // the payload log: accepted
	ShelfQuarantine Shelf = "quarantine" // authentic, and could not be processed
	ShelfRefused    Shelf = "refused"    // failed authentication
)

// Kept is a stored payload with everything that was stored with it.
type Kept struct {
	Payload
	Shelf   Shelf        // where it is stored
	Seq     uint64       // sequence in its stream: identifies this copy
	Size    int          // of the body in bytes, also if the body was not read
	Key     string       // name of the key of an encrypted body; "": it is not encrypted
	Unread  string       // page of keys that does not open, so that the body could not be decrypted; "": the page opens
	Reason  string       // of quarantine
	Errors  []FieldError // of quarantine; none if the list was too long to store
	Request *Request     // of a refused one: the data needed to authenticate it again
}

// Disposition is the result of processing a stored payload.
type Disposition struct {
	Seq      uint64     // of the payload in the payload log
	Revision int        // of the event that it led to; 0: none
	Why      string     // why it led to no event: a NoEvent or a Disposition constant
	New      []NewValue // that the provider's schema does not know

	// Sequences are assigned again if a log has lost messages or was restored. These fields identify the
	// payload of the sequence; entries of early versions do not have them.
	Mark         uint64    // PayloadMark of its id; 0: not known
	StoredAt     time.Time // when it was stored, to the second
	Verification string    // VerificationMark of its verification
	At           time.Time // when this was recorded
}

// Of reports whether d is about a payload with this id that was received at this time. An entry without a
// mark is, unless it was recorded before the payload was received; clocks may differ by a minute.
func (d Disposition) Of(id string, receivedAt time.Time) bool {
	if d.Mark != 0 {
		return d.Mark == PayloadMark(id)
	}
	return !d.At.Before(receivedAt.Add(-time.Minute))
}

// OfStored reports whether d is about the payload that was stored at its sequence at this time.
func (d Disposition) OfStored(at time.Time) bool {
	switch {
	case d.Mark == MarkUnknown:
		return false
	case d.StoredAt.IsZero():
		return !d.At.Before(at.Add(-time.Minute))
	}
	return d.StoredAt.Unix() == at.Unix()
}

// PayloadMark is a number that replaces a payload id where ids are not allowed.
func PayloadMark(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return max(binary.BigEndian.Uint64(sum[:8]), 1)
}

// MarkUnknown is the mark in the disposition of a payload of which only the sequence is known. No existing
// payload has this mark.
const MarkUnknown = 1

// VerificationMark is a prefix of a verification id: long enough to find the verification.
func VerificationMark(id string) string { return id[:min(len(id), len("00000000-0000-5000"))] }

// Why a payload led to no event, for reasons outside of the lifecycle.
const (
	DispositionQuarantined = "quarantined" // it was accepted and could not be mapped
	DispositionDamaged     = "damaged"     // its bytes were damaged in the store
	DispositionForeign     = "foreign"     // it was written by another program
	DispositionRefetched   = "asked again" // it is lost, and its result was requested from the provider again
)

// KeptQuery selects stored payloads. Empty fields match everything.
type KeptQuery struct {
	Shelf          Shelf // empty: the payload log
	Provider       string
	Account        string
	VerificationID string
	Reason         string    // quarantine reason
	Since          time.Time // stored at or after
	From           uint64    // first sequence
	HeadersOnly    bool      // omit the bodies
	Unread         bool      // pass payloads whose bodies cannot be decrypted at present too; otherwise an error
}

// Position is the progress of the Normalizer in the payload log.
type Position struct {
	Floor   uint64 // every payload up to this sequence is processed
	Last    uint64 // the newest sequence
	Pending int    // unprocessed payloads
	Whole   bool   // no message has expired or was removed
}

// Count is the number of sequences of h.
func (h Held) Count() uint64 {
	if h.Last < h.First || h.Last == 0 {
		return 0
	}
	return h.Last - h.First + 1
}

// Content is the kind of messages in a stream.
type Content string

// The contents of streams in which gaps indicate a loss.
const (
	ContentPayloads     Content = "payloads"
	ContentQuarantine   Content = "quarantine"
	ContentDispositions Content = "dispositions"
	ContentEvents       Content = "events"
)

// Range is an interval of sequences: the first and the last.
type Range [2]uint64

// Held is the content of a stream as its server reports it.
type Held struct {
	Stream      string        // its name
	Content     Content       // what its messages are
	First, Last uint64        // sequences
	Gone        []uint64      // sequences between them without a message
	Age         time.Duration // after which messages expire; 0: never
	Bounded     bool          // the oldest may have been dropped because of the size limit
}

// Tombstone records that a verification was erased, without personal data.
type Tombstone struct {
	Provider       string    `json:"provider"`
	Account        string    `json:"account"`
	VerificationID string    `json:"verification_id"`
	At             time.Time `json:"at"`       // when it was erased
	Payloads       int       `json:"payloads"` // number of erased messages of each kind
	Quarantined    int       `json:"quarantined"`
	Refused        int       `json:"refused"`
	Events         int       `json:"events"`
	Watches        int       `json:"watches"`
	// Revision is the newest one that was erased, now or earlier; 0: none, or not recorded. A later history goes on
	// from it, so that consumers who remember it do not take the new one for old.
	Revision int `json:"revision,omitempty"`
	// Marks identify the erased payloads of the log, so that repetitions are recognized.
	Marks Marks `json:"marks,omitempty"`
	// Unfinished: the erasure is going on, was interrupted, or could not erase everything.
	Unfinished bool `json:"unfinished,omitempty"`
}

// Erased is the number of erased messages.
func (t Tombstone) Erased() int { return t.Payloads + t.Quarantined + t.Refused + t.Events + t.Watches }

// Plus is t with the numbers of an earlier attempt, which did not finish the erasure.
func (t Tombstone) Plus(earlier Tombstone) Tombstone {
	t.Payloads += earlier.Payloads
	t.Quarantined += earlier.Quarantined
	t.Refused += earlier.Refused
	t.Events += earlier.Events
	t.Watches += earlier.Watches
	return t
}

// Following is t as it is stored in place of an earlier tombstone of the same verification: what was erased before
// remains known.
func (t Tombstone) Following(earlier Tombstone) Tombstone {
	t.Revision = max(t.Revision, earlier.Revision)
	t.Marks = earlier.Marks.join(t.Marks)
	return t
}

// Marks identify payloads by body and id without naming a person: digests of 64 bits, in hexadecimal,
// concatenated.
type Marks string

// maxMarks limits the marks of one verification in a tombstone; the oldest are dropped first. Each has markSize bytes.
const (
	maxMarks = 4096
	markSize = 16
)

// Add returns m with the mark of p.
func (m Marks) Add(p Payload) Marks {
	return (m + markOf(p.ID, p.Digest)).newest()
}

// newest are the marks that fit into a tombstone.
func (m Marks) newest() Marks { return m[max(0, len(m)-maxMarks*markSize):] }

// join returns m with those marks of more that it does not contain.
func (m Marks) join(more Marks) Marks {
	known := map[Marks]bool{}
	for rest := m; len(rest) >= markSize; rest = rest[markSize:] {
		known[rest[:markSize]] = true
	}
	for ; len(more) >= markSize; more = more[markSize:] {
		if one := more[:markSize]; !known[one] {
			m += one
		}
	}
	return m.newest()
}

func markOf(id, digest string) Marks { return Marks(fmt.Sprintf("%016x", PayloadMark(id+" "+digest))) }

// has reports whether m contains a mark.
func (m Marks) has(one Marks) bool {
	for ; len(m) >= markSize; m = m[markSize:] {
		if m[:markSize] == one {
			return true
		}
	}
	return false
}

// Holds reports whether p repeats one of the erased payloads. In quarantine it had the id of its body, whatever id the
// body names.
func (t *Tombstone) Holds(p Payload) bool {
	quarantined := PayloadID(p.Provider, p.Account, "", p.Digest)
	return t.Marks.has(markOf(p.ID, p.Digest)) || t.Marks.has(markOf(quarantined, p.Digest))
}

// EventMeta is a published event without its body.
type EventMeta struct {
	Key
	Seq  uint64     // in the event stream
	ID   string     // of the event
	Kind event.Kind // updated, completed or closed
	At   time.Time  // when it was published

	PayloadID string    // of the newest fact in it; "" in events of early versions
	Until     time.Time // the instant of that fact
}

// PublishedEvent is an event as it is stored in the event stream.
type PublishedEvent struct {
	Key
	Seq   uint64    // in the event stream; 0: not known
	At    time.Time // when it was published
	Event *event.Event
}

// ErrEnough stops a read early; the reading function returns no error then.
var ErrEnough = errors.New("enough")
