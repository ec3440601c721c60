package handlers

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"kycbridge"
)

const acme = "/webhooks/ondato/acme"

// answerWith is a Receiver with one answer.
func answerWith(receipt kycbridge.Receipt, err error) receiverFunc {
	return func(context.Context, *kycbridge.Account, kycbridge.Request) (kycbridge.Receipt, error) {
		return receipt, err
	}
}

// TestReceiptAnswers covers the answers of docs/configure.md for received payloads.
func TestReceiptAnswers(t *testing.T) {
	faults := []kycbridge.FieldError{{Path: "/a", Message: "must be \"x\""}, {Path: "", Message: "ü"}}
	quarantined := func(reason string) kycbridge.Receipt {
		return kycbridge.Receipt{Status: "quarantined", PayloadID: "ondato.acme.1", Reason: reason, Errors: faults}
	}
	const list = `,"errors":[{"path":"/a","message":"must be \"x\""},{"path":"","message":"ü"}]}`
	const rejected = `"detail":"The payload was put into quarantine. Correct what errors names and send it again.","payload_id":"ondato.acme.1","reason":`
	for _, c := range []struct {
		name    string
		receipt kycbridge.Receipt
		reject  bool
		status  int
		body    string
	}{
		{"stored", kycbridge.Receipt{Status: "accepted", PayloadID: "ondato.acme.1", VerificationID: "v", Event: "e",
			Placement: "basic"}, false,
			200, `{"status":"accepted","payload_id":"ondato.acme.1","verification_id":"v"}`},
		{"stored before", kycbridge.Receipt{Status: "duplicate", PayloadID: "ondato.acme.1", VerificationID: "v"}, true,
			200, `{"status":"duplicate","payload_id":"ondato.acme.1","verification_id":"v"}`},
		{"stored, no verification", kycbridge.Receipt{Status: "accepted", PayloadID: "p"}, false, 200,
			`{"status":"accepted","payload_id":"p"}`},
		{"schema", quarantined("schema"), false, 200,
			`{"status":"quarantined","payload_id":"ondato.acme.1","reason":"schema"` + list},
		{"malformed", quarantined("malformed"), false, 200,
			`{"status":"quarantined","payload_id":"ondato.acme.1","reason":"malformed"` + list},
		{"quarantined without errors", kycbridge.Receipt{Status: "quarantined", Reason: "unidentified"}, false,
			200, `{"status":"quarantined","reason":"unidentified","errors":[]}`},
		{"schema, rejected", quarantined("schema"), true,
			422, `{"type":"urn:kycbridge:problem:invalid","title":"Payload not as expected","status":422,` + rejected +
				`"schema"` + list},
		{"unidentified, rejected", quarantined("unidentified"), true,
			422, `{"type":"urn:kycbridge:problem:invalid","title":"Payload not as expected","status":422,` + rejected +
				`"unidentified"` + list},
		{"malformed, rejected", quarantined("malformed"), true,
			400, `{"type":"urn:kycbridge:problem:malformed","title":"Payload cannot be read","status":400,` + rejected +
				`"malformed"` + list},
		{"unmapped is never rejected", quarantined("unmapped"), true, 200,
			`{"status":"quarantined","payload_id":"ondato.acme.1","reason":"unmapped"` + list},
	} {
		t.Run(c.name, func(t *testing.T) {
			accounts := account("ondato", "acme", func(a *kycbridge.Account) { a.RejectInvalid = c.reject })
			got := post(t, serve(t, NewCallbacks(CallbackOptions{Accounts: accounts,
				Receiver: answerWith(c.receipt, nil)}))+acme, "{}", nil)
			if diff := cmp.Diff(c.body, got.body); diff != "" || got.status != c.status || !json.Valid([]byte(got.body)) {
				t.Errorf("status %d, want %d; body (-want +got):\n%s", got.status, c.status, diff)
			}
			want := "application/json"
			if c.status != 200 {
				want = "application/problem+json"
			}
			if got.header.Get("Content-Type") != want {
				t.Errorf("content type %q", got.header.Get("Content-Type"))
			}
		})
	}
}

