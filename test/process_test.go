package test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
)

var (
	seedFlag = flag.Uint64("seed", 0, "source of all random moments of the fault tests; 0: a new one, which is printed")
	raceFlag = flag.Bool("race-binary", false, "build the kycbridge that is started with the race detector; slower")
)

// tools are the programs that are started, built once a run into one folder.
var tools struct {
	once sync.Once
	dir  string
	err  error
}

// TestMain only removes the built programs.
func TestMain(m *testing.M) {
	defer func() { os.RemoveAll(tools.dir) }()
	m.Run()
}

// tool is the path of a built program, kycbridge or nats-server.
func tool(t *testing.T, name string) string {
	t.Helper()
	tools.once.Do(func() {
		if tools.dir, tools.err = os.MkdirTemp("", "kycbridge-test-"); tools.err != nil {
			return
		}
		bridge := []string{"build", "-o", filepath.Join(tools.dir, "kycbridge"), "kycbridge/cmd/kycbridge"}
		if *raceFlag {
			bridge = slices.Insert(bridge, 1, "-race")
		}
		server := []string{"build", "-o", filepath.Join(tools.dir, "nats-server"), "github.com/nats-io/nats-server/v2"}
		for _, args := range [][]string{bridge, server} {
			if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
				tools.err = fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, out)
			}
		}
	})
	if tools.err != nil {
		t.Fatal(tools.err)
	}
	return filepath.Join(tools.dir, name)
}

// output collects what a process writes; it may be read while the process runs.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// tail is the end of the output, for messages of failed tests.
func (o *output) tail() string {
	s := o.String()
	return s[max(0, len(s)-4000):]
}

// process is a program that was started; it never outlives its test.
type process struct {
	cmd    *exec.Cmd
	stdout output
	stderr output
	ended  chan struct{} // closed when it has ended and been waited for
}

// startProcess runs a program in a folder of its own, without the KYCBRIDGE_ variables of whoever
// runs the tests.
func startProcess(t *testing.T, name string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(tool(t, name), args...), ended: make(chan struct{})}
	p.cmd.Dir = t.TempDir()
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	p.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KYCBRIDGE_") })
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = p.cmd.Wait() // the exit code is read from ProcessState
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.kill()
		if strings.Contains(p.stderr.String(), "WARNING: DATA RACE") {
			t.Errorf("%s %v has a data race:\n%s", name, args, p.stderr.tail())
		}
	})
	return p
}

// kill ends the process as a power cut would, and returns when it is gone.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.ended
}

// terminate asks the process to end and returns its exit code.
func (p *process) terminate(t *testing.T) int {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	return p.exit(t, 25*time.Second)
}

// exit waits for the end of the process and returns its exit code.
func (p *process) exit(t *testing.T, patience time.Duration) int {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("the process still runs after %s; the end of its log:\n%s", patience, p.stderr.tail())
	}
	return p.cmd.ProcessState.ExitCode()
}

// run starts a program, waits for its end and returns all it said.
func run(t *testing.T, name string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := startProcess(t, name, args...)
	code = p.exit(t, 60*time.Second)
	return code, p.stdout.String(), p.stderr.String()
}

// given are the ports that freePort has handed out.
var given = struct {
	sync.Mutex
	ports map[int]bool
}{ports: map[int]bool{}}

// freePort picks a port for a server that is started again on it later, so not from the range from
// which the kernel takes the ports of outgoing connections.
func freePort(t *testing.T) int {
	t.Helper()
	given.Lock()
	defer given.Unlock()
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		if given.ports[port] {
			continue
		}
		if l, err := net.Listen("tcp", local(port)); err == nil {
			l.Close()
			given.ports[port] = true
			return port
		}
	}
	t.Fatal("no free port below 32000")
	return 0
}

func local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }

// eventually polls until done, and fails the test if that takes too long.
func eventually(t *testing.T, patience time.Duration, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !done(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// natsServer is a real nats-server with its own store, on a port that stays the same.
type natsServer struct {
	*process
	port   int
	config string
}

// newNATS starts a server that, as ours in deploy, syncs before it acknowledges.
func newNATS(t *testing.T) *natsServer {
	t.Helper()
	s := &natsServer{port: freePort(t)}
	dir := t.TempDir()
	s.config = filepath.Join(dir, "nats.conf")
	writeFile(t, s.config, fmt.Sprintf("listen: %q\nmax_payload: 4MB\njetstream {\n  store_dir: %q\n  sync_interval: always\n}\n",
		local(s.port), filepath.Join(dir, "store")))
	s.start(t)
	s.ready(t)
	return s
}

func (s *natsServer) start(t *testing.T) {
	t.Helper()
	s.process = startProcess(t, "nats-server", "-c", s.config)
}

// ready waits until JetStream answers.
func (s *natsServer) ready(t *testing.T) {
	t.Helper()
	eventually(t, 20*time.Second, "nats-server up", func() bool {
		nc, err := nats.Connect(s.url(), nats.Timeout(time.Second))
		if err != nil {
			return false
		}
		defer nc.Close()
		_, err = nc.Request("$JS.API.INFO", nil, time.Second)
		return err == nil
	})
}

func (s *natsServer) url() string { return "nats://" + local(s.port) }

// bridge is a kycbridge that can be started again and again on the same configuration.
type bridge struct {
	*process
	config                   string // file
	dir                      string // data_dir
	callbacks, admin, events int    // ports
	client                   *http.Client
}

// newBridge writes a configuration: three ports, a data directory, and what more says.
func newBridge(t *testing.T, more string) *bridge {
	t.Helper()
	dir := t.TempDir()
	b := &bridge{config: filepath.Join(dir, "kycbridge.yaml"), dir: filepath.Join(dir, "data"),
		callbacks: freePort(t), admin: freePort(t), events: freePort(t)}
	b.client = &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(b.client.CloseIdleConnections)
	writeFile(t, b.config, fmt.Sprintf("listen: %s\nadmin: {listen: %q, tokens: [ops-token-2e77a1]}\nembedded: {listen: %q, users: []}\ndata_dir: %s\n%s",
		local(b.callbacks), local(b.admin), local(b.events), b.dir, more))
	return b
}

// loadToken admits the payloads of the fault tests.
const loadToken = "load-token-7d1f0c"

// oneAccount is an Ondato account for generated payloads, and a log that only says what went wrong.
const oneAccount = `log: {level: warn}
accounts:
  - name: acme
    provider: ondato
    environment: test
    auth: {bearer: [` + loadToken + `]}
    confirm: false
`

// start runs kycbridge serve and waits until it says that it is ready.
func (b *bridge) start(t *testing.T) {
	t.Helper()
	b.launch(t)
	b.waitReady(t)
}

func (b *bridge) launch(t *testing.T) {
	t.Helper()
	b.process = startProcess(t, "kycbridge", "serve", "--config", b.config)
}

func (b *bridge) waitReady(t *testing.T) {
	t.Helper()
	eventually(t, 20*time.Second, "kycbridge ready", func() bool {
		select {
		case <-b.ended:
			t.Fatalf("kycbridge ended at its start with code %d:\n%s", b.cmd.ProcessState.ExitCode(), b.stderr.tail())
		default:
		}
		return b.readyz() == http.StatusOK
	})
}

// readyz is the status of the readiness check; 0 if nobody answers.
func (b *bridge) readyz() int {
	res, err := b.client.Get(b.adminURL("/readyz"))
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func (b *bridge) adminURL(path string) string { return "http://" + local(b.admin) + path }
func (b *bridge) eventsURL() string           { return "nats://" + local(b.events) }
func (b *bridge) callbackURL(provider, account string) string {
	return "http://" + local(b.callbacks) + "/webhooks/" + provider + "/" + account
}

// metrics is the text that Prometheus reads; "" if nobody answers.
func (b *bridge) metrics() string {
	res, err := b.client.Get(b.adminURL("/metrics"))
	if err != nil {
		return ""
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	return string(text)
}

// metric is the value of a metric without labels; false while it cannot be read.
func (b *bridge) metric(name string) (float64, bool) {
	for line := range strings.Lines(b.metrics()) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			v, err := strconv.ParseFloat(value, 64)
			return v, err == nil
		}
	}
	return 0, false
}

// settled waits until every stored payload has been worked, and returns how long that took.
func (b *bridge) settled(t *testing.T, patience time.Duration) time.Duration {
	t.Helper()
	began, left := time.Now(), -1.0
	defer func() {
		if left != 0 {
			t.Logf("%.0f payloads left; the end of the log:\n%s", left, b.stderr.tail())
		}
	}()
	eventually(t, patience, "every stored payload worked", func() bool {
		n, ok := b.metric("kycbridge_backlog_payloads")
		if ok {
			left = n
		}
		return ok && n == 0
	})
	return time.Since(began)
}

// reply is what a caller was told.
type reply struct {
	code           int
	header         http.Header
	text           string
	Status         string `json:"status"`
	PayloadID      string `json:"payload_id"`
	VerificationID string `json:"verification_id"`
}

// post sends a generated payload. Problem documents have a number for a status, so only receipts
// are read.
func (b *bridge) post(ctx context.Context, body []byte) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.callbackURL("ondato", "acme"), bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+loadToken)
	return b.send(req)
}

