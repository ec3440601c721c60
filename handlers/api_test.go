package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/labstack/echo/v4"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/schemas"
	"kycbridge/test/wait"
)

const (
	apiToken = "admin-token-1"
	// specialReference is a reference with characters that need escaping in a path.
	specialReference = "a/b c%2F?#ü+"
	statePath        = "/v1/verifications/{provider}/{account}/{reference}"
	mediaPath        = statePath + "/media/{ref}"
	stepPath         = statePath + "/steps/{step}"

	completePath = statePath + "/complete"
	reviewPath   = statePath + "/review"
	startPath    = "/v1/verifications"
	watchPath    = "/v1/watches"
	startShort   = `{"provider":"ondato","account":"acme","external_reference":"case-1"}`
	watchShort   = `{"provider":"ondato","account":"acme","reference":"b1"}`
)

// fakes are the backends of the API. They record requests and answer err if it is set.
type fakes struct {
	profile     event.Profile // of states; "": none
	err         error
	panics      bool
	start       kycbridge.StartRequest
	onStart     func(kycbridge.StartRequest)
	key, print  string
	receipt     kycbridge.StartReceipt
	watch       kycbridge.WatchRequest
	stateKey    kycbridge.Key
	media       kycbridge.MediaRef
	mediaAnswer kycbridge.MediaAnswer
	step        kycbridge.Step
	stepAnswer  kycbridge.StepAnswer
	completed   string
	review      kycbridge.Review
	submitted   string // the reference of the last submission
	unwatched   error  // the error of the watch after a submission
}

func (f *fakes) fail() error {
	if f.panics {
		panic("seeded panic value")
	}
	return f.err
}

func (f *fakes) Start(
	_ context.Context, _ *kycbridge.Account, r kycbridge.StartRequest, key, fingerprint string,
) (kycbridge.StartReceipt, error) {
	f.start, f.key, f.print = r, key, fingerprint
	if f.onStart != nil {
		f.onStart(r)
	}
	return f.receipt, f.fail()
}

func (f *fakes) Watch(_ context.Context, a *kycbridge.Account, w kycbridge.WatchRequest) (string, error) {
	f.watch = w
	return event.VerificationID(a.Provider.Name, a.Name, w.Reference), f.fail()
}

func (f *fakes) State(_ context.Context, k kycbridge.Key) (*event.Data, error) {
	f.stateKey = k
	state := stateOf(k)
	if f.profile != "" {
		state.PII.Profile = f.profile
	}
	return state, f.fail()
}

func (f *fakes) Media(_ context.Context, _ *kycbridge.Account, m kycbridge.MediaRef) (kycbridge.MediaAnswer, error) {
	f.media = m
	return f.mediaAnswer, f.fail()
}

func (f *fakes) submit(_ context.Context, s kycbridge.Step) (kycbridge.StepAnswer, error) {
	f.step = s
	return f.stepAnswer, f.fail()
}

func (f *fakes) complete(_ context.Context, reference string) (kycbridge.StepAnswer, error) {
	f.completed = reference
	return f.stepAnswer, f.fail()
}

func (f *fakes) decide(_ context.Context, r kycbridge.Review) (kycbridge.StepAnswer, error) {
	f.review = r
	return f.stepAnswer, f.fail()
}

func (f *fakes) Submit(
	ctx context.Context, _ *kycbridge.Account, reference string, send func(context.Context) error,
) error {
	f.submitted = reference
	if err := send(ctx); err != nil {
		return err
	}
	return f.unwatched
}

func stateOf(k kycbridge.Key) *event.Data {
	return &event.Data{
		VerificationID: k.VerificationID, Revision: 1, Account: k.Account, Environment: "test",
		Provider: event.ProviderData{Name: k.Provider, References: map[string]string{"idv_id": "b1"},
			Status: map[string]any{},
			Event:  event.ProviderEvent{Name: "e", ReceivedAt: "2026-03-02T09:00:13Z", Via: "callback"}},
		Status: "in_progress", Decision: event.Decision{Outcome: "pending"}, Decisions: []event.DecisionStep{},
		Reasons: []event.Reason{},
		Checks:  []event.Check{}, PII: event.PII{Profile: "none"},
		Payload: event.PayloadRef{ID: "p", Digest: "sha256:" + strings.Repeat("0", 64), Mapping: "1"},
	}
}

// apiFixture is the API with fake backends, and the document that its responses are checked against.
type apiFixture struct {
	*fakes
	echo     *echo.Echo
	url      string
	log      *sink
	set      *schemas.Set
	document map[string]any
	seen     map[string]bool // "POST /v1/watches 202"
	accesses accesses
}

func newAPIFixture(t testing.TB, edit func(*APIOptions)) *apiFixture {
	t.Helper()
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	b := &apiFixture{fakes: &fakes{}, log: &sink{}, set: set, seen: map[string]bool{}}
	if err := json.Unmarshal(set.OpenAPI(), &b.document); err != nil {
		t.Fatal(err)
	}
	b.healthy()
	accounts := account("ondato", "acme", func(a *kycbridge.Account) {
		a.API = kycbridge.API{Step: b.submit, Complete: b.complete, Review: b.decide,
			Start: func(context.Context, kycbridge.StartRequest) (kycbridge.Started, error) {
				return kycbridge.Started{}, nil
			},
			Fetch: func(context.Context, kycbridge.Query) ([]kycbridge.Fetched, error) { return nil, nil },
			Media: func(context.Context, kycbridge.MediaRequest) (kycbridge.MediaAnswer, error) {
				return kycbridge.MediaAnswer{}, nil
			}}
	})
	maps.Copy(accounts, account("ondato", "mute", nil))
	maps.Copy(accounts, account("ondato", "fetching", func(a *kycbridge.Account) {
		a.API.Fetch = accounts[kycbridge.AccountKey{Provider: "ondato", Account: "acme"}].API.Fetch
	}))
	maps.Copy(accounts, account("ondato", "lower",
		func(a *kycbridge.Account) { a.Provider.CanonicalReference = strings.ToLower }))
	o := APIOptions{
		Accounts: accounts, Holders: rightsHolders, Access: &b.accesses, Starter: b, Submitter: b,
		Watcher: b, States: b, Media: b,
		CompareConfig: func() any {
			return map[string]any{"version": "a", "next": "b",
				"changes": []map[string]any{{"key": "log.level", "change": "changed", "restart_needed": true}}}
		},
		OpenAPI: set.OpenAPI(), Logger: b.log.logger(),
		Decode: readJSON,
		Validate: func(component string, doc any) []kycbridge.FieldError {
			return fieldErrors(set.ValidateAPI(component, doc))
		},
		ValidateStart: func(_ *kycbridge.Account, doc any) []kycbridge.FieldError {
			options, _ := doc.(map[string]any)["options"].(map[string]any)
			if options["refused"] != nil {
				return []kycbridge.FieldError{{Path: "/options/refused", Message: "is not a known member"}}
			}
			return nil
		},
		Now: func() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) },
	}
	if edit != nil {
		edit(&o)
	}
	e := NewAdmin(AdminOptions{Logger: b.log.logger()})
	AddAPI(e, o)
	b.echo, b.url = e, serve(t, e)
	return b
}

