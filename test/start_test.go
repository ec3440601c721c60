package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/simulate"
	"kycbridge/schemas"
	"kycbridge/test/wait"
)

const startsPath = "/v1/verifications"

// createCalls are the providers' own names of the calls that create a verification.
var createCalls = map[string]string{
	"signzy": "create-journey-url", "ondato": "create_identity_verification", "idwise": "start-journey",
	"kwikid": "sendLink",
}

// everyProvider lists the providers in the order in which the tests use them.
var everyProvider = []string{"signzy", "ondato", "idwise", "kwikid"}

// frozenWorld is a world without activity: persons act in real time, no callback is sent and no session is polled. So
// the number of watches shows the effect of the starts.
func frozenWorld(t *testing.T, change func(*simulate.Options)) *world {
	t.Helper()
	return newWorld(t, worldOptions{speed: 1, account: "    poll: {interval: 10m, deadline: 1h}\n",
		simulate: func(_ string, o *simulate.Options) {
			o.Callbacks.Withhold = true
			if change != nil {
				change(o)
			}
		}})
}

// startAnswer is the answer to a start.
type startAnswer struct {
	status int
	header http.Header
	body   []byte
}

func (a startAnswer) members(t *testing.T) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(a.body, &m); err != nil {
		t.Fatalf("%d %s: %v", a.status, a.body, err)
	}
	return m
}

// send sends a start without changes: a body, and a header that edit may change.
func (w *world) send(ctx context.Context, body, key string, edit func(http.Header)) (startAnswer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+w.app.AdminAddr()+startsPath,
		strings.NewReader(body))
	if err != nil {
		return startAnswer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+worldToken)
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	if edit != nil {
		edit(req.Header)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return startAnswer{}, err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	return startAnswer{res.StatusCode, res.Header, raw}, err
}

func (w *world) mustSend(t *testing.T, body, key string, edit func(http.Header)) startAnswer {
	t.Helper()
	got, err := w.send(t.Context(), body, key, edit)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// goodStart is the body of a start that every provider accepts.
func goodStart(provider, externalReference string) string {
	return fmt.Sprintf(`{"provider":%q,"account":"acme","external_reference":%q,"person":{"given_name":"Testa","family_name":"Sample","birthdate":"1990-02-01","phone_number":"+915550100001"}}`, provider, externalReference)
}

// started sends a start that must succeed.
func (w *world) started(t *testing.T, body, key string) kycbridge.StartReceipt {
	t.Helper()
	got := w.mustSend(t, body, key, nil)
	var receipt kycbridge.StartReceipt
	if got.status != http.StatusCreated || json.Unmarshal(got.body, &receipt) != nil || receipt.Reference == "" ||
		receipt.VerificationID == "" {
		t.Fatalf("a good start answered %d: %s", got.status, got.body)
	}
	return receipt
}

// sessions is the number of watched verifications, as operators see it.
func (w *world) sessions(t *testing.T) int {
	t.Helper()
	n := -1
	wait.For(t, 20*time.Second, "the store tells how many sessions are open", func() bool {
		n = w.openSessions(t)
		return n >= 0
	})
	return n
}

// openSessions reads the metric, which is -1 while the store does not return it.
func (w *world) openSessions(t *testing.T) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.app.AdminAddr()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "kycbridge_poll_sessions "); ok {
			n, err := strconv.Atoi(value)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no metric of open sessions")
	return 0
}

// creates is the number of verifications requested from a simulated provider.
func (w *world) creates(provider string) int {
	return w.sims[provider].Stats().Calls[createCalls[provider]]
}

// secrets are the values that no answer may show.
func (w *world) secrets() []string {
	secrets := []string{worldToken, worldCallback}
	for _, s := range w.sims {
		for key, value := range s.API() {
			if slices.Contains([]string{"token", "key", "secret", "client_secret", "password"}, key) {
				secrets = append(secrets, value)
			}
		}
	}
	return secrets
}

// apiDescription is the OpenAPI document, which answers are compared with.
type apiDescription struct {
	set      *schemas.Set
	document any
}

