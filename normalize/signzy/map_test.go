package signzy

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

func mapBody(t *testing.T, body string, s kycbridge.Settings) kycbridge.Observation {
	t.Helper()
	o, err := mapPayload(kycbridge.Payload{Body: []byte(body), Via: event.ViaCallback}, s)
	if err != nil {
		t.Fatal(err)
	}
	normalizetest.Lawful(t, o)
	return o
}

// goodJourney is a completed journey in which all evidence is in favor of the person.
const goodJourney = `{"journeyId":"AB12","currentStatus":"COMPLETED","step":"COMPLETE","completedAt":1772442319271,"capturedData":{"consent":true},
	"documentIntelligence":{"completeStatus":{"overallStatus":"True","detailsOptical":{"docType":"True","expiry":"True","security":"True"}},
		"idExpired":"False","extractedFieldErrors":[]},
	"selfieAnalysis":{"passiveLiveliness":{"status":"200","liveness":true,"score":0.99},
		"faceMatch":{"status":"200","verified":true,"matchPercentage":"97.50%"}},
	"matchPercentage":{"fullNameMatch":"90%","dateOfBirthMatch":"100%","addressMatch":"NA","documentNumberMatch":"NA"},
	"ipAddresses":{"203.0.113.7":{"proxy":"false","vpn":"false","tor":"false","fraudScore":"20"}}}`

// changed is goodJourney with parts of its text replaced, pair by pair.
func changed(t testing.TB, pairs ...string) string {
	t.Helper()
	body := goodJourney
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(body, pairs[i]) {
			t.Fatalf("the journey has no %s", pairs[i])
		}
		body = strings.Replace(body, pairs[i], pairs[i+1], 1)
	}
	return body
}