// TestReceiverErrors: only a failed authentication is the caller's fault.
func TestReceiverErrors(t *testing.T) {
	for _, c := range []struct {
		name       string
		receiver   receiverFunc
		status     int
		kind       string
		retryAfter string
	}{
		{"unauthenticated", answerWith(kycbridge.Receipt{}, fmt.Errorf("x: %w", kycbridge.ErrUnauthenticated)), 401,
			"unauthenticated", ""},
		{"unavailable", answerWith(kycbridge.Receipt{}, fmt.Errorf("x: %w", kycbridge.ErrUnavailable)), 503, "unavailable",
			"5"},
		{"deadline", answerWith(kycbridge.Receipt{}, fmt.Errorf("x: %w", context.DeadlineExceeded)), 503, "timeout", "5"},
		{"canceled", answerWith(kycbridge.Receipt{}, context.Canceled), 503, "timeout", "5"},
		{"ours and theirs at once", answerWith(kycbridge.Receipt{},
			errors.Join(kycbridge.ErrUnauthenticated, kycbridge.ErrUnavailable)), 503, "unavailable", "5"},
		{"not found inside", answerWith(kycbridge.Receipt{}, kycbridge.ErrNotFound), 503, "fault", "5"},
		{"unknown", answerWith(kycbridge.Receipt{Status: "accepted"}, io.ErrUnexpectedEOF), 503, "fault", "5"},
		{"no receipt", answerWith(kycbridge.Receipt{}, nil), 503, "fault", "5"},
		{"panic", func(context.Context, *kycbridge.Account, kycbridge.Request) (kycbridge.Receipt, error) { panic("p") },
			503, "fault", "5"},
		{"slower than the deadline", func(
			ctx context.Context, _ *kycbridge.Account, _ kycbridge.Request,
		) (kycbridge.Receipt, error) {
			<-ctx.Done()
			return kycbridge.Receipt{}, ctx.Err()
		}, 503, "timeout", "5"},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil), Receiver: c.receiver,
				CallbackLimits: CallbackLimits{Timeout: 30 * time.Millisecond}})
			got := post(t, serve(t, h)+acme, "{}", nil)
			wantProblem(t, got, c.status, c.kind)
			if got.header.Get("Retry-After") != c.retryAfter {
				t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
			}
			if challenged := len(got.header.Values("WWW-Authenticate")) == 2; challenged != (c.status == 401) {
				t.Errorf("WWW-Authenticate %q", got.header.Values("WWW-Authenticate"))
			}
		})
	}
}

// wantProblem checks that a response is a problem document with the content of the table only.
func wantProblem(t *testing.T, got reply, status int, kind string) {
	t.Helper()
	var doc struct {
		Type, Title, Detail string
		Status              int
	}
	if err := json.Unmarshal([]byte(got.body), &doc); err != nil {
		t.Fatalf("%v: %s", err, got.body)
	}
	if got.status != status || doc.Status != status || doc.Type != "urn:kycbridge:problem:"+kind || doc.Title == "" ||
		doc.Detail == "" ||
		got.header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("status %d, want %d %s: %s", got.status, status, kind, got.body)
	}
}

