package handlers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge"
)

const exportedLine = `{"shelf":"payloads","id":"i","provider":"ondato","account":"acme","via":"callback","received_at":"2026-03-02T09:00:13Z","digest":"d","body":"e30="}`

// toolFunc is a PayloadTool.
type toolFunc func(ctx context.Context, r PayloadRequest, out io.Writer) error

func (f toolFunc) Payloads(ctx context.Context, r PayloadRequest, out io.Writer) error {
	return f(ctx, r, out)
}

// payloadFixture is the API of payloads with a tool that records its requests, and writes lines and then
// fails with err if they are set.
type payloadFixture struct {
	*apiFixture
	asked PayloadRequest
	body  string
	lines []string
	err   error
}

// shownKey is the verification of the payload that is shown.
var shownKey = kycbridge.Key{Provider: "ondato", Account: "acme",
	VerificationID: "786513b3-69c4-5dfa-afc2-55ed2d4345cf"}

func newPayloadFixture(t testing.TB, edit func(*APIOptions)) *payloadFixture {
	t.Helper()
	p := &payloadFixture{}
	var options APIOptions
	p.apiFixture = newAPIFixture(t, func(o *APIOptions) {
		if edit != nil {
			edit(o)
		}
		options = *o
	})
	e := NewAdmin(AdminOptions{Logger: p.log.logger()})
	options.Logger = p.log.logger()
	AddPayloads(e, options, toolFunc(func(_ context.Context, r PayloadRequest, out io.Writer) error {
		p.asked, p.body = r, ""
		if r.Operation == PayloadsShow {
			if err := r.About(shownKey); err != nil {
				return err
			}
		}
		if r.Body != nil {
			raw, err := io.ReadAll(r.Body)
			if p.body = string(raw); err != nil {
				return fmt.Errorf("read exported payloads: %w", err)
			}
		}
		for _, l := range p.lines {
			if _, err := io.WriteString(out, l+"\n"); err != nil {
				return err
			}
		}
		return p.err
	}))
	p.url = serve(t, e)
	return p
}

// payloadOperation is one well-formed request and the tool's answer to it.
type payloadOperation struct {
	name, method, template, path, body, answer string
}

func payloadOperations() []payloadOperation {
	const entry = `{"status":"accepted","seq":1,"received_at":"2026-03-02T09:00:13Z","provider":"ondato","account":"acme","via":"callback","bytes":2,"payload_id":"p"`
	const row = `{"received":0,"accepted":0,"with_event":0,"no_event":{},"pending":0,"quarantined":{},"refused":0,"events":0,"overdue":0,"lost":0}`
	hold := `{"provider":"ondato","account":"acme","verification_id":"` + shownKey.VerificationID +
		`","reason":"case 1","by":"alice","since":"2026-03-02T09:00:13Z","active":true}`
	return []payloadOperation{
		{PayloadsList, "GET", "/v1/payloads", "/v1/payloads?provider=ondato&since=24h&limit=3", "", entry + "}"},
		{PayloadsExport, "GET", "/v1/payloads/export", "/v1/payloads/export?status=quarantined", "", exportedLine},
		{PayloadsReport, "GET", "/v1/payloads/report", "/v1/payloads/report", "",
			`{"sound":true,"verdict":"v","rows":[],"total":` + row + `,"lost":[],"lost_all":0}`},
		{PayloadsReplay, "POST", "/v1/payloads/replay", "/v1/payloads/replay",
			`{"dry_run":true,"filter":{"provider":"ondato"}}`, `{"provider":"ondato","account":"acme","result":"changed"}`},
		{PayloadsPurge, "POST", "/v1/payloads/purge", "/v1/payloads/purge", `{"older_than":"720h"}`,
			`{"dry_run":true,"payloads":{}}`},
		{PayloadsImport, "POST", "/v1/payloads/import", "/v1/payloads/import?dry_run=true", exportedLine + "\n",
			`{"dry_run":true,"read":1,"stored":0,"duplicate":0,"skipped":0}`},
		{PayloadsShow, "GET", "/v1/payloads/{id}", "/v1/payloads/ondato.acme.sha256:00?reveal=true", "", entry +
			`,"digest":"sha256:` + strings.Repeat("0", 64) + `","masked":false}`},
		{PayloadsFind, "GET", "/v1/verifications", "/v1/verifications?q=case-1&timeline=true", "",
			`{"found":[{"by":"external_reference","provider":"ondato","account":"acme"}]}`},
		{PayloadsAccess, "GET", "/v1/access", "/v1/access?by=alice&since=24h", "",
			`{"time":"2026-03-02T09:00:13Z","id":"X","by":"alice","operation":"state","result":"200"}`},
		{PayloadsHold, "POST", "/v1/payloads/hold", "/v1/payloads/hold",
			`{"until":"2027-03-02T00:00:00Z","verification":"` + shownKey.VerificationID + `"}`, hold},
		{PayloadsRelease, "POST", "/v1/payloads/release", "/v1/payloads/release",
			`{"verification":"` + shownKey.VerificationID + `"}`, hold},
		{PayloadsHolds, "GET", "/v1/payloads/holds", "/v1/payloads/holds", "", hold},
	}
}