// TestStatuses checks the table of docs/consume.md, row by row, and the statuses that the operator may add to it.
func TestStatuses(t *testing.T) {
	status := func(status, step string) string {
		return `{"journeyId":"AB12","completedAt":1772442319271,"currentStatus":` + status + `,"step":` + step + `}`
	}
	words := func(raw, ours string) kycbridge.Settings {
		return kycbridge.Settings{Own: Settings{FlowStatuses: map[string]string{raw: ours}}}
	}
	const progress, end, verdict = kycbridge.EffectProgress, kycbridge.EffectEnd, kycbridge.EffectVerdict
	const doubt = kycbridge.EffectDoubt
	for _, c := range []struct {
		name     string
		body     string
		settings kycbridge.Settings
		effect   kycbridge.Effect
		status   event.Status
		detail   string
		reasons  string
	}{
		{"created", `{"journeyId":"AB12","journeyUrl":"https://kyc.example.com/AB12","createdAt":1772442000000}`,
			kycbridge.Settings{}, progress, "created", "link_sent", ""},
		{"completed", status(`"COMPLETED"`, `"COMPLETE"`), kycbridge.Settings{}, verdict, "completed", "no_provider_verdict",
			""},
		{"completed, operator says otherwise", status(`"COMPLETED"`, `"COMPLETE"`), words("COMPLETED", "expired"), verdict,
			"completed", "no_provider_verdict", ""},
		{"terminated", status(`"TERMINATED"`, `"RETRIES_EXCEEDED"`), kycbridge.Settings{}, end, "failed", "",
			"session.attempts_exceeded"},
		{"terminated, policy", status(`"TERMINATED"`, `"RETRIES_EXCEEDED"`),
			kycbridge.Settings{Own: Settings{Policy: map[string]float64{"min_face_match": 0}}}, end, "failed", "",
			"session.attempts_exceeded"},
		{"terminated, no step", status(`"TERMINATED"`, `null`), kycbridge.Settings{}, end, "failed", "",
			"session.attempts_exceeded"},
		{"terminated, unknown step", status(`"TERMINATED"`, `"CONSENT_REFUSED"`), kycbridge.Settings{}, end, "failed", "",
			"system.unmapped_status"},
		{"completed, unknown step", status(`"COMPLETED"`, `"SKIPPED"`), kycbridge.Settings{}, doubt, "unknown", "",
			"system.unmapped_status"},
		{"completed, unknown step, policy", changed(t, `"step":"COMPLETE"`, `"step":"SKIPPED"`),
			kycbridge.Settings{Own: Settings{Policy: map[string]float64{"min_face_match": 0}}}, doubt, "unknown", "",
			"system.unmapped_status"},
		{"completed, step of the other end", status(`"COMPLETED"`, `"RETRIES_EXCEEDED"`), kycbridge.Settings{}, doubt,
			"unknown", "", "system.contradiction"},
		{"completed, text of the other end", status(`"COMPLETED"`, `"COMPLETE","message":"Retries Exceeded"`),
			kycbridge.Settings{}, doubt, "unknown", "", "system.contradiction"},
		{"terminated, text of the other end", status(`"TERMINATED"`, `"RETRIES_EXCEEDED","message":"Journey Completed"`),
			kycbridge.Settings{}, doubt, "unknown", "", "system.contradiction"},
		{"two copies that disagree", `{"data":` + status(`"TERMINATED"`, `"RETRIES_EXCEEDED"`) + `,"result":` +
			status(`"COMPLETED"`, `"COMPLETE"`) + `}`, kycbridge.Settings{}, doubt, "unknown", "", "system.contradiction"},
		{"two copies that disagree, policy", `{"data":` + status(`"TERMINATED"`, `""`) + `,"result":` + goodJourney + `}`,
			kycbridge.Settings{Own: Settings{Policy: map[string]float64{"min_face_match": 0}}}, doubt, "unknown", "",
			"system.contradiction"},
		{"a wrapper that disagrees", `{"currentStatus":"TERMINATED","result":` + status(`"COMPLETED"`, `"COMPLETE"`) + `}`,
			kycbridge.Settings{}, doubt, "unknown", "", "system.contradiction"},
		{"a wrapper with an object", `{"currentStatus":{"a":1},"result":` + status(`"COMPLETED"`, `"COMPLETE"`) + `}`,
			kycbridge.Settings{}, doubt, "unknown", "", "system.contradiction"},
		{"two copies that agree", `{"currentStatus":"completed","data":` + status(`"COMPLETED"`, `"COMPLETE"`) +
			`,"result":{"currentStatus":null,"data":` + status(`"COMPLETED"`, `"COMPLETE"`) + `}}`,
			kycbridge.Settings{}, verdict, "completed", "no_provider_verdict", ""},
		{"unseen", status(`"LINK_EXPIRED"`, `"LINK_EXPIRED"`), kycbridge.Settings{}, doubt, "unknown", "",
			"system.unmapped_status"},
		{"unseen, open", `{"journeyId":"AB12","currentStatus":"LINK_OPENED","completedAt":null}`, kycbridge.Settings{},
			progress, "unknown", "", "system.unmapped_status"},
		{"unseen, policy", status(`"APPROVED"`, `"COMPLETE"`),
			kycbridge.Settings{Own: Settings{Policy: map[string]float64{"min_face_match": 0}}}, doubt, "unknown", "",
			"system.unmapped_status"},
		{"missing", `{"journeyId":"AB12"}`, kycbridge.Settings{}, progress, "unknown", "", "system.unmapped_status"},
		{"null", status(`null`, `null`), kycbridge.Settings{}, doubt, "unknown", "", "system.unmapped_status"},
		{"number", status(`200`, `7`), kycbridge.Settings{}, doubt, "unknown", "", "system.unmapped_status"},
		{"object", status(`{"a":"COMPLETED"}`, `[]`), kycbridge.Settings{}, doubt, "unknown", "", "system.unmapped_status"},
		{"operator: expired", status(`"LINK_EXPIRED"`, `""`), words("LINK_EXPIRED", "expired"), end, "expired", "", ""},
		{"operator: abandoned", status(`"LEFT"`, `""`), words("left", "abandoned"), end, "abandoned", "", ""},
		{"operator: canceled", status(`"X"`, `""`), words("X", "canceled"), end, "canceled", "", ""},
		{"operator: failed", status(`"X"`, `""`), words("X", "failed"), end, "failed", "", ""},
		{"operator: in progress", status(`"IN_PROGRESS"`, `""`), words("in-progress", "in_progress"), progress,
			"in_progress", "", ""},
		{"operator: in review", status(`"Pending"`, `""`), words("Pending", "in_review"), progress, "in_review", "", ""},
		{"operator must not complete", status(`"DONE"`, `""`), words("DONE", "completed"), doubt, "unknown", "",
			"system.unmapped_status"},
		{"operator's word is not ours", status(`"DONE"`, `""`), words("DONE", "approved"), doubt, "unknown", "",
			"system.unmapped_status"},
		{"operator's word is empty", status(`"DONE"`, `""`), words("DONE", ""), doubt, "unknown", "",
			"system.unmapped_status"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := mapBody(t, c.body, c.settings)
			if own(c.settings).Policy != nil && o.Status == event.StatusCompleted {
				t.Fatal("a policy decided on a bare status")
			}
			if o.Effect != c.effect || o.Status != c.status || o.StatusDetail != c.detail ||
				normalizetest.ReasonCodes(o) != c.reasons {
				t.Errorf("effect %d status %q %q reasons %q", o.Effect, o.Status, o.StatusDetail, normalizetest.ReasonCodes(o))
			}
			if normalizetest.OutcomeOf(o) != event.OutcomeNone || o.Decision.Final || len(o.Decisions) != 0 {
				t.Errorf("decision %+v %v", o.Decision, o.Decisions)
			}
		})
	}
	o := mapBody(t, status(`"LINK_EXPIRED"`, `""`), kycbridge.Settings{})
	if o.Reasons[0].ProviderCode != "LINK_EXPIRED" {
		t.Errorf("reasons %+v", o.Reasons)
	}
}

