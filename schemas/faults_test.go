package schemas

import (
	"path"
	"strings"
	"testing"
)

// TestFaultsStateTheExpectation: every possible fault of a request is described in words. No rule of a
// request schema is reported as a regular expression, and none lacks a text.
func TestFaultsStateTheExpectation(t *testing.T) {
	set := newSet(t)
	requests := map[string]any{}
	for folder, names := range set.Names() {
		for _, schema := range names {
			if source, _ := set.Source(folder, schema); schema == "start" || strings.HasPrefix(schema, "push_") {
				requests[path.Join(folder, schema)] = map[string]any(decoded(t, source))
			}
		}
	}
	api := apiTree(t)
	components := walk(api, []string{"components", "schemas"}).(map[string]any)
	var request func(of any)
	request = func(of any) {
		nodes("", of, func(_ string, object map[string]any) {
			ref, _ := object["$ref"].(string)
			name, ok := strings.CutPrefix(ref, "#/components/schemas/")
			if _, known := requests["api/"+name]; ok && !known {
				requests["api/"+name] = components[name]
				request(components[name])
			}
		})
	}
	nodes("", api["paths"], func(_ string, object map[string]any) { request(object["requestBody"]) })
	if len(requests) < 20 {
		t.Fatalf("only %d schemas of requests", len(requests))
	}
	described := 0
	for name, schema := range requests {
		nodes(name, schema, func(place string, object map[string]any) {
			for _, keyword := range []string{"pattern", "format", "anyOf", "oneOf", "not"} {
				if _, is := object[keyword]; !is || path.Base(place) == "properties" || hasText(keyword, object[keyword]) {
					continue
				}
				described++
				words, _ := object[wordExpected].(string)
				if !strings.HasPrefix(words, "must ") || strings.ContainsAny(words, "^$[]*") {
					t.Errorf("%s: no words for %s, but %q", place, keyword, words)
				}
			}
		})
	}
	if described < 30 {
		t.Errorf("only %d rules: the test has lost its object", described)
	}
}

// hasText reports whether a rule has a text without x-expected.
func hasText(keyword string, rule any) bool {
	text := expectation(keyword, rule)
	return strings.HasPrefix(text, "must ") && !strings.HasPrefix(text, "must be a valid")
}

// TestFaultOfAlternatives: the members of which a request needs one are named.
func TestFaultOfAlternatives(t *testing.T) {
	for body, want := range map[string]string{
		"{}": "must have exactly one of verification, older_than",
		`{"verification": "1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0", "older_than": "720h"}`: "must have exactly one of " +
			"verification, older_than",
	} {
		faults := newSet(t).ValidateAPI("PayloadPurge", map[string]any(decoded(t, []byte(body))))
		if len(faults) != 1 || faults[0].Message != want {
			t.Errorf("%s: %+v, want %s", body, faults, want)
		}
	}
}

// TestFaultsShowNoPattern: if a schema has no text, the regular expression is not shown.
func TestFaultsShowNoPattern(t *testing.T) {
	for _, keyword := range []string{"pattern", "anyOf", "oneOf", "not"} {
		if words := expectation(keyword, `^[A-Z]{5}\d+$`); strings.ContainsAny(words, "^$[]{}\\") {
			t.Errorf("%s: %s", keyword, words)
		}
	}
}
