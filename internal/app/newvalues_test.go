package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
)

// TestNothingNewInFixtures: everything in a body of the documentation is known to the schemas, and only
// the fixtures with unknown or odd in their names contain new values.
func TestNothingNewInFixtures(t *testing.T) {
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	table, unknown := Providers(set), 0
	for _, c := range cases {
		found := newValuesIn(t, table[c.Provider], c.Via, c.Body)
		if strings.Contains(c.Name, "unknown") || strings.Contains(c.Name, "odd") {
			unknown++
			if len(found) == 0 {
				t.Errorf("%s: nothing is new", c.Dir())
			}
		} else if len(found) > 0 {
			t.Errorf("%s: the schema does not know %+v", c.Dir(), found)
		}
	}
	if len(cases) < 80 || unknown < 5 {
		t.Errorf("%d fixtures, %d with something new", len(cases), unknown)
	}
}

func TestNewValuesOfABody(t *testing.T) {
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	table := Providers(set)
	for name, test := range map[string]struct {
		provider, body string
		want           []kycbridge.NewValue
	}{
		"a wrapper": {"signzy", `{"trace": 1, "result": {"data": {"journeyId": "A", "step": "PAUSED", "mood": 1}}}`,
			[]kycbridge.NewValue{
				{Kind: "field", Pointer: "/result/data/mood"}, {Kind: "value", Pointer: "/result/data/step", Value: "PAUSED"},
				{Kind: "field", Pointer: "/trace"},
			}},
		"an envelope in capitals": {"ondato",
			`{"Id": "e1", "CreatedUtc": "x", "Type": "Form.Created", "Payload": {"id": "f1"}, "Tenant": 1}`,
			[]kycbridge.NewValue{
				{Kind: "field", Pointer: "/Tenant"},
			}},
		"no JSON": {"ondato", `{`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want,
				newValuesIn(t, table[test.provider], event.ViaCallback, []byte(test.body))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNewValuesAreBounded: each is logged once, and both log and labels are limited.
func TestNewValuesAreBounded(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	m := newMetrics()
	n := newNewValueCounter(zap.New(core), m)
	p := kycbridge.Payload{Provider: "ondato", Account: "acme"}
	for range 2 {
		for i := range 2 * maxLoggedValues {
			n.add(p, []kycbridge.NewValue{{Kind: kycbridge.NewField, Pointer: fmt.Sprint("/f", i)}})
		}
	}
	n.add(p, []kycbridge.NewValue{{Kind: kycbridge.NewWord, Pointer: "/f1", Value: "Frozen"}})
	const said = "a payload has fields or values that the schema does not know"
	if got := logs.FilterMessage(said).Len(); got != maxLoggedValues {
		t.Errorf("%d logged, want %d", got, maxLoggedValues)
	}
	if got := logs.Len(); got != maxLoggedValues+1 {
		t.Errorf("%d lines in all", got)
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "kycbridge_new_values_total" {
			continue
		}
		if got := len(f.GetMetric()); got != maxPointers+2 { // one for each, one for other, and one for the word
			t.Errorf("%d series", got)
		}
		total := 0.0
		for _, s := range f.GetMetric() {
			total += s.GetCounter().GetValue()
		}
		if total != 4*maxLoggedValues+1 {
			t.Errorf("%v counted", total)
		}
		return
	}
	t.Error("nothing was counted")
}

// newValuesIn are the new values in a body.
func newValuesIn(t *testing.T, p kycbridge.Provider, via event.Via, body []byte) []kycbridge.NewValue {
	t.Helper()
	doc, faults := p.Document(kycbridge.Payload{Body: body})
	if len(faults) > 0 {
		return nil
	}
	return p.NewValues(doc, via)
}
