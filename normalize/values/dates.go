package values

import (
	"strings"
	"time"

	"kycbridge/document"
	"kycbridge/event"
)

// Years within which a date of identity data can lie (EVENT section 2).
const (
	earliestBirth    = 1900
	earliestDocument = 1950
	latestExpiry     = 2100
)

// Dates reads the dates of one payload. What is given and cannot be read, or cannot be true, is left
// out and noted in Unread under the name of its field: never guessed.
type Dates struct {
	Unread Unread
	today  time.Time
}

// NewDates returns a reader of the dates in a payload that came at received; the zero time lets every
// date lie ahead.
func NewDates(received time.Time) *Dates { return &Dates{today: received} }

// Birth reads a date of birth: YYYY-MM-DD, a year alone, or a day without its year as 0000-MM-DD, as
// OIDC allows. A year with a month becomes the year.
func (d *Dates) Birth(s string) string { return d.BirthOf("birthdate", s) }

// BirthOf is Birth for a field of another name.
func (d *Dates) BirthOf(field, s string) string {
	s = strings.TrimSpace(s)
	if year, ok := yearOf(s); ok {
		return d.within(field, year, earliestBirth, d.latest(0))
	}
	if day := document.ParseDate(s); strings.HasPrefix(day, "0000-") {
		return day
	}
	return d.day(field, s, earliestBirth, d.latest(0))
}

// Issue reads the date on which a document was issued.
func (d *Dates) Issue(s string) string {
	return d.day("date_of_issuance", s, earliestDocument, d.latest(1))
}

// Expiry reads the last day on which a document is valid.
func (d *Dates) Expiry(s string) string {
	return d.day("date_of_expiry", s, earliestDocument, time.Date(latestExpiry, 12, 31, 0, 0, 0, 0, time.UTC))
}

// latest is the day on which the payload came, and some days more: a clock east of ours is ahead.
func (d *Dates) latest(days int) time.Time {
	if d.today.IsZero() {
		return time.Date(latestExpiry, 12, 31, 0, 0, 0, 0, time.UTC)
	}
	return d.today.UTC().AddDate(0, 0, days)
}

func (d *Dates) day(field, s string, earliest int, latest time.Time) string {
	if strings.TrimSpace(s) == "" {
		return ""
	}
	return d.within(field, document.ParseDate(s), earliest, latest)
}

// within returns a day or a year that lies between the bounds; any other is noted as unread.
func (d *Dates) within(field, day string, earliest int, latest time.Time) string {
	for _, layout := range []string{time.DateOnly, "2006"} {
		t, err := time.Parse(layout, day)
		if err == nil && t.Year() >= earliest && !t.After(latest) {
			return day
		}
	}
	d.Unread.Add(field)
	return ""
}

// yearOf reads YYYY and YYYY-MM.
func yearOf(s string) (year string, ok bool) {
	for _, layout := range []string{"2006", "2006-01"} {
		if t, err := time.Parse(layout, s); err == nil && t.Year() > 0 {
			return s[:4], true
		}
	}
	return "", false
}

// Unread lists fields that a payload gives and that could not be read.
type Unread []string

// Add notes a field.
func (u *Unread) Add(field string) {
	for _, known := range *u {
		if known == field {
			return
		}
	}
	*u = append(*u, field)
}

// AddTo tells the unread fields as undetermined fields of the check data_extraction: of the one among
// checks, or of one of its own. It returns checks as it is where everything was read.
func (u Unread) AddTo(checks []event.Check) []event.Check {
	if len(u) == 0 {
		return checks
	}
	at := len(checks)
	for i, c := range checks {
		if c.Type == event.CheckDataExtraction {
			at = i
			break
		}
	}
	if at == len(checks) {
		checks = append(checks, event.Check{
			CheckID: event.CheckDataExtraction, Type: event.CheckDataExtraction, Result: event.ResultUndetermined,
		})
	}
	c := &checks[at]
	for _, field := range u {
		c.Fields = append(c.Fields, event.CheckField{Field: field, Result: event.ResultUndetermined})
	}
	if c.Result == event.ResultPassed || c.Result == event.ResultNotPerformed {
		c.Result = event.ResultUndetermined
	}
	return checks
}
