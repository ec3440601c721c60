package ondato

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/normalize/normalizetest"
	"kycbridge/normalize/values"
)

const (
	testIDV = "b0000000-0000-4000-8000-000000000001"
	testKYC = "c0000000-0000-4000-8000-000000000001"
)

// hook is a webhook with these members of the payload beside its ids.
func hook(kind, members string) string {
	ids := `"id":"` + testIDV + `"`
	if strings.HasPrefix(strings.ToLower(kind), "kyc") {
		ids = `"id":"` + testKYC + `","identityVerificationId":"` + testIDV + `"`
	}
	return fmt.Sprintf(`{"id":"e1","applicationId":"a1","createdUtc":"2026-03-02T09:00:12.4886646Z","payload":{%s,%s},"type":%q}`, ids, members, kind)
}

func bareKYC(members string) string {
	return `{"id":"` + testKYC + `","identityVerificationId":"` + testIDV + `",` + members + `}`
}

func bareIDV(members string) string { return `{"id":"` + testIDV + `",` + members + `}` }

func mapped(t *testing.T, body string, s kycbridge.Settings) kycbridge.Observation {
	t.Helper()
	via := event.ViaCallback
	if !strings.Contains(body, `"payload"`) {
		via = event.ViaFetch // the answer to a GET
	}
	o, err := mapPayload(kycbridge.Payload{Body: []byte(body), Via: via}, s)
	if err != nil {
		t.Fatal(err)
	}
	normalizetest.Lawful(t, o)
	return o
}

func TestIgnores(t *testing.T) {
	for _, kind := range []string{
		"Form.Created", "Form.Updated", "Form.Completed", "KybIdentification.Created", "KybIdentification.Approved",
		"KybIdentification.Rejected", "KybIdentification.Document.Updated", "NewResource.NewEvent",
		"KycIdentification.Started",
		"KycIdentification.ConsentAgreementAccepted", "KycIdentification.Cross_checked", "KycIdentification.Corss_checked",
		"KycIdentification.Completed", "verification.completed", "",
	} {
		o := mapped(t, `{"id":"e1","payload":{"id":"1","identityVerificationId":"2","status":"Approved"},"type":"`+kind+`"}`,
			kycbridge.Settings{})
		if o.Effect != kycbridge.EffectNone || o.Ignored != "type not mapped" || o.Decision.Outcome != "" {
			t.Errorf("%q: %+v", kind, o)
		}
	}
}

func TestTimeOfFetchedBodies(t *testing.T) {
	at := func(body string) string {
		return event.Instant(mapped(t, body, kycbridge.Settings{}).OccurredAt)
	}
	for _, c := range []struct{ body, want string }{
		{bareIDV(`"status":"Completed","createdUtc":"2026-03-02T08:55:00Z","modifiedUtc":"2026-03-02T09:00:03.973Z"`),
			"2026-03-02T09:00:03.973Z"},
		{bareIDV(`"status":"Completed","createdUtc":"2026-03-02T08:55:00Z"`), ""},
		{bareKYC(`"status":"Approved","createdUtc":"2026-03-02T08:55:00Z","completedUtc":"2026-03-02T09:00:11Z"`),
			"2026-03-02T09:00:11Z"},
		{bareKYC(`"status":"Awaiting","createdUtc":"2026-03-02T08:55:00Z","completedUtc":"2026-03-02T09:00:11Z"`), ""},
	} {
		if got := at(c.body); got != c.want {
			t.Errorf("%s: %q, want %q", c.body, got, c.want)
		}
	}
}

func TestRefusesWhatCannotBeRead(t *testing.T) {
	for _, body := range []string{"", "null", "[]", `"x"`, "7", "{", "{}", `{"status":"Approved"}`,
		`{"id":"secret-value",}`,
		`{"type":"KycIdentification.Approved","payload":{"id":"1","status":"Approved"}}`, `{"type":"Idv.StatusChanged"}`} {
		_, err := mapPayload(kycbridge.Payload{Body: []byte(body)}, kycbridge.Settings{})
		if err == nil || strings.Contains(err.Error(), "secret-value") {
			t.Errorf("%q: error %v", body, err)
		}
	}
}

