package schemas

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kycbridge/document"
)

func TestSignzyStart(t *testing.T) {
	const full = `{
		"external_reference": "ref-1",
		"person": {
			"name": "Jane Sample", "given_name": "Jane", "middle_name": "Q", "family_name": "Sample", "birthdate": "1990-02-01",
			"gender": "female", "email": "jane@example.com", "phone_number": "+15550100001", "personal_number": "000",
			"address": {"street_address": "1 Example Road\nFlat 2", "locality": "Example", "region": "EX", "postal_code": "000000", "country": "US"}
		},
		"options": {
			"flow_id": "f1000000-0000-4000-8000-000000000001", "success_url": "https://app.example.com/kyc/ok?x=1#y", "failure_url": "HTTP://localhost:3000",
			"language": "en-US", "validity_seconds": 3600, "user_id": "user-1", "date_format": "iso",
			"id": {"id_type": "Driving License", "country": "US"}, "match_image": "https://files.example.com/1.jpeg",
			"redirect_seconds": 10, "session_expiry_seconds": 600
		}
	}`
	const seed = "SECRET-4711"
	tests := map[string]struct {
		body string
		want []Fault
	}{
		"everything":            {full, nil},
		"nothing":               {`{}`, nil},
		"empty parts":           {`{"person": {}, "options": {}}`, nil},
		"unknown of the person": {`{"person": {"nickname": "J"}}`, nil},
		"documented dates":      {`{"options": {"date_format": "dmy"}}`, nil},
		"no wait":               {`{"options": {"redirect_seconds": 0}}`, nil},
		"no object":             {`[]`, []Fault{{Path: "", Message: "must be a JSON object"}}},
		"number as reference": {`{"external_reference": 1}`,
			[]Fault{{Path: "/external_reference", Message: "must be a string"}}},
		"empty reference": {`{"external_reference": ""}`,
			[]Fault{{Path: "/external_reference", Message: "must not be empty"}}},
		"unknown option": {`{"options": {"flowId": "f"}}`,
			[]Fault{{Path: "/options/flowId", Message: "is not a known member"}}},
		"unknown of the id": {`{"options": {"id": {"idType": "x"}}}`,
			[]Fault{{Path: "/options/id/idType", Message: "is not a known member"}}},
		"phone as number": {`{"person": {"phone_number": 5550100001}}`,
			[]Fault{{Path: "/person/phone_number", Message: "must be a string"}}},
	}
	refused := map[string]string{
		"/person/birthdate":               `"01/02/1990"`,
		"/person/email":                   `"` + seed + `"`,
		"/person/phone_number":            `"` + seed + `"`,
		"/person/address/country":         `"` + seed + `"`,
		"/options/flow_id":                `""`,
		"/options/success_url":            `"javascript://example.com/` + seed + `"`,
		"/options/failure_url":            `"ftp://example.com/` + seed + `"`,
		"/options/match_image":            `"https:///` + seed + `"`,
		"/options/language":               `"e"`,
		"/options/validity_seconds":       `0`,
		"/options/user_id":                `""`,
		"/options/date_format":            `"` + seed + `"`,
		"/options/id/country":             `"` + seed + `"`,
		"/options/id/id_type":             `""`,
		"/options/redirect_seconds":       `-1`,
		"/options/session_expiry_seconds": `1.5`,
	}
	set := newSet(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			doc, faults := document.Decode([]byte(tt.body))
			if faults == nil {
				faults = set.Validate("signzy", "start", doc)
			}
			if diff := cmp.Diff(tt.want, faults); diff != "" {
				t.Error(diff)
			}
		})
	}
	for place, value := range refused {
		t.Run(place, func(t *testing.T) {
			members := strings.Split(place[1:], "/")
			body := value
			for i := len(members) - 1; i >= 0; i-- {
				body = `{"` + members[i] + `": ` + body + `}`
			}
			faults := set.Validate("signzy", "start", decoded(t, []byte(body)))
			if len(faults) != 1 || faults[0].Path != place || strings.Contains(faults[0].Message, seed) {
				t.Errorf("faults %v", faults)
			}
		})
	}
}
