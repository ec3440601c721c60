package schemas

import (
	"encoding/json"
	"io/fs"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kycbridge/document"
	"kycbridge/test/wait"
)

// Valid bodies that the tables change in one member.
const (
	signzyValid = `{"journeyId": "AB12", "currentStatus": "COMPLETED", "createdAt": 1772442000000, "startedAt": null}`
	kycValid    = `{"id": "c1", "identityVerificationId": "b1", "status": "Approved"}`
	idvValid    = `{"id": "b1", "status": "Completed", "step": {"kycIdentification": {"id": "c1"}}}`
	hookValid   = `{"event": "Finished Journey", "body": {"eventId": "e1", "journeyId": "j1", "systemDecision": "Complete"}}`
	resultValid = `{"journey_id": "j1", "system_decision": "Complete", "manual_decision": null}`
)

func callback(kind, payload string) string {
	return `{"id": "e1", "applicationId": "a1", "createdUtc": "2026-03-02T09:00:12Z", "payload": ` + payload +
		`, "type": "` + kind + `"}`
}

func session(members string) string { return `{"session_data": {` + members + `}, "status": 200}` }

func TestAccepted(t *testing.T) {
	long := strings.Repeat("r", 2000)
	tests := map[string]struct{ provider, schema, body string }{
		"signzy: only the id": {"signzy", "result", `{"journeyId": "1234567"}`},
		"signzy: unknown values": {"signzy", "result",
			`{"journeyId": "A", "currentStatus": "NEW_ONE", "step": "", "new": {"x": [1]}}`},
		"signzy: nulls": {"signzy", "result",
			`{"journeyId": "A", "flow": null, "selfieAnalysis": null, "ipAddresses": null, "externalApiResponses": null}`},
		"signzy: booleans as text": {"signzy", "result",
			`{"journeyId": "A", "documentIntelligence": {"idExpired": false, "imageQuality": {"result": "NA"}}}`},
		"signzy: numbers as text": {"signzy", "result",
			`{"journeyId": "A", "completedAt": "1772442000000", "selfieAnalysis": {"passiveLiveliness": {"score": "0.9"}}}`},
		"signzy: long reference": {"signzy", "result",
			`{"journeyId": "A", "userId": 17, "userInfo": {"externalReferenceId": "` + long + `"}}`},
		"signzy: IP check not enabled": {"signzy", "result",
			`{"journeyId": "A", "ipAddresses": {"203.0.113.7": {"message": "IP Check is not Enabled"}}}`},
		"signzy: number for the id": {"signzy", "result", `{"journeyId": 1234567}`},
		"signzy: step as object": {"signzy", "result",
			`{"journeyId": "A", "step": {}, "message": [], "userId": true, "completedAt": {}}`},
		"signzy: lists for objects": {"signzy", "result",
			`{"journeyId": "A", "documentIntelligence": [], "ipAddresses": ["x"], "userInfo": "x", "capturedData": 1}`},
		"signzy: objects for lists": {"signzy", "result",
			`{"journeyId": "A", "externalApiResponses": {}, "documentIntelligence": {"extractedFieldErrors": {"0": "x"}, "extractedFields": "x"}}`},
		"signzy: a number for a yes": {"signzy", "result",
			`{"journeyId": "A", "selfieAnalysis": {"passiveLiveliness": {"liveness": 1}}, "matchPercentage": {"fullNameMatch": []}}`},
		"signzy: a picture in the body": {"signzy", "result",
			`{"journeyId": "A", "capturedData": {"images": {"frontDoc": "` + strings.Repeat("iVBORw0K", 100_000) + `"}}}`},
		"ondato: kyc":                    {"ondato", "callback", callback("KycIdentification.Approved", kycValid)},
		"ondato: idv":                    {"ondato", "callback", callback("IdentityVerification.StatusChanged", idvValid)},
		"ondato: old name":               {"ondato", "callback", callback("Idv.StatusChanged", idvValid)},
		"ondato: another type":           {"ondato", "callback", callback("Form.Created", `{"anything": 1}`)},
		"ondato: type that begins alike": {"ondato", "callback", callback("IdvSetup.Changed", `{}`)},
		"ondato: age as number": {"ondato", "kyc",
			`{"id": "c1", "identityVerificationId": "b1", "status": "x", "face": {"ageEstimation": 30}}`},
		"ondato: document of two members": {"ondato", "kyc",
			`{"id": "c1", "identityVerificationId": "b1", "status": "Rejected", "document": {"type": "Passport", "mrzVerified": false}}`},
		"ondato: odd leaves": {"ondato", "kyc",
			`{"id": 1, "identityVerificationId": 2, "status": "x", "statusReason": {}, "document": "d", "rules": {"status": []}, "fraudChecks": "", "face": [], "completedUtc": 0}`},
		"ondato: odd leaves of a session": {"ondato", "idv",
			`{"id": "1", "status": "x", "step": {"consent": {"isConsented": "yes"}, "kycIdentification": []}, "registration": 7, "setup": ""}`},
		"ondato: odd envelope": {"ondato", "callback",
			`{"id": {}, "createdUtc": null, "applicationId": 7, "type": "KycIdentification.Approved", "payload": ` + kycValid +
				`}`},
		"ondato: long reference": {"ondato", "idv", `{"id": "b1", "status": "", "externalReferenceId": "` + long +
			`"}`},
		"idwise: unknown event": {"idwise", "webhook",
			`{"event": "Some New Event", "body": {"journeyId": "j1", "new": {}}}`},
		"idwise: no event id": {"idwise", "webhook",
			`{"event": "Step Submitted", "body": {"journeyId": "j1", "stepId": 1}}`},
		"idwise: spot check": {"idwise", "webhook",
			`{"event": "Finished Spot Check", "body": {"spotCheckJourneyId": "s1", "journeyId": null}}`},
		"idwise: spot check by old id": {"idwise", "webhook",
			`{"event": "FINISHED_SPOT_CHECK", "body": {"ongoingCheckId": "s1"}}`},
		"idwise: ongoing check": {"idwise", "webhook",
			`{"event": "Finished Ongoing Check", "body": {"ongoingCheckId": "s1", "journeyId": "j1"}}`},
		"idwise: numeric step": {"idwise", "summary",
			`{"journey_id": "j1", "step_summaries": [{"definition": {"step_id": 0}, "result": null}]}`},
		"idwise: own id beside another": {"idwise", "webhook",
			`{"event": "Finished Spot Check", "body": {"spotCheckJourneyId": 12, "ongoingCheckId": null}}`},
		"idwise: odd decision": {"idwise", "webhook",
			`{"event": "Finished Journey", "body": {"journeyId": 12, "systemDecision": true, "eventId": {}, "requiredSteps": {}}}`},
		"idwise: odd result": {"idwise", "result",
			`{"journey_id": 12, "documents": [], "selfie": [], "aml": "", "rule_results": {"a/b c": "Passed"}}`},
		"idwise: odd summary": {"idwise", "summary",
			`{"journey_id": "j", "is_completed": "true", "step_summaries": ["0"]}`},
		"idwise: nullable parts": {"idwise", "result",
			`{"journey_id": "j1", "documents": {"0": null}, "selfie": {"is_live": null}, "aml": {"matches": null}}`},
		"kwikid: any object":  {"kwikid", "webhook", `{"x": {"y": []}}`},
		"kwikid: only the id": {"kwikid", "session", session(`"session_id": "s1"`)},
		"kwikid: scalars of other kinds": {"kwikid", "session",
			session(`"session_id": 77, "session_status": "waiting", "user_id": 5, "agent_tl": "x", "start_time": 1772442000.5, "user_ack": "1", "feedback": null`)},
		"kwikid: nulls in a summary": {"kwikid", "session",
			session(`"session_id": "s1", "summary_data": {"overall_summary": [null], "docs": [null]}, "extras": null`)},
	}
	set := newSet(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if faults := set.Validate(test.provider, test.schema, decoded(t, []byte(test.body))); faults != nil {
				t.Error(faults)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	type faults = []Fault
	huge := strings.Repeat("s", 1025)
	tests := map[string]struct {
		provider, schema, body string
		want                   faults
	}{
		"signzy: no id": {"signzy", "result", `{"currentStatus": "COMPLETED"}`,
			faults{{Path: "/journeyId", Message: "is required"}}},
		"signzy: null id": {"signzy", "result", `{"journeyId": null}`,
			faults{{Path: "/journeyId", Message: "must be a string or an integer"}}},
		"signzy: empty id": {"signzy", "result", `{"journeyId": ""}`,
			faults{{Path: "/journeyId", Message: "must not be empty"}}},
		"signzy: long id": {"signzy", "result", `{"journeyId": "` + huge + `"}`,
			faults{{Path: "/journeyId", Message: "must have at most 256 characters"}}},
		"signzy: status object": {"signzy", "result", `{"journeyId": "A", "currentStatus": {}}`,
			faults{{Path: "/currentStatus", Message: "must be a string or null"}}},
		"signzy: long status": {"signzy", "result", `{"journeyId": "A", "currentStatus": "` + huge + `"}`,
			faults{{Path: "/currentStatus", Message: "must have at most 1024 characters"}}},
		"ondato: empty envelope": {"ondato", "callback", `{}`,
			faults{{Path: "/payload", Message: "is required"}, {Path: "/type", Message: "is required"}}},
		"ondato: payload null": {"ondato", "callback", callback("Form.Created", "null"),
			faults{{Path: "/payload", Message: "must be an object"}}},
		"ondato: payload list": {"ondato", "callback", callback("KycIdentification.Approved", "[]"),
			faults{{Path: "/payload", Message: "must be an object"}}},
		"ondato: kyc without idv id": {"ondato", "callback",
			callback("KycIdentification.Approved", `{"id": "c1", "status": "Approved"}`),
			faults{{Path: "/payload/identityVerificationId", Message: "is required"}}},
		"ondato: type spelled loose": {"ondato", "callback",
			callback(" KYC_IDENTIFICATION.APPROVED", `{"id": "c1", "status": "x"}`),
			faults{{Path: "/payload/identityVerificationId", Message: "is required"}}},
		"ondato: idv without id": {"ondato", "callback", callback("identityVerification.statusChanged", `{"status": 1}`),
			faults{{Path: "/payload/id", Message: "is required"}, {Path: "/payload/status", Message: "must be a string"}}},
		"ondato: type number": {"ondato", "callback", `{"id": "e", "createdUtc": "x", "payload": {}, "type": 1}`,
			faults{{Path: "/type", Message: "must be a string"}}},
		"ondato: null ids": {"ondato", "kyc", `{"id": null, "identityVerificationId": {}, "status": "x"}`,
			faults{{Path: "/id", Message: "must be a string or a number"},
				{Path: "/identityVerificationId", Message: "must be a string or a number"}}},
		"ondato: status as list": {"ondato", "kyc", `{"id": "1", "identityVerificationId": "b", "status": ["Approved"]}`,
			faults{{Path: "/status", Message: "must be a string"}}},
		"idwise: no event": {"idwise", "webhook", `{"body": {"journeyId": "j"}}`,
			faults{{Path: "/event", Message: "is required"}}},
		"idwise: no body": {"idwise", "webhook", `{"event": "Finished Journey"}`,
			faults{{Path: "/body", Message: "is required"}}},
		"idwise: no journey": {"idwise", "webhook",
			`{"event": "Finished Journey", "body": {"spotCheckJourneyId": "s"}}`,
			faults{{Path: "/body/journeyId", Message: "is required"}}},
		"idwise: unknown, no id": {"idwise", "webhook", `{"event": "New", "body": {}}`,
			faults{{Path: "/body/journeyId", Message: "is required"}}},
		"idwise: spot check, no id": {"idwise", "webhook", `{"event": "Finished Spot Check", "body": {"journeyId": "j"}}`,
			faults{{Path: "/body/spotCheckJourneyId", Message: "is required"}}},
		"idwise: ongoing, no id": {"idwise", "webhook",
			`{"event": "Finished Ongoing Check", "body": {"journeyId": "j"}}`,
			faults{{Path: "/body/ongoingCheckId", Message: "is required"}}},
		"idwise: journey as list": {"idwise", "webhook", `{"event": "New", "body": {"journeyId": ["j"]}}`,
			faults{{Path: "/body/journeyId", Message: "must be a string or a number"}}},
		"idwise: event number": {"idwise", "webhook", `{"event": 7, "body": {"journeyId": "j"}}`,
			faults{{Path: "/event", Message: "must be a string"}}},
		"idwise: result without id": {"idwise", "result", `{"system_decision": "Complete"}`,
			faults{{Path: "/journey_id", Message: "is required"}}},
		"kwikid: error body": {"kwikid", "session", `{"e": "x", "msg": "Invalid session id", "status": 400}`,
			faults{{Path: "/session_data", Message: "is required"}}},
		"kwikid: no session id": {"kwikid", "session", session(`"session_status": "waiting"`),
			faults{{Path: "/session_data/session_id", Message: "is required"}}},
		"kwikid: null session id": {"kwikid", "session", session(`"session_id": null`),
			faults{{Path: "/session_data/session_id", Message: "must be a string or a number"}}},
		"no such provider": {"nobody", "result", `{}`,
			faults{{Path: "", Message: "cannot be checked: there is no such schema"}}},
		"no such schema": {"signzy", "webhook", `{}`,
			faults{{Path: "", Message: "cannot be checked: there is no such schema"}}},
	}
	set := newSet(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := set.Validate(test.provider, test.schema, decoded(t, []byte(test.body)))
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %v\nwant %v", got, test.want)
			}
		})
	}
}

