package signzy

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
)

// withOffice are the settings of an account that reads the back office.
func withOffice(confirm bool) kycbridge.Settings {
	return kycbridge.Settings{Confirm: confirm, Own: Settings{BackOffice: true}}
}

// accepted is a callback about an accepted application, and the members that tests replace.
const accepted = `{"merchantSignup":{},"merchantData":{"id":"M1","status":"accept","isDeleted":false,"actionTime":1772445000000}}`

// TestApplicationStatuses checks the words of the back office, in every spelling, with and without confirm.
func TestApplicationStatuses(t *testing.T) {
	const (
		in       = "progress in_review"
		approved = "verdict completed unconfirmed approved manual_review human final [manual_review approved human]"
		rejected = "verdict completed unconfirmed rejected manual_review human final [manual_review rejected human]"
		redo     = "reopen requires_input resubmit manual_review human [manual_review resubmit human] " +
			"review.resubmission_requested <resubmit_other  >"
		left      = "end abandoned session.abandoned"
		doubt     = "doubt unknown none manual_review human system.unmapped_status"
		toConfirm = "verdict in_review unconfirmed review manual_review human [manual_review approved human] " +
			"review.manual_review_required"
		toConfirmR = "verdict in_review unconfirmed review manual_review human [manual_review rejected human] " +
			"review.manual_review_required"
	)
	for _, c := range []struct {
		words           []string
		want, confirmed string
	}{
		{[]string{`"New"`, `"new"`, `" NEW "`}, "note created", "note created"},
		{[]string{`"Pending"`, `"pending"`, `"PENDING"`}, in, in},
		{[]string{`"accept"`, `"Accepted"`, `"ACCEPTED"`}, approved, toConfirm},
		{[]string{`"reject"`, `"Rejected"`, `"rejected"`}, rejected, toConfirmR},
		{[]string{`"Draft"`, `"Drafted"`, `"draft"`, `"Redo"`, `"re-do"`}, redo, redo},
		{[]string{`"Dropoff"`, `"Drop Off"`, `"dropOff"`, `"DROP_OFF"`, `"Dropout"`, `"drop-out"`}, left, left},
		{[]string{`"approved"`, `"accepting"`, `"accepted?"`, `"completed"`, `"On Hold"`, `"1"`, `""`, `null`, `true`, `7`,
			`{"status":"accept"}`, `["accept"]`, `"not accepted"`, `"аccept"`}, doubt, doubt},
	} {
		for _, word := range c.words {
			body := strings.Replace(accepted, `"accept"`, word, 1)
			for confirm, want := range map[bool]string{false: c.want, true: c.confirmed} {
				if got := normalizetest.Brief(mapBody(t, body, withOffice(confirm))); got != want {
					t.Errorf("%s, confirm %t:\n got %s\nwant %s", word, confirm, got, want)
				}
			}
		}
	}
	for _, body := range []string{`{"merchantData":{"id":"M1"}}`, `{"id":"M1","realm":"r"}`} {
		if got := normalizetest.Brief(mapBody(t, body, withOffice(false))); got != doubt {
			t.Errorf("%s: %s", body, got)
		}
	}
}

