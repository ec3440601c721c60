package test

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/freeport"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// designAccounts is the configuration of docs/configure.md, with the other providers as its comments show them, one
// account that rejects invalid payloads and one that allows only some IP addresses.
const designAccounts = `public_url: https://kyc.example.com
store: {url: embedded}
bus: {url: embedded}
log: {level: debug}
accounts:
  - name: acme
    provider: ondato
    environment: test
    auth:
      basic: [{username: callback-user, password: basic-secret-51c0}]
      bearer: [load-token-7d1f0c, bearer-secret-0b5d]
      headers: [{name: X-Key, value: header-secret-9f24}]
      hmac: {secrets: [hmac-secret-old-11, hmac-secret-77aa], header: Ondato-Signature, tolerance: 25h}
      url_tokens: [url-secret-33e1]
    allow_ips: []
    api: {token_url: https://id.example.com/connect/token, idv_url: https://idv.example.com, kyc_url: https://kycid.example.com, client_id: c, client_secret: client-secret-6c2f, setup_id: i}
    pii: full
    confirm: false
    poll: {interval: 30s, intervals: {waiting: 60s, kyc_request_accepted: 10s}, jitter: 0.2, deadline: 72h}
    limits: {requests_per_second: 5, concurrency: 4}
    trust_framework: ""
    policy: {}
  - name: strict
    provider: ondato
    environment: live
    auth: {bearer: [bearer-secret-0b5d]}
    reject_invalid: true
  - name: fenced
    provider: ondato
    environment: test
    auth: {bearer: [bearer-secret-0b5d]}
    allow_ips: [192.0.2.0/24]
  - name: calls
    provider: kwikid
    environment: test
    auth: {bearer: [bearer-secret-0b5d]}
    api: {base_url: https://acme.test.getkwikid.com, username: u, password: kwikid-secret-8d10}
    checker: false
    confirm: false
  - name: acme
    provider: signzy
    environment: test
    auth: {keys: [key-secret-2b90]}
    api: {base_url: https://api-preproduction.signzy.app, token: signzy-secret-44d0, flow_id: f}
    confirm: false
  - name: acme
    provider: idwise
    environment: test
    auth: {bearer: [bearer-secret-0b5d]}
    api: {base_url: https://api.idwise.com, key: k, secret: idwise-secret-5e6e, flow_id: f}
    confirm: false
`

// secretValues are the secrets of designAccounts and personal values of generated verifications: no log line, metric
// or error message may contain them.
var secretValues = []string{
	"basic-secret-51c0", "bearer-secret-0b5d", "header-secret-9f24", "hmac-secret-old-11", "hmac-secret-77aa",
	"url-secret-33e1",
	"client-secret-6c2f", "kwikid-secret-8d10", "key-secret-2b90", "signzy-secret-44d0", "idwise-secret-5e6e", loadToken,
	"ops-token-2e77a1",
	"wrong-secret-0d0d", "Testa", "Sample", "X0000002", "1988-07-30", "Example Street",
}

