package idwise

import (
	"cmp"
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// documentChecks adds the checks that belong to one document.
func documentChecks(o *kycbridge.Observation, cards []card) {
	for _, c := range cards {
		o.Checks = append(o.Checks, c.validation()...)
		if reading, ok := c.reading(); ok {
			o.Checks = append(o.Checks, reading)
		}
		match, ok := faceMatch(c.Object["face_match_result"])
		if !ok {
			continue
		}
		match.CheckID, match.DocumentIDs = c.place()+".face_match", []string{c.id}
		if match.Result == event.ResultFailed {
			because(o, &match, "face.mismatch", match.ProviderCheck)
		}
		o.Checks = append(o.Checks, match)
	}
}

// place returns the prefix for the ids of a document's checks.
func (c card) place() string { return "documents." + c.id }

// validationKinds assigns the named checks of a document to kinds by a word in their folded name; the names
// depend on the flow. The last entry applies to all other names: the document's authenticity.
var validationKinds = []struct {
	word string
	kind kind
}{
	{"mrz", kind{event.CheckMRZ, "document.mrz_invalid"}},
	{"quality", kind{event.CheckImageQuality, "image.poor_quality"}},
	{"classification", kind{event.CheckDocumentRecognition, "document.not_recognized"}},
	{"", authenticity},
}

// validation returns the outcome of the examination of a document and each of its checks.
func (c card) validation() []event.Check {
	var checks []event.Check
	add := func(id string, k kind, name, word string) {
		check := event.Check{
			CheckID:        c.place() + ".validation" + id,
			Type:           k.check,
			Result:         resultOf(word),
			Method:         values.CheckMethod(k.check),
			DocumentIDs:    []string{c.id},
			ProviderCheck:  values.Clip(name, values.MaxCode),
			ProviderResult: values.Clip(word, values.MaxCode),
		}
		if check.Result == event.ResultFailed {
			check.Reasons = []string{k.reason}
		}
		checks = append(checks, check)
	}
	if outcome := c.Text("validation_result", "validation_outcome"); outcome != "" {
		add("", authenticity, "validation_outcome", outcome)
	}
	for _, check := range c.Objects("validation_result", "validation_checks") {
		name := check.Text("name")
		folded := values.Fold(name)
		for _, row := range validationKinds {
			if strings.Contains(folded, row.word) {
				add("."+cmp.Or(values.Snake(name), "check"), row.kind, name, check.Text("result"))
				break
			}
		}
	}
	return checks
}

// accuracies maps the vendor's values for how well a field was read.
var accuracies = map[string]event.Result{
	"high": event.ResultPassed,
	"low":  event.ResultWarning,
}

// reading returns a check of how well each field was read, without the values of the fields. An impossible
// date is undetermined, however well it was read. If the document has no information about any field, the
// check does not exist.
func (c card) reading() (event.Check, bool) {
	check := event.Check{
		CheckID:       c.place() + ".data_extraction",
		Type:          event.CheckDataExtraction,
		Result:        event.ResultPassed,
		DocumentIDs:   []string{c.id},
		ProviderCheck: "read_accuracy",
	}
	add := func(field string, result event.Result) {
		check.Fields = append(check.Fields, event.CheckField{Field: field, Result: result})
		if result != event.ResultPassed {
			check.Result = event.ResultWarning
		}
	}
	for _, a := range c.accuracy {
		if !slices.Contains(c.unread, a.field) {
			add(a.field, cmp.Or(accuracies[values.Fold(a.word)], event.ResultUndetermined))
		}
	}
	for _, field := range c.unread {
		add(field, event.ResultUndetermined)
	}
	check.Fields = values.Fields(check.Fields)
	return check, check.Fields != nil
}