// healthy resets the errors of all fakes.
func (b *apiFixture) healthy() {
	*b.fakes = fakes{
		receipt: kycbridge.StartReceipt{VerificationID: event.VerificationID("ondato", "acme", "b1"), Reference: "b1",
			URL: "https://idv.example.com/?a=1&b=2", ExpiresAt: "2026-03-02T10:00:00Z"},
		mediaAnswer: kycbridge.MediaAnswer{ContentType: "image/png", Length: 4,
			Body: io.NopCloser(strings.NewReader("\x89PNG"))},
	}
}

func fieldErrors(faults []schemas.Fault) []kycbridge.FieldError {
	var errs []kycbridge.FieldError
	for _, f := range faults {
		errs = append(errs, kycbridge.FieldError(f))
	}
	return errs
}

// ask sends one request with the token and checks the response against the document.
func (b *apiFixture) ask(t testing.TB, method, template, path, body string, edit func(*http.Request)) reply {
	t.Helper()
	got := do(t, method, b.url+path, strings.NewReader(body), func(r *http.Request) {
		r.Header.Set("Authorization", "Bearer "+apiToken)
		r.Header.Set("X-Reason", "case%201")
		if edit != nil {
			edit(r)
		}
	})
	b.conforms(t, method, template, got)
	return got
}

// conforms checks a response against the schema in the document for its path and status.
func (b *apiFixture) conforms(t testing.TB, method, template string, got reply) {
	t.Helper()
	b.seen[fmt.Sprint(method, " ", template, " ", got.status)] = true
	response := b.at(b.at(b.document, "paths", template, strings.ToLower(method), "responses", strconv.Itoa(got.status)))
	content, _ := b.at(response, "content").(map[string]any)
	mediaType := got.header.Get("Content-Type")
	described, ok := content[mediaType]
	if !ok {
		if content["*/*"] == nil {
			t.Errorf("%s %s %d %s is not in the document: %s", method, template, got.status, mediaType, got.body)
		}
		return
	}
	reference, _ := b.at(described, "schema").(map[string]any)["$ref"].(string)
	component := strings.TrimPrefix(reference, "#/components/schemas/")
	doc, faults := document.Decode([]byte(got.body))
	if faults == nil && component != "" {
		faults = b.set.ValidateAPI(component, map[string]any(doc))
	}
	if component == "Verification" {
		faults = append(faults, b.set.Validate("event", "data", map[string]any(doc))...)
	}
	if len(faults) > 0 {
		t.Errorf("%s %s %d: %v\n%s", method, template, got.status, faults, got.body)
	}
	if named, ok := b.at(b.document, "components", "schemas", "Problem", "properties").(map[string]any); ok &&
		component == "Problem" {
		for member := range doc {
			if named[member] == nil {
				t.Errorf("the document does not name the member %s of a problem", member)
			}
		}
	}
}

// at follows members down a tree, and a $ref at its end.
func (b *apiFixture) at(tree any, members ...string) any {
	for _, m := range members {
		object, _ := tree.(map[string]any)
		tree = object[m]
	}
	if object, ok := tree.(map[string]any); ok && len(object) == 1 {
		if ref, ok := object["$ref"].(string); ok {
			return b.at(b.document, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
		}
	}
	return tree
}

// lines waits for n log lines, which follow the responses, and expects no more.
func (b *apiFixture) lines(t testing.TB, n int) []string {
	t.Helper()
	deadline := time.Now().Add(2 * time.Second * wait.Slowdown)
	for strings.Count(b.log.String(), "\n") < n && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	lines := strings.Split(strings.TrimSpace(b.log.String()), "\n")
	if len(lines) != n {
		t.Fatalf("%d lines:\n%s", len(lines), b.log)
	}
	return lines
}

// members reads a JSON answer.
func members(t testing.TB, got reply) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(got.body), &m); err != nil {
		t.Fatalf("%v: %s", err, got.body)
	}
	return m
}

func (b *apiFixture) wantProblem(t *testing.T, got reply, status int, name string) map[string]any {
	t.Helper()
	wantProblem(t, got, status, name)
	if got.header.Get("Cache-Control") != "no-store" {
		t.Error("the answer may be kept")
	}
	return members(t, got)
}

func TestAPIStart(t *testing.T) {
	b := newAPIFixture(t, nil)
	const long = `{"provider":"ondato","account":"acme","external_reference":"case-2",
	 "person":{"given_name":"Testa","family_name":"Example","birthdate":"1990-01-02","address":{"country":"LT"}},
	 "options":{"own":{"x":[1.50]},"flow_id":"f","success_url":"https://a.example/ok","failure_url":"https://a.example/no","language":"en-GB","validity_seconds":6e2}}`
	got := b.ask(t, "POST", startPath, startPath, long, func(r *http.Request) { r.Header.Set("Idempotency-Key", "key 1") })
	if got.status != 201 || got.header.Get("Location") != "/v1/verifications/ondato/acme/b1" ||
		got.header.Get("Idempotency-Replayed") != "" {
		t.Fatalf("%d %v %s", got.status, got.header, got.body)
	}
	want := `{"verification_id":"` + b.receipt.VerificationID +
		`","reference":"b1","url":"https://idv.example.com/?a=1&b=2","expires_at":"2026-03-02T10:00:00Z"}`
	if got.body != want {
		t.Errorf("body %s", got.body)
	}
	person := kycbridge.Person{GivenName: "Testa", FamilyName: "Example", Birthdate: "1990-01-02",
		Address: &kycbridge.PersonAddress{Country: "LT"}}
	wantRequest := kycbridge.StartRequest{ExternalReference: "case-2", Person: person, FlowID: "f",
		SuccessURL: "https://a.example/ok", FailureURL: "https://a.example/no",
		Language: "en-GB", Validity: 10 * time.Minute,
		Options: json.RawMessage(`{"failure_url":"https://a.example/no","flow_id":"f","language":"en-GB","own":{"x":[1.50]},"success_url":"https://a.example/ok","validity_seconds":6e2}`)}
	if diff := cmp.Diff(wantRequest, b.start); diff != "" {
		t.Error(diff)
	}
	if b.key != "key 1" || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(b.print) {
		t.Errorf("key %q, fingerprint %q", b.key, b.print)
	}

	b.receipt.Repeated, b.receipt.Reference = true, specialReference
	got = b.ask(t, "POST", startPath, startPath, startShort, nil)
	if got.status != 201 || got.header.Get("Idempotency-Replayed") != "true" || b.key != "" || b.start.Options != nil {
		t.Errorf("%d %v, request %+v", got.status, got.header, b.start)
	}
	if got := b.ask(t, "GET", statePath, got.header.Get("Location"), "", nil); got.status != 200 ||
		b.stateKey.VerificationID != event.VerificationID("ondato", "acme", specialReference) {
		t.Errorf("Location does not lead back: %d %s", got.status, got.body)
	}
}

