package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/handlers"
	"kycbridge/schemas"
)

const adminToken = "hunter2-admin-token"

// fakeBackend is the backend of the admin API: it records requests and answers err if that is set.
type fakeBackend struct {
	mu sync.Mutex
	noted
}

type noted struct {
	err     error
	start   kycbridge.StartRequest
	watch   kycbridge.WatchRequest
	key     string
	receipt kycbridge.StartReceipt

	step      kycbridge.Step
	review    kycbridge.Review
	completed string // reference
}

func (b *fakeBackend) Submit(
	ctx context.Context, _ *kycbridge.Account, _ string, send func(context.Context) error,
) error {
	if err := send(ctx); err != nil {
		return err
	}
	return b.asked().err
}

func (b *fakeBackend) Start(
	_ context.Context, _ *kycbridge.Account, r kycbridge.StartRequest, key, _ string,
) (kycbridge.StartReceipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.start, b.key = r, key
	return b.receipt, b.err
}

func (b *fakeBackend) Watch(_ context.Context, a *kycbridge.Account, w kycbridge.WatchRequest) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.watch = w
	return event.VerificationID(a.Provider.Name, a.Name, w.Reference), b.err
}

// asked is the recorded request.
func (b *fakeBackend) asked() noted {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.noted
}

// change changes the answers.
func (b *fakeBackend) change(to func(*noted)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	to(&b.noted)
}

// adminAPI runs the real admin API with the backend b.
func adminAPI(t *testing.T, tokens ...string) (*fakeBackend, string) {
	t.Helper()
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	b := &fakeBackend{noted: noted{receipt: kycbridge.StartReceipt{VerificationID: "1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0",
		Reference: "b1", URL: "https://idv.example.com/?a=1&b=2", ExpiresAt: "2026-03-02T10:00:00Z"}}}
	account := &kycbridge.Account{Name: "acme", Provider: kycbridge.Provider{Name: "ondato"}}
	account.API.Start = func(context.Context, kycbridge.StartRequest) (kycbridge.Started, error) {
		return kycbridge.Started{}, nil
	}
	account.API.Files = true
	account.API.Fetch = func(context.Context, kycbridge.Query) ([]kycbridge.Fetched, error) { return nil, nil }
	account.API.Step = func(_ context.Context, s kycbridge.Step) (kycbridge.StepAnswer, error) {
		b.change(func(n *noted) { n.step = s })
		return kycbridge.StepAnswer{Body: json.RawMessage(`{"ok":true}`)}, nil
	}
	account.API.Complete = func(_ context.Context, reference string) (kycbridge.StepAnswer, error) {
		b.change(func(n *noted) { n.completed = reference })
		return kycbridge.StepAnswer{}, nil
	}
	account.API.Review = func(_ context.Context, r kycbridge.Review) (kycbridge.StepAnswer, error) {
		b.change(func(n *noted) { n.review = r })
		return kycbridge.StepAnswer{}, nil
	}
	e := handlers.NewAdmin(handlers.AdminOptions{})
	handlers.AddAPI(e, handlers.APIOptions{
		Accounts: kycbridge.Accounts{{Provider: "ondato", Account: "acme"}: account}, Holders: holdersOf(tokens), Starter: b,
		Submitter: b, Watcher: b, OpenAPI: set.OpenAPI(),
		Decode: func(body []byte) (any, []kycbridge.FieldError) {
			doc, faults := document.Decode(body)
			return map[string]any(doc), faults
		},
		Validate: func(component string, doc any) []kycbridge.FieldError {
			var errs []kycbridge.FieldError
			for _, f := range set.ValidateAPI(component, doc) {
				errs = append(errs, kycbridge.FieldError(f))
			}
			return errs
		},
	})
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	return b, server.URL
}

