package simulated

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge/document"
	"kycbridge/internal/simulate"
	"kycbridge/schemas"

	"kycbridge/test/receiver"
)

// client calls a simulated Ondato with a token.
type client struct {
	t     *testing.T
	s     *simulate.Server
	token string
}

func newOndatoClient(t *testing.T, s *simulate.Server) *client {
	t.Helper()
	c := &client{t: t, s: s}
	c.renew()
	return c
}

func (c *client) renew() {
	c.t.Helper()
	status, body := c.form("grant_type=client_credentials&client_id=ondato-client&client_secret=ondato-secret-0001")
	if status != http.StatusOK {
		c.t.Fatalf("token: %d %s", status, body)
	}
	var token struct {
		Value string `json:"access_token"`
	}
	if err := json.Unmarshal(body, &token); err != nil {
		c.t.Fatal(err)
	}
	c.token = token.Value
}

func (c *client) form(body string) (int, []byte) {
	return c.do("POST", "/connect/token", body, "application/x-www-form-urlencoded")
}

func (c *client) do(method, path, body, contentType string) (int, []byte) {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.s.URL()+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("Authorization", "Bearer "+c.token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	var read strings.Builder
	if err := res.Write(&read); err != nil {
		c.t.Fatal(err)
	}
	_, answered, _ := strings.Cut(read.String(), "\r\n\r\n")
	return res.StatusCode, []byte(answered)
}

// get reads a resource, which must conform to its schema.
func (c *client) get(schema, path string) map[string]any {
	c.t.Helper()
	status, body := c.do("GET", path, "", "")
	if status != http.StatusOK {
		c.t.Fatalf("%s: %d %s", path, status, body)
	}
	return valid(c.t, schema, body)
}

// compiled are the schemas. They are compiled once because it takes a while.
var compiled = sync.OnceValues(schemas.New)

// valid decodes a body and checks it against a schema of this provider.
func valid(t *testing.T, schema string, body []byte) map[string]any {
	t.Helper()
	doc, faults := document.Decode(body)
	if faults == nil {
		set, err := compiled()
		if err != nil {
			t.Fatal(err)
		}
		faults = set.Validate("ondato", schema, map[string]any(doc))
	}
	if faults != nil {
		t.Fatalf("%v in %s", faults, body)
	}
	return doc
}

// member follows names down a document; nil if a name is missing.
func member(doc any, names ...string) any {
	for _, name := range names {
		object, _ := doc.(map[string]any)
		doc = object[name]
	}
	return doc
}

// told summarizes a webhook: its type, and the status and reason of its resource.
func told(hook map[string]any) string {
	parts := []string{hook["type"].(string), member(hook, "payload", "status").(string)}
	if reason, ok := member(hook, "payload", "statusReason").(string); ok {
		parts = append(parts, reason)
	}
	return strings.Join(parts, " ")
}

// hooks are the received webhooks, in the order of their createdUtc.
func hooks(t *testing.T, r *receiver.Receiver) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, body := range r.Bodies() {
		out = append(out, valid(t, "callback", []byte(body)))
	}
	slices.SortFunc(out, func(a, b map[string]any) int {
		return strings.Compare(a["createdUtc"].(string), b["createdUtc"].(string))
	})
	return out
}

