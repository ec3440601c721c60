package idwise

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
	"kycbridge/normalize/values"
)

// many repeats an entry more often than an event shows entries. Each %[1]d is its number, which sorts before "zz".
func many(entry string) string {
	var entries []string
	for i := range values.Most + 50 {
		entries = append(entries, fmt.Sprintf(entry, 1000+i))
	}
	return strings.Join(entries, ",")
}

// TestManyEntries puts more entries into a list than an event shows, and what is wrong into the last.
func TestManyEntries(t *testing.T) {
	observed := func(t *testing.T, members string) kycbridge.Observation {
		t.Helper()
		body := `{"journey_id":"62e6f1a2b3c4d5e6f7a85d0c","system_decision":"Refer","manual_decision":null,` + members + `}`
		o, err := mapPayload(kycbridge.Payload{Body: []byte(body), Via: event.ViaFetch}, kycbridge.Settings{})
		if err != nil {
			t.Fatal(err)
		}
		normalizetest.Lawful(t, o)
		if len(o.Checks) > values.Most || len(o.Reasons) > values.Most || len(o.Documents) > values.Most {
			t.Errorf("%d checks, %d reasons, %d documents", len(o.Checks), len(o.Reasons), len(o.Documents))
		}
		return o
	}
	coded := func(o kycbridge.Observation, code string) bool {
		return slices.ContainsFunc(o.Reasons, func(r event.Reason) bool { return r.Code == code })
	}
	failed := func(o kycbridge.Observation, id string) bool {
		return slices.ContainsFunc(o.Checks, func(c event.Check) bool {
			return strings.HasPrefix(c.CheckID, id) && c.Result == event.ResultFailed
		})
	}
	t.Run("rules", func(t *testing.T) {
		o := observed(t, `"rule_results":{`+many(`"a%d":{"result":"Passed"}`)+`,"under_age":{"result":"Failed"}}`)
		if !coded(o, "data.underage") || !failed(o, "rule_results.under_age") {
			t.Errorf("reasons %v, checks %v", o.Reasons, o.Checks)
		}
	})
	t.Run("matches", func(t *testing.T) {
		o := observed(t, `"rule_results":{"no_aml_records":{"result":"Failed"}},"aml":{"applicability":"Applicable","matches":[`+
			many(`{"score":%d,"datasets":["People of Interest"]}`)+`,{"score":99,"datasets":["Sanctions"]}]}`)
		if !coded(o, "aml.sanctions") || !coded(o, "aml.watchlist") {
			t.Errorf("reasons %v", o.Reasons)
		}
	})
	t.Run("lists", func(t *testing.T) {
		o := observed(t, `"rule_results":{"no_aml_records":{"result":"Failed"}},"aml":{"applicability":"Applicable","matches":[{"datasets":[`+
			many(`"A%d"`)+`,"Sanctions"]}]}`)
		if lists := o.Checks[0].Details["datasets"].([]string); !coded(o, "aml.sanctions") || len(lists) != values.Most {
			t.Errorf("reasons %v, %d lists", o.Reasons, len(lists))
		}
	})
	t.Run("documents", func(t *testing.T) {
		const card = `{"document_type":"Passport","extracted_fields":{"Full Name":{"value":"%s"}}}`
		o := observed(t, `"documents":{`+many(`"a%d":`+fmt.Sprintf(card, "Testa Sample"))+`,"zz":`+
			fmt.Sprintf(card, "Another Person")+`}`)
		if _, named := o.ExtractedClaims["name"]; named || !failed(o, "documents.data_consistency") {
			t.Errorf("claims %v, checks %v", o.ExtractedClaims, o.Checks)
		}
	})
	t.Run("faces", func(t *testing.T) {
		const card = `{"document_type":"Passport","face_match_result":{"is_matched":%s}}`
		o := observed(t, `"documents":{`+many(`"a%d":`+fmt.Sprintf(card, "true"))+`,"zz":`+fmt.Sprintf(card, "false")+`}`)
		if !coded(o, "face.mismatch") || !failed(o, "documents.zz.face_match") {
			t.Errorf("reasons %v, checks %v", o.Reasons, o.Checks)
		}
	})
	t.Run("validation", func(t *testing.T) {
		o := observed(t, `"documents":{"0":{"document_type":"Passport","validation_result":{"validation_checks":[`+
			many(`{"name":"Test %d","result":"Passed"}`)+`,{"name":"MRZ","result":"Failed"}]}}}`)
		if !failed(o, "documents.0.validation.mrz") {
			t.Errorf("checks %v", o.Checks)
		}
	})
	t.Run("fields", func(t *testing.T) {
		o := observed(t, `"documents":{"0":{"document_type":"Passport","extracted_fields":{`+
			many(`"A%d":{"value":"x","read_accuracy":"High"}`)+`,"Zz":{"value":"x","read_accuracy":"Low"}}}}`)
		c := o.Checks[0]
		if c.Result != event.ResultWarning || len(c.Fields) != values.Most || c.Fields[values.Most-1].Field != "zz" {
			t.Errorf("check %v", c)
		}
	})
	t.Run("reasons", func(t *testing.T) {
		o := observed(t, `"rule_results":{"no_aml_records":{"result":"Failed"}},"aml":{"applicability":"Applicable",`+
			`"matches":[{"datasets":["Sanctions"]}]},"documents":{`+many(`"a%d":{"face_match_result":{"is_matched":false}}`)+`}`)
		if !coded(o, "aml.sanctions") || !coded(o, "face.mismatch") {
			t.Errorf("reasons %v", o.Reasons)
		}
	})
}
