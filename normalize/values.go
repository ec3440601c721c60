// Package normalize maps what each provider sends into observations, one file a provider, and finds
// in a body what is needed to store it. Every function is pure: no clock, no network, no randomness
// and no memory, so the same payload always gives the same observation and a replay can be trusted.
//
// A provider has two entrances: IdentifyX, which works on any decoded JSON and never fails, and X,
// the kycbridge.Mapping. The values that all of them read (times, dates, percentages, labels) are
// parsed by the functions of this file: what they cannot read with certainty they report as absent,
// never as a guess.
package normalize

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"kycbridge"
)

// Instants outside these years are typing errors or unset fields, not times of a verification.
const (
	earliestYear = 1970
	latestYear   = 2200
)

// Limits of epoch numbers as text. Below leastEpoch a number is rather a year or a compact date
// (20260302) than a time; from leastEpochMillis on it counts milliseconds, as that many seconds lie
// beyond latestYear.
const (
	leastEpoch       = 1e8
	leastEpochMillis = 1e11
)

// instantLayouts are the RFC 3339 forms; Parse takes fractions of a second with any of them.
var instantLayouts = [...]string{
	"2006-01-02T15:04:05Z07:00",
	"2006-01-02T15:04:05",
	"2006-01-02 15:04:05Z07:00",
	"2006-01-02 15:04:05",
}

// instant reads RFC 3339 (T or a space in the middle, up to nanoseconds; without a zone it is UTC)
// and epoch seconds or milliseconds written as text. Anything else gives the zero time.
func instant(s string) time.Time {
	s = strings.TrimSpace(s)
	if seconds, ok := decimal(s); ok {
		switch {
		case seconds < leastEpoch:
			return time.Time{}
		case seconds < leastEpochMillis:
			return epochMillis(seconds * 1000)
		}
		return epochMillis(seconds)
	}
	for _, layout := range instantLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return plausible(t)
		}
	}
	return time.Time{}
}

// epochMillis reads milliseconds since 1970, exact to the microsecond; zero counts as unset.
func epochMillis(ms float64) time.Time {
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

// decimal reads an unsigned number as JSON writes it; hexadecimal, infinities and signs are refused.
func decimal(s string) (float64, bool) {
	if s == "" || s[0] < '0' || s[0] > '9' || strings.Trim(s, "0123456789.eE+") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// dateLayouts are the day forms that providers write, the ISO one first.
var dateLayouts = [...]string{time.DateOnly, "02/01/2006", "02-Jan-2006"}

// date turns YYYY-MM-DD, DD/MM/YYYY and DD-MON-YYYY into YYYY-MM-DD, if there is such a day. A year
// alone and a day without a year (0000-MM-DD) stay as they are, as OIDC allows for birthdate; a field
// that needs a whole date must ask wholeDate. Anything else gives "".
func date(s string) string {
	s = strings.TrimSpace(s)
	if len(s) == 4 && s != "0000" {
		if _, err := time.Parse("2006", s); err == nil {
			return s
		}
		return ""
	}
	for _, layout := range dateLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t.Format(time.DateOnly)
		}
	}
	return ""
}

// wholeDate is date for fields in which a year alone or a missing year means nothing: the dates of
// a document.
func wholeDate(s string) string {
	s = date(s)
	if len(s) != len(time.DateOnly) || strings.HasPrefix(s, "0000") {
		return ""
	}
	return s
}

// percent reads "97.50%" as 0.975. Without the sign the range of a number is not known, so "97.50",
// like "NA", a negative number or one over 100, is no percentage.
func percent(s string) (float64, bool) {
	digits, ok := strings.CutSuffix(strings.TrimSpace(s), "%")
	digits = strings.TrimSpace(digits)
	if !ok || digits == "" || strings.Trim(digits, "0123456789.") != "" {
		return 0, false
	}
	// The shift happens in decimal: dividing by 100 would turn 99.99 into 0.9998999999999999.
	f, err := strconv.ParseFloat(digits+"e-2", 64)
	if err != nil || f > 1 {
		return 0, false
	}
	return f, true
}

// text is a JSON scalar of whatever kind, as text: providers send the same field as a string in one
// body and as a number or boolean in the next. Null, objects and arrays are "".
type text string

// UnmarshalJSON never fails on valid JSON.
func (t *text) UnmarshalJSON(raw []byte) error {
	*t = ""
	if len(raw) == 0 {
		return nil
	}
	switch raw[0] {
	case '"':
		if plain := raw[1 : len(raw)-1]; bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
			*t = text(plain) // as it stands: most strings, and much the fastest
			return nil
		}
		var s string
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		*t = text(s)
	case '{', '[', 'n':
	default:
		*t = text(raw)
	}
	return nil
}