func TestFixtures(t *testing.T) {
	for name, body := range normalizetest.Fixtures(t, "ondato") {
		t.Run(name, func(t *testing.T) {
			if id := identify(decode(t, body)); id.Reference == "" {
				t.Errorf("identity %+v", id)
			}
			mapped(t, string(body), kycbridge.Settings{})
		})
	}
}

func FuzzMap(f *testing.F) {
	for _, body := range normalizetest.Fixtures(f, "ondato") {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, faults := reader().Decode(body)
		if len(faults) > 0 {
			return
		}
		identify(doc)
		o, err := mapPayload(kycbridge.Payload{Body: body}, kycbridge.Settings{})
		if err != nil {
			return
		}
		normalizetest.Lawful(t, o)
		if status, _ := o.ProviderStatus["kyc_status"].(string); o.Decision.Outcome == event.OutcomeApproved &&
			values.Fold(status) != "approved" {
			t.Errorf("approved on kyc status %q", status)
		}
	})
}

// TestTypeComesLast: the type decides what a body is, whatever the order of its members.
func TestTypeComesLast(t *testing.T) {
	members := []string{`"id":"e1"`, `"createdUtc":"2026-03-02T09:00:12Z"`, `"payload":{"id":"` + testKYC +
		`","identityVerificationId":"` + testIDV + `","status":"Approved"}`, `"type":"KycIdentification.Approved"`}
	for range members {
		members = append(members[1:], members[0])
		o := mapped(t, "{"+strings.Join(members, ",")+"}", kycbridge.Settings{})
		if o.Decision.Outcome != event.OutcomeApproved || o.EventName != "KycIdentification.Approved" {
			t.Errorf("%s first: %+v", members[0], o.Decision)
		}
	}
}

// TestFractions: instants may have any number of fractional digits.
func TestFractions(t *testing.T) {
	for fraction, want := range map[string]string{"": "", ".7": ".7", ".77": ".77", ".684": ".684",
		".4886646": ".4886646"} {
		body := hook("KycIdentification.Approved", `"status":"Approved","completedUtc":"2026-03-02T09:00:11`+fraction+`Z"`)
		body = strings.Replace(body, "12.4886646Z", "12"+fraction+"Z", 1)
		o := mapped(t, body, kycbridge.Settings{})
		if o.Decision.DecidedAt != "2026-03-02T09:00:11"+want+"Z" ||
			event.Instant(o.OccurredAt) != "2026-03-02T09:00:12"+want+"Z" {
			t.Errorf("%q: decided %q, occurred %v", fraction, o.Decision.DecidedAt, o.OccurredAt)
		}
	}
}

// TestNumbersOrText: a value that is a number in one body and text in another causes no failure.
func TestNumbersOrText(t *testing.T) {
	for _, members := range []string{
		`"registration":{"phoneNumber":370600000001}`, `"registration":{"phoneNumber":"370600000001"}`,
		`"registration":{"phoneNumber":null}`,
		`"face":{"ageEstimation":30}`, `"face":{"ageEstimation":"Age30AndOver"}`, `"face":{"ageEstimation":null}`,
	} {
		for _, body := range []string{hook("KycIdentification.Approved", `"status":"Approved",`+members),
			bareKYC(`"status":"Approved",` + members)} {
			if o := mapped(t, body, kycbridge.Settings{}); o.Decision.Outcome != event.OutcomeApproved {
				t.Errorf("%s: %+v", members, o.Decision)
			}
		}
		if o := mapped(t, bareIDV(`"status":"Completed",`+members),
			kycbridge.Settings{}); o.Status != event.StatusProcessing {
			t.Errorf("%s: %+v", members, o)
		}
	}
}

