package normalize

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"kycbridge"
)

func mapSignzy(t *testing.T, body string, s kycbridge.Settings) kycbridge.Observation {
	t.Helper()
	o, err := Signzy(kycbridge.Payload{Body: []byte(body), Via: kycbridge.ViaCallback}, s)
	if err != nil {
		t.Fatalf("Signzy: %v", err)
	}
	lawful(t, o)
	return o
}

// goodJourney is a completed journey in which everything speaks for the person.
const goodJourney = `{"journeyId":"AB12","currentStatus":"COMPLETED","step":"COMPLETE","completedAt":1772442319271,
	"documentIntelligence":{"completeStatus":{"overallStatus":"True","detailsOptical":{"docType":"True","expiry":"True","security":"True"}},
		"idExpired":"False","extractedFieldErrors":[]},
	"selfieAnalysis":{"passiveLiveliness":{"status":"200","liveness":true,"score":0.99},
		"faceMatch":{"status":"200","verified":true,"matchPercentage":"97.50%"}},
	"matchPercentage":{"fullNameMatch":"90%","dateOfBirthMatch":"100%","addressMatch":"NA","documentNumberMatch":"0%"},
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

// TestSignzyStatuses is EVENT section 5, row by row, and what the operator may add to it.
func TestSignzyStatuses(t *testing.T) {
	status := func(status, step string) string {
		return `{"journeyId":"AB12","completedAt":1772442319271,"currentStatus":` + status + `,"step":` + step + `}`
	}
	words := func(raw, ours string) kycbridge.Settings {
		return kycbridge.Settings{FlowStatuses: map[string]string{raw: ours}}
	}
	const progress, end, verdict = kycbridge.EffectProgress, kycbridge.EffectEnd, kycbridge.EffectVerdict
	for _, c := range []struct {
		name     string
		body     string
		settings kycbridge.Settings
		effect   kycbridge.Effect
		status   kycbridge.Status
		detail   string
		reasons  string
	}{
		{"created", `{"journeyId":"AB12","journeyUrl":"https://kyc.example.com/AB12","createdAt":1772442000000}`, kycbridge.Settings{}, progress, "created", "link_sent", ""},
		{"completed", status(`"COMPLETED"`, `"COMPLETE"`), kycbridge.Settings{}, verdict, "completed", "no_provider_verdict", ""},
		{"completed, operator says otherwise", status(`"COMPLETED"`, `"COMPLETE"`), words("COMPLETED", "expired"), verdict, "completed", "no_provider_verdict", ""},
		{"terminated", status(`"TERMINATED"`, `"RETRIES_EXCEEDED"`), kycbridge.Settings{}, end, "failed", "", "session.attempts_exceeded"},
		{"terminated, policy", status(`"TERMINATED"`, `"RETRIES_EXCEEDED"`), kycbridge.Settings{Policy: map[string]float64{"min_face_match": 0}}, end, "failed", "", "session.attempts_exceeded"},
		{"terminated, no step", status(`"TERMINATED"`, `null`), kycbridge.Settings{}, end, "failed", "", "session.attempts_exceeded"},
		{"terminated, unknown step", status(`"TERMINATED"`, `"CONSENT_REFUSED"`), kycbridge.Settings{}, end, "failed", "", "system.unmapped_status"},
		{"unseen", status(`"LINK_EXPIRED"`, `"LINK_EXPIRED"`), kycbridge.Settings{}, progress, "unknown", "", "system.unmapped_status"},
		{"unseen, policy", status(`"APPROVED"`, `"COMPLETE"`), kycbridge.Settings{Policy: map[string]float64{"min_face_match": 0}}, progress, "unknown", "", "system.unmapped_status"},
		{"missing", `{"journeyId":"AB12"}`, kycbridge.Settings{}, progress, "unknown", "", "system.unmapped_status"},
		{"null", status(`null`, `null`), kycbridge.Settings{}, progress, "unknown", "", "system.unmapped_status"},
		{"number", status(`200`, `7`), kycbridge.Settings{}, progress, "unknown", "", "system.unmapped_status"},
		{"object", status(`{"a":"COMPLETED"}`, `[]`), kycbridge.Settings{}, progress, "unknown", "", "system.unmapped_status"},
		{"operator: expired", status(`"LINK_EXPIRED"`, `""`), words("LINK_EXPIRED", "expired"), end, "expired", "", ""},
		{"operator: abandoned", status(`"LEFT"`, `""`), words("left", "abandoned"), end, "abandoned", "", ""},
		{"operator: canceled", status(`"X"`, `""`), words("X", "canceled"), end, "canceled", "", ""},
		{"operator: failed", status(`"X"`, `""`), words("X", "failed"), end, "failed", "", ""},
		{"operator: in progress", status(`"IN_PROGRESS"`, `""`), words("in-progress", "in_progress"), progress, "in_progress", "", ""},
		{"operator: in review", status(`"Pending"`, `""`), words("Pending", "in_review"), progress, "in_review", "", ""},
		{"operator must not complete", status(`"DONE"`, `""`), words("DONE", "completed"), progress, "unknown", "", "system.unmapped_status"},
		{"operator's word is not ours", status(`"DONE"`, `""`), words("DONE", "approved"), progress, "unknown", "", "system.unmapped_status"},
		{"operator's word is empty", status(`"DONE"`, `""`), words("DONE", ""), progress, "unknown", "", "system.unmapped_status"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := mapSignzy(t, c.body, c.settings)
			if c.settings.Policy != nil && o.Status == kycbridge.StatusCompleted {
				t.Fatal("a policy decided on a bare status")
			}
			if o.Effect != c.effect || o.Status != c.status || o.StatusDetail != c.detail || reasonCodes(o) != c.reasons {
				t.Errorf("effect %d status %q %q reasons %q", o.Effect, o.Status, o.StatusDetail, reasonCodes(o))
			}
			if outcomeOf(o) != kycbridge.OutcomeNone || o.Decision.Final || len(o.Decisions) != 0 {
				t.Errorf("decision %+v %v", o.Decision, o.Decisions)
			}
		})
	}
	o := mapSignzy(t, status(`"LINK_EXPIRED"`, `""`), kycbridge.Settings{})
	if o.Reasons[0].ProviderCode != "LINK_EXPIRED" {
		t.Errorf("reasons %+v", o.Reasons)
	}
}

func TestSignzyPolicy(t *testing.T) {
	on := map[string]float64{"min_face_match": 0.9}
	for _, c := range []struct {
		name    string
		body    string
		policy  map[string]float64
		outcome kycbridge.Outcome
	}{
		{"everything is met", goodJourney, on, "approved"},
		{"several thresholds", goodJourney, map[string]float64{"min_face_match": 0.975, "min_liveness": 0.99, "min_name_match": 0.9, "min_date_of_birth_match": 1, "max_fraud_score": 0.2}, "approved"},
		{"a real zero meets zero", goodJourney, map[string]float64{"min_document_number_match": 0}, "approved"},
		{"face below", goodJourney, map[string]float64{"min_face_match": 0.98}, "review"},
		{"liveness below", goodJourney, map[string]float64{"min_liveness": 0.995}, "review"},
		{"name below", goodJourney, map[string]float64{"min_name_match": 0.95}, "review"},
		{"number below", goodJourney, map[string]float64{"min_document_number_match": 0.1}, "review"},
		{"address not compared", goodJourney, map[string]float64{"min_address_match": 0}, "review"},
		{"fraud above", goodJourney, map[string]float64{"max_fraud_score": 0.19}, "review"},
		{"fraud not measured", changed(t, `"fraudScore":"20"`, `"x":1`), map[string]float64{"max_fraud_score": 1}, "review"},
		{"unknown key", goodJourney, map[string]float64{"min_face_match": 0.5, "min_luck": 0}, "review"},
		{"threshold below the range", goodJourney, map[string]float64{"min_face_match": -1}, "review"},
		{"threshold above the range", goodJourney, map[string]float64{"max_fraud_score": 100}, "review"},
		{"threshold is no number", goodJourney, map[string]float64{"min_face_match": math.NaN()}, "review"},

		{"face mismatch", changed(t, `"verified":true`, `"verified":false`), on, "rejected"},
		{"not live", changed(t, `"liveness":true`, `"liveness":false`), on, "rejected"},
		{"expired", changed(t, `"idExpired":"False"`, `"idExpired":"TRUE"`), on, "rejected"},
		{"document failed", changed(t, `"overallStatus":"True"`, `"overallStatus":"false"`), on, "rejected"},

		{"face not compared", changed(t, `"status":"200","verified":true`, `"status":"Not Started"`), on, "review"},
		{"face answer without a run", changed(t, `"status":"200","verified":true`, `"status":"Not Started","verified":false`), on, "review"},
		{"face service failed", changed(t, `"status":"200","verified":true`, `"status":"500","verified":false`), on, "review"},
		{"face service failed, positive", changed(t, `"status":"200","verified":true`, `"status":"500","verified":true`), on, "review"},
		{"face undetermined", changed(t, `"verified":true`, `"verified":"maybe"`), on, "review"},
		{"liveness missing", changed(t, `"liveness":true,`, ``), on, "review"},
		{"liveness an object", changed(t, `"liveness":true`, `"liveness":{"x":true}`), on, "review"},
		{"overall none", changed(t, `"overallStatus":"True"`, `"overallStatus":"None"`), on, "review"},
		{"expiry not judged", changed(t, `"idExpired":"False"`, `"idExpired":"None"`), on, "review"},
		{"field errors", changed(t, `"extractedFieldErrors":[]`, `"extractedFieldErrors":[{"fieldName":"Date of Birth"}]`), on, "review"},
		{"field errors of another kind", changed(t, `"extractedFieldErrors":[]`, `"extractedFieldErrors":{"0":"x"}`), on, "review"},
		{"field errors odd", changed(t, `"extractedFieldErrors":[]`, `"extractedFieldErrors":[7]`), on, "review"},
		{"details contradict the summary", changed(t, `"security":"True"`, `"security":"False"`), on, "review"},
		{"unknown step", changed(t, `"step":"COMPLETE"`, `"step":"SKIPPED"`), on, "review"},
		{"nothing at all", `{"journeyId":"AB12","currentStatus":"COMPLETED"}`, on, "review"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := mapSignzy(t, c.body, kycbridge.Settings{Policy: c.policy})
			final := c.outcome != "review"
			if o.Decision.Outcome != c.outcome || o.Decision.Final != final || o.Decision.Stage != "policy" || o.Decision.ActorType != "system" {
				t.Errorf("decision %+v, want %q", o.Decision, c.outcome)
			}
			wantStatus := map[bool]kycbridge.Status{true: "completed", false: "in_review"}[final]
			if o.Effect != kycbridge.EffectVerdict || o.Status != wantStatus || o.StatusDetail != "" || len(o.Decisions) != 1 {
				t.Errorf("effect %d status %q %q %v", o.Effect, o.Status, o.StatusDetail, o.Decisions)
			}
			if (c.outcome == "review") != strings.Contains(reasonCodes(o), "review.manual_review_required") {
				t.Errorf("reasons %q", reasonCodes(o))
			}
		})
	}
	if o := mapSignzy(t, goodJourney, kycbridge.Settings{Policy: map[string]float64{}}); outcomeOf(o) != kycbridge.OutcomeNone || o.StatusDetail != "no_provider_verdict" {
		t.Errorf("an empty policy decides: %+v", o.Decision)
	}
	want := []string{"max_fraud_score", "min_address_match", "min_date_of_birth_match", "min_document_number_match", "min_face_match", "min_liveness", "min_name_match"}
	if got := SignzyPolicyKeys(); !reflect.DeepEqual(got, want) {
		t.Errorf("keys %v", got)
	}
}

func signzyChecks(o kycbridge.Observation) map[string]kycbridge.Check {
	checks := map[string]kycbridge.Check{}
	for _, c := range o.Checks {
		checks[c.CheckID] = c
	}
	return checks
}

func TestSignzyChecks(t *testing.T) {
	o := mapSignzy(t, `{"journeyId":"A","currentStatus":"TERMINATED","step":"RETRIES_EXCEEDED",
		"capturedData":{"location":{"latitude":12.5,"longitude":"77.5"}},
		"documentIntelligence":{"completeStatus":{"overallStatus":"False","optical":"True","rfid":"none",
			"detailsOptical":{"docType":"False","expiry":"TRUE","imageQA":"True","mrz":"None","security":"What","text":"False","vds":"NA"}},
			"imageQuality":{"result":false},"idExpired":"False","extractedFieldErrors":[{"fieldName":"Date of Birth","errorStatus":"NOT_EXTRACTED"},7]},
		"selfieAnalysis":{"passiveLiveliness":{"status":"200","liveness":false,"score":0.08},"faceMatch":{"status":"200","verified":false,"matchPercentage":"0%"},
			"additionalFaceChecks":{"faceCoverDetection":{"status":"200","result":{"isFaceCovered":true,"faceGears":["Glasses"]}}}},
		"matchPercentage":{"dateOfBirthMatch":"55.5%","addressMatch":"NA","fullNameMatch":"0%","documentNumberMatch":"55"},
		"externalApiResponses":[{"api":"resident id card verification","response":{"overallStatus":"True"}},{"api":"Sanctions screening","response":{"overallStatus":"True"}},{"api":7}],
		"ipAddresses":{"203.0.113.7":{"proxy":"true","vpn":"false","tor":"false","fraudScore":"73"},"203.0.113.8":{"message":"IP Check is not Enabled"}}}`, kycbridge.Settings{})
	got := map[string]string{}
	for id, c := range signzyChecks(o) {
		got[id] = c.Type + " " + string(c.Result)
	}
	want := map[string]string{
		"complete_status":  "document_authenticity failed",
		"security":         "document_authenticity undetermined",
		"doc_type":         "document_recognition failed",
		"expiry":           "document_expiry passed",
		"image_qa":         "image_quality passed",
		"image_quality":    "image_quality failed",
		"mrz":              "mrz not_performed",
		"vds":              "barcode not_performed",
		"text":             "data_consistency failed",
		"rfid":             "chip not_performed",
		"match_percentage": "data_match failed",
		"extracted_fields": "data_extraction failed",
		"liveness":         "liveness failed",
		"face_match":       "face_match failed",
		"ip_risk":          "ip_risk warning",
		"geolocation":      "geolocation undetermined",
		"external.0":       "database passed",
		"external.1":       "aml undetermined",
		"external.2":       "database undetermined",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("checks %v\nwant %v", got, want)
	}
	if want := "session.attempts_exceeded document.not_recognized data.inconsistent image.poor_quality data.mismatch document.data_incomplete face.not_live face.mismatch face.occluded risk.vpn_or_proxy"; reasonCodes(o) != want {
		t.Errorf("reasons %q", reasonCodes(o))
	}
	for _, r := range o.Reasons[1:] {
		if r.Code != "face.occluded" && signzyChecks(o)[r.CheckID].CheckID == "" {
			t.Errorf("reason %+v names no check", r)
		}
	}
	fields := signzyChecks(o)["match_percentage"].Fields
	if want := []kycbridge.CheckField{
		{Field: "name", Result: "failed", Score: ptr(0.0)}, {Field: "birthdate", Result: "undetermined", Score: ptr(0.555)},
		{Field: "document_number", Result: "undetermined"}, {Field: "address", Result: "not_performed"},
	}; !reflect.DeepEqual(fields, want) {
		t.Errorf("fields %+v", fields)
	}
	if *o.Risk.Score != 0.73 {
		t.Errorf("risk %v", *o.Risk.Score)
	}
	if c := signzyChecks(o)["liveness"]; *c.Score != 0.08 || *c.ScoreRaw != (kycbridge.ScoreRaw{Value: 0.08, Min: 0, Max: 1}) {
		t.Errorf("liveness %+v", c)
	}
}

func TestSignzySelfieChecks(t *testing.T) {
	for _, c := range []struct{ face, want string }{
		{`{"status":"200","verified":true,"message":"negative"}`, "passed"},
		{`{"status":200,"verified":"True"}`, "passed"},
		{`{"verified":false}`, "failed"},
		{`{"status":"Not Started"}`, "not_performed"},
		{`{"status":"200"}`, "undetermined"},
		{`{"status":"504"}`, "undetermined"},
		{`{}`, ""},
		{`"x"`, ""},
	} {
		o := mapSignzy(t, `{"journeyId":"A","currentStatus":"COMPLETED","selfieAnalysis":{"faceMatch":`+c.face+`}}`, kycbridge.Settings{})
		if got := signzyChecks(o)["face_match"].Result; string(got) != c.want {
			t.Errorf("%s: %q, want %q", c.face, got, c.want)
		}
	}
	c := signzyChecks(mapSignzy(t, goodJourney, kycbridge.Settings{}))["face_match"]
	if *c.Score != 0.975 || *c.ScoreRaw != (kycbridge.ScoreRaw{Value: 97.5, Min: 0, Max: 100}) || c.Method != "bvr" {
		t.Errorf("face match %+v", c)
	}
}

// TestSignzyOverallFailure: only a failure that nothing else explains calls the document a forgery.
func TestSignzyOverallFailure(t *testing.T) {
	for _, c := range []struct{ optical, want string }{
		{`{}`, "document.not_authentic"},
		{`{"security":"False"}`, "document.not_authentic"},
		{`{"expiry":"False","security":"True"}`, "document.expired"},
		{`{"docType":"False"}`, "document.not_recognized"},
		{`{"docType":"False","security":"False"}`, "document.not_authentic document.not_recognized"},
	} {
		o := mapSignzy(t, `{"journeyId":"A","currentStatus":"COMPLETED","documentIntelligence":{"completeStatus":{"overallStatus":"False","detailsOptical":`+c.optical+`}}}`, kycbridge.Settings{})
		if reasonCodes(o) != c.want {
			t.Errorf("%s: %q, want %q", c.optical, reasonCodes(o), c.want)
		}
		if got := signzyChecks(o)["complete_status"]; got.Type != kycbridge.CheckDocumentAuthenticity || got.Result != "failed" {
			t.Errorf("%s: %+v", c.optical, got)
		}
	}
}

func TestSignzyIPRisk(t *testing.T) {
	for _, c := range []struct {
		ips, want string
		risk      float64
	}{
		{`{"1.1.1.1":{"proxy":"false","vpn":"FALSE","tor":false,"fraudScore":"0"}}`, "passed", 0},
		{`{"1.1.1.1":{"proxy":"false","vpn":"true","tor":"false","fraudScore":100}}`, "warning", 1},
		{`{"1.1.1.1":{"proxy":"false","vpn":"false","tor":"false","fraudScore":"10"},"1.1.1.2":{"proxy":"false","vpn":"false","tor":"true","fraudScore":"29"}}`, "warning", 0.29},
		{`{"1.1.1.1":{"proxy":"false","vpn":"false"}}`, "undetermined", -1},
		{`{"1.1.1.1":{"proxy":"false","vpn":"false","tor":"false","fraudScore":"101"}}`, "passed", -1},
		{`{"1.1.1.1":{"message":"IP Check is not Enabled"}}`, "not_performed", -1},
		{`{"1.1.1.1":"x"}`, "not_performed", -1},
		{`{}`, "", -1},
		{`[]`, "", -1},
	} {
		o := mapSignzy(t, `{"journeyId":"A","currentStatus":"COMPLETED","ipAddresses":`+c.ips+`}`, kycbridge.Settings{})
		if got := signzyChecks(o)["ip_risk"].Result; string(got) != c.want {
			t.Errorf("%s: %q, want %q", c.ips, got, c.want)
		}
		if (o.Risk == nil) != (c.risk < 0) || o.Risk != nil && *o.Risk.Score != c.risk {
			t.Errorf("%s: risk %v", c.ips, o.Risk)
		}
		if (c.want == "warning") != (reasonCodes(o) == "risk.vpn_or_proxy") {
			t.Errorf("%s: reasons %q", c.ips, reasonCodes(o))
		}
	}
}

func TestSignzyFacts(t *testing.T) {
	o := mapSignzy(t, `{"journeyId":"aB-12","_id":"0123","clientId":"c1","userId":"user-1","currentStatus":"COMPLETED","step":"COMPLETE","message":"Journey Completed",
		"flow":{"flowId":"F1","version":3},"createdAt":1772442000000,"startedAt":null,"completedAt":"2026-03-02T09:05:19.271Z","updatedAt":"2026-03-02T09:05:17.157Z",
		"userInfo":{"name":{"firstName":"Caller"},"dateOfBirth":"09/09/1999","emailAddress":"caller@example.com"},
		"capturedData":{"images":{"frontDoc":"https://files.example.com/a/1.jpeg?x=1","backDoc":"","selfie":"data:image/png;base64,AAAA"},"consent":true,"livenessConsent":false,"country":"IN","idType":"Driving License"},
		"documentIntelligence":{"predictedIdTypeFront":{"DocumentName":"Exampleland","FDSIDList":{"ICAOCode":"IND","dCountryName":"India","dDescription":"Identity Card"}},
		"extractedFields":{"names":"JANE SAMPLE","Surname And Given Names":"OTHER","FirstName":"JANE","surname":"SAMPLE","Date of Birth":"01/02/1990","date of birth":"","sex":"F",
			"nationality code":"IND","nationality":"INDIAN","Document Number":"X1","Date Of Expiry":"01/02/2035","Issue Date":"31/12/2020","Document Class Code":"DL",
			"Guardian's Name":"JOHN","age":"36","remainderterm":"1","remainderterm":"2","Address":"1 EXAMPLE ROAD",
			"Split Address":{"district":["D"],"state":[["GOA","GA"],["KARNATAKA","KA"]],"city":["PANAJI"],"pincode":403001,"country":["IN","IND","INDIA"]}}}}`, kycbridge.Settings{})
	if want := (kycbridge.Claims{
		"name": "JANE SAMPLE", "given_name": "JANE", "family_name": "SAMPLE", "birthdate": "1990-02-01", "gender": "female", "nationalities": []string{"IND"},
		"address": map[string]string{"formatted": "1 EXAMPLE ROAD", "locality": "PANAJI", "region": "IN-GA", "postal_code": "403001", "country_code": "IND"},
	}); !reflect.DeepEqual(o.ExtractedClaims, want) {
		t.Errorf("claims %v", o.ExtractedClaims)
	}
	if want := []kycbridge.Document{{
		DocumentID: "document", Type: "driving_permit", MRZDocumentCode: "DL", DocumentNumber: "X1", DateOfIssuance: "2020-12-31",
		DateOfExpiry: "2035-02-01", Issuer: &kycbridge.Issuer{Name: "India", CountryCode: "IND"},
	}}; !reflect.DeepEqual(o.Documents, want) {
		t.Errorf("documents %+v", o.Documents)
	}
	if want := []kycbridge.Media{{Kind: "document_front", MediaType: "image/jpeg", ProviderRef: "https://files.example.com/a/1.jpeg?x=1", Field: "capturedData.images.frontDoc"}}; !reflect.DeepEqual(o.Media, want) {
		t.Errorf("media %+v", o.Media)
	}
	if want := (kycbridge.Session{
		Channel: "web", CreatedAt: "2026-03-02T09:00:00Z", EndedAt: "2026-03-02T09:05:19.271Z", Consent: &kycbridge.Consent{Given: true},
		Country: "IN", CountrySource: "declared",
	}); !reflect.DeepEqual(*o.Session, want) {
		t.Errorf("session %+v", o.Session)
	}
	if want := map[string]any{"currentStatus": "COMPLETED", "step": "COMPLETE", "message": "Journey Completed"}; !reflect.DeepEqual(o.ProviderStatus, want) {
		t.Errorf("provider status %v", o.ProviderStatus)
	}
	if want := map[string]string{"journey_id": "aB-12", "database_id": "0123", "client_id": "c1"}; !reflect.DeepEqual(o.References, want) {
		t.Errorf("references %v", o.References)
	}
	if o.FlowID != "F1" || o.FlowVersion != "3" || o.ExternalReference != "user-1" || o.EventName != "callback" || o.EventID != "" || kycbridge.Instant(o.OccurredAt) != "2026-03-02T09:05:19.271Z" {
		t.Errorf("flow %q %q reference %q event %q at %v", o.FlowID, o.FlowVersion, o.ExternalReference, o.EventName, o.OccurredAt)
	}
}

func TestSignzyReferencesAndNames(t *testing.T) {
	long := strings.Repeat("x", 129)
	for _, c := range []struct{ members, want string }{
		{`"userId":"u","userInfo":{"externalReferenceId":"r"}`, "r"},
		{`"userId":"u","userInfo":{}`, "u"},
		{`"userId":"u","userInfo":{"externalReferenceId":"` + long + `"}`, ""},
		{`"userId":"` + long + `"`, ""},
	} {
		if got := mapSignzy(t, `{"journeyId":"A","currentStatus":"X",`+c.members+`}`, kycbridge.Settings{}).ExternalReference; got != c.want {
			t.Errorf("%.60s: %q, want %q", c.members, got, c.want)
		}
	}
	for via, want := range map[kycbridge.Via]string{"callback": "callback", "fetch": "get-journey", "poll": "get-journey"} {
		o, err := Signzy(kycbridge.Payload{Body: []byte(goodJourney), Via: via}, kycbridge.Settings{})
		if err != nil || o.EventName != want {
			t.Errorf("%s: %q %v", via, o.EventName, err)
		}
	}
}

func TestSignzyRecognisesAadhaar(t *testing.T) {
	for _, captured := range []string{
		`"capturedData":{"idType":"Aadhaar Card"},"documentIntelligence":{`,
		`"capturedData":{"idType":"ID Card"},"documentIntelligence":{"predictedIdTypeFront":{"DocumentName":"India - eAadhaar"},`,
		`"capturedData":{"idType":"ID Card","country":"IN"},"documentIntelligence":{`,
	} {
		o := mapSignzy(t, `{"journeyId":"A","currentStatus":"COMPLETED",`+captured+`"extractedFields":{"Document Number":"2345 6789 0123"}}}`, kycbridge.Settings{})
		if len(o.Documents) != 1 || o.Documents[0].Type != "in_aadhaar" || o.Documents[0].DocumentNumber != "0123" {
			t.Errorf("%s: %+v", captured, o.Documents)
		}
	}
}

func TestIdentifySignzy(t *testing.T) {
	for _, c := range []struct{ name, body, at, reference, event string }{
		{"bare", `{"journeyId":"aB","currentStatus":"COMPLETED"}`, "", "aB", "COMPLETED"},
		{"result", `{"result":{"journeyId":"aB"}}`, "/result", "aB", ""},
		{"data", `{"data":{"journeyId":"aB"}}`, "/data", "aB", ""},
		{"result data", `{"result":{"data":{"journeyId":"aB","currentStatus":7}}}`, "/result/data", "aB", ""},
		{"data result", `{"data":{"result":{"journeyId":"aB"}}}`, "/data/result", "aB", ""},
		{"bare before wrapped", `{"journeyId":"aB","result":{"journeyId":"X"}}`, "", "aB", ""},
		{"number", `{"journeyId":1234567}`, "", "1234567", ""},
		{"too deep", `{"result":{"data":{"result":{"journeyId":"aB"}}}}`, "", "", ""},
		{"twice the same", `{"result":{"result":{"journeyId":"aB"}}}`, "", "", ""},
		{"probe", `{}`, "", "", ""},
		{"empty", `{"journeyId":""}`, "", "", ""},
		{"odd", `{"journeyId":["aB"],"result":"x","data":[{"journeyId":"aB"}]}`, "", "", ""},
		{"array", `[{"journeyId":"aB"}]`, "", "", ""},
		{"null", `null`, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := anyTree(t, []byte(c.body))
			id := IdentifySignzy(doc)
			if id.Schema != "result" || id.At != c.at || id.Reference != c.reference || id.Event != c.event || id.EventID != "" {
				t.Errorf("%+v", id)
			}
			if id.Reference == "" && (id.Missing != "/journeyId" || !reflect.DeepEqual(id.Document, doc)) {
				t.Errorf("not found: %+v", id)
			}
			o, err := Signzy(kycbridge.Payload{Body: []byte(c.body)}, kycbridge.Settings{})
			if (err == nil) != (c.reference != "") || err == nil && o.References["journey_id"] != c.reference {
				t.Errorf("the mapping finds %v, %v", o.References, err)
			}
		})
	}
}

func TestSignzyRefusesWhatCannotBeRead(t *testing.T) {
	for _, body := range []string{"", "null", "[]", `"x"`, "{", "{}", `{"x":"secret-value",}`} {
		_, err := Signzy(kycbridge.Payload{Body: []byte(body)}, kycbridge.Settings{})
		if err == nil || strings.Contains(err.Error(), "secret-value") {
			t.Errorf("%q: error %v", body, err)
		}
	}
}

// signzySecrets stand in the fixtures and may stand in no observation.
var signzySecrets = []string{
	"synthetic-callback-key", "synthetic-token", "hooks/signzy", "app.example.com", "203.0.113.7", "12.5", "77.5",
	"Example ISP", "host.example.net", "jane@example.com", "5550100001", "JOHN SAMPLE", `"Jane"`,
}

func TestSignzyFixtures(t *testing.T) {
	for name, body := range fixturesOf(t, "signzy") {
		for _, s := range []kycbridge.Settings{{}, {Policy: map[string]float64{"min_face_match": 0.9}}, {FlowStatuses: map[string]string{"LINK_EXPIRED": "expired"}}} {
			t.Run(name, func(t *testing.T) {
				if id := IdentifySignzy(anyTree(t, body)); id.Reference == "" {
					t.Errorf("identity %+v", id)
				}
				o := mapSignzy(t, string(body), s)
				out, err := json.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				for _, secret := range signzySecrets {
					if strings.Contains(string(out), secret) {
						t.Errorf("the observation holds %q", secret)
					}
				}
				if len(s.Policy) == 0 && outcomeOf(o) != kycbridge.OutcomeNone {
					t.Errorf("a verdict without a policy: %+v", o.Decision)
				}
			})
		}
	}
}

// TestSignzyIsPure: maps of the body have no order, the observation has.
func TestSignzyIsPure(t *testing.T) {
	body := []byte(`{"journeyId":"A","currentStatus":"COMPLETED","documentIntelligence":{"extractedFields":{"Name":"A","NAME":"B","name":"C","Na me":"D"}},
		"ipAddresses":{"1":{"proxy":"true","fraudScore":"1"},"2":{"vpn":"true","fraudScore":"2"},"3":{"tor":"true","fraudScore":"3"}}}`)
	want := mapSignzy(t, string(body), kycbridge.Settings{})
	for range 50 {
		if got := mapSignzy(t, string(body), kycbridge.Settings{}); !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v, then %+v", want, got)
		}
	}
	if want.ExtractedClaims["name"] != "B" {
		t.Errorf("name %v", want.ExtractedClaims["name"])
	}
}

func FuzzSignzy(f *testing.F) {
	for _, body := range fixturesOf(f, "signzy") {
		f.Add(body, false)
		f.Add(body, true)
	}
	f.Add([]byte(goodJourney), true)
	f.Fuzz(func(t *testing.T, body []byte, policy bool) {
		var doc any
		if json.Unmarshal(body, &doc) == nil {
			IdentifySignzy(doc)
		}
		s := kycbridge.Settings{}
		if policy {
			s.Policy = map[string]float64{"min_face_match": 0.9}
		}
		o, err := Signzy(kycbridge.Payload{Body: body}, s)
		if err != nil {
			return
		}
		lawful(t, o)
		if o.Decision.Outcome == kycbridge.OutcomeApproved && !policy {
			t.Error("approved without a policy")
		}
	})
}

// TestSignzyPassiveLiveliness: the vendor's odd spelling is the one that counts. The usual one is of
// another product, with other members, and is no evidence here.
func TestSignzyPassiveLiveliness(t *testing.T) {
	policy := kycbridge.Settings{Policy: map[string]float64{"min_liveness": 0.9}}
	if o := mapSignzy(t, goodJourney, policy); o.Decision.Outcome != kycbridge.OutcomeApproved || signzyChecks(o)["liveness"].Result != "passed" {
		t.Errorf("the vendor's spelling: %+v", o.Decision)
	}
	o := mapSignzy(t, changed(t, `"passiveLiveliness"`, `"passiveLiveness"`), policy)
	if _, found := signzyChecks(o)["liveness"]; found || o.Decision.Outcome != kycbridge.OutcomeReview {
		t.Errorf("the usual spelling: %+v %+v", o.Decision, o.Checks)
	}
}

// TestSignzyTimes: the same moment as milliseconds, as text of them, and as ISO; null is no moment.
func TestSignzyTimes(t *testing.T) {
	for created, want := range map[string]string{
		`1772442000000`: "2026-03-02T09:00:00Z", `"1772442000000"`: "2026-03-02T09:00:00Z", `"2026-03-02T09:00:00.000Z"`: "2026-03-02T09:00:00Z",
		`"2026-03-02T14:30:00+05:30"`: "2026-03-02T09:00:00Z", `"2026-03-02T09:00:00"`: "2026-03-02T09:00:00Z", `null`: "", `"NA"`: "", `""`: "", `{}`: "",
	} {
		o := mapSignzy(t, `{"journeyId":"A","currentStatus":"COMPLETED","createdAt":`+created+`,"startedAt":`+created+`}`, kycbridge.Settings{})
		got := ""
		if o.Session != nil {
			got = o.Session.CreatedAt
		}
		if got != want || want != "" && o.Session.StartedAt != want {
			t.Errorf("%s: %q, want %q", created, got, want)
		}
	}
}

// TestSignzyLabels: labels of extracted fields differ in letters, spaces and separators from document
// to document and mean one thing.
func TestSignzyLabels(t *testing.T) {
	for _, label := range []string{"Date of Birth", "date of birth", "DATE OF BIRTH", "dateOfBirth", "date_of_birth", "Date-Of-Birth", " Date  Of Birth "} {
		o := mapSignzy(t, `{"journeyId":"A","currentStatus":"COMPLETED","documentIntelligence":{"extractedFields":{"`+label+`":"01/02/1990"}}}`, kycbridge.Settings{})
		if o.ExtractedClaims["birthdate"] != "1990-02-01" {
			t.Errorf("%q: %v", label, o.ExtractedClaims)
		}
	}
}

// TestSignzyKeysKeepTheirLetters: the journey is found by its exact key, so that a body in other
// letters goes to quarantine instead of being half read; and no spelling makes a verdict.
func TestSignzyKeysKeepTheirLetters(t *testing.T) {
	for _, key := range []string{"journeyid", "JourneyId", "journey_id", "journey-id"} {
		body := `{"` + key + `":"AB12","currentStatus":"COMPLETED"}`
		if id := IdentifySignzy(anyTree(t, []byte(body))); id.Reference != "" || id.Missing != "/journeyId" {
			t.Errorf("%s: identity %+v", key, id)
		}
	}
	policy := kycbridge.Settings{Policy: map[string]float64{"min_face_match": 0.9}}
	for _, pair := range [][2]string{{`"currentStatus"`, `"current_status"`}, {`"faceMatch"`, `"face_match"`}, {`"selfieAnalysis"`, `"selfie-analysis"`}} {
		if o := mapSignzy(t, changed(t, pair[0], pair[1]), policy); o.Decision.Outcome == kycbridge.OutcomeApproved {
			t.Errorf("%s: approved", pair[1])
		}
	}
}
