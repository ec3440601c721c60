package ondato

import (
	"cmp"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// rules maps the rules and fraud checks that have a canonical check type; the others get a private type
// (x_ondato_). The names were observed in deliveries; the vendor publishes no list.
var rules = map[string]string{
	"documentnotexpired":             event.CheckDocumentExpiry,
	"documenttypenotprohibited":      event.CheckDocumentAccepted,
	"documenthasbothsides":           event.CheckDocumentRecognition,
	"documenthasface":                event.CheckDocumentRecognition,
	"notunder18":                     event.CheckAge,
	"selfieanddocumentfacesmatch":    event.CheckFaceMatch,
	"successfulpassivelivenesscheck": event.CheckLiveness,
	"documentmanipulation":           event.CheckDocumentAuthenticity,
}

// results maps the results of rules and fraud checks. Unavailable (observed beside a rejection) and unknown
// values are undetermined.
var results = map[string]event.Result{
	"success": event.ResultPassed,
	"fail":    event.ResultFailed,
	"failed":  event.ResultFailed,
}

// others is the approximate number of checks beside a list of rules, for the capacity of the slice.
const others = 4

// checks lists what was checked; a rule that was not sent is not a check. It is nil if r contains no data
// about checks, and empty if r contains only empty lists.
func checks(r document.Object, hasDocument bool) []event.Check {
	var out []event.Check
	for _, list := range []struct{ member, id string }{{"rules", "rule."}, {"fraudChecks", "fraud_check."}} {
		if items, sent := r[list.member].([]any); sent && out == nil {
			out = make([]event.Check, 0, min(len(items), values.Most)+others)
		}
		for _, item := range r.Objects(list.member) {
			if c, ok := rule(item, list.id); ok {
				out = append(out, c)
			}
		}
	}
	out = append(out, documentChecks(r.Object("document"))...)
	if c, ok := reasonCheck(r); ok && out != nil { // alone it would replace all checks that are already known
		out = append(out, c)
	}
	for i := range out {
		c := &out[i]
		if c.Method == "" {
			c.Method = values.CheckMethod(c.Type)
		}
		if hasDocument && values.DocumentCheck(c.Type) {
			c.DocumentIDs = []string{"document"}
		}
	}
	return values.Distinct(out)
}

// rule returns the check of one entry of rules[] or fraudChecks[]; ok is false if the entry has neither name nor
// status.
func rule(item document.Object, prefix string) (c event.Check, ok bool) {
	name, status := word(item, "name"), word(item, "status")
	kind, known := rules[values.Fold(name)]
	if !known {
		kind = "x_ondato_" + cmp.Or(values.Snake(name), "rule")
	}
	result, known := results[values.Fold(status)]
	if !known {
		result = event.ResultUndetermined
	}
	return event.Check{
		CheckID:        prefix + cmp.Or(values.Clip(name, values.MaxCode), "other"),
		Type:           kind,
		Result:         result,
		ProviderCheck:  values.Clip(name, values.MaxCode),
		ProviderResult: values.Clip(status, values.MaxCode),
	}, name != "" || status != ""
}

// documentChecks returns the two checks in the document itself: its MRZ, and the consistency of the data read
// from it, field by field.
func documentChecks(d document.Object) []event.Check {
	var out []event.Check
	if result, sent := values.TriState(d.Text("mrzVerified")); sent {
		out = append(out, event.Check{
			CheckID: "mrz", Type: event.CheckMRZ, Result: result,
			ProviderCheck: "mrzVerified", ProviderResult: values.Clip(d.Text("mrzVerified"), values.MaxCode),
		})
	}
	if fields := ocrFields(d); len(fields) > 0 {
		out = append(out, event.Check{
			CheckID: "ocr_validations", Type: event.CheckDataConsistency, Result: values.Worst(fields),
			Fields: values.Fields(fields), ProviderCheck: "ocrValidations",
		})
	}
	return out
}

// ocrFields returns the result of every field, also of one whose name cannot be read: without it the others could pass
// for all.
func ocrFields(d document.Object) []event.CheckField {
	var fields []event.CheckField
	for _, item := range d.List("ocrValidations") {
		v, _ := item.(map[string]any)
		result, sent := values.TriState(document.Object(v).Text("isValid"))
		if !sent {
			result = event.ResultUndetermined
		}
		fields = append(fields, event.CheckField{Field: values.FieldName(word(v, "key")), Result: result})
	}
	return fields
}