// TestRefusedBeforeReceive covers requests that never reach the Receiver.
func TestRefusedBeforeReceive(t *testing.T) {
	accounts := account("ondato", "acme", nil)
	accounts[kycbridge.AccountKey{Provider: "ondato", Account: "far"}] = &kycbridge.Account{
		Name: "far", Provider: kycbridge.Provider{Name: "ondato"},
		AllowIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	reached := 0
	receiver := receiverFunc(func(
		ctx context.Context, a *kycbridge.Account, r kycbridge.Request,
	) (kycbridge.Receipt, error) {
		reached++
		return accept(ctx, a, r)
	})
	base := serve(t, NewCallbacks(CallbackOptions{Accounts: accounts, Receiver: receiver, MaxBody: 100}))
	chunked := func(n int) io.Reader {
		return io.MultiReader(strings.NewReader(strings.Repeat(" ",
			n)))
	} // hides the length
	typed := func(contentType string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Content-Type", contentType) }
	}
	for _, c := range []struct {
		name, method, path string
		body               io.Reader
		edit               func(*http.Request)
		status             int
		kind               string
	}{
		{"unknown provider", "POST", "/webhooks/nobody/acme", nil, nil, 404, "not_found"},
		{"unknown account", "POST", "/webhooks/ondato/nobody", nil, nil, 404, "not_found"},
		{"account under another provider", "POST", "/webhooks/signzy/acme", nil, nil, 404, "not_found"},
		{"longer path", "POST", acme + "/more", nil, nil, 404, "not_found"},
		{"no account", "POST", "/webhooks/ondato", nil, nil, 404, "not_found"},
		{"root", "GET", "/", nil, nil, 404, "not_found"},
		{"other path", "OPTIONS", "/x", nil, nil, 404, "not_found"},
		{"address", "POST", "/webhooks/ondato/far", nil, nil, 403, "address_refused"},
		{"address, claimed", "POST", "/webhooks/ondato/far", nil,
			func(r *http.Request) { r.Header.Set("X-Forwarded-For", "10.1.1.1") }, 403, "address_refused"},
		{"get", "GET", acme, nil, nil, 405, "method_not_allowed"},
		{"put", "PUT", acme, strings.NewReader("{}"), nil, 405, "method_not_allowed"},
		{"options", "OPTIONS", acme, nil, nil, 405, "method_not_allowed"},
		{"no method at all", "FOO", acme, nil, nil, 405, "method_not_allowed"},
		{"form", "POST", acme, strings.NewReader("{}"), typed("application/x-www-form-urlencoded"), 415, "media_type"},
		{"text", "POST", acme, strings.NewReader("{}"), typed("text/plain; charset=json"), 415, "media_type"},
		{"suffix alone", "POST", acme, strings.NewReader("{}"), typed("+json"), 415, "media_type"},
		{"101 bytes, length declared", "POST", acme, strings.NewReader(strings.Repeat(" ", 101)), nil, 413, "too_large"},
		{"101 bytes, length unknown", "POST", acme, chunked(101), nil, 413, "too_large"},
		{"many bytes, length unknown", "POST", acme, chunked(100_000), nil, 413, "too_large"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := do(t, c.method, base+c.path, c.body, c.edit)
			wantProblem(t, got, c.status, c.kind)
			if allow := got.header.Get("Allow"); (allow == "POST") != (c.status == 405) {
				t.Errorf("Allow %q", allow)
			}
		})
	}
	if head := do(t, "HEAD", base+acme, nil, nil); head.status != 405 || head.body != "" {
		t.Errorf("HEAD: %+v", head)
	}
	if reached != 0 {
		t.Errorf("the receiver was reached %d times", reached)
	}
	for _, contentType := range []string{"application/json", "Application/JSON; charset=utf-8",
		"application/cloudevents+json", "text/json", ""} {
		if got := do(t, "POST", base+acme, chunked(100), typed(contentType)); got.status != 200 {
			t.Errorf("%q: %d", contentType, got.status)
		}
	}
}

// TestUnknownAnswersAreAlike: a response does not reveal which providers or accounts exist.
func TestUnknownAnswersAreAlike(t *testing.T) {
	base := serve(t, NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil),
		Receiver: receiverFunc(accept)}))
	a, b := post(t, base+"/webhooks/ondato/x", "{}", nil), post(t, base+"/webhooks/x/acme", "{}", nil)
	a.header.Del("Date")
	b.header.Del("Date")
	if diff := cmp.Diff(a.body, b.body); diff != "" || !cmp.Equal(a.header, b.header) {
		t.Errorf("%s\n%v\n%v", diff, a.header, b.header)
	}
}