// TestApplicationIdentity: the id of the application is the reference, wherever the application is, and a body that
// names two of them, or a journey, is not identified as either of the applications.
func TestApplicationIdentity(t *testing.T) {
	for _, c := range []struct{ name, body, reference, event, at, schema string }{
		{"wrapped", accepted, "M1", "accepted", "", schemaBackOffice},
		{"names in another case", `{"MERCHANTDATA":{"ID":"M1","Status":"ACCEPT"}}`, "M1", "accepted", "", schemaBackOffice},
		{"an id of digits", `{"merchantData":{"id":4711,"status":"x"}}`, "4711", backOfficeCallback, "", schemaBackOffice},
		{"in result", `{"result":` + accepted + `}`, "M1", "accepted", "/result", schemaBackOffice},
		{"in data within result", `{"result":{"data":` + accepted + `}}`, "M1", "accepted", "/result/data", schemaBackOffice},
		{"basicDetails", `{"merchantData":{"basicDetails":{"id":"M1","status":"Draft"}}}`, "M1", "draft", "", schemaDetails},
		{"a new link", `{"id":"M1","status":"New","signzyAppId":7}`, "M1", "new", "", schemaApplication},
		{"a new link in data", `{"data":{"id":"M1","status":"New","realm":"r"}}`, "M1", "new", "/data", schemaApplication},
		{"a message with an id of its own", `{"id":"E1","realm":"r","merchantData":{"id":"M1","status":"New"}}`, "M1", "new", "",
			schemaBackOffice},
		{"twice the same", `{"result":` + accepted + `,"data":` + accepted + `}`, "M1", "accepted", "/result", schemaBackOffice},
		{"two applications", `{"result":` + accepted + `,"merchantData":{"id":"M2","status":"accept"}}`, "", "", "", "result"},
		{"two ids", `{"merchantData":{"id":"M1","basicDetails":{"id":"M2"}}}`, "", "", "", "result"},
		{"no id", `{"merchantData":{"status":"accept","applicationId":"A","signzyAppId":1}}`, "", "", "", "result"},
		{"an odd id", `{"merchantData":{"id":{"id":"M1"},"status":"accept"}}`, "", "", "", "result"},
		{"a fraction", `{"merchantData":{"id":1.5,"status":"accept"}}`, "", "", "", "result"},
		{"an id and a status alone", `{"id":"M1","status":"accepted"}`, "", "", "", "result"},
		{"the form of another product", `{"customerId":"C","merchantId":"M1","status":"accepted"}`, "", "", "", "result"},
		{"a journey beside it", `{"journeyId":"J1","merchantData":{"id":"M1","status":"accept"}}`, "J1", "", "", "result"},
		{"a journey around it", `{"journeyId":"J1","result":` + accepted + `}`, "J1", "", "", "result"},
		{"an odd journeyId", `{"journeyId":{"a":1},"merchantData":{"id":"M1","status":"accept"}}`, "", "", "", "result"},
		{"two journeys", `{"journeyId":"J1","data":{"journeyId":"J2"},"merchantData":{"id":"M1"}}`, "", "", "", "result"},
	} {
		id := identify(decode(t, []byte(c.body)))
		if c.schema != "result" {
			c.reference = "application/" + c.reference // a journey may have the same id
		}
		if id.Reference != c.reference || id.Event != c.event || id.At != c.at || id.Schema != c.schema {
			t.Errorf("%s: %+v", c.name, id)
		}
		if isOffice := id.Schema != "result"; isOffice != (id.Application == backOffice) || id.Missing == "" {
			t.Errorf("%s: application %q, missing %q", c.name, id.Application, id.Missing)
		}
		if asked := Identify(decode(t, []byte(c.body)), event.ViaFetch); asked.Application != "" || asked.Schema != "result" {
			t.Errorf("%s: a fetched body is of the back office: %+v", c.name, asked)
		}
	}
}

// TestApplicationOptIn: without the setting such a callback is refused by a reason that names the setting, and makes no
// observation.
func TestApplicationOptIn(t *testing.T) {
	id := identify(decode(t, []byte(accepted)))
	if why := foreign(Settings{}, id.Application); !strings.Contains(why, "back_office: true") {
		t.Errorf("refused for %q", why)
	}
	if why := foreign(nil, id.Application); why == "" {
		t.Error("accepted without settings")
	}
	if why := foreign(Settings{BackOffice: true}, id.Application); why != "" {
		t.Errorf("refused with the setting: %s", why)
	}
	policy := Settings{Policy: map[string]float64{"min_face_match": 0}}
	for _, s := range []kycbridge.Settings{{}, {Own: Settings{}}, {Own: policy}} {
		if o, err := mapPayload(kycbridge.Payload{Body: []byte(accepted), Via: event.ViaCallback}, s); err == nil {
			t.Errorf("%+v: %+v", s, o)
		}
	}
	fetched := kycbridge.Payload{Body: []byte(accepted), Via: event.ViaFetch}
	if o, err := mapPayload(fetched, withOffice(false)); err == nil {
		t.Errorf("fetched: %+v", o)
	}
}

