package kycbridge

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"kycbridge/event"
)

// Access is one use of the admin API, of the console, or of a command that opens the store itself. It
// contains no value about a person: ids of callers, searched texts and bodies are left out.
type Access struct {
	Time           time.Time `json:"time"`      // when the record was made, UTC
	ID             string    `json:"id"`        // of the request; the records of one request share it
	By             string    `json:"by"`        // name of the token or certificate, or os: and a user of the system
	Operation      string    `json:"operation"` // such as state or export_payloads
	Provider       string    `json:"provider,omitempty"`
	Account        string    `json:"account,omitempty"`
	VerificationID string    `json:"verification_id,omitempty"`
	Filter         string    `json:"filter,omitempty"` // which payloads were selected
	Reason         string    `json:"reason,omitempty"` // stated by the caller
	Result         string    `json:"result"`           // AccessBegun, an HTTP status, or "refused: " and the missing right
	Remote         string    `json:"remote,omitempty"` // address of the client's connection
}

// AccessAge is how long a record of the access log is kept: five years, the longest usual retention requirement.
const AccessAge = 5 * 365 * 24 * time.Hour

// AccessBegun is the result in a record that is stored before the operation is done.
const AccessBegun = "begun"

// AccessQuery selects records of the access log. Zero values select all.
type AccessQuery struct {
	Since, Until   time.Time // from Since to before Until
	By             string    // the whole name
	VerificationID string    // the whole id
	Limit          int       // the number of records, the oldest first; 0: all
}

// Selects reports whether q selects a record.
func (q AccessQuery) Selects(a Access) bool {
	return (q.By == "" || q.By == a.By) && (q.VerificationID == "" || q.VerificationID == a.VerificationID) &&
		!a.Time.Before(q.Since) && (q.Until.IsZero() || a.Time.Before(q.Until))
}

// recordedFilters are the members of a filter whose values are times, numbers or words from fixed sets. by is not
// among them: whoever searches may write anything there.
var recordedFilters = []string{"via", "status", "reason", "since", "until", "limit", "from", "older_than", "dry_run",
	"confirm", "reveal", "timeline", "accept"}

// FilterWords describes a filter for the access log. Values that may be arbitrary text, such as ids
// and searched texts, are left out: a filter may be recorded before it is checked. Provider, account and verification
// are members of the record.
func FilterWords(filter map[string]any) string {
	var words []string
	for name, value := range filter {
		switch {
		case name == "provider" || name == "account" || name == "verification":
		case slices.Contains(recordedFilters, name) && isRecorded(name, value):
			words = append(words, fmt.Sprintf("%s=%v", name, value))
		default:
			words = append(words, name+"=…")
		}
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

// isRecorded reports whether a value is a word of the vocabulary, a number, an age or a time. Other text may be about a
// person.
func isRecorded(name string, value any) bool {
	text, ok := value.(string)
	if !ok {
		return true // a number, yes or no
	}
	if name == "limit" || name == "from" {
		_, err := strconv.ParseUint(text, 10, 63)
		return err == nil
	}
	if _, err := ParseAge(text); err == nil {
		return true
	}
	_, err := time.Parse(time.RFC3339, text)
	return err == nil || event.HarmlessWord(text, QuarantineMalformed)
}