func TestTooLargeBeforeAuthentication(t *testing.T) {
	accounts := account("ondato", "acme", func(a *kycbridge.Account) { a.Provider.Verify = refuse })
	base := serve(t, NewCallbacks(CallbackOptions{Accounts: accounts, Receiver: receiverFunc(authenticate)}))
	if got := post(t, base+acme, strings.Repeat(" ", DefaultMaxBody+1), nil); got.status != 413 {
		t.Errorf("over the limit: %d", got.status)
	}
	if got := post(t, base+acme, strings.Repeat(" ", DefaultMaxBody), nil); got.status != 401 {
		t.Errorf("at the limit: %d", got.status)
	}
}

// TestRequestIsHandedOverUntouched: every byte of the body, header, query and the time of arrival.
func TestRequestIsHandedOverUntouched(t *testing.T) {
	accounts := account("ondato", "acme", func(a *kycbridge.Account) { a.Provider.AnyMediaType = true })
	var got kycbridge.Request
	receiver := receiverFunc(func(
		ctx context.Context, a *kycbridge.Account, r kycbridge.Request,
	) (kycbridge.Receipt, error) {
		got = r
		if _, ok := ctx.Deadline(); !ok || a.Name != "acme" {
			t.Errorf("no deadline, or account %q", a.Name)
		}
		return accept(ctx, a, r)
	})
	base := serve(t, NewCallbacks(CallbackOptions{Accounts: accounts, Receiver: receiver,
		Now: func() time.Time { return noon }}))
	sizes := []int{0, 1, 511, 512, 513, firstRead - 1, firstRead, firstRead + 1, 64 << 10, 64<<10 + 1, 300_000}
	for _, size := range sizes {
		for _, known := range []bool{true, false} {
			body := strings.Repeat("\x00\xff\r\nx", size/5+1)[:size]
			var reader io.Reader = strings.NewReader(body)
			if !known {
				reader = io.MultiReader(reader)
			}
			a := do(t, "POST", base+acme+"?token=a%20b", reader,
				func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })
			if a.status != 200 || string(got.Body) != body || got.Query.Get("token") != "a b" || !got.ReceivedAt.Equal(noon) ||
				got.Header.Get("Content-Type") != "text/plain" {
				t.Errorf("%d bytes, length known %v: status %d, got %d bytes", size, known, a.status, len(got.Body))
			}
		}
	}
}

func TestConcurrencyLimit(t *testing.T) {
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	receiver := receiverFunc(func(
		ctx context.Context, a *kycbridge.Account, r kycbridge.Request,
	) (kycbridge.Receipt, error) {
		entered <- struct{}{}
		<-leave
		return accept(ctx, a, r)
	})
	base := serve(t, NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil), Receiver: receiver,
		CallbackLimits: CallbackLimits{Concurrency: 1}}))
	first := make(chan int, 1)
	go func() { first <- post(t, base+acme, "{}", nil).status }()
	<-entered
	got := post(t, base+acme, "{}", nil)
	wantProblem(t, got, 503, "busy")
	if got.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", got.header.Get("Retry-After"))
	}
	close(leave)
	if status := <-first; status != 200 {
		t.Errorf("the one under way: %d", status)
	}
	if got := post(t, base+acme, "{}", nil); got.status != 200 {
		t.Errorf("after it: %d", got.status)
	}
}

// TestPanicsFreeTheirSlots: a slot that is not released after a panic would block the service permanently.
func TestPanicsFreeTheirSlots(t *testing.T) {
	receiver := receiverFunc(func(
		context.Context, *kycbridge.Account, kycbridge.Request,
	) (kycbridge.Receipt, error) {
		panic("p")
	})
	base := serve(t, NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil), Receiver: receiver,
		CallbackLimits: CallbackLimits{Concurrency: 1}}))
	for range 3 {
		wantProblem(t, post(t, base+acme, "{}", nil), 503, "fault")
	}
}

func TestRateLimit(t *testing.T) {
	o := CallbackOptions{Accounts: account("ondato", "acme", nil), Receiver: receiverFunc(accept),
		CallbackLimits: CallbackLimits{RatePerSecond: 0.001, Burst: 2}}
	base := serve(t, NewCallbacks(o))
	for range 2 {
		if got := post(t, base+acme, "{}", nil); got.status != 200 {
			t.Errorf("within the burst: %d", got.status)
		}
	}
	wantProblem(t, post(t, base+acme, "{}", nil), 503, "busy")
}