func TestFaultsAreSortedDistinctAndFew(t *testing.T) {
	bad := make([]any, 100)
	for i := range bad {
		bad[i] = "text"
	}
	got := newSet(t).Validate(eventFolder, eventData, map[string]any{"checks": bad, "documents": bad})
	if len(got) != maxFaults {
		t.Errorf("%d faults", len(got))
	}
	for i := 1; i < len(got); i++ {
		if byPlace(got[i-1], got[i]) >= 0 {
			t.Errorf("out of order: %v, %v", got[i-1], got[i])
		}
	}
}

// A tree that does not come from Decode must not crash the service.
func TestTreesThatAreNotJSON(t *testing.T) {
	set := newSet(t)
	for name, doc := range map[string]any{
		"panics":       map[string]any{"data": map[string]any{"revision": json.Number("1e1000001")}},
		"not JSON":     map[string]any{"id": struct{}{}},
		"nil":          nil,
		"text":         "text",
		"empty number": map[string]any{"data": map[string]any{"revision": json.Number("")}},
	} {
		t.Run(name, func(t *testing.T) {
			if faults := set.ValidateEvent(doc); len(faults) == 0 {
				t.Error("no fault")
			}
			if faults := set.Validate("ondato", "kyc", doc); len(faults) == 0 {
				t.Error("no fault of a provider's body")
			}
		})
	}
}