// send sends the request of an operation.
func (p *payloadFixture) send(t testing.TB, o payloadOperation, edit func(*http.Request)) reply {
	t.Helper()
	return p.ask(t, o.method, o.template, o.path, o.body, func(r *http.Request) {
		if o.name == PayloadsImport {
			r.Header.Set("Content-Type", ndjson)
		}
		if edit != nil {
			edit(r)
		}
	})
}

// TestPayloadOperations: every request reaches the tool unchanged, and its answer reaches the caller.
func TestPayloadOperations(t *testing.T) {
	p := newPayloadFixture(t, nil)
	options := map[string]string{
		PayloadsList:   `{"limit":3,"provider":"ondato","since":"2026-03-01T09:00:00Z"}`,
		PayloadsExport: `{"status":"quarantined"}`,
		PayloadsReplay: `{"dry_run":true,"filter":{"provider":"ondato"}}`,
		PayloadsPurge:  `{"older_than":"720h"}`,
		PayloadsImport: `{"dry_run":true}`,
		PayloadsShow:   `{"reveal":true}`,
		PayloadsReport: `{}`,
		PayloadsFind:   `{"q":"case-1","timeline":true}`,
		PayloadsAccess: `{"by":"alice","since":"2026-03-01T09:00:00Z"}`,

		PayloadsHold:    `{"until":"2027-03-02T00:00:00Z","verification":"` + shownKey.VerificationID + `"}`,
		PayloadsRelease: `{"verification":"` + shownKey.VerificationID + `"}`,
		PayloadsHolds:   `{}`,
	}
	operations := payloadOperations()
	for _, o := range operations {
		p.lines = []string{o.answer}
		got := p.send(t, o, nil)
		if got.status != 200 || got.body != o.answer || got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v %s", o.name, got.status, got.header, got.body)
		}
		if p.asked.Operation != o.name || string(p.asked.Options) != options[o.name] {
			t.Errorf("%s was asked as %s %s", o.name, p.asked.Operation, p.asked.Options)
		}
		if o.name == PayloadsShow && p.asked.ID != "ondato.acme.sha256:00" || o.name == PayloadsImport && p.body != o.body {
			t.Errorf("%s: id %q, body %q", o.name, p.asked.ID, p.body)
		}
	}
	for i, l := range p.apiFixture.lines(t, len(operations)) {
		name := operations[i].name + "_payloads"
		switch operations[i].name {
		case PayloadsAccess:
			name = "list_access"
		case PayloadsHolds:
			name = "list_holds"
		}
		if !strings.Contains(l, `"operation":"`+name+`"`) ||
			!strings.Contains(l, `"outcome":"done"`) || strings.Contains(l, "ondato") {
			t.Error(l)
		}
	}
	p.lines = nil
	got := do(t, "GET", p.url+"/v1/payloads", nil,
		func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+apiToken) })
	if got.status != 200 || got.body != "" || got.header.Get("Content-Type") != ndjson {
		t.Errorf("nothing found: %d %v %q", got.status, got.header, got.body)
	}
}