func TestFacts(t *testing.T) {
	o := mapBody(t, `{"journeyId":"aB-12","_id":"0123","clientId":"c1","userId":"user-1","currentStatus":"COMPLETED","step":"COMPLETE","message":"Journey Completed",
		"flow":{"flowId":"F1","version":3},"createdAt":1772442000000,"startedAt":null,"completedAt":"2026-03-02T09:05:19.271Z","updatedAt":"2026-03-02T09:05:17.157Z",
		"userInfo":{"name":{"firstName":"Caller"},"dateOfBirth":"09/09/1999","emailAddress":"caller@example.com"},
		"capturedData":{"images":{"frontDoc":"https://files.example.com/a/1.jpeg?x=1","backDoc":"","selfie":"data:image/png;base64,AAAA"},"consent":true,"livenessConsent":false,"country":"IN","idType":"Driving License"},
		"documentIntelligence":{"predictedIdTypeFront":{"DocumentName":"Exampleland","FDSIDList":{"ICAOCode":"IND","dCountryName":"India","dDescription":"Driving Licence"}},
		"extractedFields":{"names":"JANE SAMPLE","Surname And Given Names":"OTHER","FirstName":"JANE","surname":"SAMPLE","Date of Birth":"01/02/1990","date of birth":"","sex":"F",
			"nationality code":"IND","nationality":"INDIAN","Document Number":"X1","Date Of Expiry":"01/02/2035","Issue Date":"31/12/2020","Document Class Code":"DL",
			"Guardian's Name":"JOHN","age":"36","remainderterm":"1","remainderterm":"2","Address":"1 EXAMPLE ROAD",
			"Split Address":{"district":["D"],"state":[["GOA","GA"],["KARNATAKA","KA"]],"city":["PANAJI"],"pincode":403001,"country":["IN","IND","INDIA"]}}}}`, kycbridge.Settings{})
	if want := (event.Claims{
		"name": "JANE SAMPLE", "given_name": "JANE", "family_name": "SAMPLE", "birthdate": "1990-02-01", "gender": "female",
		"nationalities": []string{"IND"},
		"address": map[string]string{"formatted": "1 EXAMPLE ROAD", "locality": "PANAJI", "region": "IN-GA",
			"postal_code": "403001", "country_code": "IND"},
	}); !reflect.DeepEqual(o.ExtractedClaims, want) {
		t.Errorf("claims %v", o.ExtractedClaims)
	}
	if want := []event.Document{{
		DocumentID: "document", Type: "driving_permit", MRZDocumentCode: "DL", DocumentNumber: "X1",
		DateOfIssuance: "2020-12-31",
		DateOfExpiry:   "2035-02-01", Issuer: &event.Issuer{Name: "India", CountryCode: "IND"},
	}}; !reflect.DeepEqual(o.Documents, want) {
		t.Errorf("documents %+v", o.Documents)
	}
	if want := []event.Media{{Kind: "document_front", MediaType: "image/jpeg",
		ProviderRef: "https://files.example.com/a/1.jpeg?x=1", Field: "capturedData.images.frontDoc"},
		{Kind: "selfie", ProviderRef: "capturedData.images.selfie",
			Field: "capturedData.images.selfie"}}; !reflect.DeepEqual(o.Media, want) {
		t.Errorf("media %+v", o.Media)
	}
	if want := (event.Session{
		Channel: "web", CreatedAt: "2026-03-02T09:00:00Z", EndedAt: "2026-03-02T09:05:19.271Z",
		Consent: &event.Consent{Given: true},
		Country: "IN", CountrySource: "declared",
	}); !reflect.DeepEqual(*o.Session, want) {
		t.Errorf("session %+v", o.Session)
	}
	if want := map[string]any{"currentStatus": "COMPLETED", "step": "COMPLETE",
		"message": "Journey Completed"}; !reflect.DeepEqual(o.ProviderStatus, want) {
		t.Errorf("provider status %v", o.ProviderStatus)
	}
	if want := map[string]string{"journey_id": "aB-12", "database_id": "0123",
		"client_id": "c1"}; !reflect.DeepEqual(o.References, want) {
		t.Errorf("references %v", o.References)
	}
	if o.FlowID != "F1" || o.FlowVersion != "3" || o.ExternalReference != "user-1" || o.EventName != "callback" ||
		o.EventID != "" || event.Instant(o.OccurredAt) != "2026-03-02T09:05:19.271Z" {
		t.Errorf("flow %q %q reference %q event %q at %v", o.FlowID, o.FlowVersion, o.ExternalReference, o.EventName,
			o.OccurredAt)
	}
}