// Every leaf of every fixture is replaced by a recognizable text and a list.
func TestNoFaultRepeatsAValue(t *testing.T) {
	const seed = "SECRET-4711-jane@example.com"
	set := newSet(t)
	check := func(provider, schema string, doc any) {
		for _, fault := range set.Validate(provider, schema, doc) {
			if strings.Contains(fault.Path+fault.Message, "SECRET") {
				t.Errorf("%s/%s: %v", provider, schema, fault)
			}
		}
	}
	seeds := []any{seed + strings.Repeat("x", 70000), []any{seed}, map[string]any{seed: seed},
		json.Number("47114711.4711")}
	for provider, schemas := range set.Names() {
		for _, schema := range schemas {
			source, _ := set.Source(provider, schema)
			for _, value := range seeds {
				check(provider, schema, value)
				check(provider, schema, filled(decoded(t, source), value))
			}
		}
	}
	body := `{"a": "` + seed + `", "b": SECRET, "` + seed + `": 1e4711}`
	for i := range len(body) {
		_, faults := document.Decode([]byte(body[:i] + body[min(i+1, len(body)):]))
		for _, fault := range faults {
			if strings.Contains(fault.Path+fault.Message, "SECRET") {
				t.Errorf("decode: %v", fault)
			}
		}
	}
}

