package test

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"kycbridge/event"
)

// TestDocsEnumerations: where docs/consume.md lists the values of a member, they are those of the schema.
func TestDocsEnumerations(t *testing.T) {
	page := readFileText(t, "../docs/consume.md")
	var data struct {
		Properties struct {
			Status   struct{ Enum []string }
			Provider struct {
				Properties struct {
					Event struct {
						Properties struct {
							Via struct{ Enum []string }
						}
					}
				}
			}
		}
		Defs struct {
			Outcome  struct{ Enum []string }
			Decision struct {
				Properties struct {
					Stage struct{ Enum []string }
				}
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal([]byte(readFileText(t, "../schemas/event/data.schema.json")), &data); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, first, rest string // patterns: what precedes the values, and the text with them
		want              []string
	}{
		{"status", "\\| `status`, `status_detail` \\|", ".*", data.Properties.Status.Enum},
		{"outcome", "\\| `decision` \\| `outcome` \\(", "[^)]*", data.Defs.Outcome.Enum},
		{"stage", "\\| `decisions` \\|", ".*", data.Defs.Decision.Properties.Stage.Enum},
		{"via", "\\| via \\| source \\|\n\\|---\\|---\\|\n", "(?:\\| `[a-z]+` \\|.*\n)*",
			data.Properties.Provider.Properties.Event.Properties.Via.Enum},
	} {
		found := regexp.MustCompile(c.first + "(" + c.rest + ")").FindStringSubmatch(page)
		if found == nil {
			t.Errorf("%s: its values are not where the test expects them", c.name)
			continue
		}
		words := regexp.MustCompile("`([a-z_]+)`")
		if c.name == "via" { // the first column: the others name other members
			words = regexp.MustCompile("(?m)^\\| `([a-z]+)` \\|")
		}
		listed := map[string]bool{}
		for _, word := range words.FindAllStringSubmatch(found[1], -1) {
			listed[word[1]] = true
		}
		if got := slices.Sorted(maps.Keys(listed)); !slices.Equal(got, slices.Sorted(slices.Values(c.want))) {
			t.Errorf("%s: docs/consume.md lists %v, the schema %v", c.name, got, c.want)
		}
	}
}

// TestDocsOldValidators: what docs/consume.md replaces for a validator that resolves no URN changes only names of
// schemas. The pattern of dataschema must still match the events.
func TestDocsOldValidators(t *testing.T) {
	found := regexp.MustCompile("for an older one replace `([^`]+)` by `([^`]+)`").
		FindStringSubmatch(readFileText(t, "../docs/consume.md"))
	if found == nil {
		t.Fatal("docs/consume.md does not say what to replace")
	}
	var schema struct {
		ID         string `json:"$id"`
		Properties struct {
			DataSchema struct{ Pattern string }
			Data       struct {
				Ref string `json:"$ref"`
			}
		}
	}
	text := strings.ReplaceAll(readFileText(t, "../schemas/event/event.json"), found[1], found[2])
	if err := json.Unmarshal([]byte(text), &schema); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{schema.ID, schema.Properties.Data.Ref} {
		if !strings.HasPrefix(name, "http://localhost/") {
			t.Errorf("%s is still no URL", name)
		}
	}
	if pattern := schema.Properties.DataSchema.Pattern; !regexp.MustCompile(pattern).MatchString(event.DataSchema) {
		t.Errorf("dataschema %s does not match %s any more", event.DataSchema, pattern)
	}
}
