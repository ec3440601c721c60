package schemas

import (
	"path"
	"strings"
	"testing"
)

// TestRefusalsSayWhatToWrite: whatever a caller of ours can get wrong is told in words. No rule of a
// schema for requests is told as a regular expression, and none lacks its words.
func TestRefusalsSayWhatToWrite(t *testing.T) {
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
	for _, name := range []string{"StartRequest", "Person", "Address", "Options", "WatchRequest", "StepRequest", "StepForm", "ReviewRequest", "StepDecision"} {
		requests["api/"+name] = components[name]
	}
	if len(requests) < 12 {
		t.Fatalf("only %d schemas of requests", len(requests))
	}
	told := 0
	for name, schema := range requests {
		nodes(name, schema, func(place string, object map[string]any) {
			for _, keyword := range []string{"pattern", "format", "anyOf", "oneOf", "not"} {
				if _, is := object[keyword]; !is || path.Base(place) == "properties" || spoken(keyword, object[keyword]) {
					continue
				}
				told++
				words, _ := object[wordExpected].(string)
				if !strings.HasPrefix(words, "must ") || strings.ContainsAny(words, "^$[]*") {
					t.Errorf("%s: no words for %s, but %q", place, keyword, words)
				}
			}
		})
	}
	if told < 30 {
		t.Errorf("only %d rules: the test has lost its object", told)
	}
}

// spoken reports whether a rule has words without x-expected.
func spoken(keyword string, rule any) bool {
	format, _ := rule.(string)
	return keyword == "format" && !strings.HasPrefix(formed(format), "must be a valid")
}

// TestNoRefusalShowsAPattern: where a schema gives no words, nothing of the expression is told.
func TestNoRefusalShowsAPattern(t *testing.T) {
	for _, keyword := range []string{"pattern", "anyOf", "oneOf", "not"} {
		if words := expectation(keyword, `^[A-Z]{5}\d+$`); strings.ContainsAny(words, "^$[]{}\\") {
			t.Errorf("%s: %s", keyword, words)
		}
	}
}