func TestDrain(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	receiver := receiverFunc(func(
		ctx context.Context, a *kycbridge.Account, r kycbridge.Request,
	) (kycbridge.Receipt, error) {
		close(entered)
		<-leave
		return accept(ctx, a, r)
	})
	h := NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil), Receiver: receiver})
	base := serve(t, h)
	first := make(chan int, 1)
	go func() { first <- post(t, base+acme, "{}", nil).status }()
	<-entered
	if err := h.Ready(context.Background()); err != nil {
		t.Errorf("not ready before: %v", err)
	}
	h.Drain()
	if err := h.Ready(context.Background()); err == nil {
		t.Error("ready while draining")
	}
	r, err := http.NewRequest("POST", base+acme, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !resp.Close {
		t.Errorf("status %d, Retry-After %q, close %v", resp.StatusCode, resp.Header.Get("Retry-After"), resp.Close)
	}
	close(leave)
	if status := <-first; status != 200 {
		t.Errorf("the one under way: %d", status)
	}
}

// TestBrokenBodyIsNeverAccepted: a caller that stops sending and still reads must not receive a 2xx.
func TestBrokenBodyIsNeverAccepted(t *testing.T) {
	outcomes := make(chan Outcome, 1)
	h := NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil), Receiver: receiverFunc(accept),
		Observe: func(o Outcome) { outcomes <- o }})
	for _, sent := range []string{
		"Content-Length: 10\r\n\r\n{}",
		"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
		"Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(serve(t, h), "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\n%s", acme, sent)
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		conn.Close()
		if o := <-outcomes; resp.StatusCode != 503 || o.Outcome != "interrupted" || o.Account != "acme" {
			t.Errorf("%q: %d, %+v", sent, resp.StatusCode, o)
		}
	}
}

// TestHangingUpDoesNotStopTheReceiver: a complete callback is stored, because the provider may never send
// it again.
func TestHangingUpDoesNotStopTheReceiver(t *testing.T) {
	entered, stored := make(chan struct{}), make(chan error, 1)
	receiver := receiverFunc(func(
		ctx context.Context, a *kycbridge.Account, r kycbridge.Request,
	) (kycbridge.Receipt, error) {
		close(entered)
		select {
		case <-ctx.Done():
		case <-time.After(100 * time.Millisecond):
		}
		stored <- ctx.Err()
		return accept(ctx, a, r)
	})
	base := serve(t, NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil), Receiver: receiver}))
	ctx, cancel := context.WithCancel(context.Background())
	go func() { <-entered; cancel() }()
	r, err := http.NewRequestWithContext(ctx, "POST", base+acme, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	if resp, err := http.DefaultClient.Do(r); err == nil {
		resp.Body.Close()
	}
	if err := <-stored; err != nil {
		t.Errorf("the receiver was stopped: %v", err)
	}
}

func TestObserve(t *testing.T) {
	var got []Outcome
	later := func(ctx context.Context, a *kycbridge.Account, r kycbridge.Request) (kycbridge.Receipt, error) {
		receipt, err := accept(ctx, a, r)
		receipt.Credential = kycbridge.CredentialLater
		return receipt, err
	}
	h := NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil), Receiver: receiverFunc(later),
		Observe: func(o Outcome) { o.Duration = 0; got = append(got, o) }})
	for _, path := range []string{acme, "/webhooks/ondato/made-up", "/made-up"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", path, strings.NewReader("{}")))
	}
	want := []Outcome{{Provider: "ondato", Account: "acme", Outcome: "accepted", VerificationID: "v-1",
		Credential: "later"},
		{Provider: "unknown", Account: "unknown", Outcome: "not_found"},
		{Provider: "unknown", Account: "unknown", Outcome: "not_found"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestWrongMethodNamesTheAccount: a provider that is set up with another method than POST shows in the log and the
// metrics of its account.
func TestWrongMethodNamesTheAccount(t *testing.T) {
	var got []Outcome
	core, logs := observer.New(zap.WarnLevel)
	h := NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil), Receiver: receiverFunc(accept),
		Logger: zap.New(core), Observe: func(o Outcome) { o.Duration = 0; got = append(got, o) }})
	for _, path := range []string{acme, acme + "/", "/webhooks/ondato/made-up", TokenPath} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("PUT", path, strings.NewReader("{}")))
	}
	named := Outcome{Provider: "ondato", Account: "acme", Outcome: "method_not_allowed"}
	unnamed := Outcome{Provider: "unknown", Account: "unknown", Outcome: "method_not_allowed"}
	if diff := cmp.Diff([]Outcome{named, named, unnamed, unnamed}, got); diff != "" {
		t.Error(diff)
	}
	if lines := logs.FilterField(zap.String("account", "acme")).Len(); lines != 2 {
		t.Errorf("%d lines in the log", lines)
	}
}

