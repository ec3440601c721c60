package test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
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

	"kycbridge/test/freeport"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

var (
	seedFlag = flag.Uint64("seed", 0, "source of all random moments of the fault tests; 0: a new one, which is printed")
	pgoFlag  = flag.String("pgo-binary", "off", "how kycbridge is built, as -pgo of go build; auto: as it is shipped")
	raceFlag = flag.Bool("race-binary", false, "build the kycbridge that is started with the race detector; slower")
)

// tools are the programs that the tests start, built once per run into one folder.
var tools struct {
	once sync.Once
	dir  string
	err  error
}

// TestMain makes the tests build with the settings, and so the build cache, of the images, and removes the built
// programs.
func TestMain(m *testing.M) {
	_ = os.Setenv("GOFLAGS", strings.TrimSpace(os.Getenv("GOFLAGS")+" -trimpath")) // a valid name never fails
	_ = os.Setenv("CGO_ENABLED", "0")
	code := m.Run()
	os.RemoveAll(tools.dir)
	os.Exit(code)
}

// tool is the path of a built program, kycbridge or nats-server.
func tool(t *testing.T, name string) string {
	t.Helper()
	tools.once.Do(func() {
		if tools.dir, tools.err = os.MkdirTemp("", "kycbridge-test-"); tools.err != nil {
			return
		}
		bridge := []string{"build", "-pgo=" + *pgoFlag, "-o", filepath.Join(tools.dir, "kycbridge"),
			"kycbridge/cmd/kycbridge"}
		if *raceFlag {
			bridge = slices.Insert(bridge, 1, "-race")
		}
		server := []string{"build", "-o", filepath.Join(tools.dir, "nats-server"), "github.com/nats-io/nats-server/v2"}
		for _, args := range [][]string{bridge, server} {
			cmd := exec.Command("go", args...)
			if *raceFlag {
				cmd.Env = append(os.Environ(), "CGO_ENABLED=1") // the race detector requires it
			}
			if out, err := cmd.CombinedOutput(); err != nil {
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
	ended  chan struct{} // closed after it has ended and Wait has returned
}

// startProcess runs one of the tools.
func startProcess(t *testing.T, name string, args ...string) *process {
	t.Helper()
	return startProgram(t, tool(t, name), args...)
}

// startProgram runs a program in its own folder, without the KYCBRIDGE_ variables of the test run.
func startProgram(t *testing.T, path string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(path, args...), ended: make(chan struct{})}
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
			t.Errorf("%s %v has a data race:\n%s", filepath.Base(path), args, p.stderr.tail())
		}
	})
	return p
}

// kill ends the process with SIGKILL, and returns after it has ended.
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

// run starts a program, waits for its end and returns its output.
func run(t *testing.T, name string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	p := startProcess(t, name, args...)
	code = p.exit(t, 60*time.Second)
	return code, p.stdout.String(), p.stderr.String()
}

// natsServer is a real nats-server with its own store, on a fixed port.
type natsServer struct {
	*process
	port   int
	config string
}

// newNATS starts a server that syncs before it acknowledges, like those in deploy.
func newNATS(t *testing.T) *natsServer {
	t.Helper()
	return newNATSIn(t, "")
}

// newNATSIn is newNATS with its data in the folder store; if that is "", beside the configuration.
func newNATSIn(t *testing.T, store string) *natsServer {
	t.Helper()
	s := &natsServer{port: freeport.New(t), config: filepath.Join(t.TempDir(), "nats.conf")}
	if store == "" {
		store = filepath.Join(filepath.Dir(s.config), "store")
	}
	writeFile(t, s.config, fmt.Sprintf(
		"listen: %q\nmax_payload: 4MB\njetstream {\n  store_dir: %q\n  sync_interval: always\n}\n", freeport.Local(s.port), store))
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
	wait.For(t, 20*time.Second, "nats-server up", func() bool {
		nc, err := nats.Connect(s.url(), nats.Timeout(time.Second))
		if err != nil {
			return false
		}
		defer nc.Close()
		_, err = nc.Request("$JS.API.INFO", nil, time.Second)
		return err == nil
	})
}

func (s *natsServer) url() string { return "nats://" + freeport.Local(s.port) }