// TestApplicationContradictions: a body whose words disagree approves nobody, and rejects nobody.
func TestApplicationContradictions(t *testing.T) {
	const doubt = "doubt unknown none manual_review human system.contradiction"
	for name, body := range map[string]string{
		"a status beside merchantData": `{"status":"rejected","merchantData":{"id":"M1","status":"accept"}}`,
		"an approval beside a redo":    `{"status":"accept","merchantData":{"id":"M1","status":"draft"}}`,
		"an unknown status beside it":  `{"status":"success","merchantData":{"id":"M1","status":"accept"}}`,
		"an odd status beside it":      `{"status":200,"merchantData":{"id":"M1","status":"accept"}}`,
		"a status of the details":      `{"merchantData":{"id":"M1","status":"accept","basicDetails":{"status":"pending"}}}`,
		"a status of the wrapper":      `{"status":"pending","result":` + accepted + `}`,
		"two copies":                   `{"data":{"merchantData":{"id":"M1","status":"reject"}},"result":` + accepted + `}`,
		"deleted":                      strings.Replace(accepted, `"isDeleted":false`, `"isDeleted":true`, 1),
		"perhaps deleted":              strings.Replace(accepted, `"isDeleted":false`, `"isDeleted":{"at":1}`, 1),
		"a journey in it":              strings.Replace(accepted, `"isDeleted":false`, `"journeyId":"J1"`, 1),
	} {
		for _, confirm := range []bool{false, true} {
			if got := normalizetest.Brief(mapBody(t, body, withOffice(confirm))); got != doubt {
				t.Errorf("%s, confirm %t: %s", name, confirm, got)
			}
		}
	}
	for name, body := range map[string]string{
		"the same word":    `{"status":"Accepted","merchantData":{"id":"M1","status":"accept"}}`,
		"an empty status":  `{"status":"","merchantData":{"id":"M1","status":"accept"}}`,
		"no status beside": `{"status":null,"merchantData":{"id":"M1","status":"accept","isDeleted":null}}`,
	} {
		if o := mapBody(t, body, withOffice(false)); o.Decision.Outcome != event.OutcomeApproved {
			t.Errorf("%s: %s", name, normalizetest.Brief(o))
		}
	}
}

// TestJourneyBesideApplication: a body with a journey and an application is a doubt about the journey, also with
// confirm, because the result of the journey would not show the application. Without the setting it is only a journey.
func TestJourneyBesideApplication(t *testing.T) {
	policy := map[string]float64{"min_face_match": 0.5}
	for name, part := range map[string]string{
		"rejected": `"merchantData":{"id":"M1","status":"rejected"},`, "accepted": `"merchantData":{"id":"M1","status":"accept"},`,
		"wrapped": `"result":{"merchantData":{}, "x":1},`, "odd": `"merchantData":["rejected"],`,
	} {
		body := changed(t, `{"journeyId"`, `{`+part+`"journeyId"`)
		for _, confirm := range []bool{false, true} {
			o := mapBody(t, body, kycbridge.Settings{Confirm: confirm, Own: Settings{BackOffice: true, Policy: policy}})
			if o.Effect != kycbridge.EffectDoubt || normalizetest.ReasonCodes(o) != event.ReasonContradiction {
				t.Errorf("%s, confirm %t: %s", name, confirm, normalizetest.Brief(o))
			}
		}
		o := mapBody(t, body, kycbridge.Settings{Own: Settings{Policy: policy}})
		if o.Decision.Outcome != event.OutcomeApproved {
			t.Errorf("%s, without the setting: %s", name, normalizetest.Brief(o))
		}
	}
	created := `{"journeyId":"J1","journeyUrl":"https://kyc.example.com/J1","createdAt":1772442000000,"merchantData":{"id":"M1"}}`
	if o := mapBody(t, created, withOffice(false)); o.Effect != kycbridge.EffectDoubt {
		t.Errorf("created: %s", normalizetest.Brief(o))
	}
}