func (b *bridge) send(req *http.Request) (reply, error) {
	res, err := b.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return reply{}, err
	}
	r := reply{code: res.StatusCode, header: res.Header, text: string(text)}
	if res.StatusCode == http.StatusOK {
		err = json.Unmarshal(text, &r)
	}
	return r, err
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// random is a source whose seed is in the test's log, so that a failure can be tried again.
func random(t *testing.T) *rand.Rand {
	t.Helper()
	seed := *seedFlag
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d (try it again with -seed=%d)", seed, seed)
	return rand.New(rand.NewPCG(seed, 0))
}

// long skips a test that takes too long for a quick run.
func long(t *testing.T, takes string) {
	t.Helper()
	if testing.Short() {
		t.Skip("takes about " + takes + ": left out with -short")
	}
}

// What a generated webhook says.
const (
	sayInProgress = "IdentityVerification.StatusChanged InProgress"
	sayConsented  = "IdentityVerification.Consented InProgress"
	sayCreated    = "KycIdentification.Created Unfinished"
	sayProcessed  = "KycIdentification.Processed Awaiting"
	sayRejected   = "KycIdentification.Rejected Rejected"
	sayApproved   = "KycIdentification.Approved Approved"
	sayCompleted  = "IdentityVerification.StatusChanged Completed"
	sayUpdated    = "KycIdentification.Updated Approved"
)

// wholeLife is one verification from its first sign to a correction after the verdict.
var wholeLife = []string{sayInProgress, sayConsented, sayCreated, sayProcessed, sayRejected, sayApproved, sayCompleted, sayUpdated}

// life writes the Ondato webhooks of one generated verification. Each has an event id of its own, a
// later time than the one before, and facts that no other has, so that in its turn it always makes
// an event.
type life struct {
	run  uint32 // tells the lives of one run of a test from those of another
	n    int
	told int
}

// webhook is one payload of a life.
type webhook struct {
	payloadID string
	at        time.Time
	verdict   kycbridge.Outcome // "" where it brings none
	decidedAt string            // of a verdict, as its event must tell it
	body      []byte
}

func (l *life) reference() string {
	return fmt.Sprintf("b%07x-0000-4000-8000-%012x", l.run&0xfffffff, l.n)
}

func (l *life) verificationID() string {
	return kycbridge.VerificationID("ondato", "acme", l.reference())
}

func (l *life) next(say string) webhook {
	l.told++
	kind, status, _ := strings.Cut(say, " ")
	id := fmt.Sprintf("e%07x-%04x-4000-8000-%012x", l.run&0xfffffff, l.told, l.n)
	w := webhook{
		payloadID: kycbridge.PayloadID("ondato", "acme", id, ""),
		at:        time.Date(2026, 3, 2, 9, 0, 0, 250e6, time.UTC).Add(time.Duration(l.told) * time.Minute),
	}
	resource := l.session(status, w.at)
	if strings.HasPrefix(kind, "Kyc") {
		resource = l.identification(status)
	}
	switch say {
	case sayApproved:
		w.verdict = kycbridge.OutcomeApproved
		resource["statusReason"] = "AutomaticallyIdentified"
	case sayRejected:
		w.verdict = kycbridge.OutcomeRejected
		resource["statusReason"] = "PoorPhotoQuality"
	}
	if w.verdict != "" {
		completed := w.at.Add(-2 * time.Second)
		w.decidedAt = kycbridge.Instant(completed)
		resource["completedUtc"] = w.decidedAt
	}
	body, err := json.Marshal(map[string]any{"id": id, "applicationId": "a0000000-0000-4000-8000-000000000001",
		"createdUtc": kycbridge.Instant(w.at), "payload": resource, "type": kind})
	if err != nil {
		panic(err) // a map of plain values always encodes
	}
	w.body = body
	return w
}

// session is the IDV resource.
func (l *life) session(status string, at time.Time) map[string]any {
	return map[string]any{
		"id": l.reference(), "applicationId": "a0000000-0000-4000-8000-000000000001",
		"externalReferenceId": fmt.Sprintf("ref-%d", l.n), "createdUtc": "2026-03-02T08:55:00.12Z",
		"modifiedUtc": kycbridge.Instant(at), "status": status,
		"setup": map[string]any{"id": "5e000000-0000-4000-8000-000000000001", "versionId": "5e000000-0000-4000-8000-0000000000a1"},
		"step":  map[string]any{"consent": map[string]any{"isConsented": true, "consentedUtc": kycbridge.Instant(at)}},
	}
}