func describedAPI(t *testing.T) apiDescription {
	t.Helper()
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	document, faults := document.Decode(set.OpenAPI())
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return apiDescription{set, map[string]any(document)}
}

// at follows members down the document, and resolves references on the way.
func (d apiDescription) at(members ...string) map[string]any {
	tree := d.document
	for _, m := range members {
		object, _ := tree.(map[string]any)
		tree = object[m]
		if object, ok := tree.(map[string]any); ok {
			if ref, ok := object["$ref"].(string); ok && m != "schema" {
				tree = d.at(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
			}
		}
	}
	object, _ := tree.(map[string]any)
	return object
}

// wantProblem checks that an answer is the wanted problem, as the document describes it, that it states what to do,
// and that it shows no secret. It returns the problem's members.
func (d apiDescription) wantProblem(t *testing.T, w *world, got startAnswer, status int, name string) map[string]any {
	t.Helper()
	if got.status != status || got.header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("answered %d %s, want %d %s: %s", got.status, got.header.Get("Content-Type"), status, name, got.body)
	}
	schema := d.at("paths", startsPath, "post", "responses", strconv.Itoa(status), "content", "application/problem+json",
		"schema")
	reference, _ := schema["$ref"].(string)
	component, ok := strings.CutPrefix(reference, "#/components/schemas/")
	if !ok {
		t.Fatalf("the document has no problem for %d", status)
	}
	doc, faults := document.Decode(got.body)
	if faults = append(faults, d.set.ValidateAPI(component, doc)...); len(faults) > 0 {
		t.Errorf("%v: %s", faults, got.body)
	}
	m := got.members(t)
	for member := range m {
		if d.at("components", "schemas", component, "properties")[member] == nil {
			t.Errorf("the document does not name the member %s of a problem", member)
		}
	}
	if m["type"] != "urn:kycbridge:problem:"+name {
		t.Errorf("type %v, want %s", m["type"], name)
	}
	if detail, _ := m["detail"].(string); len(detail) < 20 || !strings.HasSuffix(detail, ".") {
		t.Errorf("what to do is %q", detail)
	}
	for _, secret := range w.secrets() {
		if secret != "" && bytes.Contains(got.body, []byte(secret)) {
			t.Errorf("a secret is in %s", got.body)
		}
	}
	return m
}