// TestPayloadRequests: an invalid request does not reach the tool.
func TestPayloadRequests(t *testing.T) {
	p := newPayloadFixture(t, nil)
	for _, c := range []struct{ method, template, path, body, fault string }{
		{"GET", "/v1/payloads", "/v1/payloads?colour=red", "", `{"path":"/colour","message":"is not a known parameter"}`},
		{"GET", "/v1/payloads", "/v1/payloads?provider=a&provider=b", "", `"/provider"`},
		{"GET", "/v1/payloads", "/v1/payloads?provider=", "", `"/provider"`},
		{"GET", "/v1/payloads", "/v1/payloads?provider=A.b", "", `"/provider"`},
		{"GET", "/v1/payloads", "/v1/payloads?verification=seed", "", `"/verification"`},
		{"GET", "/v1/payloads", "/v1/payloads?since=seed", "", `"/since"`},
		{"GET", "/v1/payloads", "/v1/payloads?status=seed", "", `"/status"`},
		{"GET", "/v1/payloads", "/v1/payloads?limit=-1", "", `"/limit"`},
		{"GET", "/v1/payloads/report", "/v1/payloads/report?status=accepted", "", `"/status"`},
		{"GET", "/v1/payloads/{id}", "/v1/payloads/x?reveal=seed", "", `"/reveal"`},
		{"POST", "/v1/payloads/replay", "/v1/payloads/replay", `{"to":""}`, `"/to"`},
		{"POST", "/v1/payloads/replay", "/v1/payloads/replay", `{"filter":{"seed":1}}`, `"/filter/seed"`},
		{"POST", "/v1/payloads/purge", "/v1/payloads/purge", `{}`, `"path":""`},
		{"POST", "/v1/payloads/purge", "/v1/payloads/purge",
			`{"verification":"786513b3-69c4-5dfa-afc2-55ed2d4345cf","older_than":"1h"}`, `"path":""`},
		{"POST", "/v1/payloads/purge", "/v1/payloads/purge",
			`{"verification":"786513b3-69c4-5dfa-afc2-55ed2d4345cf","filter":{}}`, `"/filter"`},
	} {
		got := p.ask(t, c.method, c.template, c.path, c.body, nil)
		wantProblem(t, got, 422, "invalid_request")
		if !strings.Contains(got.body, c.fault) || strings.Contains(got.body, "seed\"") &&
			!strings.Contains(c.fault, "seed") || p.asked.Operation != "" {
			t.Errorf("%s %s: %s", c.path, c.body, got.body)
		}
	}
}

// TestPayloadFailures: before the first byte a failure is a problem, after it the response is aborted.
func TestPayloadFailures(t *testing.T) {
	p := newPayloadFixture(t, nil)
	for _, o := range payloadOperations() {
		for _, c := range []struct {
			err    error
			status int
			name   string
		}{
			{fmt.Errorf("x: %w", kycbridge.ErrUnavailable), 503, "unavailable"},
			{errors.New("inside"), 503, "fault"},
			{context.Canceled, 503, "timeout"},
			{InvalidRequest("/status", "is none"), 422, "invalid_request"},
		} {
			p.lines, p.err = nil, c.err
			wantProblem(t, p.send(t, o, nil), c.status, c.name)
		}
		p.err = fmt.Errorf("x: %w", kycbridge.ErrNotFound)
		want := map[string]string{PayloadsShow: "unknown_payload", PayloadsPurge: "unknown_verification",
			PayloadsHold: "unknown_verification", PayloadsRelease: "not_held"}[o.name]
		if want != "" {
			wantProblem(t, p.send(t, o, nil), 404, want)
		} else {
			wantProblem(t, p.send(t, o, nil), 503, "fault")
		}

		p.lines, p.err = []string{o.answer}, errors.New("inside")
		r, err := http.NewRequestWithContext(t.Context(), o.method, p.url+o.path, strings.NewReader(o.body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+apiToken)
		r.Header.Set("X-Reason", "case 1")
		r.Header.Set("Content-Type", map[bool]string{true: ndjson, false: "application/json"}[o.name == PayloadsImport])
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			continue // aborted before the head was sent
		}
		if body, err := io.ReadAll(res.Body); err == nil {
			t.Errorf("%s: an answer that broke off looks whole: %s", o.name, body)
		}
		res.Body.Close()
	}
}

