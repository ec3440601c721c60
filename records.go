package kycbridge

import (
	"errors"
	"fmt"
	"time"
)

// ErrRecordsLost means that records are lost without which nothing may be erased or imported: holds, or who was erased.
var ErrRecordsLost = errors.New("records lost")

// LostRecords are records at the end of a stream that are lost: the stream was damaged, deleted, or replaced by an
// older copy. Nothing is erased or imported until an operator accepts the loss.
type LostRecords struct {
	Stream  string    `json:"stream"`     // its name
	Reached uint64    `json:"reached"`    // the highest sequence that the stream is known to have reached
	Last    uint64    `json:"last"`       // the last of these sequences that remained
	At      time.Time `json:"noticed_at"` // when the loss was noticed
}

// String is l as text.
func (l LostRecords) String() string {
	return fmt.Sprintf("%s: its messages from %d to %d are lost, noticed at %s", l.Stream, l.Last+1, l.Reached,
		l.At.UTC().Format(time.RFC3339))
}

// LostRecordsError is the error of an erasure or an import after a loss that nobody has accepted.
type LostRecordsError struct{ Lost LostRecords }

// Error names the stream, and the command that accepts the loss.
func (e *LostRecordsError) Error() string {
	return "records are lost (" + e.Lost.String() + "): nothing is erased or imported before " +
		"`kycbridge payloads report --accept`"
}

// Unwrap makes it an ErrRecordsLost.
func (e *LostRecordsError) Unwrap() error { return ErrRecordsLost }