// TestInvalidStartsAreRefused: faults of a request are reported with their pointer, before any provider is
// called.
func TestInvalidStartsAreRefused(t *testing.T) {
	t.Parallel()
	w, api := frozenWorld(t, nil), describedAPI(t)
	token := func(value string) func(http.Header) {
		return func(h http.Header) {
			h.Del("Authorization")
			if value != "" {
				h.Set("Authorization", value)
			}
		}
	}
	without := func(member string) func(string) string {
		return func(body string) string {
			var m map[string]any
			_ = json.Unmarshal([]byte(body), &m)
			delete(m, member)
			out, _ := json.Marshal(m)
			return string(out)
		}
	}
	with := func(member, value string) func(string) string {
		return func(body string) string {
			var m map[string]json.RawMessage
			_ = json.Unmarshal([]byte(body), &m)
			m[member] = json.RawMessage(value)
			out, _ := json.Marshal(m)
			return string(out)
		}
	}
	as := func(body string) func(string) string { return func(string) string { return body } }
	const malformed, invalid, unauthenticated = "malformed_request", "invalid_request", "unauthenticated"
	for name, tt := range map[string]struct {
		body   func(good string) string // nil: the good one
		edit   func(http.Header)
		only   string // the provider that requires more than others; "" means all
		status int
		name   string
		paths  []string // the locations of the faults
	}{
		"no JSON":       {body: as(`{"provider":`), status: 400, name: malformed, paths: []string{""}},
		"nothing":       {body: as(``), status: 400, name: malformed, paths: []string{""}},
		"two documents": {body: as(`{}{}`), status: 400, name: malformed, paths: []string{""}},
		"a list":        {body: as(`[]`), status: 400, name: malformed, paths: []string{""}},
		"an empty object": {body: as(`{}`), status: 422, name: invalid,
			paths: []string{"/account", "/external_reference", "/provider"}},
		"no provider": {body: without("provider"), status: 422, name: invalid, paths: []string{"/provider"}},
		"no account":  {body: without("account"), status: 422, name: invalid, paths: []string{"/account"}},
		"no external reference": {body: without("external_reference"), status: 422, name: invalid,
			paths: []string{"/external_reference"}},
		"empty external reference": {body: with("external_reference", `""`), status: 422, name: invalid,
			paths: []string{"/external_reference"}},
		"reference as number": {body: with("external_reference", `7`), status: 422, name: invalid,
			paths: []string{"/external_reference"}},
		"reference with a line end": {body: with("external_reference", `"a\nb"`), status: 422, name: invalid,
			paths: []string{"/external_reference"}},
		"account as number": {body: with("account", `7`), status: 422, name: invalid, paths: []string{"/account"}},
		"member that is unknown": {body: with("callback_url", `"https://elsewhere.example.com"`), status: 422,
			name: invalid, paths: []string{"/callback_url"}},
		"person as text": {body: with("person", `"Testa"`), status: 422, name: invalid,
			paths: []string{"/person"}},
		"birthdate the other way": {body: with("person", `{"birthdate":"01/02/1990","phone_number":"+915550100001"}`),
			status: 422, name: invalid, paths: []string{"/person/birthdate"}},
		"birthdate that is none": {body: with("person", `{"birthdate":"1990-02-31","phone_number":"+915550100001"}`),
			status: 422, name: invalid, paths: []string{"/person/birthdate"}},
		"birthdate to come": {body: with("person", `{"birthdate":"2099-02-01","phone_number":"+915550100001"}`),
			status: 422, name: invalid, paths: []string{"/person/birthdate"}},
		"blank external reference": {body: with("external_reference", `" "`), status: 422, name: invalid,
			paths: []string{"/external_reference"}},
		"blank name": {body: with("person", `{"given_name":" ","phone_number":"+915550100001"}`), status: 422,
			name: invalid, paths: []string{"/person/given_name"}},
		"name that cannot be seen": {body: with("person", `{"name":"\u200b\u00a0","phone_number":"+915550100001"}`),
			status: 422, name: invalid, paths: []string{"/person/name"}},
		"blank flow": {body: with("options", `{"flow_id":"\t"}`), status: 422, name: invalid,
			paths: []string{"/options/flow_id"}},
		"phone in words": {body: with("person", `{"phone_number":"call me"}`), status: 422, name: invalid,
			paths: []string{"/person/phone_number"}},
		"options as list": {body: with("options", `[]`), status: 422, name: invalid, paths: []string{"/options"}},
		"option that is unknown": {body: with("options", `{"colour":"red"}`), status: 422, name: invalid,
			paths: []string{"/options/colour"}},
		"validity in words": {body: with("options", `{"validity_seconds":"an hour"}`), status: 422, name: invalid,
			paths: []string{"/options/validity_seconds"}},
		"signzy: phone with a 0": {only: "signzy", body: with("person", `{"phone_number":"05550100001"}`), status: 422,
			name: "provider_invalid", paths: []string{"/person/phone_number"}},
		"kwikid: blank link type": {only: "kwikid", body: with("options", `{"link_type":" "}`), status: 422, name: invalid,
			paths: []string{"/options/link_type"}},
		"signzy: format unknown": {only: "signzy", body: with("options", `{"date_format":"us"}`), status: 422,
			name: invalid, paths: []string{"/options/date_format"}},
		"ondato: setup is no UUID": {only: "ondato", body: with("options", `{"flow_id":"setup"}`), status: 422,
			name: invalid, paths: []string{"/options/flow_id"}},
		"ondato: local phone": {only: "ondato", body: with("person", `{"phone_number":"5550100001"}`), status: 422,
			name: invalid, paths: []string{"/person/phone_number"}},
		"idwise: letters refused": {only: "idwise", body: with("external_reference", `"case 1"`), status: 422,
			name: invalid, paths: []string{"/external_reference"}},
		"idwise: AML of nobody": {only: "idwise",
			body: func(s string) string { return with("options", `{"aml":true}`)(without("person")(s)) }, status: 422,
			name: invalid, paths: []string{"/person"}},
		"kwikid: no phone": {only: "kwikid", body: with("person", `{"given_name":"Testa"}`), status: 422,
			name: invalid, paths: []string{"/person/phone_number"}},
		"kwikid: nobody": {only: "kwikid", body: without("person"), status: 422, name: invalid,
			paths: []string{"/person"}},

		"unknown account":  {body: with("account", `"nobody"`), status: 404, name: "unknown_account"},
		"unknown provider": {body: with("provider", `"nobody"`), status: 404, name: "unknown_account"},
		"no token":         {edit: token(""), status: 401, name: unauthenticated},
		"wrong token":      {edit: token("Bearer synthetic-other-token"), status: 401, name: unauthenticated},
		"token cut":        {edit: token("Bearer " + worldToken[:8]), status: 401, name: unauthenticated},
		"token as Basic":   {edit: token("Basic " + worldToken), status: 401, name: unauthenticated},
		"callback secret":  {edit: token("Bearer " + worldCallback), status: 401, name: unauthenticated},
		"other media type": {edit: func(h http.Header) { h.Set("Content-Type", "text/plain") }, status: 415,
			name: "media_type"},
		"empty key": {edit: func(h http.Header) { h["Idempotency-Key"] = []string{""} }, status: 400, name: malformed},
		"two keys": {edit: func(h http.Header) { h["Idempotency-Key"] = []string{"a", "b"} }, status: 400,
			name: malformed},
	} {
		t.Run(name, func(t *testing.T) {
			for _, provider := range everyProvider {
				if tt.only != "" && tt.only != provider {
					continue
				}
				body := goodStart(provider, "case-1")
				if tt.body != nil {
					body = tt.body(body)
				}
				got := w.mustSend(t, body, "", tt.edit)
				m := api.wantProblem(t, w, got, tt.status, tt.name)
				var paths []string
				faults, _ := m["errors"].([]any)
				for _, fault := range faults {
					path, _ := fault.(map[string]any)["path"].(string)
					paths = append(paths, path)
					if message, _ := fault.(map[string]any)["message"].(string); strings.ContainsAny(message, "^$") {
						t.Errorf("%s: %s is described as an expression: %s", provider, path, message)
					}
				}
				if diff := cmp.Diff(tt.paths, paths); diff != "" {
					t.Errorf("%s: %s", provider, diff)
				}
				if m["may_have_started"] != nil || m["provider_message"] != nil || m["provider_status"] != nil {
					t.Errorf("%s: blames the provider: %s", provider, got.body)
				}
				if tt.status == http.StatusUnauthorized && !strings.HasPrefix(got.header.Get("WWW-Authenticate"), "Bearer") {
					t.Errorf("%s: no word how to authenticate", provider)
				}
			}
		})
	}
	if n := w.sessions(t); n != 0 {
		t.Errorf("%d sessions are watched", n)
	}
	for i, provider := range everyProvider {
		if calls := w.sims[provider].Stats().Calls; len(calls) > 0 {
			t.Errorf("%s was asked: %v", provider, calls)
		}
		w.started(t, goodStart(provider, "case-2"), "")
		if n := w.sessions(t); n != i+1 {
			t.Errorf("%d sessions after a good start at %s, want %d", n, provider, i+1)
		}
	}
}

