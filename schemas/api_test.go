package schemas

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// apiTree is the OpenAPI document.
func apiTree(t *testing.T) map[string]any {
	t.Helper()
	return decoded(t, newSet(t).OpenAPI())
}

// nodes calls each for every object of a tree, with its pointer.
func nodes(place string, node any, each func(place string, object map[string]any)) {
	switch node := node.(type) {
	case map[string]any:
		each(place, node)
		for name, value := range node {
			nodes(place+"/"+name, value, each)
		}
	case []any:
		for i, value := range node {
			nodes(fmt.Sprint(place, "/", i), value, each)
		}
	}
}

// TestAPIExamples: every example conforms to the schema beside it, and every JSON body has one.
func TestAPIExamples(t *testing.T) {
	set, checked := newSet(t), 0
	nodes("", apiTree(t), func(place string, media map[string]any) {
		schema, _ := media["schema"].(map[string]any)
		ref, _ := schema["$ref"].(string)
		component, ok := strings.CutPrefix(ref, "#/components/schemas/")
		if !ok {
			return
		}
		examples, _ := media["examples"].(map[string]any)
		if strings.HasSuffix(place, "json") && len(examples) == 0 {
			t.Errorf("%s has no example", place)
		}
		for name, example := range examples {
			checked++
			value := example.(map[string]any)["value"]
			faults := set.ValidateAPI(component, value)
			if component == "Verification" {
				faults = append(faults, set.Validate(eventFolder, eventData, value)...)
			}
			if len(faults) > 0 {
				t.Errorf("%s, example %s: %v", place, name, faults)
			}
		}
	})
	if checked < 20 {
		t.Errorf("only %d examples: the test has lost its object", checked)
	}
}

// TestAPIReferences: every $ref has a target, every component is used, and requests are closed, except the
// provider's own options.
func TestAPIReferences(t *testing.T) {
	document, used := apiTree(t), map[string]bool{}
	nodes("", document, func(place string, object map[string]any) {
		if ref, ok := object["$ref"].(string); ok {
			used[ref] = true
			if walk(document, strings.Split(strings.TrimPrefix(ref, "#/"), "/")) == nil {
				t.Errorf("%s: %s leads nowhere", place, ref)
			}
		}
	})
	for _, kind := range []string{"schemas", "responses", "parameters"} {
		for name := range walk(document, []string{"components", kind}).(map[string]any) {
			if !used["#/components/"+kind+"/"+name] {
				t.Errorf("%s %s is not used", kind, name)
			}
		}
	}
	for _, component := range []string{"StartRequest", "Person", "Address", "WatchRequest", "StepRequest", "StepForm",
		"ReviewRequest", "StepDecision"} {
		if walk(document, []string{"components", "schemas", component, "additionalProperties"}) != false {
			t.Errorf("%s is open", component)
		}
	}
}

func TestValidateAPI(t *testing.T) {
	set := newSet(t)
	for name, test := range map[string]struct {
		component, body string
		want            []Fault
	}{
		"start": {"StartRequest",
			`{"provider": "ondato", "account": "a", "external_reference": "x", "options": {"anything": [1]}}`, nil},
		"empty start": {"StartRequest", `{}`,
			[]Fault{{Path: "/account", Message: "is required"}, {Path: "/external_reference", Message: "is required"},
				{Path: "/provider", Message: "is required"}}},
		"deep unknown member": {"StartRequest",
			`{"provider": "p", "account": "a", "external_reference": "x", "person": {"address": {"zip": 1}}}`,
			[]Fault{{Path: "/person/address/zip", Message: "is not a known member"}}},
		"large number": {"Options", `{"validity_seconds": 1e10}`,
			[]Fault{{Path: "/validity_seconds", Message: "must be at most 31536000"}}},
		"back without front": {"StepRequest", `{"image2": "AA=="}`, []Fault{{Path: "/image", Message: "is required"}}},
		"additional data":    {"StepRequest", `{"image": "AA==", "additional_data": {"a": 1}}`, nil},
		"both names of data": {"StepRequest", `{"image": "AA==", "data": {}, "additional_data": {}}`,
			[]Fault{{Path: "/data", Message: "must be left out beside additional_data"}}},
		"both in a form": {"StepForm", `{"image": "", "data": {}, "additional_data": {}}`,
			[]Fault{{Path: "/data", Message: "must be left out beside additional_data"}}},
		"deadline": {"WatchRequest", `{"provider": "p", "account": "a", "reference": "r", "deadline": "soon"}`,
			[]Fault{{Path: "/deadline", Message: "must be a time by RFC 3339, such as 2026-03-02T09:00:00Z"}}},
		"national number": {"Person", `{"phone_number": "5550100001"}`, nil},
		"phone in words": {"Person", `{"phone_number": "call me"}`,
			[]Fault{{Path: "/phone_number",
				Message: "must be the digits of a phone number, with + and the country code before them as in +915550100001, or " +
					"as the provider documents it"}}},
		"blank name": {"Person", `{"name": " \u00a0\u200b"}`,
			[]Fault{{Path: "/name", Message: "must not be blank: write text, or leave the member out"}}},
		"empty name":         {"Person", `{"name": ""}`, []Fault{{Path: "/name", Message: "must not be empty"}}},
		"name of one letter": {"Person", `{"name": " 王 "}`, nil},
		"no such day": {"Person", `{"birthdate": "1990-02-31"}`,
			[]Fault{{Path: "/birthdate", Message: "must be a date that exists, from 1900 to today, as YYYY-MM-DD: 1990-02-01"}}},
		"a year long ago": {"Person", `{"birthdate": "0001-01-01"}`,
			[]Fault{{Path: "/birthdate", Message: "must be a date that exists, from 1900 to today, as YYYY-MM-DD: 1990-02-01"}}},
		"blank reference": {"WatchRequest",
			`{"provider": "p", "account": "a", "reference": "r", "external_reference": " "}`,
			[]Fault{{Path: "/external_reference",
				Message: "must hold a visible character and no line break or other control character"}}},
		"line break": {"WatchRequest", `{"provider": "p", "account": "a", "reference": "a\nb"}`,
			[]Fault{{Path: "/reference", Message: "must hold a visible character and no line break or other control character"}}},
		"account with a dot": {"WatchRequest", `{"provider": "p", "account": "a.b", "reference": "a"}`,
			[]Fault{{Path: "/account", Message: "must be a name of the configuration: lower-case letters, digits, - and _"}}},
		"no such component": {"Nothing", `{}`, []Fault{{Path: "", Message: "cannot be checked: there is no such schema"}}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := set.ValidateAPI(test.component, decoded(t, []byte(test.body))); !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %v\nwant %v", got, test.want)
			}
		})
	}
	if !json.Valid(set.OpenAPI()) || walk(apiTree(t), []string{"openapi"}) != "3.1.0" {
		t.Error("not an OpenAPI document")
	}
}
