package event

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// approvedEvent reads the golden event of a final approval with eight checks.
func approvedEvent(tb testing.TB) *Event {
	tb.Helper()
	body, err := os.ReadFile(filepath.Join("..", "test", "fixture", "testdata", "ondato", "kyc-identification-approved",
		"golden.json"))
	if err != nil {
		tb.Fatal(err)
	}
	e, err := Decode(body)
	if err != nil {
		tb.Fatal(err)
	}
	return &e
}

// TestEventCheck shows the pointers and texts of faults. test/check_agrees_test.go compares the result
// with the schema.
func TestEventCheck(t *testing.T) {
	two := 2.0
	nan := math.NaN()
	for name, c := range map[string]struct {
		spoil func(*Event)
		want  []Fault
	}{
		"nothing wrong": {func(*Event) {}, nil},
		"envelope": {
			func(e *Event) { e.SpecVersion, e.Type, e.Source, e.DataSchema = "0.3", "x", "x", DataSchema+"." },
			[]Fault{
				{Path: "/specversion", Message: `must be "1.0"`},
				{Path: "/type", Message: "must end in .verification. and updated.v1, completed.v1 or closed.v1"},
				{Path: "/source", Message: "must end in /provider/account"},
				{Path: "/dataschema", Message: "must be urn:kycbridge:schema:verification:1. and the minor version"},
			},
		},
		"another's subject": {
			func(e *Event) { e.Subject = e.ID },
			[]Fault{{Path: "/subject", Message: "must be data.verification_id"}},
		},
		"in a list": {
			func(e *Event) { e.Data.Checks[3].Result = "good" },
			[]Fault{{Path: "/data/checks/3/result",
				Message: `must be one of "passed", "failed", "warning", "undetermined", "not_performed"`}},
		},
		"in a list of a list": {
			func(e *Event) { e.Data.Checks[7].Fields[2].Score = &two },
			[]Fault{{Path: "/data/checks/7/fields/2/score", Message: "must be a number from 0 to 1"}},
		},
		"a text of a list": {
			func(e *Event) { e.Data.Checks[0].Reasons = []string{"image.blurred", "blurred"} },
			[]Fault{{Path: "/data/checks/0/reasons/1", Message: "must be category.detail in lower case"}},
		},
		"no number": {
			func(e *Event) { e.Data.Checks[0].Score, e.Data.Checks[1].ScoreRaw = &nan, &ScoreRaw{Max: math.Inf(1)} },
			[]Fault{
				{Path: "/data/checks/0/score", Message: "must be a number from 0 to 1"},
				{Path: "/data/checks/1/score_raw/max", Message: "must be a number"},
			},
		},
		"null for a list": {
			func(e *Event) { e.Data.Reasons = nil },
			[]Fault{{Path: "/data/reasons", Message: "must be an array"}},
		},
		"a provider's status that is no scalar": {
			func(e *Event) { e.Data.Provider.Status["name of nobody"] = map[string]any{} },
			[]Fault{{Path: "/data/provider/status", Message: "must hold strings, numbers, booleans and null only"}},
		},
		"final in another status": {
			func(e *Event) { e.Data.Status = StatusInReview },
			[]Fault{{Path: "/data/status", Message: `must be "completed" where the decision is final`}},
		},
		"profile none": {
			func(e *Event) { e.Data.PII.Profile = ProfileNone },
			[]Fault{
				{Path: "/data/extracted_claims", Message: "must be absent under the profile none"},
				{Path: "/data/documents/0/document_number", Message: "must be absent under the profile none"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := approvedEvent(t)
			c.spoil(e)
			if diff := cmp.Diff(c.want, e.Check()); diff != "" {
				t.Errorf("faults (-want +got):\n%s", diff)
			}
		})
	}
}

// TestEventCheckRepeatsNothing replaces every text of an event: no fault contains it, and their number is
// limited.
func TestEventCheckRepeatsNothing(t *testing.T) {
	const secret = "Testa Sample"
	body, err := json.Marshal(approvedEvent(t))
	if err != nil {
		t.Fatal(err)
	}
	var tree any
	if err := json.Unmarshal(body, &tree); err != nil {
		t.Fatal(err)
	}
	if body, err = json.Marshal(replaceTexts(tree, secret)); err != nil {
		t.Fatal(err)
	}
	e, err := Decode(body)
	if err != nil {
		t.Fatal(err)
	}
	found := e.Check()
	if len(found) != maxFaults {
		t.Errorf("%d faults are reported", len(found))
	}
	if strings.Contains(fmt.Sprint(found), secret) {
		t.Errorf("a fault repeats a value: %v", found)
	}
}

func replaceTexts(v any, with string) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = replaceTexts(member, with)
		}
	case []any:
		for i := range v {
			v[i] = replaceTexts(v[i], with)
		}
	case string:
		return with
	}
	return v
}

func TestEventCheckAllocatesNothing(t *testing.T) {
	e := approvedEvent(t)
	if n := testing.AllocsPerRun(100, func() { e.Check() }); n != 0 {
		t.Errorf("%v allocations for a valid event", n)
	}
}

func BenchmarkEventCheck(b *testing.B) {
	e := approvedEvent(b)
	b.ReportAllocs()
	for b.Loop() {
		if found := e.Check(); found != nil {
			b.Fatal(found)
		}
	}
}
