package document

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Years of an instant that is not a typing error or an unset field.
const (
	earliestYear = 1970
	latestYear   = 2200
)

// Limits of epoch numbers. Below leastEpoch a number is rather a year or a compact date (20260302) than
// a time; from leastEpochMillis on it counts milliseconds, as that many seconds lie beyond latestYear.
const (
	leastEpoch       = 1e8
	leastEpochMillis = 1e11
)

// timeLayouts are the forms of an instant, the documented ones first; Parse takes fractions of a second
// with any of them. Without a zone it is UTC.
var timeLayouts = [...]string{
	"2006-01-02T15:04:05Z07:00",
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05",
	"2006-01-02T15:04:05-0700",
	"2006-01-02T15:04:05 -0700",
	"2006-01-02 15:04:05 -0700",
	"2006-01-02 15:04:05-0700",
	"2006-01-02 15:04:05 UTC",
	"2006-01-02 15:04:05 Z07:00",
	time.RFC1123,
	time.RFC1123Z,
	"Mon, 2 Jan 2006 15:04:05 MST",
	"Mon, 2 Jan 2006 15:04:05 -0700",
}

// dotNetTime is an instant as .NET's older serialisers write it: milliseconds, and an offset that only
// says how it was shown.
var dotNetTime = regexp.MustCompile(`^/Date\((-?[0-9]{1,15})([+-][0-9]{4})?\)/$`)

// lowerISO is an instant of RFC 3339 with a letter of it in lower case.
var lowerISO = regexp.MustCompile(`^[0-9-]{10}[tT ][0-9:.]{8,}[zZ]?$`)

// Time reads the instant at a path; see ParseTime.
func (o Object) Time(path ...string) time.Time { return ParseTime(o.Text(path...)) }

// ParseTime reads an instant in UTC: RFC 3339 (T or a space in the middle, the zone with or without a
// colon, none meaning UTC), RFC 1123 in GMT or UTC, /Date(ms)/, and epoch seconds or milliseconds.
// Anything else, and a year before 1970 or after 2200, gives the zero time.
func ParseTime(s string) time.Time {
	s = strings.TrimSpace(s)
	if lowerISO.MatchString(s) {
		s = strings.ToUpper(s) // RFC 3339 allows t and z
	}
	if found := dotNetTime.FindStringSubmatch(s); found != nil {
		s = found[1]
	}
	if n, ok := unsigned(s); ok {
		switch {
		case n < leastEpoch:
			return time.Time{}
		case n < leastEpochMillis:
			return EpochMillis(n * 1000)
		}
		return EpochMillis(n)
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil && knownZone(t) {
			return plausible(t)
		}
	}
	return time.Time{}
}

// knownZone reports whether the offset of t is known: a zone's abbreviation that is not gives offset 0
// under a name that is neither UTC nor GMT.
func knownZone(t time.Time) bool {
	name, offset := t.Zone()
	return offset != 0 || name == "" || name == "UTC" || name == "GMT"
}

// EpochMillis reads milliseconds since 1970, exact to the microsecond; zero counts as unset.
func EpochMillis(ms float64) time.Time {
	// The comparison is false for NaN too; the bound keeps the conversion below within int64.
	if !(ms > 0 && ms < 1e13) {
		return time.Time{}
	}
	return plausible(time.UnixMicro(int64(math.Round(ms * 1000))))
}

// plausible returns t in UTC, or the zero time if its year cannot be that of a verification.
func plausible(t time.Time) time.Time {
	t = t.UTC()
	if y := t.Year(); y < earliestYear || y > latestYear {
		return time.Time{}
	}
	return t
}

// unsigned reads a number without a sign as JSON writes it.
func unsigned(s string) (float64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' || strings.Trim(s, "0123456789.eE+") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// dateLayouts are the day forms that providers write, the ISO one first. A day comes before its month.
var dateLayouts = [...]string{
	time.DateOnly, "02/01/2006", "02-01-2006", "02.01.2006", "02-Jan-2006", "02 Jan 2006", "02/Jan/2006",
	"02-January-2006", "02 January 2006", "2 Jan 2006", "2 January 2006", "2006/01/02",
}

// dayWithTime is a day with a time behind it, of which only the day is meant: in ISO form, or with dots or
// dashes. With slashes it is left unread, because common software writes the month first there.
var dayWithTime = regexp.MustCompile(
	`^([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}\.[0-9]{2}\.[0-9]{4}|[0-9]{2}-[0-9]{2}-[0-9]{4})[Tt ][0-9]{2}:[0-9]{2}`)

// Date reads the day at a path; see ParseDate.
func (o Object) Date(path ...string) string { return ParseDate(o.Text(path...)) }

// ParseDate reads a day as YYYY-MM-DD: ISO 8601, and day, month and year separated by '-', '/', '.' or a
// space, with the month as a number or an English word. A time and zone behind it are passed over where
// dayWithTime knows the form. Anything else, and a day that no calendar has, gives "".
func ParseDate(s string) string {
	s = strings.TrimSpace(s)
	if found := dayWithTime.FindStringSubmatch(s); found != nil {
		s = found[1]
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(time.DateOnly)
		}
	}
	return ""
}
