package ondato

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// TestManyEntries puts more entries into a list than an event shows, and what is wrong into the last.
func TestManyEntries(t *testing.T) {
	many := func(entry string) string { return strings.Repeat(entry+",", values.Most+50) }
	const passed = `{"name":"DocumentNotExpired","status":"Success"}`
	for members, id := range map[string]string{
		`"rules":[` + many(passed) + `{"name":"NotUnder18","status":"Fail"}]`:                                     "rule.NotUnder18",
		`"rules":[` + many(passed) + passed + `],"fraudChecks":[{"name":"DocumentManipulation","status":"Fail"}]`: "fraud_check.",
		`"fraudChecks":[` + many(passed) + `{"name":"DocumentManipulation","status":"Unavailable"}]`:              "fraud_check.Doc",
		`"document":{"ocrValidations":[` + many(`{"key":"A","isValid":true}`) + `{"key":"B","isValid":false}]}`:   "ocr_validations",
	} {
		body := fmt.Sprintf(`{"id":"d0300000-0000-4000-8000-000000000101","status":"Rejected",%s,`+
			`"identityVerificationId":"d0200000-0000-4000-8000-000000000001"}`, members)
		o, err := mapPayload(kycbridge.Payload{Body: []byte(body), Via: event.ViaFetch}, kycbridge.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(o.Checks, func(c event.Check) bool {
			return strings.HasPrefix(c.CheckID, id) && c.Result != event.ResultPassed
		})
		switch {
		case i < 0 || len(o.Checks) > values.Most:
			t.Errorf("%s is not among %d checks", id, len(o.Checks))
		case len(o.Checks[i].Fields) > 0 && o.Checks[i].Fields[values.Most-1].Result != event.ResultFailed:
			t.Errorf("%s does not show the field that failed", id)
		}
	}
}