// TestFingerprint: the order of members and spaces do not count, values do.
func TestFingerprint(t *testing.T) {
	b := newAPIFixture(t, nil)
	of := func(body string) string {
		b.ask(t, "POST", startPath, startPath, body, nil)
		return b.print
	}
	first := of(startShort)
	if got := of(` {"external_reference" : "case-1", "account":"acme","provider":"ond\u0061to"}`); got != first {
		t.Error("the same request has two fingerprints")
	}
	if of(strings.Replace(startShort, "case-1", "case-2", 1)) == first ||
		of(strings.Replace(startShort, "}", `,"options":{}}`, 1)) == first {
		t.Error("two requests have one fingerprint")
	}
}

func TestAPIWatch(t *testing.T) {
	b := newAPIFixture(t, nil)
	got := b.ask(t, "POST", watchPath, watchPath,
		`{"provider":"ondato","account":"acme","reference":"b1","external_reference":"case-1","deadline":"2026-03-05T11:00:00+02:00"}`, nil)
	want := `{"status":"watching","verification_id":"` + event.VerificationID("ondato", "acme", "b1") + `"}`
	if got.status != 202 || got.body != want {
		t.Errorf("%d %s", got.status, got.body)
	}
	deadline := time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)
	if b.watch.Reference != "b1" || b.watch.ExternalReference != "case-1" || !b.watch.Deadline.Equal(deadline) {
		t.Errorf("%+v", b.watch)
	}
	if got := b.ask(t, "POST", watchPath, watchPath, watchShort, nil); got.status != 202 || !b.watch.Deadline.IsZero() {
		t.Errorf("%d, deadline %v", got.status, b.watch.Deadline)
	}
	past := strings.Replace(watchShort, "}", `,"deadline":"2026-03-02T09:00:00Z"}`, 1)
	m := b.wantProblem(t, b.ask(t, "POST", watchPath, watchPath, past, nil), 422, "invalid_request")
	if diff := cmp.Diff([]any{map[string]any{"path": "/deadline", "message": "must be a time ahead of now"}},
		m["errors"]); diff != "" {
		t.Error(diff)
	}
}

// TestAPIReferences: a reference may contain any characters, if they are escaped, and is read like those
// in callbacks.
func TestAPIReferences(t *testing.T) {
	b := newAPIFixture(t, nil)
	for _, c := range []struct{ account, path, reference string }{
		{"acme", "b1", "b1"},
		{"acme", url.PathEscape(specialReference), specialReference},
		{"acme", "a%20b", "a b"},
		{"acme", "a%2520b", "a%20b"},
		{"acme", "a%2Fb%2520c", "a/b%20c"},
		{"acme", "media%2Fx", "media/x"},
		{"lower", "AB%2F12", "ab/12"},
	} {
		got := b.ask(t, "GET", statePath, "/v1/verifications/ondato/"+c.account+"/"+c.path, "", nil)
		want := kycbridge.Key{Provider: "ondato", Account: c.account,
			VerificationID: event.VerificationID("ondato", c.account, c.reference)}
		if got.status != 200 || b.stateKey != want {
			t.Errorf("%s: %d, asked for %v", c.path, got.status, b.stateKey)
		}
	}
	b.ask(t, "GET", mediaPath, "/v1/verifications/ondato/acme/a%2Fb/media/"+url.PathEscape(
		"https://cdn.example.com/i?x=1&y=%20"), "", nil)
	if b.media != (kycbridge.MediaRef{Reference: "a/b", Ref: "https://cdn.example.com/i?x=1&y=%20"}) {
		t.Errorf("%+v", b.media)
	}
}

func TestAPIMedia(t *testing.T) {
	b := newAPIFixture(t, nil)
	const path = "/v1/verifications/ondato/acme/b1/media/front.jpg"
	for said, want := range map[string]string{
		"image/png": "image/png", "video/mp4": "video/mp4", "application/pdf": "application/pdf",
		"application/zip":    "application/zip",
		"Image/JPEG; name=x": "image/jpeg", "text/html": "application/octet-stream", "": "application/octet-stream",
		"image/png\r\nX: y": "application/octet-stream",
	} {
		b.mediaAnswer = kycbridge.MediaAnswer{ContentType: said, Length: -1, Body: io.NopCloser(strings.NewReader("12345"))}
		got := b.ask(t, "GET", mediaPath, path, "", nil)
		if got.status != 200 || got.body != "12345" || got.header.Get("Content-Type") != want {
			t.Errorf("%q: %d %v %s", said, got.status, got.header, got.body)
		}
		if got.header.Get("Content-Disposition") != "attachment" || got.header.Get("X-Content-Type-Options") != "nosniff" ||
			got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", got.header)
		}
	}
}

// failingReader returns some bytes and then fails.
type failingReader struct{ left int }

func (r *failingReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, errors.New("upstream broke at https://cdn.example.com/?token=seed")
	}
	n := min(len(p), r.left)
	r.left -= n
	return n, nil
}