func TestReferencesAndNames(t *testing.T) {
	long := strings.Repeat("x", 129)
	for _, c := range []struct{ members, want string }{
		{`"userId":"u","userInfo":{"externalReferenceId":"r"}`, "r"},
		{`"userId":"u","userInfo":{}`, "u"},
		{`"userId":"u","userInfo":{"externalReferenceId":"` + long + `"}`, ""},
		{`"userId":"` + long + `"`, ""},
	} {
		if got := mapBody(t, `{"journeyId":"A","currentStatus":"X",`+c.members+`}`,
			kycbridge.Settings{}).ExternalReference; got != c.want {
			t.Errorf("%.60s: %q, want %q", c.members, got, c.want)
		}
	}
	for via, want := range map[event.Via]string{"callback": "callback", "fetch": "get-journey", "poll": "get-journey"} {
		o, err := mapPayload(kycbridge.Payload{Body: []byte(goodJourney), Via: via}, kycbridge.Settings{})
		if err != nil || o.EventName != want {
			t.Errorf("%s: %q %v", via, o.EventName, err)
		}
	}
}

func TestRecognisesAadhaar(t *testing.T) {
	for _, captured := range []string{
		`"capturedData":{"idType":"Aadhaar Card"},"documentIntelligence":{`,
		`"capturedData":{"idType":"ID Card"},"documentIntelligence":{"predictedIdTypeFront":{"DocumentName":"India - eAadhaar"},`,
		`"capturedData":{"idType":"ID Card","country":"IN"},"documentIntelligence":{`,
	} {
		o := mapBody(t, `{"journeyId":"A","currentStatus":"COMPLETED",`+captured+`"extractedFields":{"Document Number":"2345 6789 0123"}}}`, kycbridge.Settings{})
		if len(o.Documents) != 1 || o.Documents[0].Type != "in_aadhaar" || o.Documents[0].DocumentNumber != "0123" {
			t.Errorf("%s: %+v", captured, o.Documents)
		}
	}
}