// fold makes labels comparable: lower case, without white space, '_' and '-'.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// ptr returns the address of a copy of v.
func ptr[T any](v T) *T { return &v }

// set puts v under k unless it is empty; m must not be nil.
func set(m map[string]string, k, v string) {
	if v != "" {
		m[k] = v
	}
}

// clip cuts s to at most n bytes without splitting a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n = max(n, 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// maxExternalReference is the length in characters that the event's schema allows.
const maxExternalReference = 128

// externalReference returns the caller's own reference, or "" where it is too long to be carried: a
// shortened reference would be another one.
func externalReference(s string) string {
	if utf8.RuneCountInString(s) > maxExternalReference {
		return ""
	}
	return s
}

// Lengths in bytes beyond which a provider's words are cut: a code, and the name of a message.
const (
	maxCode = 64
	maxName = 128
)

// errNotObject is given for what is no JSON object: no provider sends such a body.
var errNotObject = errors.New("read body: not a JSON object")

// decode reads a JSON object into v and leaves out members of another JSON kind than expected: one
// odd leaf must not cost the verdict beside it.
func decode(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) && kind.Field != "" {
		return nil
	}
	if err != nil {
		return errNotObject // the decoder's own words may quote the body
	}
	return nil
}

// scalarText is the text of a string or number of a decoded document; anything else is "".
func scalarText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case float64:
		raw, err := json.Marshal(v)
		if err != nil {
			return ""
		}
		return string(raw)
	}
	return ""
}

// aadhaarCard is the document whose number never leaves a mapping whole.
const aadhaarCard = "in_aadhaar"

// lastFour keeps the last four digits of a number and nothing else of it.
func lastFour(s string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
	return digits[max(0, len(digits)-4):]
}

// unmapped makes o say that the provider sent a value that no mapping knows: never a success, never
// an end, and nothing of a decision.
func unmapped(o *kycbridge.Observation, raw string) {
	o.Effect, o.Status, o.StatusDetail = kycbridge.EffectProgress, kycbridge.StatusUnknown, ""
	o.Decision, o.Decisions = kycbridge.Decision{}, nil
	o.Reasons = []kycbridge.Reason{{Code: kycbridge.ReasonUnmappedStatus, ProviderCode: clip(raw, maxCode)}}
}

// doubt makes o say that a decision was made whose word no mapping knows; stage and actor say whose.
func doubt(o *kycbridge.Observation, raw string, stage kycbridge.Stage, actor kycbridge.ActorType) {
	unmapped(o, raw)
	o.Effect = kycbridge.EffectDoubt
	o.Decision = kycbridge.Decision{Outcome: kycbridge.OutcomeNone, Stage: stage, ActorType: actor}
}

// distinct bounds the checks and numbers those that a provider gives one name to, in their order.
func distinct(checks []kycbridge.Check) []kycbridge.Check {
	checks = atMost(checks)
	seen := map[string]int{}
	for i := range checks {
		id := checks[i].CheckID
		for n := seen[id]; n > 0 && seen[checks[i].CheckID] > 0; n++ {
			checks[i].CheckID = id + "_" + strconv.Itoa(n+1)
			seen[id] = n + 1
		}
		seen[checks[i].CheckID]++
	}
	return checks
}

// mediaRef is ref if it is a reference: short, and not the image itself. Else it is field, the place
// in the body where the image stands.
func mediaRef(ref, field string) string {
	const longestAddress, longestPath = 2048, 512
	isAddress := strings.Contains(ref, "://")
	if len(ref) > longestAddress || !isAddress && len(ref) > longestPath || len(ref) >= 5 && strings.EqualFold(ref[:5], "data:") {
		return field
	}
	return ref
}

// The phrases that say why a payload leads to no event.
const (
	ignoredFetched   = "result is fetched"
	ignoredType      = "type not mapped"
	ignoredUndecided = "no decision in the body"
)

// fetch makes o a mere trigger.
func fetch(o *kycbridge.Observation) {
	o.Effect, o.Ignored = kycbridge.EffectFetch, ignoredFetched
}

// confirm makes a verdict that was posted to us a trigger where the account wants it fetched.
func confirm(o *kycbridge.Observation, p kycbridge.Payload, s kycbridge.Settings) {
	if s.Confirm && p.Via == kycbridge.ViaCallback && o.Effect.Decisive() {
		fetch(o)
	}
}

// statusOf keeps the fields that are there, as they are unless of an absurd length.
func statusOf(fields map[string]text) map[string]any {
	status := map[string]any{}
	for k, v := range fields {
		if v != "" {
			status[k] = clip(string(v), maxValue)
		}
	}
	return status
}
