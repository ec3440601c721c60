package signzy

import (
	"strconv"
	"strings"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// comparison is a member of matchPercentage, which compares what was read with what the caller knows.
type comparison struct{ member, field, threshold string }

// documented are the comparisons that a policy may have a threshold for.
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
			found = append(found, comparison{member: member, field: values.Snake(strings.TrimSuffix(member, "Match"))})
		}
	}
	return values.AtMost(found)
}

// compare judges each comparison: against the account's threshold if there is one, else only the two
// ends of the scale speak for themselves. "0%" is a real zero, "NA" means nothing to compare with. What
// lies between is left to a threshold; what cannot be read speaks against the person.
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

// compared is one comparison; ok is false where it cannot be read.
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

// thresholdOf is what a policy asks of a score, for the check that has it; nil: nothing.
func (e *evidence) thresholdOf(key string) *float64 {
	bound, set := e.policy[key]
	if !set || !within(bound) {
		return nil
	}
	return &bound
}

// within reports whether f lies in 0 to 1; NaN does not.
func within(f float64) bool { return f >= 0 && f <= 1 }

// percentage is a text that values.Percent has read, as the provider counts.
func percentage(text string) *event.ScoreRaw {
	f, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(text), "%")), 64)
	return &event.ScoreRaw{Value: f, Min: 0, Max: 100}
}
