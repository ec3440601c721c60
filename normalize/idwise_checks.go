package normalize

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"kycbridge"
)

// idwiseResults are the words for results of rules and checks, folded; any other word is undetermined.
var idwiseResults = map[string]kycbridge.Result{
	"passed":       kycbridge.ResultPassed,
	"failed":       kycbridge.ResultFailed,
	"undetermined": kycbridge.ResultUndetermined,
	"skipped":      kycbridge.ResultNotPerformed,
	"disabled":     kycbridge.ResultNotPerformed,
	"notreadyyet":  kycbridge.ResultNotPerformed,
}

func idwiseCheckResult(word text) kycbridge.Result {
	return cmp.Or(idwiseResults[fold(string(word))], kycbridge.ResultUndetermined)
}

// idwiseKind is the check that a rule is and the reason that it gives when it fails.
type idwiseKind struct{ check, reason string }

// idwiseRules are the rules of journey flows (https://docs.idwise.com/docs/journey-result). A rule
// that is not here becomes a private check without a reason.
var idwiseRules = map[string]idwiseKind{
	"document_validation":    {kycbridge.CheckDocumentAuthenticity, "document.not_authentic"},
	"unrecognized_document":  {kycbridge.CheckDocumentRecognition, "document.not_recognized"},
	"proof_policy":           {kycbridge.CheckDocumentAccepted, "document.type_not_accepted"},
	"expired_document":       {kycbridge.CheckDocumentExpiry, "document.expired"},
	"same_subject":           {kycbridge.CheckDataConsistency, "data.inconsistent"},
	"no_duplicate_documents": {kycbridge.CheckDuplicate, "document.duplicate"},
	"no_duplicate_applicant": {kycbridge.CheckDuplicate, "risk.duplicate_applicant"},
	"under_age":              {kycbridge.CheckAge, "data.underage"},
	"approved_nationality":   {"x_idwise_approved_nationality", "data.nationality_not_accepted"},
}

// idwiseAMLRule has a check of its own: what it means stands in the aml object.
const idwiseAMLRule = "no_aml_records"

func (j *idwiseJourney) ruleChecks(o *kycbridge.Observation) {
	for _, name := range sorted(j.Rules) {
		if name == idwiseAMLRule {
			continue
		}
		rule := j.Rules[name]
		kind, known := idwiseRules[name]
		if !known {
			kind.check = "x_idwise_" + cmp.Or(snake(name), "rule")
		}
		c := kycbridge.Check{
			CheckID:        "rule_results." + clip(name, maxCode),
			Type:           kind.check,
			Result:         idwiseCheckResult(rule.Result),
			Method:         checkMethod(kind.check),
			DocumentIDs:    j.documentsOf(rule),
			ProviderCheck:  clip(name, maxCode),
			ProviderResult: clip(string(rule.Result), maxCode),
		}
		if c.Result == kycbridge.ResultFailed && kind.reason != "" {
			because(o, &c, kind.reason, c.ProviderCheck)
		}
		o.Checks = append(o.Checks, c)
	}
}

// because notes why c did not pass, in the check and in the observation.
func because(o *kycbridge.Observation, c *kycbridge.Check, code, providerCode string) {
	c.Reasons = append(c.Reasons, code)
	o.Reasons = append(o.Reasons, kycbridge.Reason{Code: code, CheckID: c.CheckID, ProviderCode: clip(providerCode, maxCode)})
}

