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
	components := walk(apiTree(t), []string{"components", "schemas"}).(map[string]any)
	for _, name := range []string{"StartRequest", "Person", "Address", "Options", "WatchRequest", "StepRequest",
		"StepForm", "ReviewRequest", "StepDecision"} {
		requests["api/"+name] = components[name]
	}
	if len(requests) < 12 {
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
	format, _ := rule.(string)
	return keyword == "format" && !strings.HasPrefix(formed(format), "must be a valid")
}

// TestFaultsShowNoPattern: if a schema has no text, the regular expression is not shown.
func TestFaultsShowNoPattern(t *testing.T) {
	for _, keyword := range []string{"pattern", "anyOf", "oneOf", "not"} {
		if words := expectation(keyword, `^[A-Z]{5}\d+$`); strings.ContainsAny(words, "^$[]{}\\") {
			t.Errorf("%s: %s", keyword, words)
		}
	}
}