// ofPayloads reports whether a path of the document is one of AddPayloads.
func ofPayloads(path string) bool {
	return strings.HasPrefix(path, "/v1/payloads") || path == "/v1/access"
}

// foundAt is the operation of the tool that is not about payloads.
const foundAt = "get/v1/verifications"

// TestEveryPayloadAnswer drives every operation to every status in the document, and compares the routes
// with the document.
func TestEveryPayloadAnswer(t *testing.T) {
	p := newPayloadFixture(t, nil)
	for _, o := range payloadOperations() {
		p.lines, p.err = []string{o.answer}, nil
		p.send(t, o, nil)
		p.send(t, o, func(r *http.Request) { r.Header.Del("Authorization") })
		p.send(t, o, func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+rightless) })
		p.send(t, o, func(r *http.Request) { r.Header.Del("X-Reason") })
		p.lines = nil
		for _, err := range []error{kycbridge.ErrUnavailable, kycbridge.ErrNotFound, InvalidRequest("", "is none"),
			&kycbridge.HeldError{Hold: kycbridge.Hold{Reason: "case 1", Until: time.Unix(1e9, 0).UTC()}},
			&kycbridge.LostRecordsError{}} {
			if errors.Is(err, kycbridge.ErrHeld) && o.name != PayloadsPurge {
				continue
			}
			if errors.Is(err, kycbridge.ErrRecordsLost) && o.name != PayloadsPurge && o.name != PayloadsImport {
				continue
			}
			p.err = err
			p.send(t, o, nil)
		}
		if o.method == "POST" {
			p.send(t, o, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })
		}
		if o.body != "" && o.name != PayloadsImport {
			p.ask(t, o.method, o.template, o.path, "", nil)
			p.ask(t, o.method, o.template, o.path, strings.Repeat(" ", apiMaxStep+1), nil)
		}
		if o.name == PayloadsImport { // without dry_run it demands a reason
			stored := o
			stored.path = o.template
			p.send(t, stored, func(r *http.Request) { r.Header.Del("X-Reason") })
		}
	}
	closed := newPayloadFixture(t, func(o *APIOptions) { o.Holders = nil })
	closed.seen = p.seen
	for _, o := range payloadOperations() {
		wantProblem(t, closed.send(t, o, nil), 404, "not_found")
	}
	e := newEcho()
	AddPayloads(e, APIOptions{}, nil)
	var routes, described []string
	for _, r := range e.Routes() {
		routes = append(routes, r.Method+" "+regexp.MustCompile(`:(\w+)`).ReplaceAllString(r.Path, "{$1}"))
	}
	for path, item := range p.document["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method == "parameters" || !ofPayloads(path) && method+path != foundAt {
				continue
			}
			described = append(described, strings.ToUpper(method)+" "+path)
			responses, _ := p.at(item, method, "responses").(map[string]any)
			for status := range responses {
				if at := strings.ToUpper(method) + " " + path + " " + status; !p.seen[at] {
					t.Errorf("%s is in the document and never answered", at)
				}
			}
		}
	}
	slices.Sort(routes)
	slices.Sort(described)
	if diff := cmp.Diff(described, routes); diff != "" {
		t.Error(diff)
	}
}