// TestStartWithoutAPI: for an account that only receives callbacks, the answer names the missing configuration.
func TestStartWithoutAPI(t *testing.T) {
	t.Parallel()
	var file strings.Builder
	fmt.Fprintf(&file, "listen: '127.0.0.1:0'\nadmin: {listen: '127.0.0.1:0', tokens: [%s]}\ndata_dir: %s\nembedded: "+
		"{listen: '127.0.0.1:0'}\naccounts:\n", worldToken, t.TempDir())
	for _, provider := range everyProvider {
		fmt.Fprintf(&file, "  - {name: acme, provider: %s, environment: test, auth: {bearer: [%s]}, confirm: false}\n",
			provider, worldCallback)
	}
	path := filepath.Join(t.TempDir(), "kycbridge.yaml")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := app.LoadConfig(path, nil, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t}
	if w.app, err = app.Start(t.Context(), config, app.AllRoles(),
		zaptest.NewLogger(t, zaptest.Level(zap.ErrorLevel))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.app.Stop)
	api := describedAPI(t)
	for _, provider := range everyProvider {
		m := api.wantProblem(t, w, w.mustSend(t, goodStart(provider, "case-1"), "key-1", nil), 422, "unsupported")
		if detail, _ := m["detail"].(string); !strings.Contains(detail, "api section") || m["may_have_started"] != nil {
			t.Errorf("%s: %v", provider, m)
		}
	}
	if n := w.sessions(t); n != 0 {
		t.Errorf("%d sessions are watched", n)
	}
}