// typed runs a command line as a process, with the admin token in its environment.
func typed(t *testing.T, stdin string, environ []string, args ...string) said {
	t.Helper()
	cmd := command(t, args...)
	cmd.Env = append(append(cmd.Env, tokenVariable+"="+adminToken), environ...)
	cmd.Stdin = strings.NewReader(stdin)
	got := finish(t, cmd)
	if strings.Contains(got.stdout+got.stderr, "hunter2") {
		t.Errorf("it shows a token: %+v", got)
	}
	return got
}

func textFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// acmeStart and acmeWatch are the shortest command lines.
func acmeStart(api string, more ...string) []string {
	return append([]string{"start", "--api", api, "--provider", "ondato", "--account", "acme", "--external-reference",
		"case-1"}, more...)
}

func acmeWatch(api string, more ...string) []string {
	return append([]string{"watch", "--api", api, "--provider", "ondato", "--account", "acme", "--reference", "b1"},
		more...)
}

func TestStart(t *testing.T) {
	b, api := adminAPI(t, adminToken)
	const receipt = "verification  1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0\nreference     b1\nurl           " +
		"https://idv.example.com/?a=1&b=2\nexpires       2026-03-02T10:00:00Z\n"
	person := textFile(t, `{"given_name":"Testa","birthdate":"1990-01-02"}`)
	options := textFile(t, `{"flow_id":"from-file","language":"en"}`)
	token := textFile(t, adminToken+"\nanother-token\n")
	whole := `{"provider":"ondato","account":"acme","external_reference":"case-2"}`
	testa := kycbridge.Person{GivenName: "Testa", Birthdate: "1990-01-02"}
	for _, c := range []struct {
		name    string
		args    []string
		stdin   string
		environ []string
		stdout  string
		want    kycbridge.StartRequest
	}{
		{"short", acmeStart(api), "", nil, receipt, kycbridge.StartRequest{ExternalReference: "case-1"}},
		{"address from the environment", acmeStart(api)[:1:1], "", nil, "", kycbridge.StartRequest{}},
		{"token from a file", acmeStart(api, "--token-file", token), "", []string{tokenVariable + "=wrong"}, receipt,
			kycbridge.StartRequest{ExternalReference: "case-1"}},
		{"person and options", acmeStart(api, "--person-file", person, "--options-file", options, "--option", "flow_id=f=1",
			"--option", "validity_seconds=600", "--option", `own="7"`), "", nil, receipt,
			kycbridge.StartRequest{ExternalReference: "case-1", Person: testa, FlowID: "f=1", Language: "en",
				Validity: 10 * time.Minute,
				Options:  json.RawMessage(`{"flow_id":"f=1","language":"en","own":"7","validity_seconds":600}`)}},
		{"person from stdin", acmeStart(api, "--person-file", "-"), `{"given_name":"Testa","birthdate":"1990-01-02"}`, nil,
			receipt, kycbridge.StartRequest{ExternalReference: "case-1", Person: testa}},
		{"whole request from stdin", []string{"start", "--api", api, "--request", "-"}, whole, nil, receipt,
			kycbridge.StartRequest{ExternalReference: "case-2"}},
		{"as JSON", acmeStart(api, "--json"), "", nil,
			`{"verification_id":"1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0","reference":"b1","url":"https://idv.example.com/?a=1&b=2","expires_at":"2026-03-02T10:00:00Z"}` + "\n", kycbridge.StartRequest{ExternalReference: "case-1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.stdout == "" { // the request from a file, the address from a variable with a slash
				c.args, c.environ, c.stdout, c.want.ExternalReference = []string{"start", "--request",
					textFile(t, whole)}, []string{apiVariable + "=" + api + "/"}, receipt, "case-2"
			}
			got := typed(t, c.stdin, c.environ, c.args...)
			if got.code != 0 || got.stdout != c.stdout || got.stderr != "" {
				t.Errorf("%+v", got)
			}
			if diff := cmp.Diff(c.want, b.asked().start); diff != "" {
				t.Error(diff)
			}
			if !regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(b.asked().key) {
				t.Errorf("made-up key %q", b.asked().key)
			}
		})
	}
	b.change(func(n *noted) { n.receipt.Repeated, n.receipt.URL, n.receipt.ExpiresAt = true, "", "" })
	got := typed(t, "", nil, acmeStart(api, "--idempotency-key", "my key")...)
	if got.code != 0 || strings.Count(got.stdout, "\n") != 2 ||
		!strings.Contains(got.stderr, "nothing new was started") || b.asked().key != "my key" {
		t.Errorf("%+v, key %q", got, b.asked().key)
	}
}

