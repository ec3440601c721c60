package values

import (
	"strings"
	"time"

	"kycbridge/document"
	"kycbridge/event"
)

// Years within which a date of identity data can lie (docs/consume.md).
const (
	earliestBirth    = 1900
	earliestDocument = 1950
	latestExpiry     = 2100
)

// Dates reads the dates of one payload. A date that is present but cannot be read, or cannot be true, is left
// out and recorded in Unread under the name of its field. Dates are never guessed.
type Dates struct {
	Unread Unread
	today  time.Time
}

// NewDates returns a reader of the dates in a payload that arrived at received; with the zero time, future
// dates are accepted.
func NewDates(received time.Time) *Dates { return &Dates{today: received} }

// Birth reads a date of birth: YYYY-MM-DD, a year alone, or a day without its year as 0000-MM-DD, as
// OIDC allows. A year with a month is reduced to the year.
func (d *Dates) Birth(s string) string { return d.BirthOf("birthdate", s) }

// BirthOf is like Birth, for a field with another name.
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

// Agreed reads a date that may be given more than once. If two texts are different dates, neither is preferred: the
// field is left out and recorded. A year agrees with a date in it, and a further text that cannot be read contradicts
// nothing.
func (d *Dates) Agreed(field string, read func(*Dates, string) string, texts ...string) string {
	value, further := "", Dates{today: d.today}
	for _, text := range texts {
		if strings.TrimSpace(text) == "" {
			continue
		}
		if value == "" {
			if value = read(d, text); value == "" {
				return ""
			}
			continue
		}
		other := read(&further, text)
		if !strings.HasPrefix(value, other) && !strings.HasPrefix(other, value) {
			d.Unread.Add(field)
			return ""
		}
	}
	return value
}

// latest returns the day on which the payload arrived plus some days, because time zones east of UTC are ahead.
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

// within returns a day or a year that is within the bounds; any other value is recorded as unread.
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

// Unread lists fields that are present in a payload but could not be read.
type Unread []string

// Add records a field once.
func (u *Unread) Add(field string) {
	for _, known := range *u {
		if known == field {
			return
		}
	}
	*u = append(*u, field)
}

// AddTo adds the unread fields as undetermined fields to the check data_extraction. If checks does not contain
// that check, AddTo appends it. If every field was read, it returns checks unchanged.
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