// TestUntimed: a webhook without a readable time is untimed, whatever it contains instead; a body that
// kycbridge has requested is as new as the answer.
func TestUntimed(t *testing.T) {
	whole := hook("KycIdentification.Approved", `"status":"Approved","completedUtc":"2026-03-02T09:00:11Z"`)
	const created = `"2026-03-02T09:00:12.4886646Z"`
	for raw, want := range map[string]string{
		created: "2026-03-02T09:00:12.4886646Z", `"2026-03-02T09:00:12+0000"`: "2026-03-02T09:00:12Z",
		`"2026-03-02 09:00:12"`:           "2026-03-02T09:00:12Z",
		`"Mon, 02 Mar 2026 09:00:12 GMT"`: "2026-03-02T09:00:12Z", `"/Date(1772442012488)/"`: "2026-03-02T09:00:12.488Z",
		`1772442012`: "2026-03-02T09:00:12Z", `1772442012488`: "2026-03-02T09:00:12.488Z",
		`"1772442012488"`: "2026-03-02T09:00:12.488Z",
		`null`:            "", `""`: "", `" "`: "", `"yesterday"`: "", `"0001-01-01T00:00:00Z"`: "", `0`: "", `true`: "",
		`{}`:                       "",
		`["2026-03-02T09:00:12Z"]`: "",
	} {
		o := mapped(t, strings.Replace(whole, created, raw, 1), kycbridge.Settings{})
		if got := event.Instant(o.OccurredAt); got != want || o.Untimed != (want == "") ||
			o.Decision.Outcome != event.OutcomeApproved {
			t.Errorf("%s: occurred %q, untimed %v, want %q; %+v", raw, got, o.Untimed, want, o.Decision)
		}
	}
	if o := mapped(t, strings.Replace(whole, `"createdUtc":`+created+`,`, "", 1), kycbridge.Settings{}); !o.Untimed {
		t.Error("a webhook without createdUtc is not untimed")
	}
	posted, err := mapPayload(kycbridge.Payload{Via: event.ViaCallback, Body: []byte(bareKYC(`"status":"Approved"`))},
		kycbridge.Settings{})
	if err != nil || !posted.Untimed {
		t.Errorf("a resource that was posted is not untimed, %v", err)
	}
	if o := mapped(t, bareKYC(`"status":"Approved"`), kycbridge.Settings{}); o.Untimed {
		t.Error("a fetched resource is untimed")
	}
}

// TestTimesBeyondReceipt: an event contains no time that cannot be true.
func TestTimesBeyondReceipt(t *testing.T) {
	received := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for at, want := range map[string]string{
		"2026-03-02T09:00:11Z": "2026-03-02T09:00:11Z", "2026-03-02T10:04:59Z": "2026-03-02T10:04:59Z",
		"2026-03-02T10:05:01Z": "", "2199-01-01T00:00:00Z": "", "1999-12-31T23:59:59Z": "",
	} {
		verdict, err := mapPayload(kycbridge.Payload{ReceivedAt: received,
			Body: []byte(bareKYC(`"status":"Approved","completedUtc":"` + at + `"`))}, kycbridge.Settings{})
		if err != nil || verdict.Decision.DecidedAt != want || verdict.Decisions[0].DecidedAt != want {
			t.Errorf("%s: decided %+v, %v", at, verdict.Decision, err)
		}
		body := bareIDV(`"status":"Aborted","createdUtc":"` + at + `","modifiedUtc":"` + at +
			`","step":{"consent":{"isConsented":true,"consentedUtc":"` + at + `"}}`)
		session, err := mapPayload(kycbridge.Payload{ReceivedAt: received, Body: []byte(body)}, kycbridge.Settings{})
		if err != nil || session.Session.CreatedAt != want || session.Session.EndedAt != want ||
			session.Session.Consent.At != want {
			t.Errorf("%s: session %+v, %v", at, session.Session, err)
		}
	}
}