// TestApplicationTimes: a decision has the time of the person's action; without a readable one it is untimed. A pending
// application has the time of its submission, and contradicts an older approval only if a person acted after that.
func TestApplicationTimes(t *testing.T) {
	at := func(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
	const start, submitted, acted = 1772442000000, 1772442300000, 1772445000000
	for _, c := range []struct {
		status, members string
		want            time.Time
		untimed, notes  bool
	}{
		{"accept", `"actionTime":1772445000000,"onboardingEndDate":1772442300000`, at(acted), false, false},
		{"reject", `"actionTime":"2026-03-02T09:50:00Z"`, at(acted), false, false},
		{"draft", `"actionTime":"1772445000000"`, at(acted), false, false},
		{"accept", `"onboardingEndDate":1772442300000,"onboardingStartDate":1772442000000`, time.Time{}, true, false},
		{"reject", `"actionTime":null`, time.Time{}, true, false},
		{"draft", `"actionTime":"soon"`, time.Time{}, true, false},
		{"on hold", `"actionTime":1772445000000`, at(acted), false, false},
		{"on hold", `"actionTime":{}`, time.Time{}, true, false},
		{"new", `"onboardingStartDate":1772442000000`, at(start), false, false},
		{"pending", `"onboardingStartDate":1772442000000`, time.Time{}, false, false},
		{"pending", `"initialSubmissionDate":1772442000000,"onboardingEndDate":1772442300000`, at(submitted), false, false},
		{"pending", `"actionTime":1772442000000,"onboardingEndDate":1772442300000`, at(submitted), false, false},
		{"pending", `"actionTime":1772445000000,"onboardingEndDate":1772442300000`, at(acted), false, true},
		{"dropoff", `"onboardingStartDate":1772442000000,"actionTime":1772445000000`, time.Time{}, false, false},
	} {
		body := `{"merchantData":{"id":"M1","status":"` + c.status + `",` + c.members + `}}`
		o := mapBody(t, body, withOffice(false))
		if !o.OccurredAt.Equal(c.want) || o.Untimed != c.untimed || (o.Mentions == event.OutcomeNone) != c.notes {
			t.Errorf("%s: at %s, untimed %t, mentions %q", body, o.OccurredAt, o.Untimed, o.Mentions)
		}
	}
}

// TestApplicationClaims: claims are name, e-mail address and a phone number with its country code; nothing else of the
// body is in the observation, neither an address for logging in nor what the flow asked for.
func TestApplicationClaims(t *testing.T) {
	o := mapBody(t, `{"merchantSignup":{"note":"SECRET"},"merchantData":{"id":"M1","status":"accept","name":" Jane Sample ",
		"email":"jane@example.com","mobile":"+1 555 010 0001","username":"SECRET","realm":"SECRET","flowName":"SECRET",
		"autoLoginUrl":"https://go.example.com/al/SECRET","loginUrl":"https://go.example.com/SECRET","shortLoginUrl":"SECRET",
		"shortAutoLoginUrl":"SECRET","redirectUrl":"SECRET","imageUrl":"SECRET","actionBy":"SECRET","reason":"SECRET",
		"instructions":"SECRET","Father's name":"SECRET","flowDetails":{"name":"SECRET"},"aadhaarFrontImage":"SECRET"}}`,
		withOffice(false))
	normalizetest.Withhold(t, o, "SECRET", "go.example.com")
	want := event.Claims{"name": "Jane Sample", "email": "jane@example.com", "phone_number": "+15550100001"}
	if len(o.ExtractedClaims) != len(want) {
		t.Errorf("claims %v", o.ExtractedClaims)
	}
	for name, value := range want {
		if o.ExtractedClaims[name] != value {
			t.Errorf("%s %v", name, o.ExtractedClaims[name])
		}
	}
	for _, mobile := range []string{`"5550100001"`, `5550100001`, `"call me"`, `null`, `{}`} {
		o := mapBody(t, `{"merchantData":{"id":"M1","status":"accept","mobile":`+mobile+`,"name":["x"],"email":null}}`, withOffice(false))
		if o.ExtractedClaims != nil {
			t.Errorf("%s: claims %v", mobile, o.ExtractedClaims)
		}
	}
}

// TestApplicationFixtures: no address for logging in and no reviewer leaves a fixture, and personal data only as
// claims.
func TestApplicationFixtures(t *testing.T) {
	for name, body := range normalizetest.Fixtures(t, "signzy") {
		if !strings.HasPrefix(name, "back-office-") {
			continue
		}
		id := identify(decode(t, body))
		if id.Reference == "" || id.Application != backOffice {
			t.Errorf("%s: identity %+v", name, id)
		}
		for _, confirm := range []bool{false, true} {
			o := mapBody(t, string(body), withOffice(confirm))
			normalizetest.Withhold(t, o, "synthetic", "go.example.com", "s.example.com", "sample-bank", "video call")
			if confirm && o.Decision.Outcome == event.OutcomeApproved {
				t.Errorf("%s: approved without confirmation", name)
			}
			o.ExtractedClaims = nil
			if out, err := json.Marshal(o); err != nil || strings.Contains(string(out), "Jane") ||
				strings.Contains(string(out), "jane") || strings.Contains(string(out), "5550100001") {
				t.Errorf("%s: %s, %v", name, out, err)
			}
		}
	}
}
