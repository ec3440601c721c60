package handlers_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/handlers"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
	"kycbridge/schemas"
)

const storeConfig = `listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
data_dir: %s
embedded: {listen: none}
accounts:
  - name: acme
    provider: ondato
    environment: test
    auth: {basic: [{username: callbacks, password: seed-secret}]}
`

const (
	storeToken = "admin-token-1"
	approved   = "ondato.acme.e0000000-0000-4000-8000-000000000012"
)

// payloadStore is a running bridge with stored payloads and their API.
type payloadStore struct {
	*app.App
	url string
	log *observer.ObservedLogs
	set *schemas.Set
}

// newPayloadStore stores two payloads of a verification and one that breaks the schema.
func newPayloadStore(t *testing.T) *payloadStore {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kyc.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, storeConfig, t.TempDir()), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := app.LoadConfig(file, nil, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	core, observed := observer.New(zapcore.InfoLevel)
	s := &payloadStore{log: observed}
	if s.App, err = app.Start(t.Context(), config, app.AllRoles(), zap.New(core)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	if s.set, err = schemas.New(); err != nil {
		t.Fatal(err)
	}
	e := handlers.NewAdmin(handlers.AdminOptions{})
	handlers.AddPayloads(e, handlers.APIOptions{Holders: storeHolders, Access: s.AccessLog(), Logger: zap.New(core),
		Decode:   decodeJSON,
		Validate: s.validate}, s.PayloadTool())
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	s.url = server.URL
	for _, name := range []string{"kyc-identification-created", "kyc-identification-approved"} {
		body, err := os.ReadFile("../test/fixture/testdata/ondato/" + name + "/body.json")
		if err != nil {
			t.Fatal(err)
		}
		s.receive(t, body)
	}
	s.receive(t, []byte(`{"id": 1, "payload": {"fullName": "TESTA"}}`))
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		r, err := s.Archive().Account(t.Context(), archive.Filter{}, nil)
		if err == nil && r.Total.WithEvent == 2 {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatalf("not worked: %v %+v", err, r.Total)
		}
	}
}

// storeHolders are the holder of storeToken, with all rights.
func storeHolders() handlers.Holders {
	return handlers.Holders{Tokens: []kycbridge.AdminToken{kycbridge.NamelessToken(1, storeToken)}}
}

func (s *payloadStore) validate(component string, doc any) []kycbridge.FieldError {
	var errs []kycbridge.FieldError
	for _, f := range s.set.ValidateAPI(component, doc) {
		errs = append(errs, kycbridge.FieldError(f))
	}
	return errs
}

func (s *payloadStore) receive(t *testing.T, body []byte) {
	t.Helper()
	s.send(t, "POST", "http://"+s.CallbackAddr()+"/webhooks/ondato/acme", "application/json", body, 200)
}

// send sends a request with every credential and expects a status.
func (s *payloadStore) send(t *testing.T, method, url, mediaType string, body []byte, want int) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", mediaType)
	r.Header.Set("X-Reason", "case 1")
	if r.Header.Set("Authorization", "Bearer "+storeToken); strings.Contains(url, "/webhooks/") {
		r.SetBasicAuth("callbacks", "seed-secret")
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != want {
		t.Fatalf("%s %s: %v %d %s", method, url, err, res.StatusCode, raw)
	}
	return string(raw)
}

