package schemas

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"kycbridge/document"
)

// ondatoBody is a callback of about 1.5 KB, signzyBody a result of about 12 KB: the documented
// superset with more pictures than its fixture has.
func ondatoBody(tb testing.TB) []byte { return fixtureBody(tb, "ondato/kyc-identification-updated") }

func signzyBody(tb testing.TB) []byte {
	body := string(fixtureBody(tb, "signzy/get-journey-completed-full"))
	var more strings.Builder
	for i := range 14 {
		fmt.Fprintf(&more, `[{"fieldType": "portrait", "value": "https://files.example.com/api/files/%d/download/%064d.jpeg", `+
			`"docSide": "front", "source": "visual", "containerType": "visual graphics"}], `, i, i)
	}
	const list = `"fieldList": [`
	if !strings.Contains(body, list) {
		tb.Fatal("the fixture has no fieldList")
	}
	return []byte(strings.Replace(body, list, list+more.String(), 1))
}

func bodies(tb testing.TB) map[string]struct {
	provider, schema string
	body             []byte
} {
	return map[string]struct {
		provider, schema string
		body             []byte
	}{
		"ondato 1.5KB": {"ondato", "callback", ondatoBody(tb)},
		"signzy 12KB":  {"signzy", "result", signzyBody(tb)},
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, c := range bodies(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				if _, faults := document.Decode(c.body); faults != nil {
					b.Fatal(faults)
				}
			}
		})
	}
}

// BenchmarkDecodeStandard is the time of encoding/json for the same, for comparison.
func BenchmarkDecodeStandard(b *testing.B) {
	for name, c := range bodies(b) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				var doc any
				if err := json.Unmarshal(c.body, &doc); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValidate(b *testing.B) {
	set := newSet(b)
	for name, c := range bodies(b) {
		doc, faults := document.Decode(c.body)
		if faults != nil {
			b.Fatal(faults)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if faults := set.Validate(c.provider, c.schema, doc); faults != nil {
					b.Fatal(faults)
				}
			}
		})
	}
}
