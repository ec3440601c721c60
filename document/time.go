package document

import (
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// The plausible years of an instant; others are typing errors or unset fields.
const (
	earliestYear = 1970
	latestYear   = 2200
)

// Limits of epoch numbers. Below leastEpoch a number is more likely a year or a compact date (20260302)
// than a time; from leastEpochMillis on it counts milliseconds, as that many seconds are after latestYear.
const (
	leastEpoch       = 1e8
	leastEpochMillis = 1e11
)

// timeLayouts are the formats of an instant, the documented ones first; Parse accepts fractions of a
// second with any of them. Without a zone it is UTC.
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

// dotNetTime is the format of older .NET serializers: milliseconds, and an offset that is only for
// display.
var dotNetTime = regexp.MustCompile(`^/Date\((-?[0-9]{1,15})([+-][0-9]{4})?\)/$`)

// lowerISO is an instant of RFC 3339 with a lower-case letter.
var lowerISO = regexp.MustCompile(`^[0-9-]{10}[tT ][0-9:.]{8,}[zZ]?$`)

// Time parses the instant at a path; see ParseTime.
func (o Object) Time(path ...string) time.Time { return ParseTime(o.Text(path...)) }

// ParseTime parses an instant to UTC: RFC 3339 (T or a space in the middle, the zone with or without a
// colon, none meaning UTC), RFC 1123 in GMT or UTC, /Date(ms)/, and epoch seconds or milliseconds.
// Anything else, and a year before 1970 or after 2200, yields the zero time.
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

// knownZone reports whether the offset of t is known: an unknown zone abbreviation yields offset 0 under a
// name that is neither UTC nor GMT.
func knownZone(t time.Time) bool {
	name, offset := t.Zone()
	return offset != 0 || name == "" || name == "UTC" || name == "GMT"
}

// EpochMillis converts milliseconds since 1970, exact to the microsecond; zero counts as unset.
func EpochMillis(ms float64) time.Time {
	// The comparison is false for NaN too; the limit keeps the conversion below within int64.
	if !(ms > 0 && ms < 1e13) {
		return time.Time{}
	}
	return plausible(time.UnixMicro(int64(math.Round(ms * 1000))))
}

// plausible returns t in UTC, or the zero time if its year is implausible.
func plausible(t time.Time) time.Time {
	t = t.UTC()
	if y := t.Year(); y < earliestYear || y > latestYear {
		return time.Time{}
	}
	return t
}

// unsigned parses a JSON number without a sign.
func unsigned(s string) (float64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' || strings.Trim(s, "0123456789.eE+") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// dateLayouts are the day formats of providers, the ISO one first. A day comes before its month.
var dateLayouts = [...]string{
	time.DateOnly, "02/01/2006", "02-01-2006", "02.01.2006", "02-Jan-2006", "02 Jan 2006", "02/Jan/2006",
	"02-January-2006", "02 January 2006", "2 Jan 2006", "2 January 2006", "2006/01/02",
}

// dayWithTime is a day followed by a time, which is ignored: in ISO form, or with dots or dashes. With
// slashes it is not parsed, because common software writes the month first there.
var dayWithTime = regexp.MustCompile(
	`^([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{2}\.[0-9]{2}\.[0-9]{4}|[0-9]{2}-[0-9]{2}-[0-9]{4})[Tt ][0-9]{2}:[0-9]{2}`)

// Date parses the day at a path; see ParseDate.
func (o Object) Date(path ...string) string { return ParseDate(o.Text(path...)) }

// ParseDate parses a day to YYYY-MM-DD: ISO 8601, and day, month and year separated by '-', '/', '.' or a
// space, with the month as a number or an English word. A following time and zone are ignored if
// dayWithTime matches. Anything else, and a day that does not exist, yields "".
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
