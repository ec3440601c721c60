package signzy

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

func TestPolicy(t *testing.T) {
	on := map[string]float64{"min_face_match": 0.9}
	two := func(country, kind string) string { // the front is an Indian passport
		return changed(t, `"idExpired":"False"`, `"idExpired":"False","predictedIdTypeFront":{"FDSIDList":{"ICAOCode":"IND",`+
			`"dDescription":"Passport"}},"predictedIdTypeBack":{"FDSIDList":{"ICAOCode":"`+country+`","dDescription":"`+kind+
			`"}}`)
	}
	for _, c := range []struct {
		name    string
		body    string
		policy  map[string]float64
		outcome event.Outcome
	}{
		{"everything is met", goodJourney, on, "approved"},
		{"several thresholds", goodJourney,
			map[string]float64{"min_face_match": 0.975, "min_liveness": 0.99, "min_name_match": 0.9,
				"min_date_of_birth_match": 1, "max_fraud_score": 0.2}, "approved"},
		{"a real zero meets zero", changed(t, `"documentNumberMatch":"NA"`, `"documentNumberMatch":"0%"`),
			map[string]float64{"min_document_number_match": 0}, "approved"},
		{"face below", goodJourney, map[string]float64{"min_face_match": 0.98}, "review"},
		{"liveness below", goodJourney, map[string]float64{"min_liveness": 0.995}, "review"},
		{"name below", goodJourney, map[string]float64{"min_name_match": 0.95}, "review"},
		{"number below", changed(t, `"documentNumberMatch":"NA"`, `"documentNumberMatch":"9%"`),
			map[string]float64{"min_document_number_match": 0.1}, "review"},
		{"address not compared", goodJourney, map[string]float64{"min_address_match": 0}, "review"},
		{"fraud above", goodJourney, map[string]float64{"max_fraud_score": 0.19}, "review"},
		{"fraud not measured", changed(t, `"fraudScore":"20"`, `"x":1`), map[string]float64{"max_fraud_score": 1}, "review"},
		{"fraud not readable for one address", changed(t, `"ipAddresses":{`, `"ipAddresses":{"198.51.100.1":
			{"proxy":"false","vpn":"false","tor":"false","fraudScore":"high"},`), map[string]float64{"max_fraud_score": 1}, "review"},
		{"fraud out of range for one address", changed(t, `"ipAddresses":{`, `"ipAddresses":{"198.51.100.1":
			{"proxy":"false","vpn":"false","tor":"false","fraudScore":"150"},`), map[string]float64{"max_fraud_score": 1}, "review"},
		{"fraud not sent for one address", changed(t, `"ipAddresses":{`, `"ipAddresses":{"198.51.100.1":
			{"proxy":"false","vpn":"false","tor":"false"},`), map[string]float64{"max_fraud_score": 1}, "approved"},
		{"unknown key", goodJourney, map[string]float64{"min_face_match": 0.5, "min_luck": 0}, "review"},
		{"threshold below the range", goodJourney, map[string]float64{"min_face_match": -1}, "review"},
		{"threshold above the range", goodJourney, map[string]float64{"max_fraud_score": 100}, "review"},
		{"threshold is no number", goodJourney, map[string]float64{"min_face_match": math.NaN()}, "review"},

		{"face mismatch", changed(t, `"verified":true`, `"verified":false`), on, "rejected"},
		{"not live", changed(t, `"liveness":true`, `"liveness":false`), on, "rejected"},
		{"expired", changed(t, `"idExpired":"False"`, `"idExpired":"TRUE"`), on, "rejected"},
		{"document failed", changed(t, `"overallStatus":"True"`, `"overallStatus":"false"`), on, "rejected"},

		{"face not compared", changed(t, `"status":"200","verified":true`, `"status":"Not Started"`), on, "review"},
		{"face answer without a run",
			changed(t, `"status":"200","verified":true`, `"status":"Not Started","verified":false`), on, "review"},
		{"face service failed", changed(t, `"status":"200","verified":true`, `"status":"500","verified":false`), on,
			"review"},
		{"face service failed, positive", changed(t, `"status":"200","verified":true`, `"status":"500","verified":true`), on,
			"review"},
		{"face undetermined", changed(t, `"verified":true`, `"verified":"maybe"`), on, "review"},
		{"liveness missing", changed(t, `"liveness":true,`, ``), on, "review"},
		{"liveness an object", changed(t, `"liveness":true`, `"liveness":{"x":true}`), on, "review"},
		{"overall none", changed(t, `"overallStatus":"True"`, `"overallStatus":"None"`), on, "review"},
		// idExpired is "False" even if nothing was read, and this date has its month first or is in the past.
		{"expiry neither judged nor read", changed(t, `"expiry":"True"`, `"expiry":"None"`), on, "review"},
		{"expiry not judged, its date not readable", changed(t, `"expiry":"True"`, `"expiry":"None"`, `"idExpired":"False"`,
			`"idExpired":"False","extractedFields":{"Date Of Expiry":"12/31/2020"}`), on, "review"},
		{"expiry not judged, its date in the past", changed(t, `"expiry":"True"`, `"expiry":"None"`, `"idExpired":"False"`,
			`"idExpired":"False","extractedFields":{"Date Of Expiry":"31/12/2020"}`), on, "review"},
		{"expiry not judged, its date not reached", changed(t, `"expiry":"True"`, `"expiry":"None"`, `"idExpired":"False"`,
			`"idExpired":"False","extractedFields":{"Date Of Expiry":"31/12/2035"}`), on, "approved"},
		{"no consent anywhere", changed(t, `"capturedData":{"consent":true},`, ``), on, "review"},
		{"a second document that nobody examined", changed(t, `"consent":true`, `"consent":true,"idType2":"Passport"`,
			`"selfieAnalysis"`, `"documentIntelligence2":{"completeStatus":{"overallStatus":"None"}},"selfieAnalysis"`),
			on, "review"},
		{"a second document that was captured, without a report", changed(t, `"consent":true`,
			`"consent":true,"idType2":"","frontCaptureMode2":"UPLOAD"`), on, "review"},
		{"the back of a third document, in lower case", changed(t, `"consent":true`,
			`"consent":true,"backcapturemode3":"UPLOAD"`), on, "review"},
		{"no second document captured", changed(t, `"consent":true`,
			`"consent":true,"frontCaptureMode2":null,"backCaptureMode2":""`), on, "approved"},
		{"the back of another type, none chosen", two("IND", "Driving License"), on, "review"},
		{"the back of another country", two("US", "Passport"), on, "review"},
		{"two sides of one document", two("IN", "ePassport"), on, "approved"},
		{"expiry not judged", changed(t, `"idExpired":"False"`, `"idExpired":"None"`), on, "review"},
		{"field errors", changed(t, `"extractedFieldErrors":[]`, `"extractedFieldErrors":[{"fieldName":"Date of Birth"}]`),
			on, "review"},
		{"field errors of another kind", changed(t, `"extractedFieldErrors":[]`, `"extractedFieldErrors":{"0":"x"}`), on,
			"review"},
		{"field errors odd", changed(t, `"extractedFieldErrors":[]`, `"extractedFieldErrors":[7]`), on, "review"},
		{"details contradict the summary", changed(t, `"security":"True"`, `"security":"False"`), on, "review"},
		{"zero is also the default of what was not compared",
			changed(t, `"verified":true`, `"verified":false`, `"97.50%"`, `"0.00%"`), on, "review"},
		{"step null", changed(t, `"step":"COMPLETE"`, `"step":null`), on, "review"},
		{"step left out", changed(t, `"step":"COMPLETE",`, ``), on, "review"},
		{"a text for the step that names another end", changed(t, `"step":"COMPLETE",`, `"step":"COMPLETE","message":"Journey Rejected",`), on,
			"review"},
		{"texts for the step that name another end", changed(t, `"step":"COMPLETE",`,
			`"step":"COMPLETE","message":["ok",{"en":"Journey Rejected"}],`), on, "review"},
		{"unknown texts for the step", changed(t, `"step":"COMPLETE",`, `"step":"COMPLETE","message":[{"en":"ok"}],`), on,
			"approved"},
		{"an unknown text for the step", changed(t, `"step":"COMPLETE",`, `"step":"COMPLETE","message":"ok",`), on,
			"approved"},
		{"nothing at all", `{"journeyId":"AB12","currentStatus":"COMPLETED"}`, on, "review"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := mapBody(t, c.body, kycbridge.Settings{Own: Settings{Policy: c.policy}})
			final := c.outcome != "review"
			if o.Decision.Outcome != c.outcome || o.Decision.Final != final || o.Decision.Stage != "policy" ||
				o.Decision.ActorType != "system" {
				t.Errorf("decision %+v, want %q", o.Decision, c.outcome)
			}
			wantStatus := map[bool]event.Status{true: "completed", false: "in_review"}[final]
			if o.Effect != kycbridge.EffectVerdict || o.Status != wantStatus || o.StatusDetail != "" || len(o.Decisions) != 1 {
				t.Errorf("effect %d status %q %q %v", o.Effect, o.Status, o.StatusDetail, o.Decisions)
			}
			if (c.outcome == "review") != strings.Contains(normalizetest.ReasonCodes(o), "review.manual_review_required") {
				t.Errorf("reasons %q", normalizetest.ReasonCodes(o))
			}
		})
	}
	if o := mapBody(t, goodJourney,
		kycbridge.Settings{Own: Settings{Policy: map[string]float64{}}}); normalizetest.OutcomeOf(o) != event.OutcomeNone ||
		o.StatusDetail != "no_provider_verdict" {
		t.Errorf("an empty policy decides: %+v", o.Decision)
	}
	want := []string{"max_fraud_score", "min_address_match", "min_date_of_birth_match", "min_document_number_match",
		"min_face_match", "min_liveness", "min_liveness_consent", "min_name_match"}
	if got := PolicyKeys(); !reflect.DeepEqual(got, want) {
		t.Errorf("keys %v", got)
	}
}

