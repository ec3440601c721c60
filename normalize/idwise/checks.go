package idwise

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// results maps the results of rules and checks, folded; any other text is undetermined.
var results = map[string]event.Result{
	"passed":       event.ResultPassed,
	"failed":       event.ResultFailed,
	"undetermined": event.ResultUndetermined,
	"skipped":      event.ResultNotPerformed,
	"disabled":     event.ResultNotPerformed,
	"notreadyyet":  event.ResultNotPerformed,
}

func resultOf(word string) event.Result {
	return cmp.Or(results[values.Fold(word)], event.ResultUndetermined)
}

// kind is the check type of a rule and the reason for its failure.
type kind struct{ check, reason string }

// authenticity is the kind of the checks of a document, unless the name of the check indicates another kind.
var authenticity = kind{event.CheckDocumentAuthenticity, "document.not_authentic"}

// rules are the rules of journey flows, by folded name (https://docs.idwise.com/docs/journey-result). A
// rule that is not here becomes a private check without a reason.
var rules = map[string]kind{
	"documentvalidation":   authenticity,
	"unrecognizeddocument": {event.CheckDocumentRecognition, "document.not_recognized"},
	"proofpolicy":          {event.CheckDocumentAccepted, "document.type_not_accepted"},
	"expireddocument":      {event.CheckDocumentExpiry, "document.expired"},
	"samesubject":          {event.CheckDataConsistency, "data.inconsistent"},
	"noduplicatedocuments": {event.CheckDuplicate, "document.duplicate"},
	"noduplicateapplicant": {event.CheckDuplicate, "risk.duplicate_applicant"},
	"underage":             {event.CheckAge, "data.underage"},
	"approvednationality":  {"x_idwise_approved_nationality", "data.nationality_not_accepted"},
}

// ruleChecks adds a check for each rule except the AML rule, which amlCheck handles.
func (r result) ruleChecks(o *kycbridge.Observation, cards []card) {
	held := r.Object.Object("rule_results")
	for _, name := range values.Sorted(held) {
		rule, folded := held.Object(name), values.Fold(name)
		if rule == nil || folded == ruleAML {
			continue
		}
		kind, known := rules[folded]
		if !known {
			kind.check = "x_idwise_" + cmp.Or(values.Snake(name), "rule")
		}
		c := event.Check{
			CheckID:        "rule_results." + values.Clip(name, values.MaxCode),
			Type:           kind.check,
			Result:         resultOf(rule.Text("result")),
			Method:         values.CheckMethod(kind.check),
			DocumentIDs:    documentsOf(rule, cards),
			ProviderCheck:  values.Clip(name, values.MaxCode),
			ProviderResult: values.Clip(rule.Text("result"), values.MaxCode),
		}
		if c.Result == event.ResultFailed && kind.reason != "" {
			because(o, &c, kind.reason, c.ProviderCheck)
		}
		o.Checks = append(o.Checks, c)
	}
}

// because adds a reason why c did not pass, to the check and to the observation.
func because(o *kycbridge.Observation, c *event.Check, code, providerCode string) {
	c.Reasons = append(c.Reasons, code)
	providerCode = values.Clip(providerCode, values.MaxCode)
	o.Reasons = append(o.Reasons, event.Reason{Code: code, CheckID: c.CheckID, ProviderCode: providerCode})
}