func TestOndatoScripts(t *testing.T) {
	begin := []string{"IdentityVerification.StatusChanged InProgress"}
	sent := append(begin[:1:1], "IdentityVerification.Consented InProgress", "KycIdentification.Created Unfinished",
		"KycIdentification.Processed Awaiting")
	and := func(tail ...string) []string { return append(sent[:len(sent):len(sent)], tail...) }
	const done = "IdentityVerification.StatusChanged Completed"
	const automatic, manual = "KycIdentification.Approved Approved AutomaticallyIdentified",
		"KycIdentification.Approved Approved ManuallyIdentified"
	tests := map[string]struct {
		hooks    []string
		idv, kyc string // statuses at the end
	}{
		simulate.Approve:    {and(automatic, done), "Completed", "Approved"},
		simulate.Reject:     {and("KycIdentification.Rejected Rejected PossibleFraudAttempt", done), "Completed", "Rejected"},
		simulate.Review:     {and(done, manual), "Completed", "Approved"},
		simulate.SecondLook: {and(done, manual), "Completed", "Approved"},
		simulate.Flip: {and(automatic, done, "KycIdentification.Rejected Rejected PossibleFraudAttempt"), "Completed",
			"Rejected"},
		simulate.Resubmit: {and("KycIdentification.Rejected Rejected PoorPhotoQuality",
			"KycIdentification.Processed Awaiting", automatic, done),
			"Completed", "Approved"},
		simulate.Abandon:   {append(begin[:1:1], "IdentityVerification.StatusChanged Aborted"), "Aborted", ""},
		simulate.Expire:    {[]string{"IdentityVerification.StatusChanged Expired"}, "Expired", ""},
		simulate.Supersede: {[]string{"IdentityVerification.StatusChanged Expired"}, "Expired", ""},
		simulate.Unknown:   {and("KycIdentification.Postponed Postponed", done), "Completed", "Postponed"},
	}
	for _, person := range simulate.People() {
		t.Run(person, func(t *testing.T) {
			test, ok := tests[person]
			if !ok {
				t.Fatal("not tested")
			}
			r := receiver.New(t, nil)
			s := started(t, New(), simulate.Options{Speed: 1e7, CallbackURL: r.URL})
			c := newOndatoClient(t, s)
			id := s.Begin("ref-"+person, "")
			eventually(t, func() bool { return s.Stats().Accepted == len(test.hooks) && s.Stats().Waiting == 0 })
			var got []string
			for _, hook := range hooks(t, r) {
				got = append(got, told(hook))
			}
			if diff := cmp.Diff(test.hooks, got); diff != "" {
				t.Error(diff)
			}
			idv := c.get("idv", "/v1/identity-verifications/"+id)
			if idv["status"] != test.idv || idv["externalReferenceId"] != "ref-"+person {
				t.Errorf("%v", idv)
			}
			kycID, _ := member(idv, "step", "kycIdentification", "id").(string)
			if test.kyc == "" {
				if kycID != "" {
					t.Errorf("there is an identification: %v", idv)
				}
				return
			}
			if kyc := c.get("kyc", "/v1/identifications/"+kycID); kyc["status"] != test.kyc ||
				kyc["identityVerificationId"] != id {
				t.Errorf("%v", kyc)
			}
		})
	}
}

// The answers change as simulated time passes, and no time in them lies in the future.
func TestOndatoLife(t *testing.T) {
	const speed = 3000
	s := started(t, New(), simulate.Options{Speed: speed})
	c := newOndatoClient(t, s)
	id := s.Begin("ref-1", simulate.Review)
	v := s.State.(*account).byID[id]
	for _, test := range []struct {
		age  time.Duration
		want string
	}{
		{5 * time.Minute, "Completed Awaiting"}, {3 * time.Hour, "Completed Approved"},
	} {
		s.Lock()
		v.begun = time.Now().Add(-test.age / speed)
		s.Unlock()
		idv := c.get("idv", "/v1/identity-verifications/"+id)
		kyc := c.get("kyc", "/v1/identifications/"+v.KYC)
		if got := idv["status"].(string) + " " + kyc["status"].(string); got != test.want {
			t.Errorf("after %v %s", test.age, got)
		}
		if _, completed := kyc["completedUtc"]; completed != strings.HasSuffix(test.want, "Approved") {
			t.Errorf("completedUtc of %v", kyc)
		}
		for _, at := range []any{idv["createdUtc"], idv["modifiedUtc"], member(idv, "step", "consent", "consentedUtc"),
			kyc["createdUtc"], kyc["completedUtc"]} {
			if text, ok := at.(string); ok {
				if at, err := time.Parse(time.RFC3339Nano, text); err != nil || at.After(time.Now()) {
					t.Errorf("%s, %v", text, err)
				}
			}
		}
	}
}

// Every state of a script has an answer, and at each age the state is that of the script.
func TestOndatoMoments(t *testing.T) {
	s := started(t, New(), simulate.Options{})
	a := s.State.(*account)
	for _, person := range simulate.People() {
		v := a.byID[s.Begin("ref-1", person)]
		for _, b := range v.script {
			if want, ok := a.states[b.State]; !ok || a.view(v, b.At).State != want {
				t.Errorf("%s, %s: %+v", person, b.State, a.view(v, b.At).State)
			}
		}
	}
}

