package schemas

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIDWiseStart(t *testing.T) {
	const (
		letters = `must be of letters, digits and - _ / \ , . + @ only`
		name    = "must hold name, given_name or family_name: a search of AML lists wants to know whom to look for"
		seed    = "SECRET 4711"
	)
	start := func(rest string) string { return `{"external_reference": "ref-1"` + rest + `}` }
	tests := map[string]struct {
		body string
		want []Fault
	}{
		"only a reference":    {start(``), nil},
		"every letter":        {`{"external_reference": "aZ09-_/\\,.+@"}`, nil},
		"every option":        {start(`, "person": {"name": "Jane Sample", "birthdate": "1990-02-01", "gender": "female"}, "options": {"aml": true, "flow_id": "f", "success_url": "https://example.com/", "failure_url": "https://example.com/", "language": "pt-BR", "validity_seconds": 60}`), nil},
		"aml by given name":   {start(`, "person": {"given_name": "Jane"}, "options": {"aml": true}`), nil},
		"aml by family name":  {start(`, "person": {"name": "", "family_name": "Sample"}, "options": {"aml": true}`), nil},
		"no aml, no person":   {start(`, "options": {"aml": false}`), nil},
		"members of a person": {start(`, "person": {"email": "jane@example.com", "address": {"country": "EX"}}`), nil},
		"nothing":             {`{}`, []Fault{{Path: "/external_reference", Message: "is required"}}},
		"number as reference": {`{"external_reference": 1}`,
			[]Fault{{Path: "/external_reference", Message: "must be a string"}}},
		"space in reference": {`{"external_reference": "` + seed + `"}`,
			[]Fault{{Path: "/external_reference", Message: letters}}},
		"letter of another": {`{"external_reference": "réf"}`, []Fault{{Path: "/external_reference", Message: letters}}},
		"newline at the end": {`{"external_reference": "ref-1\n"}`,
			[]Fault{{Path: "/external_reference", Message: letters}}},
		"unknown option": {start(`, "options": {"flowId": "` + seed + `"}`),
			[]Fault{{Path: "/options/flowId", Message: "is not a known member"}}},
		"aml as text": {start(`, "options": {"aml": "` + seed + `"}`),
			[]Fault{{Path: "/options/aml", Message: "must be a boolean"}}},
		"aml, no person": {start(`, "options": {"aml": true}`), []Fault{{Path: "/person", Message: "is required"}}},
		"aml, no name": {start(`, "person": {"middle_name": "Q"}, "options": {"aml": true}`),
			[]Fault{{Path: "/person", Message: name}}},
		"aml, empty name": {start(`, "person": {"name": ""}, "options": {"aml": true}`),
			[]Fault{{Path: "/person", Message: name}}},
		"aml, blank name": {start(`, "person": {"name": " "}, "options": {"aml": true}`),
			[]Fault{{Path: "/person/name", Message: "must not be blank: write text, or leave the member out"}}},
		"blank flow": {start(`, "options": {"flow_id": "\t"}`),
			[]Fault{{Path: "/options/flow_id", Message: "must not be blank: write text, or leave the member out"}}},
		"another date": {start(`, "person": {"birthdate": "01.02.1990"}`),
			[]Fault{{Path: "/person/birthdate",
				Message: "must be a date that exists, from 1900 to today, as YYYY-MM-DD: 1990-02-01"}}},
		"person as text": {start(`, "person": "` + seed + `"`),
			[]Fault{{Path: "/person", Message: "must be an object"}}},
		"options as list": {start(`, "options": []`), []Fault{{Path: "/options", Message: "must be an object"}}},
		"no address": {start(`, "options": {"success_url": "` + seed + `"}`),
			[]Fault{{Path: "/options/success_url",
				Message: "must be an http or https address, such as https://app.example.com/done"}}},
		"no time": {start(`, "options": {"validity_seconds": 0}`),
			[]Fault{{Path: "/options/validity_seconds", Message: "must be at least 1"}}},
		"language as sentence": {start(`, "options": {"language": "` + seed + `"}`),
			[]Fault{{Path: "/options/language", Message: "must be a language tag, such as en or en-IN"}}},
	}
	set := newSet(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := set.Validate("idwise", "start", decoded(t, []byte(test.body)))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
			for _, fault := range got {
				if strings.Contains(fault.Path+fault.Message, "4711") {
					t.Errorf("repeats a value: %v", fault)
				}
			}
		})
	}
}