const providersWords = "Synthetic words of a provider"

// refusals are the providers' documented error bodies.
var refusals = map[string]func(status int) string{
	"signzy": func(status int) string {
		return fmt.Sprintf(`{"error":{"name":"error","message":%q,"reason":"SYNTHETIC","status":%d,"statusCode":%d}}`,
			providersWords, status, status)
	},
	"ondato": func(int) string { return fmt.Sprintf(`{"reason":"Synthetic","message":%q}`, providersWords) },
	"idwise": func(int) string {
		return fmt.Sprintf(`{"success":false,"error_code":"synthetic","message":%q}`, providersWords)
	},
	"kwikid": func(status int) string { return fmt.Sprintf(`{"msg":%q,"status":%d}`, providersWords, status) },
}

// TestProviderErrorsOfStarts: for any answer of a provider to the call that creates a verification, the caller
// receives the cause, learns whether something may have been created, and can start again.
func TestProviderErrorsOfStarts(t *testing.T) {
	t.Parallel()
	type outcome struct {
		status int
		name   string
		sent   int  // calls until it fails; 0 is one
		doubt  bool // something may have been created
	}
	all := func(o outcome) map[string]outcome {
		return map[string]outcome{"signzy": o, "ondato": o, "idwise": o, "kwikid": o}
	}
	but := func(o outcome, others map[string]outcome) map[string]outcome {
		outcomes := all(o)
		for provider, other := range others {
			outcomes[provider] = other
		}
		return outcomes
	}
	// A refused token is renewed once. Signzy's 409, and its gateway's 502, mean that nothing was done.
	const renewed, noted = 2, 3
	for name, tt := range map[string]struct {
		status int
		header http.Header
		body   string // "": the provider's own format, with its words
		broken bool
		want   map[string]outcome
	}{
		"401": {status: 401, want: but(outcome{502, "provider_credentials", 1, false}, map[string]outcome{
			"ondato": {502, "provider_credentials", renewed, false}, "kwikid": {502, "provider_credentials", renewed, false}})},
		"403": {status: 403, want: all(outcome{502, "provider_forbidden", 1, false})},
		"409": {status: 409, want: but(outcome{422, "provider_invalid", 1, false},
			map[string]outcome{"signzy": {502, "provider_unavailable", noted, true}})},
		"429": {status: 429, header: http.Header{"Retry-After": {"4"}},
			want: all(outcome{503, "provider_rate_limited", 1, false})},
		"500": {status: 500, want: all(outcome{502, "provider_unavailable", 1, true})},
		"page of a gateway": {status: 502, body: "<html><body><h1>502 Bad Gateway</h1></body></html>",
			want: but(outcome{502, "provider_unavailable", 1, true},
				map[string]outcome{"signzy": {502, "provider_unavailable", noted, true}})},
		"no id": {status: 200,
			body: `{"success":true,"reference_no":"case-1","link_url":"https://kyc.example.com/"}`,
			want: all(outcome{502, "provider_malformed", 1, true})},
		"page in place": {status: 200, body: "<html>Sign in</html>",
			want: all(outcome{502, "provider_malformed", 1, true})},
		"broken connection": {broken: true, want: all(outcome{502, "provider_unreachable", 1, true})},
	} {
		t.Run(name, func(t *testing.T) {
			api := describedAPI(t)
			w := frozenWorld(t, func(o *simulate.Options) {
				if tt.broken {
					o.Faults.Broken = 1
				}
			})
			for _, provider := range everyProvider {
				want, s := tt.want[provider], w.sims[provider]
				answer := simulate.Canned{Status: tt.status, ContentType: "application/json", Header: tt.header,
					Body: []byte(tt.body)}
				if tt.body == "" {
					answer.Body = []byte(refusals[provider](tt.status))
				} else if strings.HasPrefix(tt.body, "<") {
					answer.ContentType = "text/html"
				}
				if !tt.broken {
					s.Can(createCalls[provider], slices.Repeat([]simulate.Canned{answer}, want.sent)...)
				}
				got := w.mustSend(t, goodStart(provider, "case-1"), "key-1", nil)
				m := api.wantProblem(t, w, got, want.status, want.name)
				if n := w.creates(provider); n != want.sent {
					t.Errorf("%s: %d calls, want %d", provider, n, want.sent)
				}
				if title, _ := m["title"].(string); !strings.Contains(title, "provider") {
					t.Errorf("%s: the title %q names no responsible party", provider, title)
				}
				if doubt := m["may_have_started"] == true; doubt != want.doubt {
					t.Errorf("%s: may_have_started %v", provider, doubt)
				}
				words, _ := m["provider_message"].(string)
				if tt.body == "" && !tt.broken && words != providersWords || tt.body != "" && words != "" {
					t.Errorf("%s: the provider's words are %q", provider, words)
				}
				if status, _ := m["provider_status"].(float64); !tt.broken && int(status) != tt.status {
					t.Errorf("%s: the provider's status is %v", provider, status)
				}
				wait, _ := strconv.Atoi(got.header.Get("Retry-After"))
				if limited := tt.status == http.StatusTooManyRequests; limited != (wait == 4) || !limited && wait != 0 {
					t.Errorf("%s: Retry-After %q", provider, got.header.Get("Retry-After"))
				}
			}
			if n := w.sessions(t); n != 0 {
				t.Errorf("%d sessions are watched", n)
			}
			for i, provider := range everyProvider {
				if tt.broken {
					endFaults(w.sims[provider])
				}
				key := "key-1"
				if tt.want[provider].doubt {
					// The key must not create a second verification while the state of the first one is unknown.
					api.wantProblem(t, w, w.mustSend(t, goodStart(provider, "case-1"), key, nil), 409, "key_pending")
					key = "key-2"
				}
				w.started(t, goodStart(provider, "case-1"), key)
				if n := w.creates(provider); n != tt.want[provider].sent+1 {
					t.Errorf("%s: %d calls after a good start", provider, n)
				}
				if n := w.sessions(t); n != i+1 {
					t.Errorf("%d sessions after a good start at %s, want %d", n, provider, i+1)
				}
			}
		})
	}
}