func BenchmarkReceive(b *testing.B) {
	h := NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil), Receiver: receiverFunc(accept)})
	for _, size := range []int{1536, 12288} {
		body := `{"a":"` + strings.Repeat("x", size-8) + `"}`
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := httptest.NewRequest("POST", acme, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				if h.ServeHTTP(w, r); w.Code != 200 {
					b.Fatal(w.Code)
				}
			}
		})
	}
}

// TestRefusalsReachTheSender: a sender that writes a large body first and reads then receives the response
// of every refusal, and no reset.
func TestRefusalsReachTheSender(t *testing.T) {
	accounts := account("ondato", "acme", nil)
	accounts[kycbridge.AccountKey{Provider: "ondato", Account: "far"}] = &kycbridge.Account{
		Name: "far", Provider: kycbridge.Provider{Name: "ondato"},
		AllowIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	url := serve(t, NewCallbacks(CallbackOptions{Accounts: accounts, Receiver: receiverFunc(accept)}))
	for want, line := range map[string]string{
		"403":  "POST /webhooks/ondato/far HTTP/1.1\r\n",
		"404":  "POST /webhooks/ondato/nobody HTTP/1.1\r\n",
		"404 ": "POST /elsewhere HTTP/1.1\r\n",
		"405":  "PUT " + acme + " HTTP/1.1\r\n",
		"413":  "POST " + acme + " HTTP/1.1\r\n",
		"415":  "POST " + acme + " HTTP/1.1\r\nContent-Type: text/plain\r\n",
		"415 ": "POST " + acme + " HTTP/1.1\r\nContent-Encoding: br\r\n",
	} {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		_, err = fmt.Fprintf(c, "%sHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", line, 4<<20,
			strings.Repeat("a", 4<<20))
		if err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if answer, err := io.ReadAll(c); err != nil ||
			!strings.HasPrefix(string(answer), "HTTP/1.1 "+strings.TrimSpace(want)+" ") {
			t.Errorf("%s: %v %.100q", want, err, answer)
		}
		_ = c.Close()
	}
}

// TestUnauthenticatedRequestsAreSampledInTheLog: requests without a credential are not an internal error,
// and are logged in few lines however often they occur.
func TestUnauthenticatedRequestsAreSampledInTheLog(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	h := NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil), Logger: zap.New(core),
		CallbackLimits: CallbackLimits{RatePerSecond: 1000, Burst: 150},
		Receiver:       receiverFunc(accept)})
	url := serve(t, h)
	for range 100 {
		c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "POST "+acme+" HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = io.ReadAll(c)
		_ = c.Close()
	}
	h.limits.Load().limiter.SetLimit(0)
	for range 200 {
		post(t, url+acme, "{}", nil)
	}
	h.Drain()
	for range 100 {
		post(t, url+acme, "{}", nil)
	}
	if n := logs.FilterLevelExact(zap.ErrorLevel).Len(); n > 0 {
		t.Errorf("%d lines of errors", n)
	}
	lines := logs.FilterLevelExact(zap.WarnLevel).FilterFieldKey("outcome")
	if lines.Len() == 0 || lines.Len() > 60 {
		t.Errorf("%d lines", lines.Len())
	}
}