// TestPayloadDeadlines: a response, and the body of an import, may exceed the server's deadlines as long
// as data flows.
func TestPayloadDeadlines(t *testing.T) {
	p := newPayloadFixture(t, nil)
	e := NewAdmin(AdminOptions{})
	AddPayloads(e, APIOptions{Holders: holdersOf(apiToken), Access: &p.accesses,
		Validate: func(string, any) []kycbridge.FieldError { return nil }},
		toolFunc(func(ctx context.Context, r PayloadRequest, out io.Writer) error {
			if r.Body != nil {
				_, err := io.Copy(out, r.Body)
				return err
			}
			for range 4 {
				time.Sleep(100 * time.Millisecond)
				if err := ctx.Err(); err != nil {
					return err
				}
				if _, err := io.WriteString(out, "{}\n"); err != nil {
					return err
				}
			}
			return nil
		}))
	server := httptest.NewUnstartedServer(e)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 150*time.Millisecond, 150*time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	p.url = server.URL
	authorized := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+apiToken) }
	if got := do(t, "GET", p.url+"/v1/payloads", nil, authorized); got.status != 200 ||
		strings.Count(got.body, "{}") != 4 {
		t.Errorf("%d %q", got.status, got.body)
	}
	slow, in := io.Pipe()
	go func() {
		for range 4 {
			time.Sleep(100 * time.Millisecond)
			_, _ = io.WriteString(in, "{}\n")
		}
		_ = in.Close()
	}()
	got := do(t, "POST", p.url+"/v1/payloads/import", slow, func(r *http.Request) {
		authorized(r)
		r.Header.Set("Content-Type", ndjson)
	})
	if got.status != 200 || strings.Count(got.body, "{}") != 4 {
		t.Errorf("%d %q", got.status, got.body)
	}
}

// TestPayloadBodyBreaks: a truncated body is a connection error, not an invalid payload.
func TestPayloadBodyBreaks(t *testing.T) {
	p := newPayloadFixture(t, nil)
	r := httptest.NewRequest("POST", "/v1/payloads/import", &failingReader{})
	r.Header.Set("Authorization", "Bearer "+apiToken)
	r.Header.Set("Content-Type", ndjson)
	e := NewAdmin(AdminOptions{})
	AddPayloads(e, APIOptions{Holders: holdersOf(apiToken), Access: &p.accesses, Logger: p.log.logger()},
		toolFunc(func(_ context.Context, r PayloadRequest, _ io.Writer) error {
			_, err := io.ReadAll(r.Body)
			return InvalidRequest("", "line 1: "+err.Error())
		}))
	w := httptest.NewRecorder()
	e.ServeHTTP(w, r)
	if w.Code != 503 || !strings.Contains(w.Body.String(), "urn:kycbridge:problem:interrupted") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// TestQueries: a query that cannot be read, or that the operation would ignore, does not reach the tool: without it the
// operation would be about more than the caller has selected, or not a dry run.
func TestQueries(t *testing.T) {
	for _, o := range payloadOperations() {
		for _, query := range []string{"dry_run=true;", "provider=a%zz", "colour=red", "colour=red&x=%z"} {
			p := newPayloadFixture(t, nil)
			path, _, _ := strings.Cut(o.path, "?")
			o := o
			o.path = path + "?" + query
			wantProblem(t, p.send(t, o, nil), 422, "invalid_request")
			if p.asked.Operation != "" {
				t.Errorf("%s %s reached the tool", o.method, o.path)
			}
		}
	}
	p := newPayloadFixture(t, nil)
	wantProblem(t, p.ask(t, "POST", "/v1/payloads/purge", "/v1/payloads/purge?provider=kwikid", `{"older_than":"1h"}`, nil),
		422, "invalid_request")
	got := p.ask(t, "POST", "/v1/payloads/import", "/v1/payloads/import", exportedLine+"\n", func(r *http.Request) {
		r.Header.Set("Content-Type", "application/json")
	})
	wantProblem(t, got, 415, "media_type")
	if !strings.Contains(got.body, ndjson) {
		t.Error(got.body)
	}
}
