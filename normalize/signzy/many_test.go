package signzy

import (
	"fmt"
	"testing"

	"kycbridge/event"
	"kycbridge/normalize/values"
)

// TestManyEntries puts more entries into a list than an event shows. All pass but the last, which must prevent the
// approval and be shown.
func TestManyEntries(t *testing.T) {
	element := func(result any) any {
		return map[string]any{"ElementResult": result, "ElementDiagnose": "pass", "ElementType": "blank"}
	}
	group := func(result any) any { return []any{element(result)} }
	lookUp := func(result any) any {
		return map[string]any{"api": "Registry", "response": map[string]any{"overallStatus": result}}
	}
	plain := func(v any) any { return v }
	for at, c := range map[string]struct {
		path      []string
		isList    bool
		entry     func(any) any
		good, bad any
	}{
		"chip":        {[]string{"documentIntelligence", "completeStatus", "detailsRFID"}, false, plain, "True", "False"},
		"comparisons": {[]string{"matchPercentage"}, false, plain, "100%", "0%"},
		"unread item": {[]string{"documentIntelligence", "imageQuality", "frontIdCheck"}, false, plain, true, "perhaps"},
		"failed item": {[]string{"documentIntelligence", "imageQuality", "frontIdCheck"}, false, plain, true, false},
		"groups": {[]string{"documentIntelligence", "authenticityCheck", "frontAuthenticityCheckList"}, false, group, true,
			false},
		"elements": {[]string{"documentIntelligence", "authenticityCheck", "frontAuthenticityCheckList", "photoEmbedType"},
			true, element, true, false},
		"look-ups": {[]string{"externalApiResponses"}, true, lookUp, "True", "False"},
	} {
		for _, last := range []any{c.good, c.bad} {
			journey, list, object := parse(t, clean), []any{}, map[string]any{}
			for i := range values.Most + 50 {
				list = append(list, c.entry(c.good))
				object[fmt.Sprintf("a%03d", i)] = c.entry(c.good)
			}
			list, object["zz"] = append(list, c.entry(last)), c.entry(last)
			if c.isList {
				place(journey, c.path, list)
			} else {
				place(journey, c.path, object)
			}
			o := judged(t, journey, strict)
			isGood := last == c.good
			if approved := o.Decision.Outcome == event.OutcomeApproved; approved != isGood {
				t.Errorf("%s, the last is %v: outcome %s", at, last, o.Decision.Outcome)
			}
			if shown := showsDoubt(o.Checks); shown == isGood {
				t.Errorf("%s, the last is %v: a check without success is shown: %v", at, last, shown)
			}
			if len(o.Checks) > values.Most {
				t.Errorf("%s: %d checks", at, len(o.Checks))
			}
		}
	}
}

// showsDoubt reports whether a check or a field of one has been performed without success.
func showsDoubt(checks []event.Check) bool {
	shows := false
	for _, c := range checks {
		for _, f := range c.Fields {
			shows = shows || f.Result == event.ResultFailed || f.Field == "front.zz" && f.Result == event.ResultUndetermined
		}
		shows = shows || bad(c.Result)
	}
	return shows
}