// endFaults ends the faults of an idle simulated provider. Its lock, which Stats takes, orders the change
// between earlier and later calls.
func endFaults(s *simulate.Server) {
	s.Stats()
	s.Faults = simulate.Faults{}
	s.Stats()
}

// TestIdempotencyKeys: a key creates one verification, however often it is repeated.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	w, api := frozenWorld(t, nil), describedAPI(t)
	for i, provider := range everyProvider {
		t.Run(provider, func(t *testing.T) {
			const key = "the same at every provider"
			good := goodStart(provider, "case-1")
			first := w.mustSend(t, good, key, nil)
			if first.status != http.StatusCreated || first.header.Get("Idempotency-Replayed") != "" {
				t.Fatalf("%d %v: %s", first.status, first.header, first.body)
			}
			spaced := strings.ReplaceAll(good, `","`, "\" ,\n\"")
			for _, body := range []string{good, spaced} {
				again := w.mustSend(t, body, key, nil)
				if again.status != http.StatusCreated || !bytes.Equal(again.body, first.body) ||
					again.header.Get("Idempotency-Replayed") != "true" ||
					again.header.Get("Location") != first.header.Get("Location") {
					t.Errorf("repeated: %d %v: %s, want %s", again.status, again.header, again.body, first.body)
				}
			}
			m := api.wantProblem(t, w, w.mustSend(t, goodStart(provider, "case-2"), key, nil), 422, "key_reused")
			if m["may_have_started"] != nil {
				t.Errorf("%v", m)
			}
			if n := w.creates(provider); n != 1 {
				t.Errorf("%d verifications were made", n)
			}
			if n := w.sessions(t); n != i*2+1 {
				t.Errorf("%d sessions", n)
			}
			w.startConcurrently(t, provider, 20)
			if n := w.creates(provider); n != 2 {
				t.Errorf("%d verifications were made", n)
			}
			if n := w.sessions(t); n != i*2+2 {
				t.Errorf("%d sessions", n)
			}
		})
	}
}

