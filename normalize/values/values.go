// Package values reads the values that all providers write: labels, words of results, document types,
// countries, dates, phone numbers. What cannot be read with certainty is reported as absent, never as a
// guess. Every function is pure: no clock, no network, no randomness and no memory, so the same payload
// always gives the same observation and a replay can be trusted.
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

// Percent reads "97.50%" as 0.975. Without the sign the range of a number is not known, so "97.50",
// like "NA", a negative number or one over 100, is no percentage.
func Percent(s string) (float64, bool) {
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

// Fold makes labels comparable: lower case, without white space, '_' and '-'.
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

// Set puts v under k unless it is empty; m must not be nil.
func Set(m map[string]string, k, v string) {
	if v != "" {
		m[k] = v
	}
}

// Clip cuts s to at most n bytes without splitting a character.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n = max(n, 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// MaxExternalReference is the length in characters that the event's schema allows.
const MaxExternalReference = 128

// ExternalReference returns the caller's own reference, or "" where it is too long to be carried: a
// shortened reference would be another one.
func ExternalReference(s string) string {
	if utf8.RuneCountInString(s) > MaxExternalReference {
		return ""
	}
	return s
}

// Lengths in bytes beyond which a provider's words are cut: a code, and the name of a message.
const (
	MaxCode = 64
	MaxName = 128
)

// ScalarText is the text of a string or number of a decoded document; anything else is "".
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

// AadhaarCard is the document whose number never leaves a mapping whole.
const AadhaarCard = "in_aadhaar"

// LastFour keeps the last four digits of a number and nothing else of it.
func LastFour(s string) string {
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
	return digits[max(0, len(digits)-4):]
}

// Unmapped makes o say that the provider sent a value that no mapping knows: never a success, never
// an end, and nothing of a decision.
func Unmapped(o *kycbridge.Observation, raw string) {
	o.Effect, o.Status, o.StatusDetail = kycbridge.EffectProgress, event.StatusUnknown, ""
	o.Decision, o.Decisions = event.Decision{}, nil
	o.Reasons = []event.Reason{{Code: event.ReasonUnmappedStatus, ProviderCode: Clip(raw, MaxCode)}}
}

// Doubt makes o say that a decision was made whose word no mapping knows; stage and actor say whose.
func Doubt(o *kycbridge.Observation, raw string, stage event.Stage, actor event.ActorType) {
	Unmapped(o, raw)
	o.Effect = kycbridge.EffectDoubt
	o.Decision = event.Decision{Outcome: event.OutcomeNone, Stage: stage, ActorType: actor}
}

// Contradiction makes o say that the decision words of its body disagree; raw names them, stage and
// actor say whose words they are.
func Contradiction(o *kycbridge.Observation, raw string, stage event.Stage, actor event.ActorType) {
	Doubt(o, raw, stage, actor)
	o.Reasons = []event.Reason{{Code: event.ReasonContradiction, ProviderCode: Clip(raw, MaxCode)}}
}

// StatusFrom keeps scalars of an object for provider.status under their own names, as they are unless
// of an absurd length.
func StatusFrom(object document.Object, names ...string) map[string]any {
	status := map[string]any{}
	for _, name := range names {
		SetScalar(status, name, object[name])
	}
	return status
}

// Distinct bounds the checks and numbers those that a provider gives one name to, in their order.
func Distinct(checks []event.Check) []event.Check {
	checks = AtMost(checks)
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

// MediaRef is ref if it is a reference: short, and not the image itself. Else it is field, the place
// in the body where the image stands.
func MediaRef(ref, field string) string {
	const longestAddress, longestPath = 2048, 512
	isAddress := strings.Contains(ref, "://")
	if len(ref) > longestAddress || !isAddress && len(ref) > longestPath || len(ref) >= 5 &&
		strings.EqualFold(ref[:5], "data:") {
		return field
	}
	return ref
}

// The phrases that say why a payload leads to no event.
const (
	IgnoredFetched   = "result is fetched"
	IgnoredType      = "type not mapped"
	IgnoredUndecided = "no decision in the body"
)

// Fetch makes o a mere trigger.
func Fetch(o *kycbridge.Observation) {
	o.Effect, o.Ignored = kycbridge.EffectFetch, IgnoredFetched
}

// Confirm makes a verdict that was posted to us a trigger where the account wants it fetched.
func Confirm(o *kycbridge.Observation, p kycbridge.Payload, s kycbridge.Settings) {
	if s.Confirm && p.Via == event.ViaCallback && o.Effect.Decisive() {
		Fetch(o)
	}
}

// Sorted gives the keys of m in order, so that the same body always gives the same lists.
func Sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
