package schemas

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kycbridge/document"
)

// person is a personal value.
const person = "Testa Sample"

func TestNewValues(t *testing.T) {
	type found = []NewValue
	field := func(pointer string) NewValue { return NewValue{NewField, pointer, ""} }
	word := func(pointer, value string) NewValue { return NewValue{NewWord, pointer, value} }
	kyc := func(members string) string { return callback("KycIdentification.Approved", kycMore(members)) }
	tests := map[string]struct {
		provider, schema, body string
		want                   found
	}{
		"signzy: nothing": {"signzy", "result", signzyValid, nil},
		"signzy: top level": {"signzy", "result", `{"journeyId": "A", "riskBand": "low"}`,
			found{field("/riskBand")}},
		"signzy: nested": {"signzy", "result",
			`{"journeyId": "A", "documentIntelligence": {"imageQuality": {"glare": {"deep": [1]}}}}`,
			found{field("/documentIntelligence/imageQuality/glare")}},
		"signzy: in an array": {"signzy", "result",
			`{"journeyId": "A", "documentIntelligence": {"extractedFieldErrors": [{"errorStatus": "NOT_EXTRACTED"}, {"line": 1}, {"line": 2}]}}`, found{field("/documentIntelligence/extractedFieldErrors/*/line")}},
		"signzy: in arrays of arrays": {"signzy", "result",
			`{"journeyId": "A", "documentIntelligence": {"graphicFields": {"fieldList": [[{"page": 1, "docSide": "third"}]]}}}`,
			found{word("/documentIntelligence/graphicFields/fieldList/*/*/docSide", "third"),
				field("/documentIntelligence/graphicFields/fieldList/*/*/page")}},
		"signzy: word": {"signzy", "result", `{"journeyId": "A", "currentStatus": "LINK_EXPIRED"}`,
			found{word("/currentStatus", "LINK_EXPIRED")}},
		"signzy: known in other cases": {"signzy", "result",
			`{"journeyId": "A", "currentStatus": "completed", "step": "Retries Exceeded", "documentIntelligence": {"idExpired": true}}`, nil},
		"signzy: keys of a map": {"signzy", "result",
			`{"journeyId": "A", "ipAddresses": {"203.0.113.7": {"vpn": "perhaps", "carrier": "x"}}}`,
			found{field("/ipAddresses/*/carrier"), word("/ipAddresses/*/vpn", "perhaps")}},
		"signzy: labels are free": {"signzy", "result",
			`{"journeyId": "A", "documentIntelligence": {"extractedFields": {"Any Label": "` + person + `"}}}`, nil},
		"signzy: look-ups are free": {"signzy", "result",
			`{"journeyId": "A", "externalApiResponses": [{"api": "x", "input": {"a": 1}, "response": {"b": 1, "overallStatus": "Good"}}]}`, nil},
		"signzy: a number for a word": {"signzy", "result",
			`{"journeyId": "A", "selfieAnalysis": {"faceMatch": {"status": 200}, "passiveLiveliness": {"status": 503}}}`,
			found{word("/selfieAnalysis/passiveLiveliness/status", "503")}},
		"ondato: nothing": {"ondato", "callback", callback("KycIdentification.Approved", kycValid), nil},
		"ondato: top level": {"ondato", "callback",
			strings.Replace(callback("Idv.StatusChanged", idvValid), "{", `{"tenant": "x", `, 1), found{field("/tenant")}},
		"ondato: nested": {"ondato", "callback", kyc(`"document": {"chipVerified": true}`),
			found{field("/payload/document/chipVerified")}},
		"ondato: in an array": {"ondato", "callback",
			kyc(`"rules": [{"name": "NotUnder18", "status": "Success", "weight": 1}]`), found{field("/payload/rules/*/weight")}},
		"ondato: word": {"ondato", "callback",
			callback("IdentityVerification.StatusChanged", strings.Replace(idvValid, "Completed", "Frozen", 1)),
			found{word("/payload/status", "Frozen")}},
		"ondato: word of another kind": {"ondato", "callback",
			callback("Idv.StatusChanged", strings.Replace(idvValid, "Completed", "Awaiting", 1)),
			found{word("/payload/status", "Awaiting")}},
		"ondato: type": {"ondato", "callback", callback("KycIdentification.Paused", kycValid),
			found{word("/type", "KycIdentification.Paused")}},
		"ondato: words of the SDK": {"ondato", "callback", kyc(`"statusReason": "POSSIBLE_FRAUD_ATTEMPT"`), nil},
		"ondato: words are as they are": {"ondato", "kyc", kycMore(`"statusReason": "testa.sample"`),
			found{word("/statusReason", "testa.sample")}},
		"ondato: no long words": {"ondato", "kyc", kycMore(`"statusReason": "` + strings.Repeat("long ", 20) + `"`),
			found{word("/statusReason", "")}},
		"ondato: bare resource": {"ondato", "kyc", kycMore(`"statusReason": "TooLoud", "mood": 1`),
			found{field("/mood"), word("/statusReason", "TooLoud")}},
		"ondato: gender is personal": {"ondato", "kyc", kycMore(`"document": {"gender": "Unheard"}`),
			found{word("/document/gender", "")}},
		"ondato: odd leaves": {"ondato", "kyc",
			kycMore(`"rules": {"a": 1}, "document": {"documentNumber": 7, "mrzVerified": "False", "files": [1]}`),
			found{{NewType, "/document/documentNumber", "number"}, {NewType, "/document/files/*", "number"},
				{NewType, "/document/mrzVerified", "string"}, {NewType, "/rules", "object"}}},
		"ondato: odd envelope": {"ondato", "callback",
			strings.Replace(callback("Idv.StatusChanged", idvValid), `"a1"`, "7", 1),
			found{{NewType, "/applicationId", "number"}}},
		"ondato: form has no shape": {"ondato", "callback", callback("Form.Updated", `{"anything": "`+person+`"}`), nil},
		"idwise: top level": {"idwise", "webhook", strings.Replace(hookValid, "{", `{"version": 2, `, 1),
			found{field("/version")}},
		"idwise: nested": {"idwise", "webhook",
			`{"event": "Finished Journey", "body": {"journeyId": "j1", "channel": "web"}}`, found{field("/body/channel")}},
		"idwise: in an array": {"idwise", "webhook",
			`{"event": "Verification Update Required", "body": {"journeyId": "j1", "requiredSteps": [{"stepId": "0", "hint": "x"}]}}`, found{field("/body/requiredSteps/*/hint")}},
		"idwise: word": {"idwise", "webhook",
			`{"event": "Finished Journey", "body": {"journeyId": "j1", "systemDecision": "Reassess"}}`,
			found{word("/body/systemDecision", "Reassess")}},
		"idwise: in a map": {"idwise", "result",
			`{"journey_id": "j1", "documents": {"0": {"progress": "Paused", "extracted_fields": {"First Name": {"value": "` +
				person + `", "origin": "mrz"}}}}}`,
			found{field("/documents/*/extracted_fields/*/origin"), word("/documents/*/progress", "Paused")}},
		"idwise: datasets are personal": {"idwise", "result",
			`{"journey_id": "j1", "aml": {"matches": [{"datasets": ["Sanctions", "Interpol"]}]}}`,
			found{word("/aml/matches/*/datasets/*", "")}},
		"idwise: summary": {"idwise", "summary",
			`{"journey_id": "j1", "eta": 5, "step_summaries": [{"result": {"status": "Queued"}}]}`,
			found{field("/eta"), word("/step_summaries/*/result/status", "Queued")}},
		"kwikid: top level": {"kwikid", "session",
			`{"session_data": {"session_id": "s1"}, "status": 200, "trace": "x"}`, found{field("/trace")}},
		"kwikid: nested": {"kwikid", "session", session(`"session_id": "s1", "checker": "` + person + `"`),
			found{field("/session_data/checker")}},
		"kwikid: in an array": {"kwikid", "session",
			session(`"session_id": "s1", "summary_data": {"docs": [{"name": "Pan Card", "verdict": 1}], "overall_summary": [null, {"title": "Voice"}]}`), found{field("/session_data/summary_data/docs/*/verdict"), word("/session_data/summary_data/overall_summary/*/title", "Voice")}},
		"kwikid: word": {"kwikid", "session",
			session(`"session_id": "s1", "session_status": "kyc_checker_approved"`),
			found{word("/session_data/session_status", "kyc_checker_approved")}},
		"kwikid: webhook has no shape": {"kwikid", "webhook", `{"anything": {"x": "` + person + `"}}`, nil},
		"no such schema":               {"kwikid", "other", `{"a": 1}`, nil},
	}
	set := newSet(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := set.NewValues(test.provider, test.schema, "", readAs(t, set, test.provider, test.body))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// kycMore is a KYC identification with further members.
func kycMore(members string) string {
	return strings.Replace(kycValid, "}", ", "+members+"}", 1)
}

// TestPointersShowNothingPersonal puts personal values wherever a body can contain them: as a name, and as
// the value of every known and unknown member. No pointer contains them. TestPersonalValuesAreMasked
// checks the values that are shown in the end.
func TestPointersShowNothingPersonal(t *testing.T) {
	secrets := []string{
		"testa@example.com", "+370 600 00001", "37060000001", "AAAAA0000A", "1990-02-01", "203.0.113.7", "2001:db8::7",
		"X0000001",
		"Žoržas", "5e551000-0000-4000-8000-000000000001", strings.Repeat("a", 65), "a/b~c", "{\"x\":1}", "01/02/1990",
		"12 34 56", "\n",
	}
	set := newSet(t)
	for _, secret := range secrets {
		t.Run(secret, func(t *testing.T) {
			name, err := json.Marshal(secret)
			if err != nil {
				t.Fatal(err)
			}
			for provider, body := range map[string]string{
				"ondato/kyc":     fmt.Sprintf(`{"id": "c1", %s: 1, "status": %[1]s, "statusReason": %[1]s, "document": {"fullName": %[1]s, "type": %[1]s, "gender": %[1]s, %[1]s: %[1]s}, "rules": [{"name": %[1]s, "status": %[1]s, "note": %[1]s}]}`, name),
				"signzy/result":  fmt.Sprintf(`{"journeyId": "A", %s: 1, "currentStatus": %[1]s, "ipAddresses": {%[1]s: {%[1]s: %[1]s, "vpn": %[1]s}}, "userInfo": {%[1]s: {}}}`, name),
				"idwise/webhook": fmt.Sprintf(`{"event": %s, "body": {"journeyId": "j1", %[1]s: {%[1]s: 1}, "systemDecision": %[1]s, "requiredSteps": [{%[1]s: 1}]}}`, name),
				"kwikid/session": fmt.Sprintf(`{"session_data": {"session_id": "s1", %s: 1, "session_status": %[1]s, "extras": {%[1]s: %[1]s}}}`, name),
			} {
				folder, schema, _ := strings.Cut(provider, "/")
				for _, v := range set.NewValues(folder, schema, "", readAs(t, set, folder, body)) {
					shown := strings.Split(v.Pointer, "/")
					if slices.Contains(shown, secret) || strings.Contains(v.Pointer, secret) {
						t.Errorf("%s shows %+v", provider, v)
					}
				}
			}
		})
	}
}

// TestNewValuesAreBounded: a body with many new values yields few of them, always the same.
func TestNewValuesAreBounded(t *testing.T) {
	var members strings.Builder
	for i := range 600 {
		fmt.Fprintf(&members, `"new_%c%c": 1, `, 'a'+rune(i%26), 'a'+rune(i/26))
	}
	body := "{" + members.String() + `"journeyId": "A", "documentIntelligence": {"extractedFieldErrors": [` +
		strings.Repeat(`{"line": 1}, `, 5000) + `{"aa_last": 1}]}}`
	set := newSet(t)
	first := set.NewValues("signzy", "result", "", readAs(t, set, "signzy", body))
	if len(first) != maxNewValues || first[0].Pointer != "/documentIntelligence/extractedFieldErrors/*/aa_last" ||
		first[2].Pointer != "/new_aa" {
		t.Errorf("%d reported, the first of them %+v", len(first), first[:1])
	}
	for range 10 {
		if diff := cmp.Diff(first, set.NewValues("signzy", "result", "", readAs(t, set, "signzy", body))); diff != "" {
			t.Fatal(diff)
		}
	}
}

// TestNewValuesOfAPart: the schema describes a part of the body, and nothing of its wrapper.
func TestNewValuesOfAPart(t *testing.T) {
	const body = ` {"requestId": {"journeyId": 1}, "result": {"data": {"journeyId": "A", "step": "PAUSED"}, "203.0.113.7": 1, "data2": []}, "result2": 1}`
	set := newSet(t)
	for at, want := range map[string][]NewValue{
		"/result/data": {{NewField, "/requestId", ""}, {NewField, "/result/*", ""},
			{NewField, "/result/data/step", ""}, {NewField, "/result/data2", ""}, {NewField, "/result2", ""}},
		"/none":                       {{NewField, "/requestId", ""}, {NewField, "/result", ""}, {NewField, "/result2", ""}},
		"/requestId/journeyId/deeper": {{NewField, "/result", ""}, {NewField, "/result2", ""}},
	} {
		if at == "/result/data" {
			want[2] = NewValue{NewWord, "/result/data/step", "PAUSED"}
		}
		if diff := cmp.Diff(want, set.NewValues("signzy", "result", at, readAs(t, set, "signzy", body))); diff != "" {
			t.Errorf("%s: %s", at, diff)
		}
	}
}

// TestNewValuesOfAnotherType: under x-known a value of another JSON type is reported, with its type and
// without its content; null is an absent member.
func TestNewValuesOfAnotherType(t *testing.T) {
	const source = `{
		"properties": {"id": {"type": "string"}},
		"x-known": {
			"number": {"type": ["string", "number"]},
			"birth": {"type": ["string", "null"], "x-personal": true},
			"passed": {"type": "boolean"},
			"anything": {},
			"word": {"type": "string", "x-words": ["Success"]},
			"document": {"type": "object", "properties": {"name": {"type": "string"}}},
			"rules": {"type": "array", "items": {"type": "object", "x-known": {"status": {"type": "string"}}}}
		}
	}`
	var schema map[string]any
	if err := json.Unmarshal([]byte(source), &schema); err != nil {
		t.Fatal(err)
	}
	of := name{"p", "s"}
	places, err := known(map[name]map[string]any{of: schema}, library{})
	if err != nil {
		t.Fatal(err)
	}
	set := &Set{known: places}
	for body, want := range map[string][]NewValue{
		`{"id": "a", "number": 1, "birth": null, "passed": true, "anything": [], "document": {"name": "x"}, "rules": [{"status": "x"}]}`: nil,
		`{"number": true, "birth": 19900201}`: {{NewType, "/birth", "number"},
			{NewType, "/number", "boolean"}},
		`{"passed": "` + person + `", "word": 200}`: {{NewType, "/passed", "string"},
			{NewType, "/word", "number"}},
		`{"document": ["` + person + `"]}`: {{NewType, "/document", "array"}},
		`{"document": {"name": {"` + person + `": 1}}, "rules": {"` + person +
			`": 1}}`: {{NewType, "/document/name", "object"}, {NewType, "/rules", "object"}},
		`{"rules": ["a", {"status": 1}, "b", null]}`: {{NewType, "/rules/*", "string"},
			{NewType, "/rules/*/status", "number"}},
	} {
		doc, faults := document.Decode([]byte(body))
		if faults != nil {
			t.Fatal(faults)
		}
		if diff := cmp.Diff(want, set.NewValues(of.folder, of.schema, "", doc)); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

// TestKnownIsChecked: an invalid description stops the start, and does not fail a payload.
func TestKnownIsChecked(t *testing.T) {
	for fault, source := range map[string]string{
		"a reference to nothing":  `{"x-known": {"a": {"$ref": "#/$defs/none"}}}`,
		"a reference to itself":   `{"$defs": {"a": {"x-known": {"a": {"$ref": "#/$defs/a"}}}}, "x-known": {"a": {"$ref": "#/$defs/a"}}}`,
		"words that are none":     `{"x-known": {"a": {"x-words": [1]}}}`,
		"a type that is none":     `{"x-known": {"a": {"type": "text"}}}`,
		"a member that is none":   `{"x-known": {"a": true}}`,
		"cases that tell nothing": `{"x-cases": {"member": "a"}}`,
	} {
		t.Run(fault, func(t *testing.T) {
			var schema map[string]any
			if err := json.Unmarshal([]byte(source), &schema); err != nil {
				t.Fatal(err)
			}
			if _, err := known(map[name]map[string]any{{"p", "s"}: schema}, library{}); err == nil {
				t.Error("taken")
			}
		})
	}
}

// BenchmarkNewValues is the time of the search for new values in a decoded body.
func BenchmarkNewValues(b *testing.B) {
	set := newSet(b)
	for name, c := range bodies(b) {
		doc := readAs(b, set, c.provider, string(c.body))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(c.body)))
			b.ReportAllocs()
			for b.Loop() {
				if found := set.NewValues(c.provider, c.schema, "", doc); found != nil {
					b.Fatal(found)
				}
			}
		})
	}
}

// readAs parses a body like the bridge for a provider.
func readAs(t testing.TB, set *Set, provider, body string) document.Object {
	t.Helper()
	doc, faults := document.NewReader(set.MemberNames(provider), document.Forms{}).Decode([]byte(body))
	if len(faults) > 0 {
		t.Fatalf("%s: %v", body, faults)
	}
	return doc
}
