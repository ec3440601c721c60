package schemas

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const testdata = "../test/fixture/testdata"

func newSet(tb testing.TB) *Set {
	tb.Helper()
	set, err := New()
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func fixtureBody(tb testing.TB, dir string) []byte {
	tb.Helper()
	body, err := os.ReadFile(filepath.Join(testdata, filepath.FromSlash(dir), "body.json"))
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

func decoded(tb testing.TB, body []byte) map[string]any {
	tb.Helper()
	doc, faults := Decode(body)
	if faults != nil {
		tb.Fatalf("decode: %v", faults)
	}
	return doc.(map[string]any)
}

// shape finds the schema of a body, and the part of the body that it describes, as a caller would.
func shape(provider string, doc map[string]any) (schema string, part any) {
	switch provider {
	case "signzy":
		for _, wrapper := range []string{"result", "data"} {
			if inner, ok := doc[wrapper].(map[string]any); ok {
				doc = inner
			}
		}
		return "result", doc
	case "ondato":
		if envelope := canonical(doc); envelope["payload"] != nil {
			return "callback", envelope
		}
		if doc["identityVerificationId"] != nil {
			return "kyc", doc
		}
		return "idv", doc
	case "idwise":
		switch {
		case doc["event"] != nil:
			return "webhook", doc
		case doc["step_summaries"] != nil:
			return "summary", doc
		}
		return "result", doc
	}
	if data, ok := doc["session_data"].(map[string]any); ok && data["user_id"] != nil {
		return "session", doc
	}
	return "webhook", doc
}

// canonical spells the keys of an Ondato envelope as the schema does.
func canonical(doc map[string]any) map[string]any {
	spelled := map[string]any{}
	for key, value := range doc {
		for _, known := range []string{"id", "applicationId", "createdUtc", "payload", "type"} {
			if strings.EqualFold(key, known) {
				key = known
			}
		}
		spelled[key] = value
	}
	return spelled
}

func TestFixturesAreValid(t *testing.T) {
	set := newSet(t)
	dirs, err := filepath.Glob(filepath.Join(testdata, "*", "*", "body.json"))
	if err != nil || len(dirs) < 80 {
		t.Fatalf("%d fixtures found, error %v", len(dirs), err)
	}
	used := map[string]int{}
	for _, file := range dirs {
		dir := filepath.Dir(file)
		provider := filepath.Base(filepath.Dir(dir))
		t.Run(provider+"/"+filepath.Base(dir), func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			schema, part := shape(provider, decoded(t, body))
			used[provider+"/"+schema]++
			if faults := set.Validate(provider, schema, part); faults != nil {
				t.Errorf("%s: %v", schema, faults)
			}
		})
	}
	for provider, schemas := range set.Names() {
		for _, schema := range schemas {
			if provider != eventFolder && !outgoing(schema) && used[provider+"/"+schema] == 0 {
				t.Errorf("no fixture for %s/%s", provider, schema)
			}
		}
	}
}
