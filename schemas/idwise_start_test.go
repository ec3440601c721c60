package schemas

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIDWiseStart(t *testing.T) {
	const (
		letters = `must match ^[A-Za-z0-9_/\\,.+@-]+$`
		seed    = "SECRET 4711"
	)
	start := func(rest string) string { return `{"external_reference": "ref-1"` + rest + `}` }
	tests := map[string]struct {
		body string
		want []Fault
	}{
		"only a reference":     {start(``), nil},
		"every letter":         {`{"external_reference": "aZ09-_/\\,.+@"}`, nil},
		"every option":         {start(`, "person": {"name": "Jane Sample", "birthdate": "1990-02-01", "gender": "female"}, "options": {"aml": true, "flow_id": "f", "success_url": "https://example.com/", "failure_url": "https://example.com/", "language": "pt-BR", "validity_seconds": 60}`), nil},
		"aml by given name":    {start(`, "person": {"given_name": "Jane"}, "options": {"aml": true}`), nil},
		"aml by family name":   {start(`, "person": {"name": "", "family_name": "Sample"}, "options": {"aml": true}`), nil},
		"no aml, no person":    {start(`, "options": {"aml": false}`), nil},
		"members of a person":  {start(`, "person": {"email": "jane@example.com", "address": {"country": "EX"}}`), nil},
		"nothing":              {`{}`, []Fault{{"/external_reference", "is required"}}},
		"number as reference":  {`{"external_reference": 1}`, []Fault{{"/external_reference", "must be a string"}}},
		"space in reference":   {`{"external_reference": "` + seed + `"}`, []Fault{{"/external_reference", letters}}},
		"letter of another":    {`{"external_reference": "réf"}`, []Fault{{"/external_reference", letters}}},
		"newline at the end":   {`{"external_reference": "ref-1\n"}`, []Fault{{"/external_reference", letters}}},
		"unknown option":       {start(`, "options": {"flowId": "` + seed + `"}`), []Fault{{"/options/flowId", "is not a known member"}}},
		"aml as text":          {start(`, "options": {"aml": "` + seed + `"}`), []Fault{{"/options/aml", "must be a boolean"}}},
		"aml, no person":       {start(`, "options": {"aml": true}`), []Fault{{"/person", "is required"}}},
		"aml, no name":         {start(`, "person": {"middle_name": "Q"}, "options": {"aml": true}`), []Fault{{"/person", "has none of the allowed forms"}}},
		"aml, blank name":      {start(`, "person": {"name": " "}, "options": {"aml": true}`), []Fault{{"/person", "has none of the allowed forms"}}},
		"another date":         {start(`, "person": {"birthdate": "01.02.1990"}`), []Fault{{"/person/birthdate", "must be a valid date"}}},
		"person as text":       {start(`, "person": "` + seed + `"`), []Fault{{"/person", "must be an object"}}},
		"options as list":      {start(`, "options": []`), []Fault{{"/options", "must be an object"}}},
		"no address":           {start(`, "options": {"success_url": "` + seed + `"}`), []Fault{{"/options/success_url", "must be a valid uri"}}},
		"no time":              {start(`, "options": {"validity_seconds": 0}`), []Fault{{"/options/validity_seconds", "must be at least 1"}}},
		"language as sentence": {start(`, "options": {"language": "` + seed + `"}`), []Fault{{"/options/language", "must match ^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$"}}},
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