// documentsOf lists the documents of the journey that a rule examined, each once.
func documentsOf(rule document.Object, cards []card) []string {
	var ids []string
	for _, detail := range values.AtMost(rule.Objects("details")) {
		id := values.Clip(detail.Text("reference_object", "instance_key"), values.MaxCode)
		shown := slices.ContainsFunc(cards, func(c card) bool { return c.id == id })
		if shown && detail.Text("reference_object", "object_key") == "documents" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// faceMatch returns the check of a comparison of faces, and false if nothing was compared. v is an object in
// the vendor's sample and text in the vendor's description.
func faceMatch(v any) (event.Check, bool) {
	c := event.Check{
		Type: event.CheckFaceMatch, Result: event.ResultUndetermined,
		Method: values.CheckMethod(event.CheckFaceMatch), ProviderCheck: "face_match_result",
	}
	object, isObject := v.(map[string]any)
	if !isObject {
		word := document.Text(v)
		c.Result, c.ProviderResult = resultOf(word), values.Clip(word, values.MaxCode)
		return c, word != ""
	}
	match := document.Object(object)
	if same, told := match.Bool("is_matched"); told && same {
		c.Result = event.ResultPassed
	} else if told {
		c.Result = event.ResultFailed
	}
	if score, ok := percent(match, "score"); ok {
		c.Score = values.Ptr(score / 100)
		c.ScoreRaw = &event.ScoreRaw{Value: score, Max: 100}
	}
	c.ProviderResult = values.Clip(match.Text("is_matched"), values.MaxCode)
	return c, c.ProviderResult != "" || c.Score != nil
}

// percent reads a number from 0 to 100, with or without a percent sign.
func percent(o document.Object, name string) (float64, bool) {
	score, ok := document.Number(strings.TrimSuffix(strings.TrimSpace(o.Text(name)), "%"))
	return score, ok && score >= 0 && score <= 100
}

// selfieResults maps the values of selfie.status, folded. According to the vendor, this value decides and
// is_live does not (https://developers.idwise.com).
var selfieResults = map[string]event.Result{
	"complete":   event.ResultPassed,
	"refer":      event.ResultFailed,
	"notstarted": event.ResultNotPerformed,
}

const reasonNotLive = "face.not_live"

// livenessCodes maps the liveness codes, folded (https://docs.idwise.com/docs/journey-result).
var livenessCodes = map[string]string{
	"facetooclose":      "face.badly_positioned",
	"faceclosetoborder": "face.badly_positioned",
	"facecropped":       "face.badly_positioned",
	"facetoosmall":      "face.badly_positioned",
	"faceisoccluded":    "face.occluded",
	"facenotfound":      "face.not_found",
	"toomanyfaces":      "face.multiple",
}

func (r result) liveness(o *kycbridge.Observation) {
	selfie := r.Object.Object("selfie")
	if selfie == nil {
		return
	}
	status := selfie.Text("status")
	c := event.Check{
		CheckID:        "selfie.liveness",
		Type:           event.CheckLiveness,
		Result:         cmp.Or(selfieResults[values.Fold(status)], event.ResultUndetermined),
		ProviderCheck:  "selfie",
		ProviderResult: values.Clip(status, values.MaxCode),
	}
	if c.Result == event.ResultFailed {
		raw := selfie.Text("liveness_status_code")
		code := livenessCodes[values.Fold(raw)]
		if live, told := selfie.Bool("is_live"); code == "" && told && !live {
			code = reasonNotLive
		}
		if code != "" {
			because(o, &c, code, raw)
		}
	}
	o.Checks = append(o.Checks, c)
}

// otherChecks adds the checks that the vendor documents by name only. Whether a match in a screening is good
// or bad depends on what was searched, and the content of device_intelligence is not published: both are
// undetermined.
func (r result) otherChecks(o *kycbridge.Observation) {
	screenings := r.Object.Object("screening_checks")
	for _, id := range values.Sorted(screenings) {
		for i, match := range screenings.List(id, "face_match_results") {
			c, ok := faceMatch(match)
			if !ok {
				continue
			}
			c.CheckID = "screening_checks." + values.Clip(id, values.MaxCode) + "." + strconv.Itoa(i)
			c.Type, c.Method, c.Result, c.Score = "x_idwise_screening", "", event.ResultUndetermined, nil
			c.ProviderCheck = values.Clip(id, values.MaxCode)
			o.Checks = append(o.Checks, c)
		}
	}
	if len(r.Object.Object("device_intelligence")) > 0 {
		o.Checks = append(o.Checks, event.Check{
			CheckID: "device_intelligence", Type: event.CheckDeviceRisk, Result: event.ResultUndetermined,
			ProviderCheck: "device_intelligence",
		})
	}
}