// identification is the KYC resource; the address differs from webhook to webhook.
func (l *life) identification(status string) map[string]any {
	return map[string]any{
		"id": fmt.Sprintf("c%07x-0000-4000-8000-%012x", l.run&0xfffffff, l.n), "identityVerificationId": l.reference(),
		"externalReferenceId": fmt.Sprintf("ref-%d", l.n), "createdUtc": "2026-03-02T08:57:30.77Z", "status": status,
		"document": map[string]any{
			"fullName": "Testa Sample", "firstName": "Testa", "lastName": "Sample", "documentNumber": "X0000002",
			"dateOfBirth": "1988-07-30", "dateOfExpiration": "2032-01-10", "countryIso3": "LTU", "type": "IdCard",
			"address": fmt.Sprintf("%d Example Street", l.told), "mrzVerified": true,
			"files": []any{map[string]any{"fileId": "fe000000-0000-4000-8000-000000000031", "fileExtension": "jpeg", "part": "Front", "fileType": "DocumentPhoto"}},
		},
		"rules":       []any{map[string]any{"name": "DocumentHasBothSides", "status": "Success"}, map[string]any{"name": "NotUnder18", "status": "Success"}},
		"fraudChecks": []any{map[string]any{"name": "DocumentManipulation", "status": "Success"}},
	}
}

// record is one event as it lies in the stream.
type record struct {
	kycbridge.Event
	subject string
	seq     uint64
}

// histories reads every event there is, by verification, in the order of the stream.
func histories(t *testing.T, url string) map[string][]record {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	consumer, err := js.OrderedConsumer(ctx, "KYC_EVENTS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]record{}
	if info.NumPending == 0 {
		return all
	}
	messages, err := consumer.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	for {
		r, left := readRecord(t, messages)
		all[r.Subject] = append(all[r.Subject], r)
		if left == 0 {
			return all
		}
	}
}

func readRecord(t *testing.T, messages jetstream.MessagesContext) (r record, left uint64) {
	t.Helper()
	m, err := messages.Next()
	if err != nil {
		t.Fatalf("read events: %v", err)
	}
	meta, err := m.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	e, err := kycbridge.DecodeEvent(m.Data())
	if err != nil {
		t.Fatalf("event at %d: %v", meta.Sequence.Stream, err)
	}
	return record{Event: e, subject: m.Subject(), seq: meta.Sequence.Stream}, meta.NumPending
}

// told is a history for the message of a failed test.
func told(history []record) string {
	var b strings.Builder
	for _, r := range history {
		d := r.Data
		fmt.Fprintf(&b, "\n  r%d %s %s %s %s/%s payload %s", d.Revision, r.Time, d.Provider.Event.Name, d.Status, d.Decision.Outcome, d.Provider.Status["kyc_status"], d.Payload.ID)
	}
	return b.String()
}

// sound checks what holds of every history, whatever happened: one line of revisions from 1
// without fork or gap, each superseding the one before, no id twice, no payload told twice.
func sound(t *testing.T, all map[string][]record) (events int) {
	t.Helper()
	ids, doubled := map[string]bool{}, 0
	for v, history := range all {
		payloads := map[string]bool{}
		for i, r := range history {
			events++
			supersedes := ""
			if i > 0 {
				supersedes = kycbridge.EventID(v, i)
			}
			if r.Data.Revision != i+1 || r.ID != kycbridge.EventID(v, i+1) || r.Data.Supersedes != supersedes {
				t.Errorf("verification %s: event %d of the stream is revision %d, id %s, supersedes %q", v, i+1, r.Data.Revision, r.ID, r.Data.Supersedes)
			}
			if ids[r.ID] || payloads[r.Data.Payload.ID] {
				if doubled++; doubled <= 3 {
					t.Errorf("verification %s: revision %d repeats an event id or the payload of another:%s", v, r.Data.Revision, told(history))
				}
			}
			ids[r.ID], payloads[r.Data.Payload.ID] = true, true
			kind := strings.TrimSuffix(strings.TrimPrefix(r.Type, "io.kycbridge.verification."), ".v1")
			if want := "kyc.event.v1.ondato.acme." + kind + "." + v; r.subject != want || r.Data.VerificationID != v {
				t.Errorf("subject %s, expected %s", r.subject, want)
			}
		}
	}
	if doubled > 0 {
		t.Errorf("%d events repeat an event id or the payload of another", doubled)
	}
	return events
}