// startConcurrently starts a verification n times at once under one key. Concurrent requests receive 409;
// all others get one receipt.
func (w *world) startConcurrently(t *testing.T, provider string, n int) {
	t.Helper()
	answers := make([]startAnswer, n)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			var err error
			if answers[i], err = w.send(t.Context(), goodStart(provider, "case-3"), "key of the crowd", nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	receipts, made := map[string]bool{}, 0
	for _, a := range answers {
		switch {
		case a.status == http.StatusCreated:
			receipts[string(a.body)] = true
			if a.header.Get("Idempotency-Replayed") == "" {
				made++
			}
		case a.status != http.StatusConflict || !bytes.Contains(a.body, []byte("key_pending")):
			t.Errorf("%d: %s", a.status, a.body)
		}
	}
	if made != 1 || len(receipts) != 1 {
		t.Errorf("%d starts were made, %d receipts", made, len(receipts))
	}
}

// TestCallerHangsUp: a start whose caller disconnects before the provider answers still leads to a watch and an
// event, and the caller's key leads to its receipt.
func TestCallerHangsUp(t *testing.T) {
	t.Parallel()
	w := frozenWorld(t, func(o *simulate.Options) { o.Faults = simulate.Faults{Slow: 1, SlowBy: 2 * time.Second} })
	var callers sync.WaitGroup
	for _, provider := range everyProvider {
		callers.Go(func() {
			ctx, hangUp := context.WithCancel(t.Context())
			gone := make(chan error)
			go func() {
				_, err := w.send(ctx, goodStart(provider, "case-1"), "key-1", nil)
				gone <- err
			}()
			deadline := time.Now().Add(20 * time.Second * wait.Slowdown)
			for w.creates(provider) == 0 && time.Now().Before(deadline) {
				time.Sleep(time.Millisecond) // wait.For would end the test in a goroutine that is not the test's
			}
			hangUp()
			if err := <-gone; err == nil {
				t.Errorf("%s answered before its caller hung up", provider)
			}
		})
	}
	callers.Wait()
	wait.For(t, 20*time.Second, "all are watched", func() bool { return w.sessions(t) == len(everyProvider) })
	for _, provider := range everyProvider {
		var receipt kycbridge.StartReceipt
		wait.For(t, 20*time.Second, provider+" has a receipt", func() bool { // stored after the watch
			got := w.mustSend(t, goodStart(provider, "case-1"), "key-1", nil)
			if got.status != http.StatusConflict &&
				(got.status != http.StatusCreated || got.header.Get("Idempotency-Replayed") != "true") {
				t.Fatalf("%s: %d %s", provider, got.status, got.body)
			}
			return got.status == http.StatusCreated && json.Unmarshal(got.body, &receipt) == nil
		})
		events := w.until(receipt.VerificationID, provider+" begins",
			func(events []event.Event) bool { return len(events) > 0 })
		if d := events[0].Data; d.Status != event.StatusCreated || d.Provider.Event.Via != event.ViaStart ||
			d.ExternalReference != "case-1" {
			t.Errorf("%s begins as\n%s", provider, historyOf(events))
		}
		if n := w.creates(provider); n != 1 {
			t.Errorf("%s: %d verifications were made", provider, n)
		}
	}
}