// TestAPIMediaBreaksOverHTTP2: the stream of a truncated file is reset, and other streams of the
// connection continue.
func TestAPIMediaBreaksOverHTTP2(t *testing.T) {
	b := newAPIFixture(t, nil)
	server := httptest.NewUnstartedServer(b.echo)
	server.EnableHTTP2 = true
	server.StartTLS()
	t.Cleanup(server.Close)
	get := func() (int64, error) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/v1/verifications/ondato/acme/b1/media/x", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+apiToken)
		r.Header.Set("X-Reason", "case 1")
		resp, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.ProtoMajor != 2 {
			t.Fatalf("answered with %s", resp.Proto)
		}
		return io.Copy(io.Discard, resp.Body)
	}
	b.mediaAnswer = kycbridge.MediaAnswer{Length: -1, Body: io.NopCloser(&failingReader{100_000})}
	if n, err := get(); err == nil {
		t.Errorf("%d bytes are taken for the whole", n)
	}
	b.healthy()
	if n, err := get(); err != nil || n != 4 {
		t.Errorf("the next request: %d bytes, %v", n, err)
	}
	if log := strings.Join(b.lines(t, 2), ""); strings.Count(log, `"outcome":"broken"`) != 1 || strings.Contains(log, "stack") {
		t.Errorf("log: %s", log)
	}
}

// TestAPIMediaBreaks: a truncated file is never taken for a complete one.
func TestAPIMediaBreaks(t *testing.T) {
	b := newAPIFixture(t, nil)
	for name, answer := range map[string]kycbridge.MediaAnswer{
		"of unknown length": {Length: -1, Body: io.NopCloser(&failingReader{100_000})},
		"of known length":   {Length: 200_000, Body: io.NopCloser(&failingReader{100_000})},
		"shorter than said": {Length: 10, Body: io.NopCloser(strings.NewReader("12345"))},
		"without an end":    {Length: -1, Body: io.NopCloser(&failingReader{apiMaxMedia + 1})},
	} {
		t.Run(name, func(t *testing.T) {
			b.mediaAnswer = answer
			r, _ := http.NewRequestWithContext(t.Context(), "GET", b.url+"/v1/verifications/ondato/acme/b1/media/x", nil)
			r.Header.Set("Authorization", "Bearer "+apiToken)
			r.Header.Set("X-Reason", "case 1")
			resp, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if n, err := io.Copy(io.Discard, resp.Body); err == nil || n > apiMaxMedia {
				t.Errorf("%d bytes, %v", n, err)
			}
		})
	}
	b.mediaAnswer = kycbridge.MediaAnswer{Length: apiMaxMedia + 1, Body: http.NoBody}
	b.wantProblem(t, b.ask(t, "GET", mediaPath, "/v1/verifications/ondato/acme/b1/media/x", "", nil), 502,
		"media_too_large")
	if log := strings.Join(b.lines(t, 5), ""); strings.Contains(log, "cdn.example") ||
		strings.Count(log, `"outcome":"broken"`) != 4 {
		t.Errorf("log: %s", log)
	}
}

// part is one part of a form.
type part struct{ name, contentType, content string }

func form(t testing.TB, parts ...part) (body string, edit func(*http.Request)) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, p := range parts {
		h := textproto.MIMEHeader{"Content-Disposition": {`form-data; name="` + p.name + `"; filename="x"`}}
		if p.contentType != "" {
			h.Set("Content-Type", p.contentType)
		}
		to, err := w.CreatePart(h)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(to, p.content)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String(), func(r *http.Request) { r.Header.Set("Content-Type", w.FormDataContentType()) }
}

func TestAPIStep(t *testing.T) {
	b := newAPIFixture(t, nil)
	const path, png = "/v1/verifications/ondato/acme/a%2Fb/steps/0", "\x89PNG\r\n\x1a\n"
	image := kycbridge.StepImage{ContentType: "image/png", Body: []byte(png)}
	back := kycbridge.StepImage{ContentType: "image/jpeg", Body: []byte("back")}
	form1, asForm1 := form(t, part{"image2", "image/jpeg", "back"}, part{"data", "", `{"n":1.50}`},
		part{"image", "application/octet-stream", png}, part{"skip", "", "false"})
	form2, asForm2 := form(t, part{"skip", "", "true"})
	form3, asForm3 := form(t, part{"image", "", png}, part{"additional_data", "application/json", `{"n":1.50}`})
	for name, c := range map[string]struct {
		body   string
		edit   func(*http.Request)
		answer string
		want   kycbridge.Step
		reply  string
	}{
		"form": {form1, asForm1, `{"ok": true}`,
			kycbridge.Step{Images: []kycbridge.StepImage{image, back}, Data: json.RawMessage(`{"n":1.50}`)},
			`{"provider":{"ok":true},"status":"submitted"}`},
		"form, documented name": {form3, asForm3, "",
			kycbridge.Step{Images: []kycbridge.StepImage{image}, Data: json.RawMessage(`{"n":1.50}`)}, `{"status":"submitted"}`},
		"JSON, documented name": {`{"image":"iVBORw0KGgo=","additional_data":{"n":1.50}}`, nil, "",
			kycbridge.Step{Images: []kycbridge.StepImage{image}, Data: json.RawMessage(`{"n":1.50}`), JSON: true},
			`{"status":"submitted"}`},
		"form that skips": {form2, asForm2, "not JSON", kycbridge.Step{Skip: true}, `{"status":"submitted"}`},
		"JSON": {`{"image":"iVBORw0KGgo=","data":{"n":1.50}}`, nil, "",
			kycbridge.Step{Images: []kycbridge.StepImage{image}, Data: json.RawMessage(`{"n":1.50}`), JSON: true},
			`{"status":"submitted"}`},
		"JSON that skips": {`{"skip":true}`, nil, `"ok"`, kycbridge.Step{Skip: true, JSON: true},
			`{"provider":"ok","status":"submitted"}`},
	} {
		t.Run(name, func(t *testing.T) {
			b.stepAnswer.Body = json.RawMessage(c.answer)
			got := b.ask(t, "POST", stepPath, path, c.body, c.edit)
			c.want.Reference, c.want.StepID = "a/b", "0"
			if diff := cmp.Diff(c.want, b.step); got.status != 200 || got.body != c.reply || diff != "" {
				t.Errorf("%d %s\n%s", got.status, got.body, diff)
			}
		})
	}
}

