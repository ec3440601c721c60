package kwikid

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
	const card = `{"name":"Pan Card","details":{"name":"%s","dob":"%s","pa_number":"%s"},"validator":{"success":true}}`
	same := fmt.Sprintf(card, "TESTA SAMPLE", "01/02/1990", "ABCPS0001Z")
	for summary, id := range map[string]string{
		`"overall_summary":[` + many(`{"title":"Selfie","success":true}`) + `{"title":"qna","success":false}]`: "overall_summary.qna",
		`"docs":[` + many(same) + `{"name":"Aadhaar Card","validator":{"success":false}}]`:                     "docs.aadhaar_card",
		`"docs":[` + many(same) + fmt.Sprintf(card, "ANOTHER PERSON", "01/02/1990", "ABCPS0001Z") + `]`:        "docs.data_consistency",
		`"docs":[` + many(same) + fmt.Sprintf(card, "TESTA SAMPLE", "01/02/1991", "ABCPS0001Z") + `]`:          "docs.data_consistency",
		`"docs":[` + many(same) + fmt.Sprintf(card, "TESTA SAMPLE", "01/02/1990", "ABCPS0002Z") + `]`:          "docs.data_consistency",
	} {
		body := `{"status":200,"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001","session_status":"waiting",` +
			`"summary_data":{` + summary + `}}}`
		o, err := mapPayload(kycbridge.Payload{Body: []byte(body), Via: event.ViaPoll}, kycbridge.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		failed := slices.ContainsFunc(o.Checks, func(c event.Check) bool {
			return strings.HasPrefix(c.CheckID, id) && c.Result == event.ResultFailed
		})
		if !failed || len(o.Checks) > values.Most {
			t.Errorf("%s has not failed among %d checks; claims %v", id, len(o.Checks), o.ExtractedClaims)
		}
	}
}

// TestDeepWords: an auditor's words count wherever they are, so that a rejection beside an approval is a doubt.
func TestDeepWords(t *testing.T) {
	const levels = 50
	for _, word := range []string{
		strings.Repeat(`{"a":`, levels) + `"Rejected"` + strings.Repeat("}", levels),
		strings.Repeat("[", levels) + `"Rejected"` + strings.Repeat("]", levels),
		strings.Repeat("[", levels) + `"{\"type\":\"Rejected\"}"` + strings.Repeat("]", levels),
	} {
		for _, result := range []string{`"1"`, "null"} {
			body := `{"status":200,"session_data":{"session_id":"5e551000-0000-4000-8000-000000000001",` +
				`"session_status":"kyc_result_approved","audit_result":` + result + `,"auditor_feedback":` + word + `}}`
			o, err := mapPayload(kycbridge.Payload{Body: []byte(body), Via: event.ViaPoll}, kycbridge.Settings{})
			if err != nil || o.Effect != kycbridge.EffectDoubt {
				t.Errorf("%.40s beside %s: effect %d, %v", word, result, o.Effect, err)
			}
		}
	}
}