// ask expects lines that conform to a component of the OpenAPI document.
func (s *payloadStore) ask(t *testing.T, method, path, body, component string) []map[string]any {
	t.Helper()
	mediaType := "application/json"
	if strings.HasPrefix(path, "/v1/payloads/import") {
		mediaType = "application/x-ndjson"
	}
	var lines []map[string]any
	for l := range strings.Lines(s.send(t, method, s.url+path, mediaType, []byte(body), 200)) {
		doc, faults := document.Decode([]byte(l))
		if faults = append(faults, s.set.ValidateAPI(component, doc)...); len(faults) > 0 {
			t.Errorf("%s %s: %v: %s", method, path, faults, l)
		}
		var line map[string]any
		if err := json.Unmarshal([]byte(l), &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	return lines
}

// changedLine is the first line of an export with a change.
func changedLine(t *testing.T, exported string, change func(line map[string]any)) []byte {
	t.Helper()
	first, _, _ := strings.Cut(exported, "\n")
	var line map[string]any
	if err := json.Unmarshal([]byte(first), &line); err != nil {
		t.Fatal(err)
	}
	change(line)
	raw, err := json.Marshal(line)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestPayloadsOfAStore uses the whole API with a real store.
func TestPayloadsOfAStore(t *testing.T) {
	s := newPayloadStore(t)
	verification := event.VerificationID("ondato", "acme", "b0000000-0000-4000-8000-000000000001")
	count := func(path string, want int) {
		t.Helper()
		if got := s.ask(t, "GET", path, "", "PayloadEntry"); len(got) != want {
			t.Errorf("%s: %d, not %d", path, len(got), want)
		}
	}
	count("/v1/payloads", 3)
	count("/v1/payloads?since=1h&limit=2", 2)
	count("/v1/payloads?until=1h", 0)
	count("/v1/payloads?status=quarantined&reason=unidentified", 0)
	count("/v1/payloads?status=quarantined", 1)
	count("/v1/payloads?verification="+verification, 2)
	s.send(t, "GET", s.url+"/v1/payloads?status=refused&reason=schema", "", nil, 422)

	shown := s.send(t, "GET", s.url+"/v1/payloads/"+approved, "", nil, 200)
	if strings.Contains(shown, "TESTA") || s.log.FilterMessage("payload revealed").Len() != 0 {
		t.Errorf("not masked: %s", shown)
	}
	if got := s.ask(t, "GET", "/v1/payloads/"+approved, "", "Payload")[0]; got["admitted"] != "basic" ||
		got["worked"] == nil {
		t.Errorf("%v", got)
	}
	shown = s.send(t, "GET", s.url+"/v1/payloads/"+approved+"?reveal=true", "", nil, 200)
	if !strings.Contains(shown, "TESTA") || s.log.FilterMessage("payload revealed").Len() != 1 {
		t.Errorf("not revealed, or not logged: %s", shown)
	}
	s.send(t, "GET", s.url+"/v1/payloads/ondato.acme.none", "", nil, 404)

	exported := s.send(t, "GET", s.url+"/v1/payloads/export?status=accepted", "", nil, 200)
	if strings.Count(exported, "\n") != 2 {
		t.Fatal(exported)
	}
	s.ask(t, "GET", "/v1/payloads/export", "", "PayloadParcel")
	for path, want := range map[string]string{"/v1/payloads/import?dry_run=true": `{"dry_run":true,"read":2,"stored":0,"duplicate":2,"skipped":0}`, "/v1/payloads/import": `{"dry_run":false,"read":2,"stored":0,"duplicate":2,"skipped":0}`} {
		s.ask(t, "POST", path, exported, "PayloadImported")
		if got := s.send(t, "POST", s.url+path, "application/x-ndjson", []byte(exported),
			200); strings.TrimSpace(got) != want {
			t.Errorf("%s: %s", path, got)
		}
	}
	if got := s.send(t, "POST", s.url+"/v1/payloads/import", "application/x-ndjson", []byte(exported+"{}\n"),
		422); !strings.Contains(got, "line 3: ") {
		t.Error(got)
	}

	for says, change := range map[string]func(line map[string]any){
		"received in the future": func(line map[string]any) { line["received_at"] = "2999-01-01T00:00:00Z" },
		"not that of its body": func(line map[string]any) {
			delete(line, "reference")
			line["verification_id"] = event.VerificationID("ondato", "acme", "another person")
		},
		"its verification is not that of its body": func(line map[string]any) { // nor is its reference
			line["reference"] = "another person"
			line["verification_id"] = event.VerificationID("ondato", "acme", "another person")
		},
	} {
		line := changedLine(t, exported, change)
		if got := s.send(t, "POST", s.url+"/v1/payloads/import", "application/x-ndjson", line, 422); !strings.Contains(got,
			says) {
			t.Errorf("%s: %s", says, got)
		}
	}
	for _, nothing := range []string{"", "\n\n"} { // the export may have failed
		if got := s.send(t, "POST", s.url+"/v1/payloads/import", "application/x-ndjson", []byte(nothing),
			422); !strings.Contains(got, "contains no payload") {
			t.Error(got)
		}
	}
	s.send(t, "POST", s.url+"/v1/payloads/import", "application/x-ndjson", changedLine(t, exported,
		func(line map[string]any) { line["header"] = map[string]string{"not a name\n": "x"} }), 200)

	for body, want := range map[string]int{`{"dry_run":true}`: 1, `{}`: 1, `{"filter":{"reason":"schema"}}`: 2,
		`{"to":"rebuild.kyc"}`: 2} {
		got := s.ask(t, "POST", "/v1/payloads/replay", body, "PayloadReplayed")
		if len(got) != want || got[len(got)-1]["summary"] == nil {
			t.Errorf("%s: %v", body, got)
		}
	}
	for _, body := range []string{`{"to":"kyc.event.v1.x"}`, `{"to":"rebuild.>"}`,
		`{"to":"rebuild.kyc","filter":{"status":"refused"}}`} {
		s.send(t, "POST", s.url+"/v1/payloads/replay", "application/json", []byte(body), 422)
	}

	if got := s.ask(t, "GET", "/v1/payloads/report", "", "PayloadReport")[0]; got["sound"] != true {
		t.Errorf("%v", got)
	}

	purge := func(body string) map[string]any {
		t.Helper()
		return s.ask(t, "POST", "/v1/payloads/purge", body, "PayloadPurged")[0]
	}
	if got := purge(`{"verification":"` + verification + `"}`); got["dry_run"] != true || got["payloads"] != 2.0 ||
		got["events"] != 2.0 {
		t.Errorf("%v", got)
	}
	if got := purge(`{"verification":"` + verification + `","confirm":true,"dry_run":true}`); got["dry_run"] != true {
		t.Errorf("%v", got)
	}
	count("/v1/payloads?verification="+verification, 2)
	if got := purge(`{"verification":"` + verification + `","confirm":true}`); got["dry_run"] != false ||
		got["payloads"] != 2.0 {
		t.Errorf("%v", got)
	}
	for _, id := range []string{verification, "b0000000-0000-4000-8000-000000000001"} {
		got := s.ask(t, "GET", "/v1/verifications?q="+id, "", "FoundVerifications")[0]
		if erased, _ := got["erased"].([]any); len(erased) != 1 ||
			erased[0].(map[string]any)["verification_id"] != verification {
			t.Errorf("erased, and found by %s: %v", id, got)
		}
	}
	count("/v1/payloads", 1)
	if got := purge(`{"older_than":"0s","filter":{"status":"quarantined"}}`); got["dry_run"] != true ||
		got["payloads"].(map[string]any)["quarantined"] != 1.0 {
		t.Errorf("%v", got)
	}
	if got := purge(`{"older_than":"0s","confirm":true}`); got["dry_run"] != false {
		t.Errorf("%v", got)
	}
	count("/v1/payloads", 0)
	for _, body := range []string{`{"older_than":"soon"}`, `{"older_than":"2999-01-01T00:00:00Z"}`,
		`{"older_than":"1h","filter":{"status":"ignored"}}`, `{"older_than":"1h","filter":{"limit":1}}`} {
		s.send(t, "POST", s.url+"/v1/payloads/purge", "application/json", []byte(body), 422)
	}
	s.send(t, "POST", s.url+"/v1/payloads/purge", "application/json",
		[]byte(`{"verification":"00000000-0000-5000-8000-000000000000"}`), 404)
	if n := s.log.FilterMessage("admin request").Len(); n < 30 {
		t.Errorf("%d lines", n)
	}
	for _, entry := range s.log.All() {
		if line := fmt.Sprint(entry.Message, entry.ContextMap()); strings.Contains(line, "TESTA") ||
			strings.Contains(line, "seed-secret") || strings.Contains(line, storeToken) {
			t.Error(line)
		}
	}
}

// decodeJSON parses a request like the bridge.
func decodeJSON(body []byte) (any, []kycbridge.FieldError) {
	doc, faults := document.Decode(body)
	return map[string]any(doc), faults
}

// TestNoRequestIsAFaultOfTheStore sends values that a schema permits and the store does not: none is answered as if a
// later try could succeed.
func TestNoRequestIsAFaultOfTheStore(t *testing.T) {
	s := newPayloadStore(t)
	long := strings.Repeat("a", 200)
	for _, id := range []string{"$JS.API.x", "*.%3E.x", "%20.%20.%20", "..x", long + ".acme.x", "ondato." + long + ".x"} {
		s.send(t, "GET", s.url+"/v1/payloads/"+id, "", nil, 404)
		s.send(t, "GET", s.url+"/v1/payloads?id="+id, "", nil, 200)
		s.send(t, "GET", s.url+"/v1/payloads/export?id="+id, "", nil, 200)
	}
	for _, since := range []string{"0000-01-01T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"} {
		for _, path := range []string{"/v1/access", "/v1/payloads", "/v1/payloads/report"} {
			s.send(t, "GET", s.url+path+"?since="+since, "", nil, 200)
		}
	}
	for path, bodies := range map[string][]string{
		"/v1/payloads/replay": {`{"dry_run":true,"filter":{"from":1e308}}`, `{"dry_run":true,"filter":{"limit":1e3}}`,
			`{"dry_run":true,"filter":{"from":99999999999999999999}}`, `{"dry_run":true,"workers":1.0}`},
		"/v1/payloads/purge": {`{"older_than":"0001-01-01T00:00:00Z"}`, `{"older_than":"0000-01-01T00:00:00Z"}`,
			`{"older_than":"1h","filter":{"limit":99999999999999999999}}`},
	} {
		for _, body := range bodies {
			s.send(t, "POST", s.url+path, "application/json", []byte(body), 422)
		}
	}
	if got := s.send(t, "POST", s.url+"/v1/payloads/replay", "application/json",
		[]byte(`{"dry_run":true,"filter":{"from":1e308}}`), 422); !strings.Contains(got, `"/filter/from"`) {
		t.Errorf("names not the place: %s", got)
	}
}

// TestQuarantinedPayloadsAreImported: an import stores a quarantined body about another verification than was asked
// about, and refuses a line that names a verification that the body does not: an erasure of the person would miss it.
func TestQuarantinedPayloadsAreImported(t *testing.T) {
	s := newPayloadStore(t)
	body, err := os.ReadFile("../test/fixture/testdata/ondato/kyc-identification-approved/body.json")
	if err != nil {
		t.Fatal(err)
	}
	of := func(reference string) string { return event.VerificationID("ondato", "acme", reference) }
	named := "b0000000-0000-4000-8000-000000000001" // by the body
	for _, c := range []struct {
		verification, reference string
		want                    int
	}{
		{of(named), "", 200},
		{of(named), "asked about", 200},
		{of("another person"), "", 422},
		{of("another person"), "another person", 422},
		{"", "", 200},
	} {
		line, err := json.Marshal(archive.ExportedPayload{Shelf: kycbridge.ShelfQuarantine, ID: "ondato.acme.q" + c.reference,
			Provider: "ondato", Account: "acme", VerificationID: c.verification, Reference: c.reference,
			Via: event.ViaCallback, ReceivedAt: time.Now(), Digest: kycbridge.Digest(body),
			Reason: kycbridge.QuarantineUnidentified, Body: body})
		if err != nil {
			t.Fatal(err)
		}
		s.send(t, "POST", s.url+"/v1/payloads/import", "application/x-ndjson", line, c.want)
	}
}
