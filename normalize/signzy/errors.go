package signzy

import (
	"strings"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// fieldErrors distinguishes fields that could not be read from fields that were read twice with different
// values, such as text against barcode or MRZ (observed).
func (e *evidence) fieldErrors(r report) {
	const source = "extractedFieldErrors"
	failed := answer{result: event.ResultFailed}
	unread := r.check("extracted_fields", event.CheckDataExtraction, source, failed)
	differs := r.check("field_mismatch", event.CheckDataConsistency, source, failed)
	items, odd := list(r.body, source)
	mismatches := 0
	for _, item := range items {
		entry, _ := item.(map[string]any)
		c := &unread
		if isMismatch(entry) {
			c = &differs
			mismatches++
		}
		if label := document.Object(entry).Text("fieldName"); label != "" {
			c.Fields = append(c.Fields, event.CheckField{Field: values.FieldName(label), Result: event.ResultFailed})
		}
	}
	if odd {
		unread.Result = event.ResultUndetermined
	}
	if odd || len(items) > mismatches {
		e.add(unread, "document.data_incomplete")
	}
	if mismatches > 0 {
		e.add(differs, "data.mismatch")
	}
}

// isMismatch reads errorStatus. NOT_EXTRACTED is the only code observed; for any other code the message is
// searched as well.
func isMismatch(entry document.Object) bool {
	code := values.Letters(entry.Text("errorStatus"))
	if code == "notextracted" {
		return false
	}
	for _, text := range [...]string{code, values.Letters(entry.Text("message"))} {
		for _, word := range [...]string{"mismatch", "notmatch", "differ", "inconsistent"} {
			if strings.Contains(text, word) {
				return true
			}
		}
	}
	return false
}
