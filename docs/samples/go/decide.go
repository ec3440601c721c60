package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// event is what this consumer needs of an event.
type event struct {
	ID           string    `json:"id"`
	RestoredTime time.Time `json:"restoredtime"` // zero: no events were ever lost
	Data         struct {
		VerificationID    string `json:"verification_id"`
		Revision          int    `json:"revision"`
		Environment       string `json:"environment"`
		ExternalReference string `json:"external_reference"`
		Decision          struct {
			Outcome string `json:"outcome"`
			Final   bool   `json:"final"`
		} `json:"decision"`
	} `json:"data"`
}

// accepted is the rule.
func (e event) accepted() bool {
	return e.Data.Decision.Outcome == "approved" && e.Data.Decision.Final
}

// The action for an event.
const (
	skip  = "skip"  // already processed, or of another environment
	admit = "admit" // the person may be admitted
	hold  = "hold"  // not approved, not yet, or not any more
)

// decide returns the action for e. handled is the row of its verification, empty if there is none.
// An old revision never overwrites a newer one, and a repeated one does nothing. An event after a loss
// is newer than every event before it, whatever its revision.
func decide(handled row, environment string, e event) string {
	later := e.RestoredTime.Compare(handled.Restored)
	switch {
	case e.Data.Environment != environment || later < 0 || later == 0 && e.Data.Revision <= handled.Revision:
		return skip
	case e.accepted():
		return admit
	}
	return hold
}

// book remembers what was handled: one row a verification. It is a file here and a table of yours in
// life; what you do about an event belongs into the same transaction as its row.
type book struct {
	file *os.File
	rows map[string]row
}

type row struct {
	VerificationID string    `json:"verification_id"`
	Revision       int       `json:"revision"`
	Action         string    `json:"action"`
	Restored       time.Time `json:"restored,omitzero"`
}

// openBook reads what was committed before. A last line that a power cut left in half never was.
func openBook(path string) (*book, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	b := &book{file: file, rows: map[string]row{}}
	whole, lines := int64(0), bufio.NewReader(file)
	for line, err := lines.ReadBytes('\n'); err == nil; line, err = lines.ReadBytes('\n') {
		var r row
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		b.rows[r.VerificationID] = r
		whole += int64(len(line))
	}
	if err := file.Truncate(whole); err != nil {
		return nil, err
	}
	_, err = file.Seek(whole, 0)
	return b, err
}

// handle decides about an event and commits the decision once. When it returns without an error, the event
// may be acknowledged.
func (b *book) handle(environment string, body []byte) (r row, err error) {
	var e event
	if err := json.Unmarshal(body, &e); err != nil || e.Data.VerificationID == "" {
		return row{}, errNoEvent
	}
	r = row{e.Data.VerificationID, e.Data.Revision, decide(b.rows[e.Data.VerificationID], environment, e), e.RestoredTime}
	if r.Action == skip {
		return r, nil
	}
	line, err := json.Marshal(r)
	if err != nil {
		return r, err
	}
	if _, err := b.file.Write(append(line, '\n')); err != nil {
		return r, err
	}
	if err := b.file.Sync(); err != nil {
		return r, err
	}
	b.rows[r.VerificationID] = r
	return r, nil
}