// TestAPIReview: a decision reaches the provider unchanged, and the error for an invalid one names its
// pointer.
func TestAPIReview(t *testing.T) {
	b := newAPIFixture(t, nil)
	const path = "/v1/verifications/ondato/acme/a%2Fb/review"
	for body, want := range map[string]kycbridge.Review{
		`{"decision":"approved"}`:                         {Decision: event.OutcomeApproved},
		`{"decision":"rejected","comment":"Known fraud"}`: {Decision: event.OutcomeRejected, Comment: "Known fraud"},
		`{"decision":"resubmit","steps":[{"step":"0","decision":"resubmit"},{"step":"1","decision":"approve"}]}`: {
			Decision: event.OutcomeResubmit, Steps: []kycbridge.StepReview{{StepID: "0", Redo: true}, {StepID: "1"}}},
	} {
		got := b.ask(t, "POST", reviewPath, path, body, nil)
		want.Reference = "a/b"
		if diff := cmp.Diff(want, b.review); got.status != 200 || got.body != `{"status":"submitted"}` ||
			b.submitted != "a/b" || diff != "" {
			t.Errorf("%d %s\n%s", got.status, got.body, diff)
		}
	}
	b.healthy()
	for body, fault := range map[string]string{
		`{}`:                                 `"path":"/decision","message":"is required"`,
		`{"decision":"seed"}`:                `"path":"/decision","message":"must be one of \"approved\", \"rejected\", \"resubmit\""`,
		`{"decision":"Approved"}`:            `"path":"/decision","message":"must be one of \"approved\", \"rejected\", \"resubmit\""`,
		`{"decision":"resubmit"}`:            `"path":"/steps","message":"is required"`,
		`{"decision":"resubmit","steps":[]}`: `"path":"/steps","message":"must not be empty"`,
		`{"decision":"resubmit","steps":[{"step":" ","decision":"resubmit"}]}`: `"path":"/steps/0/step","message":"must hold a visible character and no line break or other control character"`,
		`{"decision":"resubmit","steps":[{"step":"0"}]}`:                       `"path":"/steps/0/decision","message":"is required"`,
		`{"decision":"approved","comment":" "}`:                                `"path":"/comment","message":"must not be blank: write text, or leave the member out"`,
		`{"decision":"approved","reviewer":"seed"}`:                            `"path":"/reviewer","message":"is not a known member"`,
	} {
		got := b.ask(t, "POST", reviewPath, path, body, nil)
		b.wantProblem(t, got, 422, "invalid_request")
		if !strings.Contains(got.body, fault) || strings.Contains(got.body, "seed") || b.submitted != "" {
			t.Errorf("%s: %s", body, got.body)
		}
	}
}

// TestAPISubmitted: the response to a submission that is not watched states this, and that the submission
// must not be repeated.
func TestAPISubmitted(t *testing.T) {
	b := newAPIFixture(t, nil)
	b.unwatched = &kycbridge.UnwatchedError{Receipt: kycbridge.StartReceipt{VerificationID: b.receipt.VerificationID,
		Reference: "b1"}, Err: kycbridge.ErrUnavailable}
	for _, o := range sampleRequests("acme") {
		if o.operation != "step" && o.operation != "complete" && o.operation != "review" {
			continue
		}
		m := b.wantProblem(t, b.ask(t, o.method, o.template, o.path, o.body, nil), 500, "unwatched")
		if m["reference"] != "b1" || m["verification_id"] != b.receipt.VerificationID || m["may_have_submitted"] != nil {
			t.Errorf("%s: %v", o.operation, m)
		}
	}
	if b.completed != "b1" || b.review.Reference != "b1" || b.step.Reference != "b1" {
		t.Errorf("%q, %q, %q", b.completed, b.review.Reference, b.step.Reference)
	}
}

// TestAPIStepFaults: the error for an invalid step names its pointer, never its value.
func TestAPIStepFaults(t *testing.T) {
	b := newAPIFixture(t, nil)
	asForm := func(parts ...part) [2]any { body, edit := form(t, parts...); return [2]any{body, edit} }
	asJSON := func(body string) [2]any { return [2]any{body, (func(*http.Request))(nil)} }
	many := make([]part, maxParts+1)
	for i := range many {
		many[i].name = "seed" + strconv.Itoa(i)
	}
	for name, c := range map[string]struct {
		request [2]any
		status  int
		fault   string
	}{
		"nothing":            {asJSON(`{}`), 422, `"path":"","message":"must not be empty"`},
		"not base64":         {asJSON(`{"image":"seed!"}`), 422, `"path":"/image","message":"must be base64"`},
		"back without front": {asJSON(`{"image2":"AA=="}`), 422, `"path":"/image","message":"is required"`},
		"unknown member": {asJSON(`{"skip":true,"picture":"seed"}`), 422,
			`"path":"/picture","message":"is not a known member"`},
		"data of another kind": {asJSON(`{"data":"seed"}`), 422, `"path":"/data","message":"must be an object"`},
		"form, nothing":        {asForm(), 422, `"path":"","message":"must not be empty"`},
		"form, unknown part": {asForm(part{"skip", "", "true"}, part{"picture", "", "seed"}), 422,
			`"path":"/picture","message":"is not a known member"`},
		"form, empty image": {asForm(part{"image", "image/png", ""}), 422,
			`"path":"/image","message":"must not be empty"`},
		"form, back only": {asForm(part{"image2", "image/png", "seed"}), 422, `"path":"/image","message":"is required"`},
		"form, data":      {asForm(part{"data", "", "seed"}), 422, `"path":"/data","message":"must be a JSON object"`},
		"both names of data": {asJSON(`{"data":{},"additional_data":{},"image":"seed"}`), 422,
			`"path":"/data","message":"must be left out beside additional_data"`},
		"form, both names": {asForm(part{"image", "", "seed"}, part{"data", "", "{}"},
			part{"additional_data", "", "{}"}), 422, `"path":"/data","message":"must be left out beside additional_data"`},
		"form, documented": {asForm(part{"additional_data", "", "[1]"}), 422,
			`"path":"/additional_data","message":"must be a JSON object"`},
		"form, data deeper": {asForm(part{"data", "", `{"a":{"b":1e999999}}`}), 422,
			`"path":"/data/a/b","message":"number out of range"`},
		"form, skip":       {asForm(part{"skip", "", "seed"}), 422, `"path":"/skip","message":"must be a boolean"`},
		"form, twice":      {asForm(part{"skip", "", "true"}, part{"skip", "", "true"}), 400, `holds a part twice`},
		"form, many parts": {asForm(many...), 400, `too many parts`},
		"form, cut short": {[2]any{"--x\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nseed",
			func(r *http.Request) {
				r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
			}}, 400, `is not a form that can be read`},
		"form, no boundary": {[2]any{"seed", func(r *http.Request) { r.Header.Set("Content-Type", "multipart/form-data") }},
			400, `is not a form that can be read`},
	} {
		t.Run(name, func(t *testing.T) {
			got := b.ask(t, "POST", stepPath, "/v1/verifications/ondato/acme/b1/steps/0", c.request[0].(string),
				c.request[1].(func(*http.Request)))
			if got.status != c.status || !strings.Contains(got.body, c.fault) || strings.Contains(got.body, "seed") {
				t.Errorf("%d %s", got.status, got.body)
			}
		})
	}
}

