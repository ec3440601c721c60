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

// nodes calls each for every object of a tree, with its place.
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

// TestAPIExamples: every example fits the schema that stands beside it, and every body of JSON has one.
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

// TestAPIReferences: every $ref leads somewhere, every component is used, and what a request may
// hold is closed, the provider's own options apart.
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
	for _, component := range []string{"StartRequest", "Person", "Address", "WatchRequest", "StepRequest", "StepForm"} {
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
		"start":               {"StartRequest", `{"provider": "ondato", "account": "a", "external_reference": "x", "options": {"anything": [1]}}`, nil},
		"empty start":         {"StartRequest", `{}`, []Fault{{"/account", "is required"}, {"/external_reference", "is required"}, {"/provider", "is required"}}},
		"deep unknown member": {"StartRequest", `{"provider": "p", "account": "a", "external_reference": "x", "person": {"address": {"zip": 1}}}`, []Fault{{"/person/address/zip", "is not a known member"}}},
		"large number":        {"Options", `{"validity_seconds": 1e10}`, []Fault{{"/validity_seconds", "must be at most 31536000"}}},
		"back without front":  {"StepRequest", `{"image2": "AA=="}`, []Fault{{"/image", "is required"}}},
		"deadline":            {"WatchRequest", `{"provider": "p", "account": "a", "reference": "r", "deadline": "soon"}`, []Fault{{"/deadline", "must be a valid date-time"}}},
		"no such component":   {"Nothing", `{}`, []Fault{{"", "cannot be checked: there is no such schema"}}},
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
