package document

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"kycbridge/test/wait"
)

func TestDecode(t *testing.T) {
	nested := func(open, end string, n int) string {
		return `{"a":` + strings.Repeat(open, n) + strings.Repeat(end, n) + `}`
	}
	tests := map[string]struct {
		body string
		want []Fault // nil: the body is accepted
	}{
		"object":              {`{"a": [1, -2.5e3, true, false, null, "x", {}]}`, nil},
		"space around":        {" \r\n\t{ \"a\" : [ ] , \"b\" : { } } \n", nil},
		"empty":               {"", []Fault{{"", "must not be empty"}}},
		"only space":          {" \n", []Fault{{"", "must not be empty"}}},
		"array":               {`[{"a":1}]`, []Fault{{"", "must be a JSON object"}}},
		"string":              {`"a"`, []Fault{{"", "must be a JSON object"}}},
		"null":                {`null`, []Fault{{"", "must be a JSON object"}}},
		"page":                {"<!doctype html>", []Fault{{"", "must be a JSON object"}}},
		"byte order mark":     {"\ufeff{}", nil},
		"two marks":           {"\ufeff\ufeff{}", []Fault{{"", "must be a JSON object"}}},
		"not UTF-8":           {"{\"a\":\"Jos\xe9\"}", []Fault{{"", "is not UTF-8 at byte 9"}}},
		"name twice":          {`{"a":{"b":1,"c":2,"b":1}}`, []Fault{{"/a/b", "stands twice in one object"}}},
		"name in two cases":   {`{"status":1,"Status":1}`, []Fault{{"/Status", "stands twice in one object"}}},
		"name escaped":        {`{"a":1,"\u0061":1}`, []Fault{{"/a", "stands twice in one object"}}},
		"name in two objects": {`{"a":{"b":1},"b":{"b":1}}`, nil},
		"cut in object":       {`{"a":1`, []Fault{{"", "is cut short: not valid JSON"}}},
		"cut in string":       {`{"a":"b`, []Fault{{"", "is cut short: not valid JSON"}}},
		"cut after escape":    {`{"a":"b\`, []Fault{{"", "is cut short: not valid JSON"}}},
		"cut in literal":      {`{"a":tru`, []Fault{{"", "is not valid JSON at byte 5"}}},
		"trailing data":       {`{"a":1} {}`, []Fault{{"", "is not valid JSON at byte 8"}}},
		"comma at the end":    {`{"a":1,}`, []Fault{{"", "is not valid JSON at byte 7"}}},
		"comma in array":      {`{"a":[1,]}`, []Fault{{"", "is not valid JSON at byte 8"}}},
		"name without value":  {`{"a"}`, []Fault{{"", "is not valid JSON at byte 4"}}},
		"name not quoted":     {`{a:1}`, []Fault{{"", "is not valid JSON at byte 1"}}},
		"wrong bracket":       {`{"a":[1}`, []Fault{{"", "is not valid JSON at byte 7"}}},
		"NaN":                 {`{"a":NaN}`, []Fault{{"", "is not valid JSON at byte 5"}}},
		"leading zero":        {`{"a":01}`, []Fault{{"", "is not valid JSON at byte 7"}}},
		"leading plus":        {`{"a":+1}`, []Fault{{"", "is not valid JSON at byte 5"}}},
		"bare minus":          {`{"a":-}`, []Fault{{"", "is not valid JSON at byte 6"}}},
		"bare point":          {`{"a":1.}`, []Fault{{"", "is not valid JSON at byte 7"}}},
		"bare exponent":       {`{"a":1e}`, []Fault{{"", "is not valid JSON at byte 7"}}},
		"control in string":   {"{\"a\":\"b\nc\"}", []Fault{{"", "is not valid JSON at byte 7"}}},
		"unknown escape":      {`{"a":"\q"}`, []Fault{{"", "is not valid JSON at byte 5"}}},
		"deep enough":         {nested("[", "]", maxDepth-1), nil},
		"too deep":            {nested("[", "]", maxDepth), []Fault{{"", "must not be nested deeper than 100 levels"}}},
		"too deep, unclosed": {`{"a":` + strings.Repeat("[", 1<<20),
			[]Fault{{"", "must not be nested deeper than 100 levels"}}},
		"too many values": {`{"a":[` + strings.Repeat("0,", maxValues) + `0]}`,
			[]Fault{{"", "must not hold more than 100000 values"}}},
		"largest exponent":    {`{"a":1e308, "b":1e-308, "c":-1E+30}`, nil},
		"panics the checker":  {`{"a":{"b":[0,1e1000001]}}`, []Fault{{"/a/b/1", "number out of range"}}},
		"slows the checker":   {`{"a":1e999999}`, []Fault{{"/a", "number out of range"}}},
		"small out of range":  {`{"a":1e-999999}`, []Fault{{"/a", "number out of range"}}},
		"beyond float64":      {`{"a":123.4e308}`, []Fault{{"/a", "number out of range"}}},
		"exponent beyond int": {`{"a":1e99999999999999999999}`, []Fault{{"/a", "number out of range"}}},
		"many digits":         {`{"a":` + strings.Repeat("9", 1<<20) + `}`, []Fault{{"/a", "number out of range"}}},
		"many decimals":       {`{"a":0.` + strings.Repeat("0", 1<<20) + `1}`, []Fault{{"/a", "number out of range"}}},
		"odd names in path":   {`{"a/b~c":{"":1e999}}`, []Fault{{"/a~1b~0c/", "number out of range"}}},
		"personal name":       {`{"203.0.113.7":{"x":1e999}}`, []Fault{{"/*/x", "number out of range"}}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			doc, faults := Decode([]byte(test.body))
			if took := time.Since(start); took > 2*wait.Slowdown*time.Second {
				t.Errorf("took %v", took)
			}
			if !reflect.DeepEqual(faults, test.want) {
				t.Fatalf("faults %v, want %v", faults, test.want)
			}
			if (doc == nil) != (test.want != nil) {
				t.Errorf("doc is %v", doc)
			}
		})
	}
}

func TestDecodeKeepsValues(t *testing.T) {
	const body = `{"id": 12345678901234567890, "s": "a\u0027\/\ud83d\ude00\n", "lone": "\ud800", "utf8": "žlutý", "n": {"x": 0.50}, "\u0061": []}`
	doc, faults := Decode([]byte(body))
	if faults != nil {
		t.Fatal(faults)
	}
	want := Object{
		"id": json.Number("12345678901234567890"), "s": "a'/😀\n", "lone": "\ufffd",
		"utf8": "žlutý", "n": map[string]any{"x": json.Number("0.50")}, "a": []any{},
	}
	if !reflect.DeepEqual(doc, want) {
		t.Errorf("got %#v", doc)
	}
}

// TestReader shows how a reader handles names, labels and JSON inside strings.
func TestReader(t *testing.T) {
	r := NewReader([]string{"createdUtc", "status", "Portrait", "portrait"},
		Forms{Labels: []string{"fields"}, Nested: []string{"extras"}})
	for name, c := range map[string]struct {
		body string
		want Object
		bad  string
	}{
		"another case": {`{"CREATEDUTC":1,"Status":2,"Other":3}`,
			Object{"createdUtc": json.Number("1"), "status": json.Number("2"), "Other": json.Number("3")}, ""},
		"two spellings": {`{"Portrait":1,"a":{"portrait":2}}`,
			Object{"Portrait": json.Number("1"), "a": map[string]any{"portrait": json.Number("2")}}, ""},
		"number out of range":  {`{"status":-1e99999,"a":[1e400]}`, Object{"status": "-1e99999", "a": []any{"1e400"}}, ""},
		"both in one object":   {`{"Portrait":1,"portrait":2}`, nil, "/portrait"},
		"known in two cases":   {`{"status":1,"STATUS":1}`, nil, "/status"},
		"unknown in two cases": {`{"x":{"new":1,"New":1}}`, nil, "/x/New"},
		"label twice": {`{"fields":{"Status":"a","status":"b","A":"x","A":"y","B":"z","B":"z"}}`,
			Object{"fields": map[string]any{"Status": "a", "status": "b", "A": []any{"x", "y"}, "B": "z"}}, ""},
		"below a label":       {`{"fields":{"A":{"b":1,"b":2}}}`, nil, "/fields/A/b"},
		"nested object":       {`{"extras":" {\"STATUS\":\"a\"}"}`, Object{"extras": map[string]any{"status": "a"}}, ""},
		"nested list":         {`{"extras":"[1]"}`, Object{"extras": []any{json.Number("1")}}, ""},
		"nested text":         {`{"extras":"{not json"}`, Object{"extras": "{not json"}, ""},
		"nested and more":     {`{"extras":"{} x"}`, Object{"extras": "{} x"}, ""},
		"nested name twice":   {`{"extras":"{\"a\":1,\"a\":2}"}`, nil, "/extras/a"},
		"not a nested member": {`{"other":"{\"a\":1,\"a\":2}"}`, Object{"other": `{"a":1,"a":2}`}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, faults := r.Decode([]byte(c.body))
			if c.bad != "" {
				if len(faults) != 1 || faults[0].Path != c.bad || faults[0].Message != "stands twice in one object" {
					t.Fatalf("%v %v", got, faults)
				}
				return
			}
			if faults != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %#v %v, want %#v", got, faults, c.want)
			}
		})
	}
}

// Names in a path are truncated to limit its length.
func TestDecodePathIsBounded(t *testing.T) {
	name := strings.Repeat("n", MaxToken)
	body := strings.Repeat(`{"`+name+`":`, maxDepth) + "1e999" + strings.Repeat("}", maxDepth)
	_, faults := Decode([]byte(body))
	if len(faults) != 1 || len(faults[0].Path) > maxPath+MaxToken+1 {
		t.Errorf("faults %v", faults)
	}
}

// FuzzDecode compares Decode with encoding/json: it accepts nothing else, decodes the same, and refuses
// only what it documents.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{
		`{}`, `{"a":[1,{"b":null}],"a":"\u0000\ud800x"}`, "{\"\xff\":\"\xc3\x28\"}", `{"a":1e1000001}`, `{"a":-0.0E-5}`,
		`{"a":"\`, `[1]`, "{\"a\":\"\x7f\"}", `{"a":1}x`, `{"a":00}`, "\x00{}", `{"a":tru}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, faults := Decode(body)
		var want any
		plain := bytes.TrimPrefix(body, byteOrderMark)
		decoder := json.NewDecoder(bytes.NewReader(plain))
		decoder.UseNumber()
		valid := utf8.Valid(plain) && json.Valid(plain) && decoder.Decode(&want) == nil
		if faults == nil && !valid {
			t.Fatalf("took what is not JSON: %q", body)
		}
		if faults == nil && !reflect.DeepEqual(map[string]any(doc), want) {
			t.Fatalf("read %#v, want %#v", doc, want)
		}
		if _, object := want.(map[string]any); faults != nil && valid && object {
			if m := faults[0].Message; m != "number out of range" && m != "stands twice in one object" &&
				!strings.HasPrefix(m, "must not") {
				t.Fatalf("refused %q: %v", body, faults)
			}
		}
	})
}
