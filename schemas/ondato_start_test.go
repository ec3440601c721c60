package schemas

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kycbridge/document"
)

func TestOndatoStart(t *testing.T) {
	const full = `{
		"external_reference": "ref-1001",
		"person": {
			"name": "Testa Middle Sample", "given_name": "Testa", "middle_name": "Middle", "family_name": "Sample",
			"birthdate": "1990-02-01", "gender": "male", "email": "testa@example.com", "phone_number": "+370600000001",
			"personal_number": "000.000.000-00",
			"address": {"street_address": "1 Example Street", "locality": "Example", "region": "EX", "postal_code": "00000", "country": "LTU"}
		},
		"options": {
			"flow_id": "5e000000-0000-4000-8000-00000000000A", "success_url": "https://app.example.com/kyc/ok?x=1#y",
			"failure_url": "http://localhost:3000", "language": "lt-LT", "validity_seconds": 3600,
			"representative_id": "b0000000-0000-4000-8000-000000000002",
			"face_authentication_id": "b0000000-0000-4000-8000-000000000003"
		}
	}`
	tests := map[string]struct {
		body string
		want []Fault
	}{
		"everything":            {full, nil},
		"nothing":               {`{}`, nil},
		"empty parts":           {`{"person": {}, "options": {}}`, nil},
		"unknown of the person": {`{"person": {"nickname": "T"}}`, nil},
		"no object":             {`[]`, []Fault{{Path: "", Message: "must be a JSON object"}}},
		"person as text":        {`{"person": "T"}`, []Fault{{Path: "/person", Message: "must be an object"}}},
		"empty reference": {`{"external_reference": ""}`,
			[]Fault{{Path: "/external_reference", Message: "must not be empty"}}},
		"phone as number": {`{"person": {"phone_number": 370600000001}}`,
			[]Fault{{Path: "/person/phone_number", Message: "must be a string"}}},
		"the provider's names": {`{"options": {"setupId": "x", "flow_id": "5e000000-0000-4000-8000-000000000001"}}`,
			[]Fault{{Path: "/options/setupId", Message: "is not a known member"}}},
	}
	set := newSet(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			doc, faults := document.Decode([]byte(tt.body))
			if faults == nil {
				faults = set.Validate("ondato", "start", doc)
			}
			if diff := cmp.Diff(tt.want, faults); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOndatoStartRefuses(t *testing.T) {
	const seed = "SECRET-4711"
	refused := map[string][]string{
		"/person/birthdate": {`"01.02.1990"`, `"1990-02-30"`, `"1990-02-01T00:00:00Z"`, `"` + seed + `"`},
		"/person/email":     {`"` + seed + `"`, `"a b@example.com"`},
		"/person/phone_number": {`"370600000001"`, `"+0370600000"`, `"+3706000000011111"`, `"+370 600 00001"`,
			`"` + seed + `"`},
		"/person/address/country":         {`"` + seed + `"`, `"L"`},
		"/options/flow_id":                {`""`, `"` + seed + `"`, `"5e000000-0000-4000-8000-0000000000012"`},
		"/options/representative_id":      {`"` + seed + `"`, `1`},
		"/options/face_authentication_id": {`"../` + seed + `"`},
		"/options/success_url":            {`"javascript://example.com/` + seed + `"`, `"/relative"`},
		"/options/failure_url":            {`"ftp://example.com/` + seed + `"`},
		"/options/language":               {`"e"`, `"` + seed + `!"`},
		"/options/validity_seconds":       {`0`, `1.5`, `"60"`, `31536001`},
	}
	set := newSet(t)
	for place, values := range refused {
		for _, value := range values {
			t.Run(place+" "+value, func(t *testing.T) {
				members := strings.Split(place[1:], "/")
				body := value
				for i := len(members) - 1; i >= 0; i-- {
					body = `{"` + members[i] + `": ` + body + `}`
				}
				faults := set.Validate("ondato", "start", decoded(t, []byte(body)))
				if len(faults) != 1 || faults[0].Path != place {
					t.Fatalf("faults %v", faults)
				}
				if strings.Contains(faults[0].Message, "SECRET") {
					t.Errorf("repeats the value: %v", faults[0])
				}
			})
		}
	}
}