func TestIdentify(t *testing.T) {
	for _, c := range []struct{ name, body, at, reference, event string }{
		{"bare", `{"journeyId":"aB","currentStatus":"COMPLETED"}`, "", "aB", "COMPLETED"},
		{"result", `{"result":{"journeyId":"aB"}}`, "/result", "aB", ""},
		{"data", `{"data":{"journeyId":"aB"}}`, "/data", "aB", ""},
		{"result data", `{"result":{"data":{"journeyId":"aB","currentStatus":7}}}`, "/result/data", "aB", ""},
		{"data result", `{"data":{"result":{"journeyId":"aB"}}}`, "/data/result", "aB", ""},
		{"bare before wrapped", `{"journeyId":"aB","result":{"journeyId":"aB"}}`, "", "aB", ""},
		{"two journeys", `{"journeyId":"aB","result":{"journeyId":"X"}}`, "", "", ""},
		{"two journeys in wrappers", `{"result":{"data":{"journeyId":"ab"}},"data":{"journeyId":"aB"}}`, "", "", ""},
		{"number", `{"journeyId":1234567}`, "", "1234567", ""},
		{"too deep", `{"result":{"data":{"result":{"journeyId":"aB"}}}}`, "", "", ""},
		{"twice the same", `{"result":{"result":{"journeyId":"aB"}}}`, "", "", ""},
		{"probe", `{}`, "", "", ""},
		{"empty", `{"journeyId":""}`, "", "", ""},
		{"odd", `{"journeyId":["aB"],"result":"x","data":[{"journeyId":"aB"}]}`, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := decode(t, []byte(c.body))
			id := identify(doc)
			if id.Schema != "result" || id.At != c.at || id.Reference != c.reference || id.Event != c.event || id.EventID != "" {
				t.Errorf("%+v", id)
			}
			if id.Reference == "" && (id.Missing != "/journeyId" || !reflect.DeepEqual(id.Document, doc)) {
				t.Errorf("not found: %+v", id)
			}
			o, err := mapPayload(kycbridge.Payload{Body: []byte(c.body)}, kycbridge.Settings{})
			if (err == nil) != (c.reference != "") || err == nil && o.References["journey_id"] != c.reference {
				t.Errorf("the mapping finds %v, %v", o.References, err)
			}
		})
	}
}

func TestRefusesWhatCannotBeRead(t *testing.T) {
	for _, body := range []string{"", "null", "[]", `"x"`, "{", "{}", `{"x":"secret-value",}`} {
		_, err := mapPayload(kycbridge.Payload{Body: []byte(body)}, kycbridge.Settings{})
		if err == nil || strings.Contains(err.Error(), "secret-value") {
			t.Errorf("%q: error %v", body, err)
		}
	}
}

// secrets are texts in the fixtures that must not occur in an observation.
var secrets = []string{
	"synthetic-callback-key", "synthetic-token", "hooks/signzy", "app.example.com", "203.0.113.7", "12.5", "77.5",
	"Example ISP", "host.example.net", "jane@example.com", "5550100001", "JOHN SAMPLE", `"Jane"`,
}

func TestFixtures(t *testing.T) {
	for name, body := range normalizetest.Fixtures(t, "signzy") {
		if strings.HasPrefix(name, "back-office-") {
			continue // TestApplicationFixtures
		}
		for _, s := range []kycbridge.Settings{{}, {Own: Settings{Policy: map[string]float64{"min_face_match": 0.9}}},
			{Own: Settings{FlowStatuses: map[string]string{"LINK_EXPIRED": "expired"}}}} {
			t.Run(name, func(t *testing.T) {
				if id := identify(decode(t, body)); id.Reference == "" {
					t.Errorf("identity %+v", id)
				}
				o := mapBody(t, string(body), s)
				out, err := json.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				for _, secret := range secrets {
					if strings.Contains(string(out), secret) {
						t.Errorf("the observation holds %q", secret)
					}
				}
				if len(own(s).Policy) == 0 && normalizetest.OutcomeOf(o) != event.OutcomeNone {
					t.Errorf("a verdict without a policy: %+v", o.Decision)
				}
			})
		}
	}
}

// TestIsPure: the members of a body have no order, and the observation is always the same.
func TestIsPure(t *testing.T) {
	body := []byte(`{"journeyId":"A","currentStatus":"COMPLETED","documentIntelligence":{"extractedFields":{"Name":"A","NAME":"B","name":"C","Na me":"D","names":"E"},
			"authenticityCheck":{"a":{"x":[],"y":[{}]},"b":{"x":[{}]}},"completeStatus2":{"overallStatus":"False"},"completeStatus":{"new":"x","newer":"False","detailsOptical":{"p":1,"q":"True"}}},
		"documentIntelligence2":{"idExpired":"True"},"documentIntelligence_2":{"idExpired":"None"},
		"ipAddresses":{"1":{"proxy":"true","fraudScore":"1"},"2":{"vpn":"true","fraudScore":"2"},"3":{"tor":"true","fraudScore":"3"}}}`)
	want := mapBody(t, string(body), kycbridge.Settings{})
	for range 50 {
		if got := mapBody(t, string(body), kycbridge.Settings{}); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, then %+v", want, got)
		}
	}
	if want.ExtractedClaims["name"] != "E" {
		t.Errorf("name %v", want.ExtractedClaims["name"])
	}
}

