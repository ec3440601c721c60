package ondato

import (
	"fmt"
	"testing"

	"kycbridge/event"
)

func TestIdentify(t *testing.T) {
	for _, c := range []struct{ name, body, schema, reference, eventID, event string }{
		{"idv", hook("IdentityVerification.StatusChanged", `"status":"x"`), "callback", testIDV, "e1",
			"IdentityVerification.StatusChanged"},
		{"idv, old name", hook("Idv.Consented", `"status":"x"`), "callback", testIDV, "e1", "Idv.Consented"},
		{"kyc", hook("KycIdentification.Approved", `"status":"x"`), "callback", testIDV, "e1", "KycIdentification.Approved"},
		{"upper-case ids", `{"id":"E","type":"Idv.X","payload":{"id":"ABC"}}`, "callback", "abc", "E", "Idv.X"},
		{"kyc without its parent", `{"id":"E","type":"KycIdentification.Approved","payload":{"id":"ABC"}}`, "callback", "",
			"E", "KycIdentification.Approved"},
		{"pascal-case envelope", `{"Id":"E","Type":"KycIdentification.Approved","Payload":{"identityVerificationId":"B"}}`,
			"callback", "b", "E", "KycIdentification.Approved"},
		{"form", `{"id":"E","type":"Form.Created","payload":{"id":"F","identityVerificationId":"B"}}`, "callback", "b", "E",
			"Form.Created"},
		{"kyb", `{"id":"E","type":"KybIdentification.Document.Created","payload":{"id":"D"}}`, "callback", "d", "E",
			"KybIdentification.Document.Created"},
		{"unknown without ids", `{"id":"E","type":"New.Event","payload":7}`, "callback", "e", "E", "New.Event"},
		{"type only", `{"id":"E","type":"New.Event"}`, "callback", "e", "E", "New.Event"},
		{"fetched kyc", bareKYC(`"status":"Awaiting"`), "kyc", testIDV, "", "get-identification"},
		{"fetched idv", bareIDV(`"status":"Pending"`), "idv", testIDV, "", "get-identity-verification"},
		{"numeric ids", `{"id":7,"type":"KycIdentification.Approved","payload":{"id":8,"identityVerificationId":9}}`,
			"callback", "9", "7", "KycIdentification.Approved"},
		{"odd envelope id", `{"id":{},"type":"Idv.StatusChanged","payload":{"id":"B"}}`, "callback", "b", "",
			"Idv.StatusChanged"},
		{"lower-case members", `{"id":"E","type":"KycIdentification.Approved","payload":{"identityverificationid":"B"}}`,
			"callback", "b", "E", "KycIdentification.Approved"},
		{"error body", `{"reason":"NotFound","message":"x"}`, "callback", "", "", ""},
		{"odd types", `{"id":["E"],"type":{"a":1},"payload":[1]}`, "callback", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			id := identify(decode(t, []byte(c.body)))
			if id.Schema != c.schema || id.Reference != c.reference || id.EventID != c.eventID || id.Event != c.event ||
				id.At != "" {
				t.Errorf("%+v", id)
			}
			if id.Reference == "" && id.Missing == "" {
				t.Error("no word where the reference was looked for")
			}
		})
	}
}

// TestApplication: the application of a webhook is the one in its envelope and in its payload; for a body fetched with
// the account's own credentials it is not read.
func TestApplication(t *testing.T) {
	const envelope = `{"id":"E","type":"Form.Created",%s"payload":{"id":"1","identityVerificationId":"2","status":"x"%s}}`
	for name, c := range map[string]struct {
		body string
		via  event.Via
		want string
	}{
		"envelope": {fmt.Sprintf(envelope, `"applicationId":"A1",`, ``), event.ViaCallback, "a1"},
		"twice": {fmt.Sprintf(envelope, `"applicationId":"A1",`, `,"applicationId":"a1"`),
			event.ViaCallback, "a1"},
		"two": {fmt.Sprintf(envelope, `"applicationId":"A1",`, `,"applicationId":"A2"`),
			event.ViaCallback, "a1\na2"},
		"payload alone": {fmt.Sprintf(envelope, ``, `,"applicationId":"A2"`), event.ViaCallback, "a2"},
		"odd in the envelope": {fmt.Sprintf(envelope, `"applicationId":{},`, `,"applicationId":"A2"`), event.ViaCallback,
			"a2"},
		"nowhere":         {fmt.Sprintf(envelope, ``, ``), event.ViaCallback, ""},
		"posted resource": {bareKYC(`"applicationId":"A3"`), event.ViaCallback, "a3"},
		"fetched":         {bareKYC(`"applicationId":"A3"`), event.ViaFetch, ""},
		"polled":          {bareIDV(`"applicationId":"A3","status":"x"`), event.ViaPoll, ""},
	} {
		if got := Identify(decode(t, []byte(c.body)), c.via).Application; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestForeign: an account with application ids accepts a webhook only if each id in it is text and one of them.
func TestForeign(t *testing.T) {
	const hook = `{"id":"E","type":"Form.Created","applicationId":%s,"payload":{"id":"1","applicationId":%s}}`
	for _, c := range []struct {
		envelope, payload string
		want              bool
	}{
		{`"own"`, `"OWN"`, false},
		{`"own"`, `"also"`, false},
		{`"own"`, `null`, false},
		{`""`, `{}`, false},
		{`[]`, `"own"`, false},
		{`"own"`, `"foreign"`, true},
		{`"foreign"`, `"own"`, true},
		{`null`, `"foreign"`, true},
		{`["foreign"]`, `"own"`, true},
		{`{"id":"foreign"}`, `null`, true},
		{`"own"`, `["own"]`, true},
		{`false`, `null`, true},
	} {
		body := fmt.Sprintf(hook, c.envelope, c.payload)
		application := Identify(decode(t, []byte(body)), event.ViaCallback).Application
		ours := Settings{ApplicationIDs: []string{"own", "Also"}}
		if got := application != "" && foreign(ours, application) != ""; got != c.want {
			t.Errorf("%s: foreign %t", body, got)
		}
		if foreign(Settings{}, application) != "" {
			t.Errorf("%s: foreign to an account without application ids", body)
		}
	}
}