// TestGroups: a body that does not contain a group leaves it unchanged, and an empty list replaces it.
func TestGroups(t *testing.T) {
	for members, want := range map[string]string{
		`"x":1`:                          "",
		`"document":{}`:                  "",
		`"document":"","rules":{}`:       "",
		`"document":[],"rules":"none"`:   "",
		`"document":{"files":{}}`:        "",
		`"face":[],"additionalFiles":{}`: "",
		`"rules":[]`:                     "checks:0",
		`"fraudChecks":["NotUnder18"]`:   "checks:0",
		`"document":{"files":[]}`:        "media:0",
		`"face":{"files":[{"fileId":"F1"},{}]},"additionalFiles":[1]`:         "media:1",
		`"document":{"mrzVerified":true}`:                                     "checks:1",
		`"document":{"type":"Passport"}`:                                      "documents:1",
		`"document":{"firstName":"Testa","documentNumber":{}},"rules":[{}]`:   "claims:1 checks:0",
		`"document":{"type":"Passport","dateOfBirth":"x"},"fraudChecks":null`: "documents:1 checks:1",
	} {
		o := mapped(t, bareKYC(`"status":"Approved",`+members), kycbridge.Settings{})
		var got []string
		add := func(name string, stated bool, n int) {
			if stated {
				got = append(got, fmt.Sprintf("%s:%d", name, n))
			}
		}
		add("documents", o.Documents != nil, len(o.Documents))
		add("claims", o.ExtractedClaims != nil, len(o.ExtractedClaims))
		add("checks", o.Checks != nil, len(o.Checks))
		add("media", o.Media != nil, len(o.Media))
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v, want %q", members, got, want)
		}
	}
}

// TestOddLeaves: a value of an unexpected JSON type affects only itself.
func TestOddLeaves(t *testing.T) {
	const members = `"status":"Approved","statusReason":"AutomaticallyIdentified","externalReferenceId":"ref-1","setup":{"id":"S2"},"completedUtc":"2026-03-02T09:00:11Z",
		"document":{"fullName":"Testa Sample","firstName":"Testa","documentNumber":"X1","dateOfExpiration":"2031-05-04","dateOfBirth":"1990-02-01","personalCode":"12",
		"address":"1 Example Street","nationalityIso3":"LTU","countryIso3":"LTU","gender":"Female","type":"Passport","category":"B","mrzVerified":true,
		"files":[{"fileId":"F1"}],"ocrValidations":[{"key":"FirstName","isValid":true}]},
		"rules":[{"name":"NotUnder18","status":"Success"}]`
	whole := decode(t, []byte(hook("KycIdentification.Approved", members)))
	var paths [][]string
	for name := range whole.Object("payload") {
		paths = append(paths, []string{"payload", name})
	}
	for name := range whole.Object("payload", "document") {
		paths = append(paths, []string{"payload", "document", name})
	}
	for _, path := range append(paths, []string{"createdUtc"}, []string{"id"}, []string{"applicationId"}) {
		name := path[len(path)-1]
		if name == "status" || name == "identityVerificationId" || len(path) == 2 && name == "id" {
			continue // a decision, or identity
		}
		for _, odd := range []any{nil, true, json.Number("7.5"), json.Number("1e300"), "", strings.Repeat("huge ", 10_000),
			[]any{}, []any{"x", nil, []any{}}, map[string]any{}, map[string]any{"a": "b"}} {
			doc := decode(t, []byte(hook("KycIdentification.Approved", members)))
			map[string]any(doc.Object(path[:len(path)-1]...))[name] = odd
			o, err := Map(doc, kycbridge.Payload{Via: event.ViaCallback}, kycbridge.Settings{})
			if err != nil || o.Effect != kycbridge.EffectVerdict || o.Decision.Outcome != event.OutcomeApproved ||
				!o.Decision.Final {
				t.Errorf("%v is %.20v: %+v, %v", path, odd, o.Decision, err)
			}
			normalizetest.Lawful(t, o)
			if name != "document" && (len(o.Documents) != 1 || len(o.ExtractedClaims) < 6) {
				t.Errorf("%v is %.20v: documents %+v, claims %v", path, odd, o.Documents, o.ExtractedClaims)
			}
			if raw, err := json.Marshal(o); err != nil || len(raw) > 8_000 {
				t.Errorf("%v is %.20v: %d bytes, %v", path, odd, len(raw), err)
			}
		}
	}
}