// sampleRequest is one well-formed request of each operation.
type sampleRequest struct{ operation, method, template, path, body string }

func sampleRequests(account string) []sampleRequest {
	at := "/v1/verifications/ondato/" + account + "/b1"
	return []sampleRequest{
		{"start", "POST", startPath, startPath, strings.Replace(startShort, "acme", account, 1)},
		{"watch", "POST", watchPath, watchPath, strings.Replace(watchShort, "acme", account, 1)},
		{"state", "GET", statePath, at, ""},
		{"media", "GET", mediaPath, at + "/media/m", ""},
		{"step", "POST", stepPath, at + "/steps/0", `{"skip":true}`},
		{"complete", "POST", completePath, at + "/complete", ""},
		{"review", "POST", reviewPath, at + "/review", `{"decision":"approved"}`},
	}
}

// TestAPIRefusals: the responses of every operation to invalid requests.
func TestAPIRefusals(t *testing.T) {
	b := newAPIFixture(t, nil)
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	for _, o := range sampleRequests("acme") {
		t.Run(o.operation, func(t *testing.T) {
			ask := func(body string, edit func(*http.Request)) reply {
				return b.ask(t, o.method, o.template, o.path, body, edit)
			}
			b.wantProblem(t, ask(o.body, header("Authorization", "Bearer wrong")), 401, "unauthenticated")
			b.wantProblem(t, ask(o.body, header("Authorization", "")), 401, "unauthenticated")
			if o.method != "POST" || o.body == "" {
				return
			}
			b.wantProblem(t, ask(o.body, header("Content-Type", "text/plain")), 415, "media_type")
			b.wantProblem(t, ask("", nil), 400, "malformed_request")
			b.wantProblem(t, ask("[]", nil), 400, "malformed_request")
			m := b.wantProblem(t, ask(`{"provider": seeded}`, nil), 400, "malformed_request")
			if diff := cmp.Diff([]any{map[string]any{"path": "", "message": "is not valid JSON at byte 13"}},
				m["errors"]); diff != "" {
				t.Error(diff)
			}
			b.wantProblem(t, ask(`{"provider": 1, "other": "seeded"}`, nil), 422, "invalid_request")
			b.wantProblem(t, ask(strings.Repeat(" ", apiMaxStep+1), nil), 413, "too_large")
		})
	}
	if strings.Contains(b.log.String(), "seeded") {
		t.Error("a value is in the log")
	}
}

// TestAPIWithoutTokens: every request is refused, but the document is still served.
func TestAPIWithoutTokens(t *testing.T) {
	b := newAPIFixture(t, func(o *APIOptions) { o.Holders = nil })
	for _, o := range sampleRequests("acme") {
		b.wantProblem(t, b.ask(t, o.method, o.template, o.path, o.body, nil), 404, "not_found")
	}
	got := do(t, "GET", b.url+"/v1/openapi.json", nil, nil)
	if got.status != 200 || got.body != strings.TrimSpace(string(b.set.OpenAPI())) {
		t.Errorf("%d", got.status)
	}
}

func TestAPIStartFaults(t *testing.T) {
	b := newAPIFixture(t, nil)
	with := func(member string) string { return strings.Replace(startShort, "}", ","+member+"}", 1) }
	for body, want := range map[string]string{
		`{}`:                                  `[{"path":"/account","message":"is required"},{"path":"/external_reference","message":"is required"},{"path":"/provider","message":"is required"}]`,
		with(`"person":{"birthdate":"seed"}`): `[{"path":"/person/birthdate","message":"must be a date that exists, from 1900 to today, as YYYY-MM-DD: 1990-02-01"}]`,
		with(`"person":{"birthdate":"2026-03-04"}`):     `[{"path":"/person/birthdate","message":"must not lie ahead of today"}]`,
		with(`"person":{"name":" "}`):                   `[{"path":"/person/name","message":"must not be blank: write text, or leave the member out"}]`,
		with(`"person":{"Name":"seed"}`):                `[{"path":"/person/Name","message":"is not a known member"}]`,
		with(`"person":{"address":{"country":1}}`):      `[{"path":"/person/address/country","message":"must be a string"}]`,
		with(`"options":[]`):                            `[{"path":"/options","message":"must be an object"}]`,
		with(`"options":{"validity_seconds":31536001}`): `[{"path":"/options/validity_seconds","message":"must be at most 31536000"}]`,
		with(`"options":{"validity_seconds":1.5}`):      `[{"path":"/options/validity_seconds","message":"must be an integer"}]`,
		with(`"options":{"refused":"seed"}`):            `[{"path":"/options/refused","message":"is not a known member"}]`,
		with(`"callback_url":"seed"`):                   `[{"path":"/callback_url","message":"is not a known member"}]`,
		strings.Replace(startShort, "case-1", "", 1):    `[{"path":"/external_reference","message":"must not be empty"}]`,
	} {
		got := b.ask(t, "POST", startPath, startPath, body, nil)
		b.wantProblem(t, got, 422, "invalid_request")
		if !strings.Contains(got.body, `"errors":`+want) || strings.Contains(got.body, "seed") {
			t.Errorf("%s: %s", body, got.body)
		}
	}
	for _, key := range []string{"", strings.Repeat("k", 256), "kéy", "a\tb"} {
		b.wantProblem(t, b.ask(t, "POST", startPath, startPath, startShort,
			func(r *http.Request) { r.Header["Idempotency-Key"] = []string{key} }), 400, "malformed_request")
	}
	b.wantProblem(t, b.ask(t, "POST", startPath, startPath, startShort,
		func(r *http.Request) { r.Header["Idempotency-Key"] = []string{"a", "b"} }), 400, "malformed_request")
	if b.start.ExternalReference != "" {
		t.Error("a faulty request was started")
	}
}

// TestAPIAccounts: an unknown account, one without an api section, and one whose provider lacks the
// ability.
func TestAPIAccounts(t *testing.T) {
	b := newAPIFixture(t, nil)
	for _, c := range []struct {
		account, name string
		status        int
		detail        string
	}{
		{"nobody", "unknown_account", 404, "The configuration has no account"},
		{"mute", "unsupported", 422, "has no api section"},
		{"fetching", "unsupported", 422, "does not offer this"},
	} {
		for _, o := range sampleRequests(c.account) {
			if c.account == "mute" && o.operation == "state" || c.account == "fetching" &&
				(o.operation == "state" || o.operation == "watch") {
				continue // these need no call to the provider
			}
			m := b.wantProblem(t, b.ask(t, o.method, o.template, o.path, o.body, nil), c.status, c.name)
			if detail, _ := m["detail"].(string); !strings.Contains(detail, c.detail) {
				t.Errorf("%s of %s: %s", o.operation, c.account, detail)
			}
		}
	}
	b.wantProblem(t, b.ask(t, "GET", statePath, "/v1/verifications/ondato/acme/"+strings.Repeat("r", apiReference+1), "",
		nil), 404, "unknown_verification")
}

