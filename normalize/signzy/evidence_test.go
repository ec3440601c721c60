package signzy

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
	"kycbridge/normalize/values"
)

func checksOf(o kycbridge.Observation) map[string]event.Check {
	checks := map[string]event.Check{}
	for _, c := range o.Checks {
		checks[c.CheckID] = c
	}
	return checks
}

func TestChecks(t *testing.T) {
	o := mapBody(t, `{"journeyId":"A","currentStatus":"TERMINATED","step":"RETRIES_EXCEEDED",
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
	for id, c := range checksOf(o) {
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
		"optical":          "document_authenticity passed",
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
	if want := "session.attempts_exceeded document.not_recognized data.inconsistent image.poor_quality data.mismatch " +
		"document.data_incomplete face.not_live face.mismatch face.occluded risk.vpn_or_proxy"; normalizetest.ReasonCodes(o) != want {
		t.Errorf("reasons %q", normalizetest.ReasonCodes(o))
	}
	for _, r := range o.Reasons[1:] {
		if r.Code != "face.occluded" && checksOf(o)[r.CheckID].CheckID == "" {
			t.Errorf("reason %+v names no check", r)
		}
	}
	fields := checksOf(o)["match_percentage"].Fields
	if want := []event.CheckField{
		{Field: "name", Result: "failed", Score: values.Ptr(0.0)},
		{Field: "birthdate", Result: "undetermined", Score: values.Ptr(0.555)},
		{Field: "document_number", Result: "undetermined"}, {Field: "address", Result: "not_performed"},
	}; !reflect.DeepEqual(fields, want) {
		t.Errorf("fields %+v", fields)
	}
	if *o.Risk.Score != 0.73 {
		t.Errorf("risk %v", *o.Risk.Score)
	}
	if c := checksOf(o)["liveness"]; *c.Score != 0.08 || *c.ScoreRaw != (event.ScoreRaw{Value: 0.08, Min: 0, Max: 1}) {
		t.Errorf("liveness %+v", c)
	}
}

func TestSelfieChecks(t *testing.T) {
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
		o := mapBody(t, `{"journeyId":"A","currentStatus":"COMPLETED","selfieAnalysis":{"faceMatch":`+c.face+`}}`,
			kycbridge.Settings{})
		if got := checksOf(o)["face_match"].Result; string(got) != c.want {
			t.Errorf("%s: %q, want %q", c.face, got, c.want)
		}
	}
	c := checksOf(mapBody(t, goodJourney, kycbridge.Settings{}))["face_match"]
	if *c.Score != 0.975 || *c.ScoreRaw != (event.ScoreRaw{Value: 97.5, Min: 0, Max: 100}) || c.Method != "bvr" {
		t.Errorf("face match %+v", c)
	}
}

// TestOverallFailure: an overall failure is document.not_authentic only if nothing else explains it.
func TestOverallFailure(t *testing.T) {
	for _, c := range []struct{ optical, want string }{
		{`{}`, "document.not_authentic"},
		{`{"security":"False"}`, "document.not_authentic"},
		{`{"expiry":"False","security":"True"}`, "document.expired"},
		{`{"docType":"False"}`, "document.not_recognized"},
		{`{"docType":"False","security":"False"}`, "document.not_authentic document.not_recognized"},
	} {
		o := mapBody(t, `{"journeyId":"A","currentStatus":"COMPLETED","documentIntelligence":{"completeStatus":{"overallStatus":"False","detailsOptical":`+c.optical+`}}}`, kycbridge.Settings{})
		if normalizetest.ReasonCodes(o) != c.want {
			t.Errorf("%s: %q, want %q", c.optical, normalizetest.ReasonCodes(o), c.want)
		}
		if got := checksOf(o)["complete_status"]; got.Type != event.CheckDocumentAuthenticity || got.Result != "failed" {
			t.Errorf("%s: %+v", c.optical, got)
		}
	}
}

func TestIPRisk(t *testing.T) {
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
		{`{"1.1.1.1":{"proxy":"false","vpn":"false","tor":"false"},"1.1.1.2":{"message":"IP Check is not Enabled"}}`,
			"undetermined", -1},
		{`{"1.1.1.1":"x"}`, "undetermined", -1},
		{`{}`, "undetermined", -1},
		{`null`, "undetermined", -1},
		{`[]`, "undetermined", -1},
		{`"x"`, "undetermined", -1},
	} {
		o := mapBody(t, `{"journeyId":"A","currentStatus":"COMPLETED","ipAddresses":`+c.ips+`}`, kycbridge.Settings{})
		if got := checksOf(o)["ip_risk"].Result; string(got) != c.want {
			t.Errorf("%s: %q, want %q", c.ips, got, c.want)
		}
		if (o.Risk == nil) != (c.risk < 0) || o.Risk != nil && *o.Risk.Score != c.risk {
			t.Errorf("%s: risk %v", c.ips, o.Risk)
		}
		if (c.want == "warning") != (normalizetest.ReasonCodes(o) == "risk.vpn_or_proxy") {
			t.Errorf("%s: reasons %q", c.ips, normalizetest.ReasonCodes(o))
		}
	}
}

// TestPassiveLiveliness: the provider's misspelling is the name that counts. The usual spelling belongs to
// another product, with other members, and is no evidence here.
func TestPassiveLiveliness(t *testing.T) {
	policy := kycbridge.Settings{Own: Settings{Policy: map[string]float64{"min_liveness": 0.9}}}
	if o := mapBody(t, goodJourney, policy); o.Decision.Outcome != event.OutcomeApproved ||
		checksOf(o)["liveness"].Result != "passed" {
		t.Errorf("the vendor's spelling: %+v", o.Decision)
	}
	o := mapBody(t, changed(t, `"passiveLiveliness"`, `"passiveLiveness"`), policy)
	if _, found := checksOf(o)["liveness"]; found || o.Decision.Outcome != event.OutcomeReview {
		t.Errorf("the usual spelling: %+v %+v", o.Decision, o.Checks)
	}
}

// TestFieldsWithoutNames: a field whose name has no ASCII letter is named too, and the hundred-and-first item of an
// image counts.
func TestFieldsWithoutNames(t *testing.T) {
	var items strings.Builder
	for i := range 100 {
		fmt.Fprintf(&items, `"a%d":true,`, i)
	}
	o := mapBody(t, `{"journeyId":"A","currentStatus":"COMPLETED","matchPercentage":{"имя":"0%"},
		"documentIntelligence":{"imageQuality":{"result":true,"frontIdCheck":{`+items.String()+`"имя":false}}}}`,
		kycbridge.Settings{})
	checks := checksOf(o)
	if got := checks["match_percentage"].Fields; len(got) != 1 || got[0].Field != "other" {
		t.Errorf("fields %+v", got)
	}
	if got := checks["image_quality"]; got.Result != event.ResultWarning || len(got.Fields) != 100 {
		t.Errorf("%s with %d fields", got.Result, len(got.Fields))
	}
	o = mapBody(t, `{"journeyId":"A","currentStatus":"COMPLETED","documentIntelligence":{"imageQuality":
		{"result":true,"frontIdCheck":{"имя":false}}}}`, kycbridge.Settings{})
	if got := checksOf(o)["image_quality"].Fields; len(got) != 1 || got[0].Field != "front.other" {
		t.Errorf("fields %+v", got)
	}
}
