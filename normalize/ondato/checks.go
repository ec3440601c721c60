package ondato

import (
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// rules are the rules and fraud checks that have a type of ours; the others get a private one. The names
// were observed in deliveries, the vendor publishes no list.
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

// results are the results of rules and fraud checks. Unavailable is no result (observed beside a
// rejection), and neither is a word that is not known.
var results = map[string]event.Result{
	"success": event.ResultPassed,
	"fail":    event.ResultFailed,
	"failed":  event.ResultFailed,
}

// others is about how many checks stand beside a list of rules.
const others = 4

// checks lists what was checked; a rule that was not sent is no check. It is nil where r says nothing
// of checks, and empty where it lists none.
func checks(r document.Object, hasDocument bool) []event.Check {
	var out []event.Check
	for _, list := range []struct{ member, id string }{{"rules", "rule."}, {"fraudChecks", "fraud_check."}} {
		if items, sent := r[list.member].([]any); sent && out == nil {
			out = make([]event.Check, 0, min(len(items), values.Most)+others)
		}
		for _, item := range values.AtMost(r.Objects(list.member)) {
			if c, ok := rule(item, list.id); ok {
				out = append(out, c)
			}
		}
	}
	out = append(out, documentChecks(r.Object("document"))...)
	if c, ok := reasonCheck(r); ok && out != nil { // alone it would take the place of all that is known
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

// rule is one entry of rules[] or fraudChecks[], if it has a name.
func rule(item document.Object, prefix string) (c event.Check, ok bool) {
	name, status := word(item, "name"), word(item, "status")
	kind, known := rules[values.Fold(name)]
	if !known {
		kind = "x_ondato_" + values.Snake(name)
	}
	result, known := results[values.Fold(status)]
	if !known {
		result = event.ResultUndetermined
	}
	return event.Check{
		CheckID:        prefix + values.Clip(name, values.MaxCode),
		Type:           kind,
		Result:         result,
		ProviderCheck:  values.Clip(name, values.MaxCode),
		ProviderResult: values.Clip(status, values.MaxCode),
	}, name != ""
}

// documentChecks are the two that the document itself carries: its MRZ, and whether what was read from
// it is consistent, field by field.
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
			Fields: fields, ProviderCheck: "ocrValidations",
		})
	}
	return out
}

func ocrFields(d document.Object) []event.CheckField {
	validations := values.AtMost(d.Objects("ocrValidations"))
	fields := make([]event.CheckField, 0, len(validations))
	for _, v := range validations {
		result, sent := values.TriState(v.Text("isValid"))
		if !sent {
			result = event.ResultUndetermined
		}
		if field := values.FieldName(word(v, "key")); field != "" {
			fields = append(fields, event.CheckField{Field: field, Result: result})
		}
	}
	return fields
}
