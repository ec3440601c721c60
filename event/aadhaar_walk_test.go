package event

import (
	"encoding/json"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ownIDs are the JSON pointers of an event at which nothing is masked: kycbridge's own ids.
var ownIDs = map[string]bool{
	"/id": true, "/subject": true, "/partitionkey": true, "/data/verification_id": true, "/data/supersedes": true,
	"/data/payload/id": true, "/data/payload/digest": true,
}

// TestEveryFieldIsMasked puts an Aadhaar number into every string of an event, members and names of
// members, and examines the published form. A new field of the event is filled too.
func TestEveryFieldIsMasked(t *testing.T) {
	for name, written := range spellings(someAadhaar) {
		// This tests every separator and every script; TestAadhaarInEverySpelling tests every combination.
		if script, separator, _ := strings.Cut(name, ", "); script != "devanagari" && separator != "zero width space" {
			continue
		}
		for _, profile := range []Profile{ProfileFull, ProfileMasked, ProfileNone, ProfileEncrypted} {
			e := published(t, written, profile)
			seen := 0
			eachString("", e, func(pointer, s string) {
				seen++
				if containsDigits(s, someAadhaar) && !ownIDs[pointer] {
					t.Errorf("%s, %s: %s holds %q", name, profile, pointer, s)
				}
				if profile == ProfileFull && !ownIDs[pointer] && !containsDigits(s, "2346") &&
					strings.HasPrefix(pointer, "/data/") {
					t.Errorf("%s: nothing is left of what stood at %s: %q", name, pointer, s)
				}
			})
			if seen < 120 {
				t.Fatalf("%s, %s: only %d strings", name, profile, seen)
			}
		}
	}
}

// published is the JSON form of an event in which every string was replaced.
func published(t *testing.T, written string, profile Profile) any {
	t.Helper()
	var d Data
	fill(reflect.ValueOf(&d).Elem(), written)
	d.Status, d.Decision.Outcome, d.Decision.Final = StatusCompleted, OutcomeApproved, true
	d.Provider.Event.OccurredAt, d.Provider.Event.ReceivedAt = "2026-03-02T10:00:00Z", "2026-03-02T10:00:00Z"
	d.VerifiedClaims = nil
	before, shared := deepCopy(reflect.ValueOf(d)).Interface().(Data), d
	Protect(&d, profile)
	if profile != ProfileNone {
		d.VerifiedClaims = NewVerifiedClaims(&d, written)
	}
	if diff := cmp.Diff(before, shared); diff != "" {
		t.Fatalf("what is shared was written into: %s", diff)
	}
	var e map[string]any
	if err := json.Unmarshal([]byte(asJSON(t, Event{Data: d})), &e); err != nil {
		t.Fatal(err)
	}
	for _, pointer := range []string{"status", "decision", "verification_id"} {
		if _, ok := e["data"].(map[string]any)[pointer]; !ok {
			t.Fatalf("no %s in the event", pointer)
		}
	}
	// The test or the lifecycle sets these members, with values and times of kycbridge.
	data := e["data"].(map[string]any)
	delete(data, "status")
	delete(data["decision"].(map[string]any), "outcome")
	delete(data["pii"].(map[string]any), "profile")
	for _, at := range []string{"occurred_at", "received_at"} {
		delete(data["provider"].(map[string]any)["event"].(map[string]any), at)
	}
	if v, ok := data["verified_claims"].(map[string]any); ok {
		ours(v["verification"].(map[string]any))
	}
	return e
}

// ours removes the types of the evidence, which kycbridge sets, from verified claims.
func ours(verification map[string]any) {
	evidence, _ := verification["evidence"].([]any)
	for _, piece := range evidence {
		delete(piece.(map[string]any), "type")
	}
}

// TestMaskedNumbersFitTheSchema puts numbers where the schema requires a format: the masked value still
// has that format.
func TestMaskedNumbersFitTheSchema(t *testing.T) {
	raw, err := os.ReadFile("../test/fixture/testdata/signzy/get-journey-completed-full/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	e, err := Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	d := e.Data
	d.StatusDetail = "x_" + someAadhaar
	d.Reasons = []Reason{{Code: "document.x_" + someAadhaar, CheckID: "rule_" + someAadhaar},
		{Code: "document." + someAadhaar}}
	d.RequiredActions = []RequiredAction{{Action: "renew", Reasons: []string{"review.2341_2341_2346"},
		ProviderStep: someAadhaar}}
	d.Checks = []Check{{CheckID: "rule_" + someAadhaar, Type: "x_" + someAadhaar, Result: ResultPassed,
		DocumentIDs: []string{"d_" + someAadhaar}, Reasons: []string{"document." + someAadhaar},
		Details: map[string]any{"n": 234123412346.0}}}
	d.Documents = []Document{{DocumentID: "d_" + someAadhaar, Type: "card_" + someAadhaar}}
	d.Provider.References = map[string]string{"journey_id": someAadhaar}
	d.Provider.Status = map[string]any{"code": json.Number(someAadhaar), "n": int64(234123412346)}
	d.ExternalReference = strings.Repeat("é", 116) + someAadhaar
	e.Data = d
	if faults := e.Check(); faults != nil {
		t.Fatalf("the test begins with %v", faults)
	}
	Protect(&e.Data, ProfileFull)
	if faults := e.Check(); faults != nil {
		t.Errorf("%v", faults)
	}
	if text := asJSON(t, e); containsDigits(text, someAadhaar) || strings.Count(text, "2346") < 13 {
		t.Error(text)
	}
	for name, got := range map[string]string{
		"rule_xxxxxxxx2346": e.Data.Checks[0].CheckID, "x_xxxxxxxx2346": e.Data.Checks[0].Type,
		"d_xxxxxxxx2346":    e.Data.Documents[0].DocumentID,
		"card_xxxxxxxx2346": e.Data.Documents[0].Type, "document.xxxxxxxx2346": e.Data.Reasons[1].Code,
	} {
		if got != name {
			t.Errorf("%s became %s", name, got)
		}
	}
	if e.Data.Reasons[0].CheckID != e.Data.Checks[0].CheckID ||
		e.Data.Checks[0].DocumentIDs[0] != e.Data.Documents[0].DocumentID {
		t.Error("ids that refer to each other differ")
	}
}

// TestMaskedNamesStayDistinct: members whose names differ only in the masked digits stay distinct.
func TestMaskedNamesStayDistinct(t *testing.T) {
	other := ""
	for n := 0; !strings.HasSuffix(other, "2346"); n++ {
		other = withCheckDigit("5" + strconv.Itoa(10_000_000_00 + n)[:10])
	}
	d := Data{Extensions: map[string]any{someAadhaar: "a", other: "b"}}
	Protect(&d, ProfileFull)
	if diff := cmp.Diff(map[string]any{"XXXXXXXX2346": "a", "XXXXXXXX2346_2": "b"}, d.Extensions); diff != "" {
		t.Error(diff)
	}
}

// TestPhoneNumbersStay: a phone number is not masked in the claim of that name if it has the required
// format.
func TestPhoneNumbersStay(t *testing.T) {
	indian, british := "+"+withCheckDigit("91987654321"), "+"+withCheckDigit("44790090000")
	for _, c := range []struct{ claim, in, want string }{
		{"phone_number", indian, indian},
		{"phone_number", british, british},
		{"phone_number#en", indian, indian},
		{"phone_number", indian[1:], "XXXXXXXX" + indian[len(indian)-4:]},
		{"phone", indian, "+XXXXXXXX" + indian[len(indian)-4:]},
		{"phone_number", "+" + someAadhaar, "+XXXXXXXX2346"}, // +234 has no numbers of twelve digits
		{"phone_number", "+91" + someAadhaar, "+91XXXXXXXX2346"},
		{"phone_number", "+91 2341 2341 2346", "+91 XXXXXXXX2346"},
		{"phone_number", someAadhaar, "XXXXXXXX2346"},
	} {
		d := Data{ExtractedClaims: Claims{c.claim: c.in}}
		Protect(&d, ProfileFull)
		if got := d.ExtractedClaims[c.claim]; got != c.want {
			t.Errorf("%s %s became %s, want %s", c.claim, c.in, got, c.want)
		}
	}
}

// TestNoAllocationsWithoutNumbers: nothing is allocated for events without a number.
func TestNoAllocationsWithoutNumbers(t *testing.T) {
	for _, state := range []func() Data{protectCases()["pan"], protectCases()["media"]} {
		d := state()
		if n := testing.AllocsPerRun(100, func() { hideNumbers(&d) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
	}
}

// fill sets every string in v to s, and fills everything that may contain one.
func fill(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), s)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i), s)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, key := range []string{"member", s, "other " + s} {
			value := reflect.New(v.Type().Elem()).Elem()
			fill(value, s)
			v.SetMapIndex(reflect.ValueOf(key).Convert(v.Type().Key()), value)
		}
	case reflect.Interface:
		v.Set(reflect.ValueOf(map[string]any{
			"text": s, "list": []any{s, []any{s}, map[string]any{s: s}}, "strings": []string{s},
			"object": map[string]string{s: s},
			"claims": Claims{"phone_number": s, "aadhaar_number": s}, "named": namedText(s), "document_number": s,
		}))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Field(i).Type() != reflect.TypeFor[time.Time]() {
				fill(v.Field(i), s)
			}
		}
	}
}

// namedText is a type that no mapping uses.
type namedText string

// eachString calls see with every string in v and with every name of a member.
func eachString(pointer string, v any, see func(pointer, s string)) {
	switch v := v.(type) {
	case string:
		see(pointer, v)
	case []any:
		for i, item := range v {
			eachString(pointer+"/"+strconv.Itoa(i), item, see)
		}
	case map[string]any:
		for key, member := range v {
			if containsDigits(key, "2346") {
				see(pointer+"/*", key)
			}
			eachString(pointer+"/"+key, member, see)
		}
	}
}