func TestOndatoWebhook(t *testing.T) {
	r := receiver.New(t, func(n int) int { return []int{500, 204}[min(n, 1)] })
	s := started(t, New(), simulate.Options{Speed: 1e7, CallbackURL: r.URL})
	began := time.Now()
	s.Begin("ref-1", simulate.Expire)
	eventually(t, func() bool { return s.Stats().Accepted == 1 })
	got := r.Callbacks()
	if len(got) != 2 || got[0].Body != got[1].Body {
		t.Fatalf("a retry differs: %v", got)
	}
	envelope := regexp.MustCompile(`^\{"id":"[0-9a-f-]{36}","applicationId":"[0-9a-f-]{36}","createdUtc":"[0-9T:-]{19}\.[0-9]{7}Z","payload":\{.*\},"type":"IdentityVerification\.StatusChanged"\}$`)
	if !envelope.MatchString(got[0].Body) {
		t.Error(got[0].Body)
	}
	at, err := time.Parse(time.RFC3339Nano, hooks(t, r)[0]["createdUtc"].(string))
	if err != nil || at.Before(began) || at.After(got[0].At) {
		t.Errorf("created %v, %v", at, err)
	}
	if user, password, ok := (&http.Request{Header: got[0].Header}).BasicAuth(); !ok || user != "ondato" ||
		password != "ondato-callback-0001" {
		t.Errorf("headers %v", got[0].Header)
	}
	if got[0].Header.Get("Ondato-Signature") != "" {
		t.Error("is signed too")
	}
}

func TestOndatoWebhookSigned(t *testing.T) {
	r := receiver.New(t, nil)
	s := started(t, New(), simulate.Options{Speed: 1e7, CallbackURL: r.URL,
		Credentials: simulate.Credentials{HMAC: "hmac-secret", Callback: "unused"}})
	s.Begin("ref-1", simulate.Approve)
	eventually(t, func() bool { return s.Stats().Accepted == 6 })
	for _, c := range r.Callbacks() {
		signature := c.Header.Get("Ondato-Signature")
		signed := false
		for back := range 5 { // for the second in which it was signed
			signed = signed || signature == signatureOver("hmac-secret", []byte(c.Body),
				c.At.Add(-time.Duration(back)*time.Second))
		}
		if !signed || c.Header.Get("Authorization") != "" {
			t.Errorf("signature %q, authorization %q", signature, c.Header.Get("Authorization"))
		}
	}
}

// The vector of the fact sheet.
func TestOndatoSignature(t *testing.T) {
	const body = `{"id":"e0000000-0000-4000-8000-000000000001","applicationId":"a0000000-0000-4000-8000-000000000001",` +
		`"createdUtc":"2026-03-02T09:00:05.1234567Z","payload":{"id":"f0000000-0000-4000-8000-000000000001","status":"Unfinished",` +
		`"note":"caf\u00e9 \u0027quoted\u0027"},"type":"Form.Created"}`
	const want = "t=1772442005, s=66e3cfee72f47b38e49e6d5d0ef0cf162aa43182dcb5e9528eebe15a7bc25a6a"
	if got := signatureOver("test-secret", []byte(body), time.Unix(1772442005, 0)); got != want {
		t.Error(got)
	}
}

