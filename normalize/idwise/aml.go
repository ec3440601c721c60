package idwise

import (
	"cmp"
	"slices"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// ruleAML is the folded name of the rule whose details are in the aml object.
const ruleAML = "noamlrecords"

// datasets maps the lists of AML matches, folded, to reasons. Every other list is a watch list. Relatives and
// associates have a list of their own, which the vendor names in the plural (aml.md in
// https://github.com/idwise/idwise.github.io).
var datasets = map[string]string{
	"politicallyexposedperson":           "aml.pep",
	"linkedtoapoliticallyexposedpersons": "aml.pep",
	"linkedtoapoliticallyexposedperson":  "aml.pep",
	"sanctions":                          "aml.sanctions",
	"adversemedia":                       "aml.adverse_media",
}

const reasonWatchlist = "aml.watchlist"

// amlRule returns the AML rule, nil if the result has none.
func (r result) amlRule() document.Object {
	rules := r.Object.Object("rule_results")
	for _, name := range values.Sorted(rules) {
		if values.Fold(name) == ruleAML {
			return rules.Object(name)
		}
	}
	return nil
}

// amlCheck combines the AML rule and the search that it is based on. A search that did not take place has not
// passed, whatever the result of the rule is. The score of a match is the similarity of the match, so it goes
// into the details and is no score of the check. Names, aliases, addresses and notes of the listed persons are
// left out.
func (r result) amlCheck(o *kycbridge.Observation, cards []card) {
	rule, aml := r.amlRule(), r.Object.Object("aml")
	if rule == nil && aml == nil {
		return
	}
	c := event.Check{
		CheckID:        "aml",
		Type:           event.CheckAML,
		Result:         amlResult(rule, aml),
		DocumentIDs:    documentsOf(rule, cards),
		ProviderCheck:  "no_aml_records",
		ProviderResult: values.Clip(cmp.Or(rule.Text("result"), aml.Text("applicability")), values.MaxCode),
	}
	lists := amlDetails(&c, aml.Objects("matches"))
	if c.Result == event.ResultFailed || c.Result == event.ResultWarning {
		for _, list := range lists {
			code := cmp.Or(datasets[values.Fold(list)], reasonWatchlist)
			if !slices.Contains(c.Reasons, code) {
				because(o, &c, code, list)
			}
		}
	}
	o.Checks = append(o.Checks, c)
}

// amlResult returns the result of the rule, if it exists and a search took place. Matches without a rule are a
// warning; only an empty list of them means that nothing was found.
func amlResult(rule, aml document.Object) event.Result {
	ruled, applicability := resultOf(rule.Text("result")), aml.Text("applicability")
	matches, listed := aml.Value("matches").([]any)
	switch {
	case rule != nil && ruled == event.ResultFailed:
		return ruled
	case applicability != "" && values.Fold(applicability) != "applicable":
		return resultOf(applicability)
	case rule != nil:
		return ruled
	case len(matches) > 0:
		return event.ResultWarning
	case applicability == "", !listed:
		return event.ResultUndetermined
	}
	return event.ResultPassed
}

// amlDetails writes the details of the matches that an event may contain into c and returns the lists that
// contain the matches, each once.
func amlDetails(c *event.Check, matches []document.Object) []string {
	if len(matches) == 0 {
		return nil
	}
	named := map[string]bool{}
	var scores []float64
	for _, match := range matches {
		if score, ok := match.Number("score"); ok {
			scores = append(scores, score)
		}
		for _, list := range match.List("datasets") {
			if name := values.Clip(document.Text(list), values.MaxCode); name != "" {
				named[name] = true
			}
		}
	}
	lists := values.Sorted(named)
	c.Details = map[string]any{"match_count": len(matches)}
	if scores != nil {
		c.Details["match_scores"] = values.AtMost(scores)
	}
	if lists != nil {
		c.Details["datasets"] = values.AtMost(lists)
	}
	return lists
}