// TestAPIProviderErrors: every kind of failed call, for every operation with a call.
func TestAPIProviderErrors(t *testing.T) {
	b := newAPIFixture(t, nil)
	statuses := map[kycbridge.ProviderErrorKind]int{
		kycbridge.ProviderCredentials: 502, kycbridge.ProviderForbidden: 502, kycbridge.ProviderInvalid: 422,
		kycbridge.ProviderNotFound: 404,
		kycbridge.ProviderPending:  409, kycbridge.ProviderRateLimited: 503, kycbridge.ProviderUnavailable: 502,
		kycbridge.ProviderUnreachable: 502,
		kycbridge.ProviderMalformed:   502, kycbridge.ProviderPaused: 503,
	}
	doubtful := []kycbridge.ProviderErrorKind{kycbridge.ProviderUnavailable, kycbridge.ProviderUnreachable,
		kycbridge.ProviderMalformed}
	for kind, status := range statuses {
		for _, o := range sampleRequests("acme") {
			if o.operation == "state" {
				continue
			}
			for _, sent := range []bool{false, true} {
				t.Run(fmt.Sprint(kind, " ", o.operation, " sent ", sent), func(t *testing.T) {
					b.err = fmt.Errorf("ask: %w",
						&kycbridge.ProviderError{Kind: kind, Call: "get_details", Status: 418, Code: "E7", Message: "seeded words",
							Sent:   sent,
							Fields: []kycbridge.FieldError{{Path: "/person", Message: "is needed"}}, RetryAfter: 1500 * time.Millisecond,
							Err: context.DeadlineExceeded})
					got := b.ask(t, o.method, o.template, o.path, o.body, nil)
					m := b.wantProblem(t, got, status, "provider_"+string(kind))
					unsure := sent && slices.Contains(doubtful, kind) &&
						slices.Contains([]string{"start", "step", "complete", "review"}, o.operation)
					want := map[string]any{"provider_message": "seeded words", "provider_code": "E7", "provider_status": 418.0,
						"errors": []any{map[string]any{"path": "/person", "message": "is needed"}}}
					if unsure {
						member := "may_have_submitted"
						if o.operation == "start" {
							member = "may_have_started"
						}
						want[member] = true
					}
					for _, standard := range []string{"type", "title", "status", "detail"} {
						delete(m, standard)
					}
					if diff := cmp.Diff(want, m); diff != "" {
						t.Error(diff)
					}
					if retry := got.header.Get("Retry-After"); retry != map[bool]string{false: "2", true: ""}[unsure] {
						t.Errorf("Retry-After %q", retry)
					}
				})
			}
		}
	}
	b.err = &kycbridge.ProviderError{Kind: kycbridge.ProviderPaused, Call: "x"}
	if got := b.ask(t, "POST", startPath, startPath, startShort, nil); got.header.Get("Retry-After") != "5" {
		t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
	}
	if strings.Contains(b.log.String(), "seeded words") {
		t.Error("the provider's words are in the log")
	}
}

// TestAPIFailures: internal failures, and failures with an unknown result.
func TestAPIFailures(t *testing.T) {
	b := newAPIFixture(t, nil)
	receipt := b.receipt
	fault := errors.New("inside")
	for _, c := range []struct {
		name, only string
		err        error
		status     int
		problem    string
		unsure     bool
	}{
		{"store away", "", fmt.Errorf("reserve: %w", kycbridge.ErrUnavailable), 503, "unavailable", false},
		{"key of another request", "start", kycbridge.ErrKeyReused, 422, "key_reused", false},
		{"key under way", "start", kycbridge.ErrKeyPending, 409, "key_pending", false},
		{"not supported after all", "start", kycbridge.ErrUnsupported, 422, "unsupported", false},
		{"not watched", "start", &kycbridge.UnwatchedError{Receipt: receipt, Err: kycbridge.ErrUnavailable}, 500,
			"unwatched", false},
		{"timeout", "start step complete review", context.DeadlineExceeded, 500, "outcome_unknown", true},
		{"fault", "start step complete review", fault, 500, "outcome_unknown", true},
		{"not found within", "start", kycbridge.ErrNotFound, 500, "outcome_unknown", true},
		{"panic", "start step complete review", nil, 500, "outcome_unknown", true},
		{"timeout", "watch state media", context.DeadlineExceeded, 503, "timeout", false},
		{"fault", "watch state media", fault, 503, "fault", false},
		{"panic", "watch state media", nil, 503, "fault", false},
		{"not found within", "watch", kycbridge.ErrNotFound, 503, "fault", false},
		{"nothing known", "state", kycbridge.ErrNotFound, 404, "unknown_verification", false},
		{"no such media", "media", kycbridge.ErrNotFound, 404, "unknown_media", false},
	} {
		for _, o := range sampleRequests("acme") {
			if !strings.Contains(c.only, o.operation) && c.only != "" {
				continue
			}
			t.Run(c.name+" "+o.operation, func(t *testing.T) {
				b.err, b.panics = c.err, c.err == nil
				got := b.ask(t, o.method, o.template, o.path, o.body, nil)
				m := b.wantProblem(t, got, c.status, c.problem)
				if (m["may_have_started"] == true || m["may_have_submitted"] == true) != c.unsure ||
					(got.header.Get("Retry-After") == "") == (c.status == 503) {
					t.Errorf("%v %s", got.header, got.body)
				}
				if c.problem == "unwatched" &&
					(m["verification_id"] != receipt.VerificationID || m["reference"] != "b1" || m["url"] != receipt.URL ||
						m["expires_at"] != receipt.ExpiresAt) {
					t.Error(got.body)
				}
			})
		}
	}
	if strings.Contains(b.log.String(), "seeded panic value") {
		t.Error("the value of a panic is in the log")
	}
}