// bridge is a kycbridge that can be started repeatedly with the same configuration.
type bridge struct {
	*process
	config                   string // file
	dir                      string // data_dir
	callbacks, admin, events int    // ports
	client                   *http.Client
}

// newBridge writes a configuration: three ports, a data directory, and the lines in more.
func newBridge(t *testing.T, more string) *bridge {
	t.Helper()
	dir := t.TempDir()
	b := &bridge{config: filepath.Join(dir, "kycbridge.yaml"), dir: filepath.Join(dir, "data"),
		callbacks: freeport.New(t), admin: freeport.New(t), events: freeport.New(t)}
	b.client = &http.Client{Timeout: 20 * wait.Slowdown * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	t.Cleanup(b.client.CloseIdleConnections)
	writeFile(t, b.config, fmt.Sprintf(
		"listen: %s\nadmin: {listen: %q, tokens: [ops-token-2e77a1]}\nembedded: {listen: %q, users: []}\ndata_dir: %s\n%s",
		freeport.Local(b.callbacks), freeport.Local(b.admin), freeport.Local(b.events), b.dir, more))
	return b
}

// loadToken admits the payloads of the fault tests.
const loadToken = "load-token-7d1f0c"

// oneAccount is an Ondato account for generated payloads, and a log with errors only.
const oneAccount = `log: {level: warn}
accounts:
  - name: acme
    provider: ondato
    environment: test
    auth: {bearer: [` + loadToken + `]}
    confirm: false
`

// start runs kycbridge serve and waits until it reports that it is ready.
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
	wait.For(t, 20*time.Second, "kycbridge ready", func() bool {
		select {
		case <-b.ended:
			t.Fatalf("kycbridge ended at its start with code %d:\n%s", b.cmd.ProcessState.ExitCode(), b.stderr.tail())
		default:
		}
		return b.readyz() == http.StatusOK
	})
}

// readyz is the status of the readiness check; 0 without an answer.
func (b *bridge) readyz() int {
	res, err := b.client.Get(b.adminURL("/readyz"))
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func (b *bridge) adminURL(path string) string { return "http://" + freeport.Local(b.admin) + path }
func (b *bridge) eventsURL() string           { return "nats://" + freeport.Local(b.events) }
func (b *bridge) callbackURL(provider, account string) string {
	return "http://" + freeport.Local(b.callbacks) + "/webhooks/" + provider + "/" + account
}

// metrics is the text that Prometheus reads; "" without an answer.
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

// settled waits until every stored payload is processed, and returns how long that took.
func (b *bridge) settled(t *testing.T, patience time.Duration) time.Duration {
	t.Helper()
	began, left := time.Now(), -1.0
	defer func() {
		if left != 0 {
			t.Logf("%.0f payloads left; the end of the log:\n%s", left, b.stderr.tail())
		}
	}()
	wait.For(t, patience, "every stored payload worked", func() bool {
		n, ok := b.metric("kycbridge_backlog_payloads")
		if ok {
			left = n
		}
		return ok && n == 0
	})
	return time.Since(began)
}

// post sends a generated payload.
func (b *bridge) post(ctx context.Context, body []byte) (traffic.Reply, error) {
	return b.postTo(ctx, "acme", body)
}

// postTo sends a generated payload of an account.
func (b *bridge) postTo(ctx context.Context, account string, body []byte) (traffic.Reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.callbackURL("ondato", account), bytes.NewReader(body))
	if err != nil {
		return traffic.Reply{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+loadToken)
	return b.send(req)
}

func (b *bridge) send(req *http.Request) (traffic.Reply, error) {
	res, err := b.client.Do(req) //nolint:bodyclose // ReplyOf closes it
	if err != nil {
		return traffic.Reply{}, err
	}
	return traffic.ReplyOf(res)
}

// judge compares promised payloads with the published events, and prints what kycbridge itself knows of a verification
// that has lost some.
func (b *bridge) judge(t *testing.T, promised *traffic.Ledger, all map[string][]traffic.Record) {
	t.Helper()
	for _, vid := range promised.Judge(t, all).Without {
		code, timeline, message := run(t, "kycbridge", "find", vid, "--json", "--config", b.config)
		t.Logf("find %s: %d %s\n%s", vid, code, message, timeline)
		for _, r := range all[vid] {
			t.Logf("event %+v", r)
		}
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// random is a source whose seed is in the test's log, so that a failure can be reproduced.
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