// filled is a body in which every member of an object schema has the given value.
func filled(schema map[string]any, value any) any {
	members, ok := schema["properties"].(map[string]any)
	if !ok {
		return value
	}
	object := map[string]any{}
	for name, member := range members {
		object[name] = value
		if m, ok := member.(map[string]any); ok && m["properties"] != nil {
			object[name] = filled(m, value)
		}
	}
	return object
}

// Provider schemas stay open: a new value or member does not cause a refusal.
func TestProviderSchemasAreOpen(t *testing.T) {
	set := newSet(t)
	for provider, schemas := range set.Names() {
		if provider == eventFolder {
			continue
		}
		for _, schema := range schemas {
			if outgoing(schema) {
				continue
			}
			source, _ := set.Source(provider, schema)
			for _, key := range closing(decoded(t, source)) {
				t.Errorf("%s/%s uses %s", provider, schema, key)
			}
		}
	}
}

// outgoing reports whether a schema describes a request of kycbridge, which may be strict.
func outgoing(schema string) bool { return schema == "start" || strings.HasPrefix(schema, "push_") }

// closing lists the keywords below node that refuse unknown members.
func closing(node any) []string {
	var found []string
	switch node := node.(type) {
	case map[string]any:
		for key, value := range node {
			shut := key == "enum" || key == "const" || key == "unevaluatedProperties" || key == "maxProperties"
			if shut || key == "additionalProperties" && value == false {
				found = append(found, key)
			}
			found = append(found, closing(value)...)
		}
	case []any:
		for _, value := range node {
			found = append(found, closing(value)...)
		}
	}
	return found
}