// documentsOf lists the documents of the journey that a rule looked at, each once.
func (j *idwiseJourney) documentsOf(rule idwiseRule) []string {
	var ids []string
	for _, detail := range rule.Details {
		id := string(detail.Reference.Instance)
		if _, ok := j.Documents[id]; ok && detail.Reference.Object == "documents" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// idwiseDatasets leads from the lists of AML matches, folded, to reasons. Every other list is a watch list.
var idwiseDatasets = map[string]string{
	"politicallyexposedperson": "aml.pep",
	"sanctions":                "aml.sanctions",
	"adversemedia":             "aml.adverse_media",
}

const reasonWatchlist = "aml.watchlist"

// amlCheck joins the rule and the search it rests on. A search that did not take place is not
// passed, whatever the rule says. A match's score tells how close the match is, so it is a detail and
// no score; names, aliases, addresses and notes of the listed stay out.
func (j *idwiseJourney) amlCheck(o *kycbridge.Observation) {
	rule, ruled := j.Rules[idwiseAMLRule]
	if !ruled && j.AML == nil {
		return
	}
	aml := idwiseAML{}
	if j.AML != nil {
		aml = *j.AML
	}
	c := kycbridge.Check{
		CheckID:        "aml",
		Type:           kycbridge.CheckAML,
		Result:         aml.result(rule, ruled),
		DocumentIDs:    j.documentsOf(rule),
		ProviderCheck:  idwiseAMLRule,
		ProviderResult: clip(string(cmp.Or(rule.Result, aml.Applicability)), maxCode),
	}
	lists := aml.details(&c)
	if c.Result == kycbridge.ResultFailed || c.Result == kycbridge.ResultWarning {
		for _, list := range lists {
			code := cmp.Or(idwiseDatasets[fold(list)], reasonWatchlist)
			if !slices.Contains(c.Reasons, code) {
				because(o, &c, code, list)
			}
		}
	}
	o.Checks = append(o.Checks, c)
}

// result is the rule's, if there is one and a search took place. Matches that no rule judged are a warning.
func (aml *idwiseAML) result(rule idwiseRule, ruled bool) kycbridge.Result {
	result := idwiseCheckResult(rule.Result)
	switch {
	case ruled && result == kycbridge.ResultFailed:
		return result
	case aml.Applicability != "" && fold(string(aml.Applicability)) != "applicable":
		return idwiseCheckResult(aml.Applicability)
	case ruled:
		return result
	case len(aml.Matches) > 0:
		return kycbridge.ResultWarning
	case aml.Applicability == "":
		return kycbridge.ResultUndetermined
	}
	return kycbridge.ResultPassed
}

// details writes what may be told of the matches into c and returns the lists they are on, each once.
func (aml *idwiseAML) details(c *kycbridge.Check) []string {
	if len(aml.Matches) == 0 {
		return nil
	}
	var lists []string
	var scores []float64
	for _, match := range aml.Matches {
		if score, ok := decimal(string(match.Score)); ok {
			scores = append(scores, score)
		}
		for _, list := range match.Datasets {
			if name := clip(string(list), maxCode); name != "" && !slices.Contains(lists, name) {
				lists = append(lists, name)
			}
		}
	}
	slices.Sort(lists)
	c.Details = map[string]any{"match_count": len(aml.Matches)}
	if scores != nil {
		c.Details["match_scores"] = scores
	}
	if lists != nil {
		c.Details["datasets"] = lists
	}
	return lists
}

func (j *idwiseJourney) documentChecks(o *kycbridge.Observation) {
	for _, id := range sorted(j.Documents) {
		doc := j.Documents[id]
		prefix := "documents." + clip(id, maxCode)
		if doc.Validation != nil {
			o.Checks = append(o.Checks, doc.Validation.checks(prefix, id)...)
		}
		if c, ok := doc.reading(prefix, id); ok {
			o.Checks = append(o.Checks, c)
		}
		if doc.FaceMatch != nil {
			if c, ok := doc.FaceMatch.check(); ok {
				c.CheckID, c.DocumentIDs = prefix+".face_match", []string{id}
				if c.Result == kycbridge.ResultFailed {
					because(o, &c, "face.mismatch", c.ProviderCheck)
				}
				o.Checks = append(o.Checks, c)
			}
		}
	}
}

// idwiseValidationKinds sorts the named checks of a document by a word of their name, folded; the
// names depend on the flow. What no word fits belongs to the document's authenticity.
var idwiseValidationKinds = []struct {
	word string
	kind idwiseKind
}{
	{"mrz", idwiseKind{kycbridge.CheckMRZ, "document.mrz_invalid"}},
	{"quality", idwiseKind{kycbridge.CheckImageQuality, "image.poor_quality"}},
	{"classification", idwiseKind{kycbridge.CheckDocumentRecognition, "document.not_recognized"}},
	{"", idwiseKind{kycbridge.CheckDocumentAuthenticity, "document.not_authentic"}},
}

func (v *idwiseValidation) checks(prefix, document string) []kycbridge.Check {
	var checks []kycbridge.Check
	add := func(id string, kind idwiseKind, name, word text) {
		c := kycbridge.Check{
			CheckID:        prefix + ".validation" + id,
			Type:           kind.check,
			Result:         idwiseCheckResult(word),
			Method:         checkMethod(kind.check),
			DocumentIDs:    []string{document},
			ProviderCheck:  clip(string(name), maxCode),
			ProviderResult: clip(string(word), maxCode),
		}
		if c.Result == kycbridge.ResultFailed {
			c.Reasons = []string{kind.reason}
		}
		checks = append(checks, c)
	}
	if v.Outcome != "" {
		add("", idwiseRules["document_validation"], "validation_outcome", v.Outcome)
	}
	for _, check := range v.Checks {
		id := "." + cmp.Or(snake(string(check.Name)), "check")
		folded := fold(string(check.Name))
		for _, row := range idwiseValidationKinds {
			if strings.Contains(folded, row.word) {
				add(id, row.kind, check.Name, check.Result)
				break
			}
		}
	}
	return checks
}

// idwiseAccuracy are the vendor's words for how well a field was read.
var idwiseAccuracy = map[string]kycbridge.Result{
	"high": kycbridge.ResultPassed,
	"low":  kycbridge.ResultWarning,
}

// reading tells how well each field was read, not what was read. There is no such check where no
// field has an accuracy.
func (d *idwiseDocument) reading(prefix, document string) (kycbridge.Check, bool) {
	c := kycbridge.Check{
		CheckID:       prefix + ".data_extraction",
		Type:          kycbridge.CheckDataExtraction,
		Result:        kycbridge.ResultPassed,
		DocumentIDs:   []string{document},
		ProviderCheck: "read_accuracy",
	}
	for _, label := range sorted(d.Extracted) {
		field := d.Extracted[label]
		if field.Accuracy == "" {
			continue
		}
		result := cmp.Or(idwiseAccuracy[fold(string(field.Accuracy))], kycbridge.ResultUndetermined)
		c.Fields = append(c.Fields, kycbridge.CheckField{Field: cmp.Or(fieldName(label), "other"), Result: result})
		if result != kycbridge.ResultPassed {
			c.Result = kycbridge.ResultWarning
		}
	}
	return c, c.Fields != nil
}

// check is a comparison of faces; none if nothing was compared.
func (m *idwiseFaceMatch) check() (kycbridge.Check, bool) {
	c := kycbridge.Check{
		Type: kycbridge.CheckFaceMatch, Result: kycbridge.ResultUndetermined,
		Method: checkMethod(kycbridge.CheckFaceMatch), ProviderCheck: "face_match_result",
	}
	if m.word != "" {
		c.Result, c.ProviderResult = idwiseCheckResult(text(m.word)), clip(m.word, maxCode)
		return c, true
	}
	switch fold(string(m.IsMatched)) {
	case "true":
		c.Result = kycbridge.ResultPassed
	case "false":
		c.Result = kycbridge.ResultFailed
	}
	if score, ok := decimal(string(m.Score)); ok && score <= 100 {
		c.Score = ptr(score / 100)
		c.ScoreRaw = &kycbridge.ScoreRaw{Value: score, Max: 100}
	}
	c.ProviderResult = clip(string(m.IsMatched), maxCode)
	return c, c.ProviderResult != "" || c.Score != nil
}

// idwiseSelfie are the words of selfie.status, folded. The vendor says to decide on it and not on
// is_live (https://developers.idwise.com).
var idwiseSelfie = map[string]kycbridge.Result{
	"complete":   kycbridge.ResultPassed,
	"refer":      kycbridge.ResultFailed,
	"notstarted": kycbridge.ResultNotPerformed,
}

const reasonNotLive = "face.not_live"

// idwiseLiveness are the liveness codes (https://docs.idwise.com/docs/journey-result).
var idwiseLiveness = map[string]string{
	"FACE_TOO_CLOSE":       "face.badly_positioned",
	"FACE_CLOSE_TO_BORDER": "face.badly_positioned",
	"FACE_CROPPED":         "face.badly_positioned",
	"FACE_TOO_SMALL":       "face.badly_positioned",
	"FACE_IS_OCCLUDED":     "face.occluded",
	"FACE_NOT_FOUND":       "face.not_found",
	"TOO_MANY_FACES":       "face.multiple",
}

func (j *idwiseJourney) liveness(o *kycbridge.Observation) {
	if j.Selfie == nil {
		return
	}
	c := kycbridge.Check{
		CheckID:        "selfie.liveness",
		Type:           kycbridge.CheckLiveness,
		Result:         cmp.Or(idwiseSelfie[fold(string(j.Selfie.Status))], kycbridge.ResultUndetermined),
		ProviderCheck:  "selfie",
		ProviderResult: clip(string(j.Selfie.Status), maxCode),
	}
	if c.Result == kycbridge.ResultFailed {
		code := idwiseLiveness[string(j.Selfie.Code)]
		if code == "" && fold(string(j.Selfie.IsLive)) == "false" {
			code = reasonNotLive
		}
		if code != "" {
			because(o, &c, code, string(j.Selfie.Code))
		}
	}
	o.Checks = append(o.Checks, c)
}

// otherChecks carries what the vendor documents by name only. Whether a match in a screening is good
// or bad depends on what was searched, and the content of device_intelligence is not published: both
// are told as undetermined.
func (j *idwiseJourney) otherChecks(o *kycbridge.Observation) {
	for _, id := range sorted(j.Screening) {
		for i, match := range j.Screening[id].Matches {
			c, ok := match.check()
			if !ok {
				continue
			}
			c.CheckID = "screening_checks." + clip(id, maxCode) + "." + strconv.Itoa(i)
			c.Type, c.Method, c.Result, c.Score = "x_idwise_screening", "", kycbridge.ResultUndetermined, nil
			c.ProviderCheck = clip(id, maxCode)
			o.Checks = append(o.Checks, c)
		}
	}
	if len(j.Device) > 0 {
		o.Checks = append(o.Checks, kycbridge.Check{
			CheckID: "device_intelligence", Type: kycbridge.CheckDeviceRisk, Result: kycbridge.ResultUndetermined,
			ProviderCheck: "device_intelligence",
		})
	}
}
