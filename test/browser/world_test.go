package browser

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kycbridge/test/freeport"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

const (
	token       = "ops-token-4b7c19"
	otherToken  = "ops-token-51d0aa"
	bearer      = "callback-token-9d2e"
	application = "a0000000-0000-4000-8000-000000000001" // that sends the payloads of traffic.Life
)

// program is kycbridge, built once per run, without the race detector because rates are measured.
var program struct {
	once sync.Once
	dir  string
	err  error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.end != nil {
		shared.end()
	}
	os.RemoveAll(program.dir)
	os.Exit(code)
}

func kycbridge(t *testing.T) string {
	t.Helper()
	program.once.Do(func() {
		if program.dir, program.err = os.MkdirTemp("", "kycbridge-browser-"); program.err != nil {
			return
		}
		cmd := exec.Command(
			"go",
			"build",
			"-trimpath",
			"-pgo=off",
			"-o",
			filepath.Join(program.dir, "kycbridge"),
			"kycbridge/cmd/kycbridge",
		)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			program.err = fmt.Errorf("go build: %w\n%s", err, out)
		}
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	return filepath.Join(program.dir, "kycbridge")
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

// bridge is a kycbridge that can be started again with other settings.
type bridge struct {
	dir, callbacks, admin, events string
	cmd                           *exec.Cmd
	log                           *output
	ended                         chan struct{}
}

// account is the only account of most tests.
const account = `  - name: acme
    provider: ondato
    environment: test
    auth: {bearer: [` + bearer + `]}
    confirm: false
`

func newBridge(t *testing.T) *bridge {
	t.Helper()
	b := &bridge{dir: t.TempDir(), callbacks: freeport.Address(t), admin: freeport.Address(t), events: freeport.Address(t)}
	t.Cleanup(b.stop)
	return b
}

// start runs it and waits until it is ready.
func (b *bridge) start(t *testing.T, tokens, accounts string) {
	t.Helper()
	config := fmt.Sprintf(
		"listen: %q\nadmin: {listen: %q, tokens: [%s]}\nembedded: {listen: %q}\ndata_dir: %q\nlog: {level: debug}\n"+
			"public_url: https://kyc.example.com\naccounts:\n%s",
		b.callbacks,
		b.admin,
		tokens,
		b.events,
		filepath.Join(b.dir, "data"),
		accounts,
	)
	path := filepath.Join(b.dir, "kycbridge.yaml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	b.log = &output{}
	b.cmd = exec.Command(kycbridge(t), "serve", "--config", path)
	b.cmd.Dir, b.cmd.Stdout, b.cmd.Stderr = b.dir, b.log, b.log
	b.cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "KYCBRIDGE_") })
	b.cmd.Env = append(b.cmd.Env, "GOGC=50") // so that little of the heap is garbage
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	b.ended = ended
	go func() {
		_ = b.cmd.Wait() // only the end matters, not the exit code
		close(ended)
	}()
	wait.For(t, 30*time.Second, "kycbridge ready", func() bool {
		select {
		case <-ended:
			t.Fatalf("kycbridge ended at its start:\n%s", b.log)
		default:
		}
		res, err := http.Get("http://" + b.admin + "/readyz")
		if err != nil {
			return false
		}
		res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
}

// stop ends it and waits for the end.
func (b *bridge) stop() {
	if b.ended == nil {
		return
	}
	_ = b.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-b.ended:
	case <-time.After(20 * time.Second):
		_ = b.cmd.Process.Kill()
		<-b.ended
	}
}

// post sends a callback and returns the answer.
func (b *bridge) post(t *testing.T, path, authorization string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodPost, "http://"+b.callbacks+"/webhooks/"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", authorization)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(answer)
}

// live sends some of the webhooks of a generated verification.
func (b *bridge) live(t *testing.T, n int, says ...string) *traffic.Life {
	t.Helper()
	one := &traffic.Life{Run: 0xb0, N: n}
	for _, say := range says {
		if code, answer := b.post(t, "ondato/acme", "Bearer "+bearer, one.Next(say).Body); code != http.StatusOK {
			t.Fatalf("%s: %d %s", say, code, answer)
		}
	}
	return one
}
