// Package values reads the kinds of values that all providers send: labels, results, document types, countries,
// dates, phone numbers. A value that cannot be read with certainty is reported as absent, never guessed. Every
// function is pure: it uses no clock, no network, no randomness and no stored state, so the same payload always
// gives the same observation and a replay can be trusted.
package values

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
)

// Percent reads "97.50%" as 0.975. Without the percent sign the range of a number is not known, so "97.50" is not
// a percentage; neither is "NA", a negative number or a number over 100.
func Percent(s string) (float64, bool) {
	digits, ok := strings.CutSuffix(strings.TrimSpace(s), "%")
	digits = strings.TrimSpace(digits)
	if !ok || digits == "" || strings.Trim(digits, "0123456789.") != "" {
		return 0, false
	}
	// The decimal exponent divides by 100 exactly: a float division would turn 99.99 into 0.9998999999999999.
	f, err := strconv.ParseFloat(digits+"e-2", 64)
	if err != nil || f > 1 {
		return 0, false
	}
	return f, true
}

// Fold converts a label for comparison: lower case, without white space, '_' and '-'.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// Ptr returns the address of a copy of v.
func Ptr[T any](v T) *T { return &v }

// Set sets m[k] to v unless v is empty; m must not be nil.
func Set(m map[string]string, k, v string) {
	if v != "" {
		m[k] = v
	}
}

// Clip cuts s to at most n bytes without splitting a character. It hides Aadhaar numbers before it cuts: the first
// digits of one that is cut could not be recognized afterwards.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	if s = event.HideAadhaar(s); len(s) <= n {
		return s
	}
	n = max(n, 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Content returns s trimmed and cut to at most n bytes; "" if it has no letter and no digit, such as the dash that
// forms contain in place of a name that a person does not have.
func Content(s string, n int) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }) {
		return ""
	}
	return Clip(strings.TrimSpace(s), n)
}

// MaxExternalReference is the length in characters that the event's schema allows.
const MaxExternalReference = 128

// ExternalReference returns the caller's own reference, or "" if it is too long for the event: a shortened
// reference would be a different one.
func ExternalReference(s string) string {
	if utf8.RuneCountInString(s) > MaxExternalReference {
		return ""
	}
	return s
}

// Maximum lengths, in bytes, to which texts of a provider are clipped: a code, and the name of a message.
const (
	MaxCode = 64
	MaxName = 128
)

// ScalarText returns the text of a string or number in a decoded document; "" for any other value.
func ScalarText(v any) string {
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

// IsBlank reports whether a text means that there is no value: "", "NA", "None" and the like.
func IsBlank(text string) bool {
	switch Fold(text) {
	case "", "na", "n/a", "none", "null", "false":
		return true
	}
	return strings.Trim(text, " -") == ""
}

// AadhaarCard is the document type whose number a mapping never returns in full.
const AadhaarCard = "in_aadhaar"

// LastFour returns only the last four digits of a number.
func LastFour(s string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
	return digits[max(0, len(digits)-4):]
}

// Unmapped makes o report that the provider sent an unknown value: never a success, never an end, and without a
// decision.
func Unmapped(o *kycbridge.Observation, raw string) {
	o.Effect, o.Status, o.StatusDetail = kycbridge.EffectProgress, event.StatusUnknown, ""
	o.Decision, o.Decisions = event.Decision{}, nil
	o.Reasons = []event.Reason{{Code: event.ReasonUnmappedStatus, ProviderCode: Clip(raw, MaxCode)}}
}

// Doubt makes o report that a decision was made whose value is unknown; stage and actor state who made it.
func Doubt(o *kycbridge.Observation, raw string, stage event.Stage, actor event.ActorType) {
	Unmapped(o, raw)
	o.Effect = kycbridge.EffectDoubt
	o.Decision = event.Decision{Outcome: event.OutcomeNone, Stage: stage, ActorType: actor}
}

// Contradiction makes o report that the decision values in its body disagree; raw contains them, stage and actor
// state whose decision they are.
func Contradiction(o *kycbridge.Observation, raw string, stage event.Stage, actor event.ActorType) {
	Doubt(o, raw, stage, actor)
	o.Reasons = []event.Reason{{Code: event.ReasonContradiction, ProviderCode: Clip(raw, MaxCode)}}
}

// StatusFrom returns the named scalars of an object for provider.status, under their own names and unchanged,
// except that long texts are clipped.
func StatusFrom(object document.Object, names ...string) map[string]any {
	status := map[string]any{}
	for _, name := range names {
		SetScalar(status, name, object[name])
	}
	return status
}

// Distinct limits the number of checks, as Fields does, and makes their ids unique: it numbers checks with the same id
// in their order.
func Distinct(checks []event.Check) []event.Check {
	checks = atMost(checks, func(c event.Check) int { return weight(c.Result) })
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

// MediaRef returns ref if it is a reference: short, and not the image itself. Else it returns field, the path of
// the image in the body.
func MediaRef(ref, field string) string {
	const longestAddress, longestPath = 2048, 512
	isAddress := strings.Contains(ref, "://")
	if len(ref) > longestAddress || !isAddress && len(ref) > longestPath || len(ref) >= 5 &&
		strings.EqualFold(ref[:5], "data:") {
		return field
	}
	return ref
}

// The phrases that state why a payload leads to no event.
const (
	IgnoredFetched   = "result is fetched"
	IgnoredType      = "type not mapped"
	IgnoredUndecided = "no decision in the body"
)

// Fetch makes o only a trigger to fetch the result.
func Fetch(o *kycbridge.Observation) {
	o.Effect, o.Ignored = kycbridge.EffectFetch, IgnoredFetched
}

// Confirm makes a decisive observation from a callback only a trigger if the account requires verdicts to be
// fetched.
func Confirm(o *kycbridge.Observation, p kycbridge.Payload, s kycbridge.Settings) {
	if s.Confirm && p.Via == event.ViaCallback && o.Effect.Decisive() {
		Fetch(o)
	}
}

// Sorted returns the keys of m in order, so that the same body always gives the same lists.
func Sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