func TestWatch(t *testing.T) {
	b, api := adminAPI(t, adminToken)
	id := event.VerificationID("ondato", "acme", "b1")
	got := typed(t, "", nil, acmeWatch(api, "--external-reference", "case-1", "--deadline", "72h")...)
	if want := "verification  " + id + "\nstatus        watching\n"; got.code != 0 || got.stdout != want ||
		got.stderr != "" {
		t.Errorf("%+v", got)
	}
	if ahead := time.Until(b.asked().watch.Deadline); b.asked().watch.Reference != "b1" ||
		b.asked().watch.ExternalReference != "case-1" || ahead < 71*time.Hour || ahead > 72*time.Hour {
		t.Errorf("%+v", b.asked().watch)
	}
	got = typed(t, "", nil, acmeWatch(api, "--deadline", "2999-01-01T00:00:00+01:00", "--json")...)
	if want := `{"status":"watching","verification_id":"` + id + `"}` + "\n"; got.code != 0 || got.stdout != want ||
		b.asked().watch.Deadline.Year() != 2998 {
		t.Errorf("%+v, deadline %v", got, b.asked().watch.Deadline)
	}
}

// TestStartRefused: every problem is one line with a remedy, and states whether the start may be repeated.
func TestStartRefused(t *testing.T) {
	b, api := adminAPI(t, adminToken)
	const again = "the same command with --idempotency-key k-1 does not start a second one\n"
	failed := func(kind kycbridge.ProviderErrorKind, sent bool) error {
		return &kycbridge.ProviderError{Kind: kind, Call: "x", Status: 418, Code: "E7", Message: "words\x1b[31m of theirs",
			Sent: sent, RetryAfter: 7 * time.Second}
	}
	const theirs = ` (the provider answered 418, code E7, "words\x1b[31m of theirs"): `
	for name, c := range map[string]struct {
		err    error
		args   []string
		stderr string // its parts
	}{
		"faulty request": {nil, []string{"--option", "language=1"},
			"kycbridge: request does not match its schema: /options/language must be a string\n"},
		"unknown account": {nil, []string{"--account", "nobody"},
			"kycbridge: no such account: The configuration has no account of this provider and name\n"},
		"unusable key": {nil, []string{"--idempotency-key", "ké"}, "kycbridge: unusable Idempotency-Key: Send one"},
		"store away": {kycbridge.ErrUnavailable, nil,
			"kycbridge: temporarily unavailable: The store did not answer. Send the request again later; retry after 5 s\n"},
		"key reused": {kycbridge.ErrKeyReused, nil,
			"kycbridge: reused Idempotency-Key: This key belongs to a start with another body."},
		"key pending":     {kycbridge.ErrKeyPending, nil, again},
		"unsupported":     {kycbridge.ErrUnsupported, nil, "kycbridge: not supported for this account: "},
		"outcome unknown": {context.DeadlineExceeded, nil, again},
		"credentials": {failed(kycbridge.ProviderCredentials, true), nil, theirs +
			"The provider refuses the credentials of this account: correct api.* in the configuration; retry after 7 s\n"},
		"invalid": {failed(kycbridge.ProviderInvalid, true), nil, "kycbridge: the provider refuses the request" +
			theirs},
		"paused": {failed(kycbridge.ProviderPaused, false), nil, "retry after 7 s\n"},
		"not sent": {failed(kycbridge.ProviderUnreachable, false), nil,
			"send the request again later; retry after 7 s\n"},
		"sent without word": {failed(kycbridge.ProviderUnreachable, true), nil, again},
		"not watched": {&kycbridge.UnwatchedError{Receipt: b.asked().receipt, Err: kycbridge.ErrUnavailable}, nil,
			"; verification 1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0, reference b1, url https://idv.example.com/?a=1&b=2\n"},
	} {
		t.Run(name, func(t *testing.T) {
			b.change(func(n *noted) { n.err = c.err })
			got := typed(t, "", nil, append(acmeStart(api, "--idempotency-key", "k-1"), c.args...)...)
			if got.code != 1 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 ||
				!strings.HasPrefix(got.stderr, "kycbridge: ") || !strings.Contains(got.stderr, c.stderr) {
				t.Errorf("%+v", got)
			}
			if strings.HasSuffix(c.stderr, again) != strings.HasSuffix(got.stderr, again) ||
				strings.Contains(got.stderr, "\x1b") {
				t.Errorf("%q", got.stderr)
			}
			if got := typed(t, "", nil, acmeWatch(api)...); c.err != nil &&
				(got.code != 1 || strings.Count(got.stderr, "\n") != 1) {
				t.Errorf("watch: %+v", got)
			}
		})
	}
}