// TestServe is the acceptance test of one process: what callers, consumers and operators see.
func TestServe(t *testing.T) {
	t.Parallel()
	b := newBridge(t, designAccounts)
	b.start(t)
	for _, part := range []struct {
		name string
		test func(*testing.T, *bridge)
	}{
		{"credentials", serveCredentials}, {"answers", serveAnswers}, {"quarantine", serveQuarantine},
		{"refused", serveRefused},
		{"consumer", serveConsumer}, {"anonymous", serveAnonymous}, {"operators", serveOperators}, {"events", serveEvents},
		{"second process", serveSecond}, {"drain", serveDrain}, {"restarted", serveRestarted},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, b) })
	}
	for _, secret := range secretValues {
		if strings.Contains(b.stderr.String()+b.stdout.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// call is a request from an external client.
type call struct {
	method string // "": POST
	path   string
	header []string // name, value, ...
	body   []byte
}

// curl sends a call with the curl of the system, or with net/http if it is not installed.
func (b *bridge) curl(t *testing.T, c call) traffic.Reply {
	t.Helper()
	if c.method == "" {
		c.method = http.MethodPost
	}
	url := "http://" + freeport.Local(b.callbacks) + c.path
	program, err := exec.LookPath("curl")
	if err != nil {
		return b.plainCall(t, c, url)
	}
	args := []string{"-sS", "-i", "--http1.1", "-X", c.method, "--noproxy", "*"}
	for i := 0; i < len(c.header); i += 2 {
		args = append(args, "-H", c.header[i]+": "+c.header[i+1])
	}
	if c.body != nil {
		args = append(args, "--data-binary", "@-")
	}
	cmd := exec.Command(program, append(args, url)...)
	cmd.Stdin = bytes.NewReader(c.body)
	out, err := cmd.Output()
	if err != nil && len(out) == 0 {
		t.Fatalf("curl: %v", err)
	}
	r := bufio.NewReader(bytes.NewReader(out))
	res, err := http.ReadResponse(r, &http.Request{Method: c.method}) //nolint:bodyclose // replyOf closes it
	if err != nil {
		t.Fatalf("curl: %v in %q", err, out)
	}
	return replyOf(t, res)
}

func (b *bridge) plainCall(t *testing.T, c call, url string) traffic.Reply {
	t.Helper()
	req, err := http.NewRequest(c.method, url, bytes.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(c.header); i += 2 {
		req.Header.Add(c.header[i], c.header[i+1])
	}
	res, err := b.client.Do(req) //nolint:bodyclose // replyOf closes it
	if err != nil {
		t.Fatal(err)
	}
	return replyOf(t, res)
}

func replyOf(t *testing.T, res *http.Response) traffic.Reply {
	t.Helper()
	r, err := traffic.ReplyOf(res)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// serveCredentials sends one payload with each kind of credential: the first is accepted, the others are duplicates.
func serveCredentials(t *testing.T, b *bridge) {
	one := &traffic.Life{Run: 0xac, N: 1}
	w := one.Next(traffic.SayApproved)
	at := fmt.Sprint(time.Now().Unix())
	mac := hmac.New(sha256.New, []byte("hmac-secret-77aa"))
	mac.Write([]byte(at + "." + string(w.Body)))
	status := kycbridge.ReceiptAccepted
	for _, c := range []struct{ name, query, header, value string }{
		{"basic", "", "Authorization", "Basic Y2FsbGJhY2stdXNlcjpiYXNpYy1zZWNyZXQtNTFjMA=="},
		{"bearer", "", "Authorization", "Bearer bearer-secret-0b5d"},
		{"header", "", "X-Key", "header-secret-9f24"},
		{"hmac", "", "Ondato-Signature", "t=" + at + ", s=" + hex.EncodeToString(mac.Sum(nil))},
		{"url token", "?token=url-secret-33e1", "X-Request-Id", "1"},
	} {
		got := b.curl(t, call{path: "/webhooks/ondato/acme" + c.query,
			header: []string{"Content-Type", "application/json", c.header, c.value}, body: w.Body})
		want := fmt.Sprintf(`{"status":%q,"payload_id":%q,"verification_id":%q}`+"\n", status, w.PayloadID,
			one.VerificationID())
		if got.Code != http.StatusOK || got.Text != want || got.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %d %s, expected %s", c.name, got.Code, got.Text, want)
		}
		status = kycbridge.ReceiptDuplicate
	}
}

// admitted are the headers of an accepted callback.
func admitted(more ...string) []string {
	return append([]string{"Content-Type", "application/json", "Authorization", "Bearer bearer-secret-0b5d"}, more...)
}

// serveAnswers checks the answers of docs/configure.md: every answer other than 200 is a problem document.
func serveAnswers(t *testing.T, b *bridge) {
	good := (&traffic.Life{Run: 0xac, N: 2}).Next(traffic.SayCreated).Body
	for _, c := range []struct {
		name   string
		call   call
		code   int
		body   string
		header []string
	}{
		{"unknown account", call{path: "/webhooks/ondato/nobody", header: admitted(), body: good}, 404,
			`{"type":"urn:kycbridge:problem:not_found","title":"Not found","status":404,"detail":"Nothing answers at this address. Check the URL that was configured."}`, nil},
		{"unknown provider", call{path: "/webhooks/nobody/acme", header: admitted(), body: good}, 404, "", nil},
		{"another path", call{path: "/", header: admitted(), body: good}, 404, "", nil},
		{"wrong secret", call{path: "/webhooks/ondato/acme",
			header: []string{"Authorization", "Bearer wrong-secret-0d0d", "Content-Type", "application/json"}, body: good}, 401,
			`{"type":"urn:kycbridge:problem:unauthenticated","title":"Not authenticated","status":401,"detail":"Send a credential that was agreed with the operator for this account."}`,
			[]string{"Www-Authenticate", `Basic realm="kycbridge", charset="UTF-8"`}},
		{"address", call{path: "/webhooks/ondato/fenced", header: admitted(), body: good}, 403, "", nil},
		{"method", call{method: "GET", path: "/webhooks/ondato/acme", header: admitted()}, 405, "",
			[]string{"Allow", "POST"}},
		{"too large", call{path: "/webhooks/ondato/acme", header: admitted(), body: bytes.Repeat([]byte(" "), 1<<20+1)}, 413,
			"", nil},
		{"media type", call{path: "/webhooks/ondato/acme",
			header: []string{"Content-Type", "text/plain", "Authorization", "Bearer bearer-secret-0b5d"}, body: good}, 415, "",
			nil},
		{"rejected as malformed", call{path: "/webhooks/ondato/strict", header: admitted(), body: []byte(`{"id":`)}, 400, "",
			nil},
		{"rejected by schema", call{path: "/webhooks/ondato/strict", header: admitted(), body: brokenSchema}, 422, "", nil},
		{"rejected as unidentified", call{path: "/webhooks/ondato/strict", header: admitted(), body: namesNobody}, 422, "",
			nil},
	} {
		got := b.curl(t, c.call)
		if got.Code != c.code || c.body != "" && got.Text != c.body+"\n" ||
			got.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s %s, expected %d %s", c.name, got.Code, got.Header.Get("Content-Type"), got.Text, c.code, c.body)
		}
		if c.header != nil && got.Header.Get(c.header[0]) != c.header[1] {
			t.Errorf("%s: %s is %q, expected %q", c.name, c.header[0], got.Header.Get(c.header[0]), c.header[1])
		}
	}
}

var (
	brokenSchema = []byte(`{"id":"e0000000-0000-4000-8000-00000000bad1","createdUtc":"2026-03-02T09:00:00Z","type":"KycIdentification.Approved","payload":{"id":"c1","identityVerificationId":"b1","document":{"firstName":"Testa"}}}`)
	namesNobody  = []byte(`{"id":"e0000000-0000-4000-8000-00000000bad2","createdUtc":"2026-03-02T09:00:00Z","type":"KycIdentification.Approved","payload":{"id":"c1","status":"Approved"}}`)
)

// serveQuarantine sends payloads that cannot be processed, and finds them, with their errors, in the stream.
func serveQuarantine(t *testing.T, b *bridge) {
	js := b.operator(t)
	for _, c := range []struct {
		reason, path string
		body         []byte
	}{
		{kycbridge.QuarantineMalformed, "", []byte(`{"id": oops`)},
		{kycbridge.QuarantineSchema, "/payload", brokenSchema},
		{kycbridge.QuarantineUnidentified, "/payload/identityVerificationId", namesNobody},
	} {
		r := b.curl(t, call{path: "/webhooks/ondato/acme", header: admitted(), body: c.body})
		var answer struct {
			Status, Reason string
			Errors         []kycbridge.FieldError
		}
		if err := json.Unmarshal([]byte(r.Text), &answer); err != nil {
			t.Fatal(err)
		}
		if r.Code != http.StatusOK || answer.Status != kycbridge.ReceiptQuarantined || answer.Reason != c.reason ||
			len(answer.Errors) == 0 ||
			answer.Errors[0].Message == "" || !strings.HasPrefix(answer.Errors[0].Path, c.path) {
			t.Errorf("%s: %d %s", c.reason, r.Code, r.Text)
		}
		t.Logf("%s: %s", c.reason, r.Text)
		kept := lastOf(t, js, "KYC_QUARANTINE", "kyc.quarantine.ondato.acme."+c.reason)
		if !bytes.Equal(kept.Data, c.body) || kept.Header.Get("Kyc-Errors") == "" || kept.Header.Get("Authorization") != "" {
			t.Errorf("%s: kept as %q with headers %v", c.reason, kept.Data, kept.Header)
		}
	}
	ignored := []byte(`{"id":"e0000000-0000-4000-8000-00000000f001","createdUtc":"2026-03-02T09:00:00Z","type":"Form.Created","payload":{"id":"f1"}}`)
	if r := b.curl(t, call{path: "/webhooks/ondato/acme", header: admitted(), body: ignored}); r.Code != http.StatusOK ||
		r.Status != kycbridge.ReceiptAccepted {
		t.Errorf("a type that is not mapped: %d %s", r.Code, r.Text)
	}
}

// operator connects as the user who may read everything.
func (b *bridge) operator(t *testing.T) jetstream.JetStream {
	t.Helper()
	password, err := os.ReadFile(filepath.Join(b.dir, "operator-password"))
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(b.eventsURL(), nats.UserInfo("kycbridge", strings.TrimSpace(string(password))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// lastOf waits for a message on a subject of a stream.
func lastOf(t *testing.T, js jetstream.JetStream, stream, subject string) *jetstream.RawStreamMsg {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	var last *jetstream.RawStreamMsg
	wait.For(t, 10*time.Second, "a message on "+subject, func() bool {
		last, err = s.GetLastMsgForSubject(t.Context(), subject)
		return err == nil
	})
	return last
}

// serveRefused finds the refused body, with everything that is needed to authenticate it again.
func serveRefused(t *testing.T, b *bridge) {
	kept := lastOf(t, b.operator(t), "KYC_REFUSED", "kyc.refused.ondato.acme")
	if want := (&traffic.Life{Run: 0xac, N: 2}).Next(traffic.SayCreated).Body; !bytes.Equal(kept.Data, want) ||
		kept.Header.Get("Http-Authorization") != "Bearer wrong-secret-0d0d" {
		t.Errorf("kept %q with headers %v", kept.Data, kept.Header)
	}
}

// serveConsumer reads a verdict as a service of the operator does: a plain client, no credentials, and the subject of
// the contract.
func serveConsumer(t *testing.T, b *bridge) {
	one := &traffic.Life{Run: 0xac, N: 3}
	nc, err := nats.Connect(b.eventsURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("kyc.event.v1.ondato.acme.completed." + one.VerificationID())
	if err != nil || nc.Flush() != nil {
		t.Fatalf("subscribe: %v", err)
	}
	for _, say := range traffic.WholeLife {
		if r, err := b.post(t.Context(), one.Next(say).Body); err != nil || r.Code != http.StatusOK {
			t.Fatalf("%s: %d %s %v", say, r.Code, r.Text, err)
		}
	}
	for _, want := range []event.Outcome{event.OutcomeRejected, event.OutcomeApproved} {
		m, err := sub.NextMsg(10 * time.Second)
		if err != nil {
			t.Fatalf("the event that says %s: %v", want, err)
		}
		e, err := event.Decode(m.Data)
		if err != nil || e.Data.Decision.Outcome != want || !e.Data.Decision.Final ||
			m.Header.Get("Content-Type") != "application/cloudevents+json" {
			t.Errorf("read %+v with headers %v, expected %s: %v", e.Data.Decision, m.Header, want, err)
		}
	}
	b.settled(t, 10*time.Second)
	all := traffic.Histories(t, b.eventsURL())
	traffic.Sound(t, all)
	if got := len(all[one.VerificationID()]); got != len(traffic.WholeLife) {
		t.Errorf("%d events of %d payloads in order", got, len(traffic.WholeLife))
	}
}

// serveAnonymous tries what a client without credentials must not do.
func serveAnonymous(t *testing.T, b *bridge) {
	denied := make(chan error, 16)
	nc, err := nats.Connect(b.eventsURL(),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for name, try := range map[string]func() error{
		"read payloads live": func() error { _, err := nc.SubscribeSync("kyc.payload.>"); return err },
		"read refused":       func() error { _, err := nc.SubscribeSync("kyc.refused.>"); return err },
		"read everything":    func() error { _, err := nc.SubscribeSync(">"); return err },
		"publish an event":   func() error { return nc.Publish("kyc.event.v1.ondato.acme.completed.x", []byte("{}")) },
		"publish a payload":  func() error { return nc.Publish("kyc.payload.ondato.acme.x", []byte("{}")) },
		"get stored payloads": func() error {
			return nc.Publish("$JS.API.STREAM.MSG.GET.KYC_PAYLOADS",
				[]byte(`{"seq":1}`))
		},
		"get payloads direct": func() error { return nc.Publish("$JS.API.DIRECT.GET.KYC_PAYLOADS", []byte(`{"seq":1}`)) },
		"consume payloads":    func() error { return nc.Publish("$JS.API.CONSUMER.CREATE.KYC_PAYLOADS", []byte(`{}`)) },
		"purge events":        func() error { return nc.Publish("$JS.API.STREAM.PURGE.KYC_EVENTS", nil) },
		"delete event stream": func() error { return nc.Publish("$JS.API.STREAM.DELETE.KYC_EVENTS", nil) },
		"delete one event": func() error {
			return nc.Publish("$JS.API.STREAM.MSG.DELETE.KYC_EVENTS",
				[]byte(`{"seq":1}`))
		},
		"take our consumer's": func() error { return nc.Publish("$JS.API.CONSUMER.MSG.NEXT.KYC_PAYLOADS.normalizer", nil) },
		"acknowledge payloads": func() error {
			return nc.Publish("$JS.ACK.KYC_PAYLOADS.normalizer.1.1.1.1.1",
				[]byte("+ACK"))
		},
	} {
		if err := try(); err != nil || nc.Flush() != nil {
			t.Fatalf("%s: %v", name, err)
		}
		select {
		case err := <-denied:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(5 * time.Second):
			t.Errorf("%s: nothing was denied", name)
		}
	}
}

// serveOperators checks health, readiness and metrics.
func serveOperators(t *testing.T, b *bridge) {
	for _, path := range []string{"/healthz", "/readyz"} {
		res, err := b.client.Get(b.adminURL(path)) //nolint:bodyclose // replyOf closes it
		if err != nil {
			t.Fatal(err)
		}
		if r := replyOf(t, res); r.Text != `{"status":"ok"}`+"\n" {
			t.Errorf("%s: %d %s", path, r.Code, r.Text)
		}
	}
	text := b.metrics()
	for _, line := range []string{
		`kycbridge_payloads_total{account="acme",outcome="accepted",provider="ondato"}`,
		`kycbridge_payloads_total{account="acme",outcome="duplicate",provider="ondato"} 4`,
		`kycbridge_payloads_total{account="acme",outcome="quarantined",provider="ondato"} 3`,
		`kycbridge_payloads_total{account="acme",outcome="unauthenticated",provider="ondato"} 1`,
		`kycbridge_payloads_total{account="unknown",outcome="not_found",provider="unknown"} 3`,
		`kycbridge_admitted_total{account="acme",credential="first",provider="ondato"}`,
		`kycbridge_events_total{account="acme",kind="completed",provider="ondato"}`,
		`kycbridge_payloads_without_event_total{account="acme",provider="ondato",why="ignored"} 1`,
		"kycbridge_backlog_payloads 0", `kycbridge_nats_connected{connection="store"} 1`,
		`kycbridge_nats_connected{connection="bus"} 1`,
		"kycbridge_acknowledge_seconds_bucket", "kycbridge_receipt_to_event_seconds_count", "go_goroutines",
		"process_open_fds",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("metrics lack %s", line)
		}
	}
	for n := 1; n <= 3; n++ {
		one := &traffic.Life{Run: 0xac, N: n}
		for _, id := range []string{one.VerificationID(), one.Reference(), one.Next(traffic.SayCreated).PayloadID} {
			if strings.Contains(text, id) {
				t.Errorf("metrics hold the id %s", id)
			}
		}
	}
	for _, secret := range secretValues {
		if strings.Contains(text, secret) {
			t.Errorf("metrics hold %q", secret)
		}
	}
}

// serveEvents reads events with the events command.
func serveEvents(t *testing.T, b *bridge) {
	one := &traffic.Life{Run: 0xac, N: 3}
	code, stdout, stderr := run(t, "kycbridge", "events", "--url", b.eventsURL(), "--json")
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if code != 0 || stderr != "" || len(lines) != len(traffic.WholeLife)+1 {
		t.Errorf("events --json: code %d, %d lines, %s", code, len(lines), stderr)
	}
	for _, line := range lines {
		readAsConsumer(t, []byte(line))
	}
	code, stdout, stderr = run(t, "kycbridge", "events", "--url", b.eventsURL(), "--subject",
		"kyc.event.v1.*.*.completed."+one.VerificationID())
	if code != 0 || strings.Count(stdout, "\n") != 2 || !strings.Contains(stdout, "rejected (final)") ||
		strings.Contains(stdout, "Testa") {
		t.Errorf("events --subject: code %d\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = run(t, "kycbridge", "events", "--url", b.eventsURL(), "--subject", "kyc.event.v1.idwise.>")
	if code != 0 || stdout != "" {
		t.Errorf("events of a provider without any: code %d\n%s%s", code, stdout, stderr)
	}
}

// serveSecond starts a second process that must be refused, and checks its error.
func serveSecond(t *testing.T, b *bridge) {
	other := newBridge(t, designAccounts)
	for _, c := range []struct{ name, old, new, says string }{
		{"data directory", "data_dir: " + other.dir, "data_dir: " + b.dir, "data directory " + b.dir +
			" is in use by another kycbridge"},
		{"callback port", "listen: " + freeport.Local(other.callbacks), "listen: " + freeport.Local(b.callbacks),
			"\"error\":\"listen: " + freeport.Local(b.callbacks) + " is in use by another program; stop it, or write another port"},
		{"consumer port", "embedded: {listen: \"" + freeport.Local(other.events), "embedded: {listen: \"" + freeport.Local(b.events),
			"\"error\":\"embedded.listen: " + freeport.Local(b.events) + " is in use by another program"},
		{"admin port", freeport.Local(other.admin), freeport.Local(b.admin),
			"\"error\":\"admin.listen: " + freeport.Local(b.admin) + " is in use by another program"},
	} {
		config, err := os.ReadFile(other.config)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "second.yaml")
		writeFile(t, file, strings.Replace(string(config), c.old, c.new, 1))
		began := time.Now()
		code, _, stderr := run(t, "kycbridge", "serve", "--config", file)
		if code != 1 || !strings.Contains(stderr, c.says) || time.Since(began) > 10*time.Second*wait.Slowdown {
			t.Errorf("%s taken: code %d after %s\n%s", c.name, code, round(time.Since(began)), stderr)
		}
	}
	if b.readyz() != http.StatusOK {
		t.Error("the first process suffered from the second")
	}
}

// serveDrain asks the process to end while a callback is in progress: it is answered 200, new connections are
// refused, and the process ends with code 0.
func serveDrain(t *testing.T, b *bridge) {
	one := &traffic.Life{Run: 0xac, N: 4}
	w := one.Next(traffic.SayApproved)
	conn, err := net.Dial("tcp", freeport.Local(b.callbacks))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	half, answers := len(w.Body)/2, bufio.NewReader(conn)
	fmt.Fprintf(conn, "POST /webhooks/ondato/acme HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: "+
		"application/json\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n",
		loadToken, len(w.Body))
	if line, err := answers.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("asked whether to send the body: %q %v", line, err)
	}
	if _, err := answers.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(w.Body[:half]); err != nil {
		t.Fatal(err)
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	wait.For(t, 10*time.Second, "callback port closed", func() bool {
		c, err := net.DialTimeout("tcp", freeport.Local(b.callbacks), time.Second)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	if _, err := conn.Write(w.Body[half:]); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(answers, nil) //nolint:bodyclose // replyOf closes it
	if err != nil {
		t.Fatalf("the callback under way: %v", err)
	}
	if r := replyOf(t, res); r.Code != http.StatusOK || r.Status != kycbridge.ReceiptAccepted {
		t.Errorf("the callback under way: %d %s", r.Code, r.Text)
	}
	if code := b.exit(t, 20*time.Second); code != 0 {
		t.Errorf("exit code %d:\n%s", code, b.stderr.tail())
	}
}

// serveRestarted finds all data after a restart, and the event of the callback that was answered last.
func serveRestarted(t *testing.T, b *bridge) {
	before := b.stderr.String()
	b.start(t)
	waited := b.settled(t, 75*time.Second)
	t.Logf("all worked %s after the restart", round(waited))
	all := traffic.Histories(t, b.eventsURL())
	traffic.Sound(t, all)
	for n, want := range map[int]int{1: 1, 3: len(traffic.WholeLife), 4: 1} {
		if got := len(all[(&traffic.Life{Run: 0xac, N: n}).VerificationID()]); got != want {
			t.Errorf("verification %d has %d events after the restart, expected %d", n, got, want)
		}
	}
	w := (&traffic.Life{Run: 0xac, N: 4}).Next(traffic.SayApproved)
	if r, err := b.post(t.Context(), w.Body); err != nil || r.Status != kycbridge.ReceiptDuplicate {
		t.Errorf("a payload of before the restart: %d %s %v", r.Code, r.Text, err)
	}
	if code := b.terminate(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	_, _ = b.stderr.Write([]byte(before)) // for the search of the log at the end
}

// TestBusy limits the rate: a request over the limit gets Retry-After.
func TestBusy(t *testing.T) {
	b := newBridge(t, "receive: {requests_per_second: 0.2}\n"+oneAccount)
	b.start(t)
	one := &traffic.Life{Run: 0xb5, N: 1}
	w := one.Next(traffic.SayCreated)
	for i, want := range []int{http.StatusOK, http.StatusServiceUnavailable} {
		r := b.curl(t, call{path: "/webhooks/ondato/acme",
			header: []string{"Content-Type", "application/json", "Authorization", "Bearer " + loadToken}, body: w.Body})
		if r.Code != want {
			t.Fatalf("callback %d: %d %s", i+1, r.Code, r.Text)
		}
		if want == http.StatusServiceUnavailable &&
			(r.Header.Get("Retry-After") != "1" || !strings.Contains(r.Text, `"urn:kycbridge:problem:busy"`)) {
			t.Errorf("over the rate: Retry-After %q, %s", r.Header.Get("Retry-After"), r.Text)
		}
	}
}

// TestCommands runs valid and invalid commands as an operator types them.
func TestCommands(t *testing.T) {
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.yaml"), filepath.Join(dir, "bad.yaml")
	writeFile(t, good, designAccounts)
	writeFile(t, bad, "listn: 127.0.0.1:8080\nembedded: {listen: 0.0.0.0:4222}\naccounts:\n  - name: acme\n    "+
		"provider: ondto\n    environment: test\n    auth: {bearer: [\"\"]}\n    confirm: maybe\n")
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stdout []string
		stderr []string
	}{
		{"version", []string{"version"}, 0,
			[]string{"kycbridge ", "mapping ", "event schema urn:kycbridge:schema:verification:"}, nil},
		{"good configuration", []string{"config", "check", "--config", good}, 0,
			[]string{"provider: signzy", "redacted", "data_dir: ./data"}, nil},
		{"bad configuration", []string{"config", "check", "--config", bad}, 1, nil,
			[]string{"bad.yaml:1", "listn: unknown key; did you mean listen?", "bad.yaml:5", "did you mean ondato?",
				"bad.yaml:8", "confirm", "embedded.users"}},
		{"serve with it", []string{"serve", "--config", bad}, 1, nil, []string{"bad.yaml:1", "listn"}},
		{"no such file", []string{"serve", "--config", filepath.Join(dir, "none.yaml")}, 1, nil,
			[]string{"none.yaml", "cannot be read"}},
		{"unknown flag", []string{"serve", "--confg", good}, 1, nil, []string{"unknown flag: --confg"}},
		{"unknown role", []string{"serve", "--role", "recieve"}, 1, nil, []string{"--role recieve", "receive, normalize"}},
		{"unknown command", []string{"sevre"}, 1, nil, []string{"sevre"}},
		{"superfluous word", []string{"version", "now"}, 1, nil, []string{"now"}},
		{"events of nobody", []string{"events", "--url", "nats://" + freeport.Address(t)}, 1, nil,
			[]string{"connect to NATS at", "is kycbridge running"}},
		{"events since", []string{"events", "--since", "yesterday"}, 1, nil, []string{"--since yesterday", "RFC 3339"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := run(t, "kycbridge", c.args...)
			if code != c.code {
				t.Errorf("code %d, expected %d\n%s%s", code, c.code, stdout, stderr)
			}
			for _, s := range c.stdout {
				contains(t, "stdout", stdout, s)
			}
			for _, s := range c.stderr {
				contains(t, "stderr", stderr, s)
			}
			for _, secret := range secretValues {
				if strings.Contains(stdout+stderr, secret) {
					t.Errorf("it shows %q", secret)
				}
			}
		})
	}
}

func contains(t *testing.T, name, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s lacks %q:\n%s", name, part, text)
	}
}