func TestNamesAndSources(t *testing.T) {
	set := newSet(t)
	want := map[string][]string{
		"signzy": {"application", "back_office", "back_office_details", "result"}, "ondato": {"callback", "idv", "kyc"}, "idwise": {"result", "summary", "webhook"},
		"kwikid": {"session", "webhook"}, "event": {"data", "event"},
	}
	got := set.Names()
	for provider, schemas := range want {
		if incoming := slices.DeleteFunc(slices.Clone(got[provider]), outgoing); !slices.Equal(incoming, schemas) {
			t.Errorf("names of %s: %v", provider, incoming)
		}
	}
	raw, ok := set.Source("event", "data")
	onDisk, err := fs.ReadFile(files, path.Join("event", "data.schema.json"))
	if err != nil || !ok || string(raw) != string(onDisk) {
		t.Errorf("source differs from its file: %v", err)
	}
	if _, ok := set.Source("event", "nothing"); ok {
		t.Error("there is a schema of that name")
	}
}

// FuzzValidate checks every object against every schema: it terminates, and its result is limited.
func FuzzValidate(f *testing.F) {
	for _, body := range []string{
		signzyValid, kycValid, idvValid, hookValid, resultValid, callback("KycIdentification.Approved", kycValid),
		session(`"session_id": 1`), minimalEvent, `{"ipAddresses": {"::1": {"proxy": 1e300}}}`,
		`{"data": {"revision": 1e308}}`,
	} {
		f.Add([]byte(body))
	}
	set := newSet(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, faults := document.Decode(body)
		if faults != nil {
			return
		}
		start := time.Now()
		for provider, schemas := range set.Names() {
			for _, schema := range schemas {
				for _, fault := range set.Validate(provider, schema, doc) {
					if fault.Message == "" || strings.HasPrefix(fault.Message, "cannot be checked") {
						t.Errorf("%s/%s: %v", provider, schema, fault)
					}
				}
			}
		}
		if took := time.Since(start); took > 5*time.Second*wait.Slowdown {
			t.Errorf("took %v for %d bytes", took, len(body))
		}
	})
}