func TestOndatoHistory(t *testing.T) {
	r := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil || !strings.Contains(string(body), `"InProgress"`) {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer r.Close()
	s := started(t, New(), simulate.Options{Speed: 1e5, CallbackURL: r.URL})
	c := newOndatoClient(t, s)
	id := s.Begin("ref-1", simulate.Abandon)
	eventually(t, func() bool { return s.Stats().Accepted == 1 && s.Stats().Callbacks > 1 })
	status, body := c.do("GET", "/v1/identity-verifications/"+id+"/webhooks", "", "")
	var history []map[string]any
	if err := json.Unmarshal(body, &history); err != nil || status != http.StatusOK || len(history) != 2 {
		t.Fatalf("%d %s %v", status, body, err)
	}
	if history[0]["isDelivered"] != false || history[1]["isDelivered"] != true || history[1]["deliveredUtc"] == nil ||
		told(history[0]) != "IdentityVerification.StatusChanged Aborted" {
		t.Errorf("%s", body)
	}
}

func TestOndatoTokens(t *testing.T) {
	s := started(t, New(), simulate.Options{TokenLife: time.Second,
		Credentials: simulate.Credentials{User: "user", Password: "word"}})
	c := &client{t: t, s: s}
	for body, want := range map[string]string{
		"grant_type=client_credentials&client_id=user&client_secret=ondato-secret-0001": `{"error": "invalid_client"}`,
		"grant_type=password&client_id=user&client_secret=word":                         `{"error": "unsupported_grant_type"}`,
	} {
		if status, got := c.form(body); status != http.StatusBadRequest || string(got) != want {
			t.Errorf("%d %s", status, got)
		}
	}
	if status, got := c.do("POST", "/connect/token", `{}`, "application/json"); status != http.StatusBadRequest ||
		string(got) != `{"error": "invalid_request"}` {
		t.Errorf("%d %s", status, got)
	}
	_, body := c.form("grant_type=client_credentials&client_id=user&client_secret=word&scope=idv_api_readonly")
	var token struct {
		Value string `json:"access_token"`
		Scope string `json:"scope"`
	}
	if err := json.Unmarshal(body, &token); err != nil || token.Scope != "idv_api_readonly" {
		t.Fatalf("%s, %v", body, err)
	}
	c.token = token.Value
	path := "/v1/identity-verifications/" + s.Begin("ref-1", simulate.Expire)
	c.get("idv", path)
	if status, body := c.do("POST", "/v1/identity-verifications", `{}`,
		"application/json"); status != http.StatusForbidden {
		t.Errorf("%d %s", status, body)
	}
	eventually(t, func() bool {
		status, body := c.do("GET", path, "", "")
		return status == http.StatusUnauthorized && strings.Contains(string(body), `"AuthenticationFailed"`)
	})
}

func TestOndatoRefusals(t *testing.T) {
	s := started(t, New(), simulate.Options{})
	c := newOndatoClient(t, s)
	const path = "/v1/identity-verifications"
	tests := map[string]struct {
		method, path, body string
		status             int
		want               string
	}{
		"no setup": {"POST", path, `{}`, 400,
			`{"reason": "ValidationFailed", "message": "The request is invalid.", "params": {"setupId": [{"reason": "Required", "message": "Property should not be empty."}]}}`},
		"setup is no UUID": {"POST", path, `{"setupId": "x"}`, 400, `"setupId"`},
		"phone as text": {"POST", path, `{"setupId": "` + setupID +
			`", "registration": {"phoneNumber": "370600000001"}}`, 400, `"registration.phoneNumber"`},
		"country of 3": {"POST", path, `{"setupId": "` + setupID + `", "registration": {"countryCode": "LTU"}}`, 400,
			`"registration.countryCode"`},
		"no JSON": {"POST", path, `<`, 400, `"ValidationFailed"`},
		"no such IDV": {"GET", path + "/b0000000-0000-4000-8000-00000000000f", "", 404,
			`{"reason": "NotFound", "message": "The requested resource doesn't exist.."}`},
		"no such call": {"GET", "/v2", "", 404, `"NotFound"`},
		"no such KYC":  {"GET", "/v1/identifications/b0000000-0000-4000-8000-00000000000f", "", 404, `"NotFound"`},
		"a verification": {"POST", path, `{"setupId": "` + setupID +
			`", "registration": {"phoneNumber": 370600000001, "countryCode": "LT"}}`, 201, `{"id": "`},
		"filter is no JSON": {"POST", "/v1/identifications/filter", `x`, 400, `"ValidationFailed"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, body := c.do(test.method, test.path, test.body, "application/json")
			if status != test.status || !strings.HasPrefix(string(body), test.want) &&
				!strings.Contains(string(body), test.want) {
				t.Errorf("%d %s", status, body)
			}
		})
	}
	c.token = "another"
	if status, body := c.do("GET", path+"/x", "", ""); status != 401 ||
		string(body) != `{"reason": "AuthenticationFailed", "message": "The access token is missing, invalid, or is revoked."}` {
		t.Errorf("%d %s", status, body)
	}
}

// A registration is returned as it was sent, and the document names that person.
func TestOndatoRegistration(t *testing.T) {
	s := started(t, New(), simulate.Options{Speed: 1e6})
	c := newOndatoClient(t, s)
	_, body := c.do("POST", "/v1/identity-verifications", `{"setupId": "5E000000-0000-4000-8000-000000000009", "externalReferenceId": "quote \" and <tag>",
		"registration": {"firstName": "Tes\"ta", "lastName": "Exa<mple", "dateOfBirth": "1988-07-30", "phoneNumber": 370600000001}}`, "application/json")
	var made struct{ ID string }
	if err := json.Unmarshal(body, &made); err != nil {
		t.Fatal(err)
	}
	var idv map[string]any
	eventually(t, func() bool {
		idv = c.get("idv", "/v1/identity-verifications/"+made.ID)
		return idv["status"] == "Completed"
	})
	if member(idv, "registration", "phoneNumber") != json.Number("370600000001") ||
		idv["externalReferenceId"] != `quote " and <tag>` ||
		member(idv, "setup", "id") != "5e000000-0000-4000-8000-000000000009" {
		t.Errorf("%v", idv)
	}
	kyc := c.get("kyc", "/v1/identifications/"+member(idv, "step", "kycIdentification", "id").(string))
	if member(kyc, "document", "fullName") != `TES"TA EXA<MPLE` || member(kyc, "document", "dateOfBirth") != "1988-07-30" {
		t.Errorf("%v", kyc)
	}
}

// Only a request after an end that was already reported, and that is final, counts as a request after the
// end.
func TestOndatoQuestionsAfterTheEnd(t *testing.T) {
	for person, late := range map[string]bool{simulate.Approve: true, simulate.Flip: true, simulate.Expire: true,
		simulate.Unknown: false} {
		t.Run(person, func(t *testing.T) {
			s := started(t, New(), simulate.Options{Speed: 1e7})
			c := newOndatoClient(t, s)
			id := s.Begin("ref-1", person)
			last := scriptOf(person)
			v := s.State.(*account).byID[id]
			eventually(t, func() bool { return last.Last(s.State.(*account).age(v)) })
			look := func() {
				idv := c.get("idv", "/v1/identity-verifications/"+id)
				if kycID, ok := member(idv, "step", "kycIdentification", "id").(string); ok {
					c.get("kyc", "/v1/identifications/"+kycID)
				}
			}
			look()
			if n := s.Stats().AfterEnd; n != 0 {
				t.Errorf("%d before", n)
			}
			look()
			if n := s.Stats().AfterEnd; (n == 1) != late {
				t.Errorf("%d after", n)
			}
		})
	}
	t.Run("before the flip", func(t *testing.T) {
		s := started(t, New(), simulate.Options{})
		c := newOndatoClient(t, s)
		id := s.Begin("ref-1", simulate.Flip)
		v := s.State.(*account).byID[id]
		s.Lock()
		v.begun = v.begun.Add(-time.Hour) // approved, and not yet rejected
		s.Unlock()
		for range 2 {
			c.get("idv", "/v1/identity-verifications/"+id)
			if kyc := c.get("kyc", "/v1/identifications/"+v.KYC); kyc["status"] != "Approved" {
				t.Errorf("%v", kyc)
			}
		}
		if n := s.Stats().AfterEnd; n != 0 {
			t.Errorf("%d", n)
		}
	})
}

// TestOndatoIDsDoNotDependOnCalls: verifications with the same seed have the same ids, however often results are
// requested in between.
func TestOndatoIDsDoNotDependOnCalls(t *testing.T) {
	t.Parallel()
	begin := func(requests int) []string {
		s := started(t, New(), simulate.Options{Seed: 3})
		c := newOndatoClient(t, s)
		first := s.Begin("first", simulate.Approve)
		for range requests {
			c.do("GET", "/v1/identity-verifications/"+first, "", "")
		}
		return []string{first, s.Begin("second", simulate.Reject)}
	}
	if quiet, asked := begin(0), begin(3); !slices.Equal(quiet, asked) {
		t.Errorf("the verifications are %v, with requests in between %v", quiet, asked)
	}
}
