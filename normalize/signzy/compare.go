package signzy

import (
	"cmp"
	"strconv"
	"strings"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// comparison is a member of matchPercentage: it compares the extracted data with the caller's data.
type comparison struct{ member, field, threshold string }

// documented lists the comparisons for which a policy may set a threshold.
var documented = []comparison{
	{"fullNameMatch", "name", "min_name_match"},
	{"dateOfBirthMatch", "birthdate", "min_date_of_birth_match"},
	{"documentNumberMatch", "document_number", "min_document_number_match"},
	{"addressMatch", "address", "min_address_match"},
}

// comparisonsIn lists the comparisons of a journey, the documented ones first.
func comparisonsIn(match document.Object) []comparison {
	var found []comparison
	known := map[string]bool{}
	for _, c := range documented {
		known[c.member] = true
		if _, sent := match[c.member]; sent {
			found = append(found, c)
		}
	}
	for _, member := range values.Sorted(match) {
		if !known[member] {
			field := cmp.Or(values.Snake(strings.TrimSuffix(member, "Match")), "other")
			found = append(found, comparison{member: member, field: field})
		}
	}
	return found
}

// compare judges each comparison against the account's threshold. Without a threshold, 100% passes, 0% fails
// and any other score is undetermined, which is no objection. "0%" is a real zero; "NA" means that there was
// nothing to compare with. A score that cannot be read is an objection.
func (e *evidence) compare(j document.Object) {
	match, odd := part(j, "matchPercentage")
	c := event.Check{CheckID: "match_percentage", Type: event.CheckDataMatch, ProviderCheck: "matchPercentage"}
	unread := odd
	for _, m := range comparisonsIn(match) {
		field, ok := e.compared(m, answerAt(match, m.member))
		unread = unread || !ok
		c.Fields = append(c.Fields, field)
	}
	if c.Fields == nil && !odd {
		return
	}
	switch c.Result = values.Worst(c.Fields); {
	case c.Result == event.ResultFailed:
		e.add(c, "data.mismatch")
	case unread:
		c.Result = event.ResultUndetermined
		e.add(c)
	default:
		e.note(c)
	}
}

// compared evaluates one comparison; ok is false if it cannot be read.
func (e *evidence) compared(m comparison, a answer) (f event.CheckField, ok bool) {
	f = event.CheckField{Field: m.field, Result: event.ResultUndetermined}
	score, ok := values.Percent(a.raw)
	if !ok {
		f.Result = event.ResultUndetermined
		if a.result == event.ResultNotPerformed {
			f.Result, ok = a.result, true
		}
		return f, ok
	}
	f.Score = &score
	least, set := e.policy[m.threshold]
	switch {
	case set && score >= least, !set && score == 1:
		f.Result = event.ResultPassed
	case set, score == 0:
		f.Result = event.ResultFailed
	}
	return f, true
}

// thresholdOf returns the policy's threshold for a score, to be included in the check; nil if it has none.
func (e *evidence) thresholdOf(key string) *float64 {
	bound, set := e.policy[key]
	if !set || !within(bound) {
		return nil
	}
	return &bound
}

// within reports whether f is in the range 0 to 1; it is false for NaN.
func within(f float64) bool { return f >= 0 && f <= 1 }

// percentage returns a text that values.Percent has accepted as a raw score on the provider's scale, 0 to 100.
func percentage(text string) *event.ScoreRaw {
	f, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "%")), 64)
	return &event.ScoreRaw{Value: f, Min: 0, Max: 100}
}