func FuzzMap(f *testing.F) {
	for _, body := range normalizetest.Fixtures(f, "signzy") {
		f.Add(body, false)
		f.Add(body, true)
	}
	f.Add([]byte(goodJourney), true)
	f.Fuzz(func(t *testing.T, body []byte, policy bool) {
		doc, faults := reader().Decode(body)
		if len(faults) > 0 {
			return
		}
		identify(doc)
		s := kycbridge.Settings{}
		if policy {
			s.Own = Settings{Policy: map[string]float64{"min_face_match": 0.9}}
		}
		o, err := mapPayload(kycbridge.Payload{Body: body}, s)
		if err != nil {
			return
		}
		normalizetest.Lawful(t, o)
		if o.Decision.Outcome == event.OutcomeApproved && !policy {
			t.Error("approved without a policy")
		}
	})
}

// TestTimes: the same instant in milliseconds, in milliseconds as text, and in ISO format; null is no
// instant.
func TestTimes(t *testing.T) {
	for created, want := range map[string]string{
		`1772442000000`: "2026-03-02T09:00:00Z", `"1772442000000"`: "2026-03-02T09:00:00Z",
		`"2026-03-02T09:00:00.000Z"`:  "2026-03-02T09:00:00Z",
		`"2026-03-02T14:30:00+05:30"`: "2026-03-02T09:00:00Z", `"2026-03-02T09:00:00"`: "2026-03-02T09:00:00Z", `null`: "",
		`"NA"`: "", `""`: "", `{}`: "",
	} {
		o := mapBody(t, `{"journeyId":"A","currentStatus":"COMPLETED","createdAt":`+created+`,"startedAt":`+created+`}`,
			kycbridge.Settings{})
		got := ""
		if o.Session != nil {
			got = o.Session.CreatedAt
		}
		if got != want || want != "" && o.Session.StartedAt != want {
			t.Errorf("%s: %q, want %q", created, got, want)
		}
	}
}

// TestLabels: labels of extracted fields differ in letter case, spaces and separators between documents,
// and mean the same.
func TestLabels(t *testing.T) {
	for _, label := range []string{"Date of Birth", "date of birth", "DATE OF BIRTH", "dateOfBirth", "date_of_birth",
		"Date-Of-Birth", " Date  Of Birth "} {
		o := mapBody(t, `{"journeyId":"A","currentStatus":"COMPLETED","documentIntelligence":{"extractedFields":{"`+label+`":"01/02/1990"}}}`, kycbridge.Settings{})
		if o.ExtractedClaims["birthdate"] != "1990-02-01" {
			t.Errorf("%q: %v", label, o.ExtractedClaims)
		}
	}
}

// TestKeysKeepTheirLetters: names of members match regardless of letter case, and otherwise exactly.
func TestKeysKeepTheirLetters(t *testing.T) {
	for _, key := range []string{"journey_id", "journey-id"} {
		body := `{"` + key + `":"AB12","currentStatus":"COMPLETED"}`
		if id := identify(decode(t, []byte(body))); id.Reference != "" || id.Missing != "/journeyId" {
			t.Errorf("%s: identity %+v", key, id)
		}
	}
	policy := kycbridge.Settings{Own: Settings{Policy: map[string]float64{"min_face_match": 0.9}}}
	for _, pair := range [][2]string{{`"currentStatus"`, `"current_status"`}, {`"faceMatch"`, `"face_match"`},
		{`"selfieAnalysis"`, `"selfie-analysis"`}} {
		if o := mapBody(t, changed(t, pair[0], pair[1]), policy); o.Decision.Outcome == event.OutcomeApproved {
			t.Errorf("%s: approved", pair[1])
		}
	}
}