// TestExpiredWithoutATime: if a journey has no plausible time, its documents must not have expired when the body was
// received; if that is not known either, a date of expiry is an objection.
func TestExpiredWithoutATime(t *testing.T) {
	received := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for _, end := range []string{``, `"completedAt":"soon",`, `"completedAt":1772442319271000,`, `"completedAt":31536000000,`} {
		for _, c := range []struct {
			expiry   string
			received time.Time
			outcome  event.Outcome
		}{
			{"31/12/2020", received, "review"}, {"31/12/2020", time.Time{}, "review"},
			{"31/12/2035", received, "approved"}, {"31/12/2035", time.Time{}, "review"},
		} {
			body := changed(t, `"completedAt":1772442319271,`, end, `"idExpired":"False"`,
				`"idExpired":"False","extractedFields":{"Date Of Expiry":"`+c.expiry+`"}`)
			o, err := mapPayload(kycbridge.Payload{Body: []byte(body), Via: event.ViaCallback, ReceivedAt: c.received}, strict)
			if err != nil || o.Decision.Outcome != c.outcome {
				t.Errorf("%s expiry %s, received %v: %s %v", end, c.expiry, c.received, normalizetest.Brief(o), err)
			}
		}
	}
}

// TestSeveralExpiries: a document with several dates of expiry has expired on the first of them, although none of them
// is in the event. A date that cannot be read beside one that can hides nothing.
func TestSeveralExpiries(t *testing.T) {
	for _, c := range []struct {
		fields  string
		outcome event.Outcome
	}{
		{`"Date Of Expiry":"31/12/2035","Expiry Date":"31/12/2020"`, "review"},
		{`"Date Of Expiry":"31/12/2020","Expiry Date":"31/12/2035"`, "review"},
		{`"Date Of Expiry":"31/12/2035","date of expiry":"31/12/2020"`, "review"},
		{`"Date Of Expiry":["31/12/2035","31/12/2020"]`, "review"},
		{`"Date Of Expiry":"soon","Expiry Date":"31/12/2020"`, "review"},
		{`"Valid Until":"31/12/2020"`, "review"},
		{`"Date Of Expiry":"31/12/2035","Expiry Date":"31/12/2036"`, "approved"},
		{`"Date Of Expiry":"31/12/2035","Expiry Date":"soon"`, "approved"},
		{`"Valid Until":"31/12/2035"`, "approved"},

		// Labels are as printed on a document, and differ between documents.
		{`"Expiry":"31/12/2020"`, "review"},
		{`"Expires On":"31/12/2020"`, "review"},
		{`"VALID UPTO":"31/12/2020"`, "review"},
		{`"Valid To":"31/12/2020"`, "review"},
		{`"Valid Thru":"31/12/2020"`, "review"},
		{`"Valid Till (NT)":"31/12/2020"`, "review"},
		{`"Date Of Expiry":"31/12/2035","Licence Expiration":"31/12/2020"`, "review"},
		{`"Valid To":"31/12/2035"`, "approved"},
		{`"Valid From":"31/12/2020","Date Of Expiry":"31/12/2035"`, "approved"},
		{`"Date Of Expiry":"31/12/2035","Date Of Expiry Check Digit":"7"`, "approved"},
	} {
		body := changed(t, `"idExpired":"False"`, `"idExpired":"False","extractedFields":{`+c.fields+`}`)
		o := judged(t, parse(t, body), strict)
		if o.Decision.Outcome != c.outcome {
			t.Errorf("%s: %s", c.fields, normalizetest.Brief(o))
		}
	}
}
