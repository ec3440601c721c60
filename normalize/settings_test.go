package normalize

import (
	"encoding/json"
	"reflect"
	"testing"
)

// TestValues: a setting has the same value whether it comes from the configuration or from the JSON of a
// case; a setting that is missing, or of another type, has its zero value.
func TestValues(t *testing.T) {
	configured := Values{
		"flag": true, "text": "a", "texts": []string{"a", "b"}, "words": map[string]string{"A": "b"},
		"table": Table{"low": 0.5, "list": []string{"c"}},
	}
	var read Values
	const text = `{"flag":true,"text":"a","texts":["a","b"],"words":{"A":"b"},"table":{"low":0.5,"list":["c"]}}`
	if err := json.Unmarshal([]byte(text), &read); err != nil {
		t.Fatal(err)
	}
	type all struct {
		flag    bool
		text    string
		texts   []string
		words   map[string]string
		numbers map[string]float64
		list    []string
	}
	of := func(v Values) all {
		return all{
			v.Flag("flag"), v.Text("text"), v.Texts("texts"), v.Words("words"),
			v.Table("table").Numbers(), v.Table("table").List("list"),
		}
	}
	want := all{true, "a", []string{"a", "b"}, map[string]string{"A": "b"}, map[string]float64{"low": 0.5}, []string{"c"}}
	for name, v := range map[string]Values{"configured": configured, "JSON": read} {
		if got := of(v); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	odd := Values{"flag": "true", "text": 1, "texts": "a", "words": []string{"a"}, "table": 0.5}
	for name, v := range map[string]Values{"nothing": nil, "other types": odd} {
		if got := of(v); !reflect.DeepEqual(got, all{}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestFaults: the fault that a setting reports for a value, and its position.
func TestFaults(t *testing.T) {
	never := func(string) []Fault { return []Fault{{Problem: "is wrong"}} }
	for name, c := range map[string]struct {
		setting Setting
		value   any
		want    []Fault
	}{
		"a word": {Word("k", "a", "b"), "a", nil},
		"another word": {Word("k", "a", "b"), "c", []Fault{
			{Problem: "is not a known value", Word: "c", Known: []string{"a", "b"}},
		}},
		"an empty item": {Texts("k", "write it"), []string{"a", ""}, []Fault{
			{At: []any{1}, Problem: "is missing", Remedy: "write it"},
		}},
		"table of texts": {Words("k", never), map[string]string{"B": "", "A": ""}, []Fault{
			{At: []any{"A"}, Problem: "is wrong"}, {At: []any{"B"}, Problem: "is wrong"},
		}},
	} {
		if got := c.setting.Check(c.value); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