// TestRoutesMatchTheDocument: the routes are those of the document, and the tests of this file reach every
// response in it.
func TestRoutesMatchTheDocument(t *testing.T) {
	b := newAPIFixture(t, nil)
	var described []string
	for path, item := range b.document["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			if method != "parameters" {
				described = append(described, strings.ToUpper(method)+" "+path)
			}
		}
	}
	e := newEcho()
	AddAPI(e, APIOptions{})
	AddPayloads(e, APIOptions{}, nil)
	var routes []string
	for _, r := range e.Routes() {
		routes = append(routes, r.Method+" "+regexp.MustCompile(`:(\w+)`).ReplaceAllString(r.Path, "{$1}"))
	}
	slices.Sort(described)
	slices.Sort(routes)
	if diff := cmp.Diff(described, routes); diff != "" {
		t.Error(diff)
	}
	if _, ok := b.at(b.document, "components", "securitySchemes", "bearer").(map[string]any); !ok {
		t.Error("no bearer scheme")
	}
}

// TestEveryAnswer drives every operation to every status in the document.
func TestEveryAnswer(t *testing.T) {
	b := newAPIFixture(t, nil)
	failures := []error{nil, kycbridge.ErrUnavailable, kycbridge.ErrNotFound, kycbridge.ErrKeyPending, context.Canceled}
	for _, kind := range []kycbridge.ProviderErrorKind{kycbridge.ProviderCredentials, kycbridge.ProviderPending,
		kycbridge.ProviderInvalid, kycbridge.ProviderNotFound} {
		failures = append(failures, &kycbridge.ProviderError{Kind: kind, Call: "x"})
	}
	for _, o := range sampleRequests("acme") {
		for _, err := range failures {
			b.healthy()
			if b.err = err; o.operation == "state" &&
				(errors.Is(err, kycbridge.ErrKeyPending) || errors.As(err, new(*kycbridge.ProviderError))) {
				continue // a state is read from the store
			}
			b.ask(t, o.method, o.template, o.path, o.body, nil)
		}
		b.ask(t, o.method, o.template, o.path, o.body, func(r *http.Request) { r.Header.Del("Authorization") })
		b.ask(t, o.method, o.template, o.path, o.body,
			func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+rightless) })
		b.ask(t, o.method, o.template, o.path, o.body, func(r *http.Request) { r.Header.Del("X-Reason") })
		if o.method == "POST" {
			b.ask(t, o.method, o.template, o.path, "", nil)
			b.ask(t, o.method, o.template, o.path, strings.Repeat(" ", apiMaxStep+1), nil)
			b.ask(t, o.method, o.template, o.path, o.body, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })
		}
	}
	b.ask(t, "GET", "/v1/openapi.json", "/v1/openapi.json", "", nil)
	const diff = "/v1/config/diff"
	b.ask(t, "GET", diff, diff, "", nil)
	const state = "/v1/verifications/ondato/acme/r?provider=kwikid" // a parameter that would be ignored
	wantProblem(t, b.ask(t, "GET", statePath, state, "", nil), 422, "invalid_request")
	wantProblem(t, b.ask(t, "GET", diff, diff+"?a=1", "", nil), 422, "invalid_request")
	b.ask(t, "GET", diff, diff, "", func(r *http.Request) { r.Header.Del("Authorization") })
	b.ask(t, "GET", diff, diff, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+rightless) })
	closed := newAPIFixture(t, func(o *APIOptions) { o.Holders = nil })
	closed.seen = b.seen
	closed.ask(t, "GET", diff, diff, "", nil)
	for path, item := range b.document["paths"].(map[string]any) {
		if ofPayloads(path) {
			continue // TestEveryPayloadAnswer
		}
		for method := range item.(map[string]any) {
			if method+path == foundAt {
				continue // TestEveryPayloadAnswer
			}
			responses, _ := b.at(item, method, "responses").(map[string]any)
			for status := range responses {
				if at := strings.ToUpper(method) + " " + path + " " + status; !b.seen[at] {
					t.Errorf("%s is in the document and never answered", at)
				}
			}
		}
	}
}

// TestAPILog: one line per request, with the fields for an operator and nothing of the request.
func TestAPILog(t *testing.T) {
	b := newAPIFixture(t, nil)
	id := event.VerificationID("ondato", "acme", "seed-reference")
	b.receipt.VerificationID, b.receipt.URL = id, "https://seed-url.example"
	seeded := strings.NewReplacer("case-1", "seed-external", `"b1"`, `"seed-reference"`)
	requests := sampleRequests("acme")
	for _, o := range requests {
		b.ask(t, o.method, o.template, strings.Replace(o.path, "/b1", "/seed-reference", 1), seeded.Replace(o.body),
			func(r *http.Request) { r.Header.Set("Idempotency-Key", "seed-key") })
	}
	b.ask(t, "POST", startPath, startPath, strings.Replace(startShort, "acme", "seed-account", 1), nil)
	lines := b.lines(t, len(requests)+1)
	outcomes := []string{"started", "watching", "found", "streamed", "submitted", "submitted", "submitted"}
	for i, o := range requests {
		for _, want := range []string{`"level":"info"`, `"msg":"admin request"`, `"operation":"` + o.operation + `"`,
			`"provider":"ondato"`, `"account":"acme"`,
			`"verification_id":"` + id + `"`, `"bytes":`, `"outcome":"` + outcomes[i] + `"`, `"status":20`, `"took":`} {
			if !strings.Contains(lines[i], want) {
				t.Errorf("%s is missing in %s", want, lines[i])
			}
		}
	}
	if last := lines[len(requests)]; !strings.Contains(last, `"level":"warn"`) ||
		!strings.Contains(last, `"account":"unknown"`) {
		t.Errorf("%s", last)
	}
	if strings.Contains(b.log.String(), "seed") || strings.Contains(b.log.String(), apiToken) {
		t.Errorf("the log holds what it must not:\n%s", b.log)
	}
}

// readJSON parses a request like the bridge.
func readJSON(body []byte) (any, []kycbridge.FieldError) {
	doc, faults := document.Decode(body)
	return map[string]any(doc), faults
}

// TestStrangersFillNoLog: of many requests without a valid token some are logged, and how many more there were.
func TestStrangersFillNoLog(t *testing.T) {
	const tries = 300
	counted := 0
	b := newAPIFixture(t, func(o *APIOptions) { o.ObserveStranger = func() { counted++ } })
	const diff = "/v1/config/diff"
	for range tries {
		b.ask(t, "GET", diff, diff, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer wrong") })
	}
	lines := strings.Count(b.log.String(), "unauthenticated")
	if lines < refusalBurst || lines > tries/2 || counted != tries {
		t.Errorf("%d lines of %d requests, %d counted", lines, tries, counted)
	}
	time.Sleep(time.Second / refusalLines)
	b.ask(t, "GET", diff, diff, "", func(r *http.Request) { r.Header.Del("Authorization") })
	if !strings.Contains(b.log.String(), "not_logged") {
		t.Error("no line says that others were not logged")
	}
}
