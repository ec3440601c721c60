package document

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestMembers(t *testing.T) {
	for body, want := range map[string]map[string]string{
		`{"a":"x","b":{"a":"y"}}`:                  {"a": `"x"`},
		"\ufeff { \"A\" : \"x\" , \"c\":1 } ":      {"a": `"x"`, "c": "1"},
		`{"\u0061":"x"}`:                           {"a": `"x"`},
		`{"b":[{"a":"y"},"}\"{"],"a":{"k":[1,2]}}`: {"a": `{"k":[1,2]}`},
		`{"a":"x","A":"y","c":true}`:               {"c": "true"},
		`{"a":"x" "c":1}`:                          nil,
		`{"a":"x","c":}`:                           nil,
		`{"a":"x`:                                  nil,
		`{"a"`:                                     nil,
		`{"b":"\"a\":\"y\""}`:                      {},
		`["a"]`:                                    nil,
		``:                                         nil,
		`{}`:                                       {},
		`{"a":nonsense, "c":{"unclosed":[}}`:       nil,
		`{"` + strings.Repeat("n", 1000) + `":1,"a":2}`: {"a": "2"},
	} {
		got := Members([]byte(body), "a", "c")
		if len(got) != len(want) {
			t.Errorf("%s: %q", body, got)
		}
		for name, value := range want {
			if string(got[name]) != value {
				t.Errorf("%s: %s is %q, want %s", body, name, got[name], value)
			}
		}
	}
}

// FuzzMembers compares Members with encoding/json on valid JSON.
func FuzzMembers(f *testing.F) {
	for _, body := range []string{`{"a":{"b":"\"}"},"c":[1,{"a":2}]}`, `{"A":"\u0061","b":null}`, `{"a":1,"A":2}`,
		`{"a": "x\\" , "c" : -1.5e3 }`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got := Members(body, "a", "c")
		doc, faults := Decode(body)
		if len(faults) > 0 {
			return
		}
		for _, name := range []string{"a", "c"} {
			spelled := slices.DeleteFunc(slices.Sorted(maps.Keys(doc)),
				func(k string) bool { return !strings.EqualFold(k, name) })
			raw, found := got[name]
			if found != (len(spelled) == 1) {
				t.Fatalf("%s: %s found: %t", body, name, found)
			}
			if !found {
				continue
			}
			want, err := json.Marshal(doc[spelled[0]])
			if err != nil {
				t.Fatal(err)
			}
			var compact bytes.Buffer
			if json.Compact(&compact, raw) != nil || !sameJSON(compact.Bytes(), want) {
				t.Fatalf("%s: %s is %s, want %s", body, name, raw, want)
			}
		}
	})
}

func sameJSON(a, b []byte) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && func() bool {
		p, _ := json.Marshal(x)
		q, _ := json.Marshal(y)
		return bytes.Equal(p, q)
	}()
}

// TestNamesAreCaseInsensitive: a name is found in the same spellings everywhere, letters outside of ASCII
// included.
func TestNamesAreCaseInsensitive(t *testing.T) {
	reader := NewReader([]string{"status", "key"}, Forms{})
	for body, name := range map[string]string{
		`{"STATUS":1}`:      "status",
		`{"\u017ftatus":1}`: "status",
		`{"sTATU\u017f":1}`: "status",
		`{"\u212aey":1}`:    "key",
	} {
		doc, faults := reader.Decode([]byte(body))
		if len(faults) > 0 || !doc.Has(name) || Members([]byte(body), name)[name] == nil {
			t.Errorf("%s: %v %v %v", body, doc, faults, Members([]byte(body), name))
		}
		twice := strings.Replace(body, "{", `{"`+name+`":2,`, 1)
		if _, faults := reader.Decode([]byte(twice)); len(faults) != 1 || len(Members([]byte(twice), name)) > 0 {
			t.Errorf("%s: %v %v", twice, faults, Members([]byte(twice), name))
		}
	}
	if doc, faults := reader.Decode([]byte(`{"\u017ftrange":1,"Strange":2}`)); len(faults) != 1 {
		t.Errorf("a name that no schema knows: %v", doc)
	}
}