// TestAdminAPIAway: the error states the address and the identity of the command.
func TestAdminAPIAway(t *testing.T) {
	_, api := adminAPI(t, adminToken)
	_, closed := adminAPI(t)
	wrong := textFile(t, "wrong-token")
	const closedAddress = "http://127.0.0.1:1"
	other := func(status int, contentType, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Location", api)
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	page, proxy := other(404, "text/html", "<p>"), other(504, "text/html", "<p>")
	moved, odd := other(307, "text/html", ""), other(201, "application/json", "{}")
	broken := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(broken.Close)
	const unknown = "it is unknown whether a verification was started: the same command with --idempotency-key k-1 " +
		"does not start a second one\n"
	for _, c := range []struct {
		name, api, stderr string
		unknown           bool
		args              []string
	}{
		{"wrong token", api, "the admin API at " + api + " rejects the token of file " + wrong +
			": it must be one of admin.tokens", false, []string{"--token-file", wrong}},
		{"no tokens there", closed, "there is no admin API at " + closed + ": kycbridge serve needs admin.tokens", false,
			nil},
		{"nobody", closedAddress, "cannot reach the admin API at " + closedAddress +
			": connection refused; kycbridge serve must run there with admin.tokens, or name its address with --api\n", false,
			nil},
		{"no such host", "http://none.invalid", "cannot reach the admin API at http://none.invalid: ", false, nil},
		{"TLS to none", strings.Replace(api, "http:", "https:", 1), "cannot reach the admin API at https:", false, nil},
		{"another server", page, page + " answered 404 Not Found, which is not an answer of a kycbridge admin API", false,
			nil},
		{"a redirect", moved, moved + " answered 307 Temporary Redirect, which is no", false, nil},
		{"a proxy", proxy, proxy + " answered 504 Gateway Timeout, which is no", true, nil},
		{"an odd answer", odd, odd + " answered without a receipt", true, nil},
		{"broken off", broken.URL, "no answer from the admin API at " + broken.URL + ": the connection was closed", true,
			nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := typed(t, "", nil, append(acmeStart(c.api, "--idempotency-key", "k-1"), c.args...)...)
			if got.code != 1 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 ||
				!strings.Contains(got.stderr, c.stderr) || strings.HasSuffix(got.stderr, unknown) != c.unknown {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestInterruptedStart: Ctrl-C during a start is no success, since its result is unknown.
func TestInterruptedStart(t *testing.T) {
	var got said
	arrived := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does a server notice the disconnect
		close(arrived)
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	cmd := command(t, acmeStart(s.URL, "--idempotency-key", "k-1")...)
	cmd.Env = append(cmd.Env, tokenVariable+"="+adminToken)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-arrived
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	got.code, got.stderr = cmd.ProcessState.ExitCode(), stderr.String()
	if got.code != 1 || !strings.Contains(got.stderr, ": interrupted; it is unknown whether") ||
		!strings.Contains(got.stderr, "--idempotency-key k-1 ") {
		t.Errorf("%+v", got)
	}
}

// TestStartFlags: invalid flags are refused before anything is sent.
func TestStartFlags(t *testing.T) {
	list, bad, empty := textFile(t, `[1]`), textFile(t, `{"a":`), textFile(t, "\n")
	const api = "http://127.0.0.1:1"
	for _, c := range []struct {
		name    string
		args    []string
		environ []string
		stderr  string
	}{
		{"nothing", []string{"start"}, nil,
			"--provider, --account, --external-reference needed (see: kycbridge start --help)"},
		{"words", []string{"start", "now"}, nil, "start takes flags only, not \"now\""},
		{"no token", acmeStart(api), []string{tokenVariable + "="},
			"no admin token: write --token-file FILE or set KYCBRIDGE_TOKEN"},
		{"empty token file", acmeStart(api, "--token-file", empty), nil, "--token-file: " + empty + " is empty"},
		{"no token file", acmeStart(api, "--token-file", "none.txt"), nil, "--token-file: none.txt: no such file or directory"},
		{"a token that cannot be", acmeStart(api), []string{tokenVariable + "=hunter2 x"},
			"the admin token of KYCBRIDGE_TOKEN contains a character"},
		{"a password in the address", acmeStart("http://u:hunter2@127.0.0.1:1"), nil,
			"--api: not the address of an admin API"},
		{"no address", acmeStart("127.0.0.1:1"), nil, "--api: not the address of an admin API"},
		{"no address in the environment", []string{"watch", "--provider", "a", "--account", "b", "--reference", "c"},
			[]string{apiVariable + "=x"}, "KYCBRIDGE_API: not the address"},
		{"two requests", acmeStart(api, "--request", list), nil, "--request contains the whole request"},
		{"a request that is none", []string{"start", "--request", list}, nil, "--request: " + list + " does not contain a JSON object"},
		{"a person that is none", acmeStart(api, "--person-file", bad), nil, "--person-file: " + bad +
			" does not contain a JSON object"},
		{"options that are none", acmeStart(api, "--options-file", "none.json"), nil,
			"--options-file: none.json: no such file or directory"},
		{"stdin twice", acmeStart(api, "--options-file", "-", "--person-file", "-"), nil, "cannot both be standard input"},
		{"an option without value", acmeStart(api, "--option", "flow"), nil, "--option: write key=value"},
		{"watch nothing", []string{"watch"}, nil, "--provider, --account, --reference needed (see: kycbridge watch --help)"},
		{"a deadline that is none", acmeWatch(api, "--deadline", "soon"), nil,
			"--deadline soon: write an RFC 3339 time such as"},
		{"a deadline behind", acmeWatch(api, "--deadline", "-1h"), nil, "--deadline -1h is in the past"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := typed(t, "", c.environ, c.args...)
			if got.code != 1 || got.stdout != "" || strings.Count(got.stderr, "\n") != 1 ||
				!strings.HasPrefix(got.stderr, "kycbridge: ") || !strings.Contains(got.stderr, c.stderr) {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestStartPipes: a closed reader ends start and watch quietly.
func TestStartPipes(t *testing.T) {
	_, api := adminAPI(t, adminToken)
	for _, args := range [][]string{acmeStart(api), acmeStart(api, "--json"), acmeWatch(api)} {
		t.Run(fmt.Sprint(args[0], len(args)), func(t *testing.T) {
			reader, writer, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			reader.Close()
			cmd := command(t, args...)
			cmd.Env = append(cmd.Env, tokenVariable+"="+adminToken)
			quietEnd(t, cmd, writer)
		})
	}
}

// holdersOf are holders of tokens with all rights.
func holdersOf(tokens []string) func() handlers.Holders {
	var all []kycbridge.AdminToken
	for _, token := range tokens {
		all = append(all, kycbridge.NamelessToken(len(all)+1, token))
	}
	return func() handlers.Holders { return handlers.Holders{Tokens: all} }
}
