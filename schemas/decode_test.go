package schemas

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestDecode(t *testing.T) {
	nested := func(open, end string, n int) string {
		return `{"a":` + strings.Repeat(open, n) + strings.Repeat(end, n) + `}`
	}
	tests := map[string]struct {
		body string
		want []Fault // nil: the body is taken
	}{
		"object":              {`{"a": [1, -2.5e3, true, false, null, "x", {}]}`, nil},
		"space around":        {" \r\n\t{ \"a\" : [ ] , \"b\" : { } } \n", nil},
		"empty":               {"", []Fault{{"", "must not be empty"}}},
		"only space":          {" \n", []Fault{{"", "must not be empty"}}},
		"array":               {`[{"a":1}]`, []Fault{{"", "must be a JSON object"}}},
		"string":              {`"a"`, []Fault{{"", "must be a JSON object"}}},
		"null":                {`null`, []Fault{{"", "must be a JSON object"}}},
		"page":                {"<!doctype html>", []Fault{{"", "must be a JSON object"}}},
		"byte order mark":     {"\ufeff{}", []Fault{{"", "must be a JSON object"}}},
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
		"too deep, unclosed":  {`{"a":` + strings.Repeat("[", 1<<20), []Fault{{"", "must not be nested deeper than 100 levels"}}},
		"too many values":     {`{"a":[` + strings.Repeat("0,", maxValues) + `0]}`, []Fault{{"", "must not hold more than 100000 values"}}},
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
			if took := time.Since(start); took > time.Second {
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
	const body = "{\"id\": 12345678901234567890, \"s\": \"a\\u0027\\/\\ud83d\\ude00\\n\", \"bad\": \"x\xff\xfey\", " +
		"\"lone\": \"\\ud800\", \"utf8\": \"žlutý\", \"twice\": {\"x\": 1}, \"twice\": 0.50, \"\\u0061\": []}"
	doc, faults := Decode([]byte(body))
	if faults != nil {
		t.Fatal(faults)
	}
	want := map[string]any{
		"id": json.Number("12345678901234567890"), "s": "a'/😀\n", "bad": "x\ufffd\ufffdy", "lone": "\ufffd",
		"utf8": "žlutý", "twice": json.Number("0.50"), "a": []any{},
	}
	if !reflect.DeepEqual(doc, want) {
		t.Errorf("got %#v", doc)
	}
}

// Names in a path are cut off before they make it unbearable.
func TestDecodePathIsBounded(t *testing.T) {
	name := strings.Repeat("n", maxToken)
	body := strings.Repeat(`{"`+name+`":`, maxDepth) + "1e999" + strings.Repeat("}", maxDepth)
	_, faults := Decode([]byte(body))
	if len(faults) != 1 || len(faults[0].Path) > maxPath+maxToken+1 {
		t.Errorf("faults %v", faults)
	}
}

// FuzzDecode holds Decode against encoding/json: it takes nothing else, reads it alike, and refuses
// only what it says that it refuses.
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
		decoder := json.NewDecoder(strings.NewReader(string(body)))
		decoder.UseNumber()
		valid := json.Valid(body) && decoder.Decode(&want) == nil
		if faults == nil && !valid {
			t.Fatalf("took what is not JSON: %q", body)
		}
		if faults == nil && !reflect.DeepEqual(doc, want) {
			t.Fatalf("read %#v, want %#v", doc, want)
		}
		if _, object := want.(map[string]any); faults != nil && valid && object {
			if m := faults[0].Message; m != "number out of range" && !strings.HasPrefix(m, "must not") {
				t.Fatalf("refused %q: %v", body, faults)
			}
		}
	})
}
