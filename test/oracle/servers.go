package oracle

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	adminToken = "ops-token-oracle-1"
	operator   = "kycbridge" // the user of the embedded server with all rights
	startup    = 60 * time.Second
)

// authorize adds the credential of an account to a callback.
func authorize(r *http.Request, account string) {
	switch account {
	case idwiseAccount:
		r.Header.Set("X-Key", "idwise-key-1")
	case signzyAccount:
		r.Header.Set("X-Api-Key", "signzy-key-1")
	default:
		r.SetBasicAuth("u", "password-1")
	}
}

const accounts = `
accounts:
  - {name: acme, provider: ondato, environment: test, auth: {basic: [{username: u, password: password-1}]}}
  - name: seen
    provider: ondato
    environment: test
    auth: {basic: [{username: u, password: password-1}]}
    api: {token_url: "%[1]s/token", idv_url: "%[1]s", kyc_url: "%[1]s", client_id: c, client_secret: secret-1, setup_id: i}
  - {name: flow, provider: idwise, environment: test, confirm: false, auth: {headers: [{name: X-Key, value: idwise-key-1}]}}
  - {name: one, provider: signzy, environment: test, auth: {keys: [signzy-key-1]}}
`

// program is a process that can be restarted with the same arguments.
type program struct {
	words []string
	log   string // file that its output is appended to
	cmd   *exec.Cmd
	ended chan struct{}
}

func (p *program) spawn() error {
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(p.words[0], p.words[1:]...) //nolint:noctx // it is ended by faults and by Stop
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Env = cleanEnvironment()
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	p.cmd, p.ended = cmd, ended
	go func() { // ends with the process, which stop waits for
		_ = cmd.Wait()
		close(ended)
	}()
	return nil
}

func cleanEnvironment() (out []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "KYCBRIDGE_") {
			out = append(out, v)
		}
	}
	return out
}

// stop ends the process with a signal, and with SIGQUIT and SIGKILL if it does not end. It returns whether the
// signal was sufficient; otherwise the log ends with what each goroutine of the process waited for.
func (p *program) stop(sig os.Signal) bool {
	if p.cmd == nil {
		return true
	}
	_ = p.cmd.Process.Signal(syscall.SIGCONT) // it may have ended
	_ = p.cmd.Process.Signal(sig)
	select {
	case <-p.ended:
		return true
	case <-time.After(45 * time.Second): // the kill timeout of docs/operate.md
		_ = p.cmd.Process.Signal(syscall.SIGQUIT)
		select {
		case <-p.ended:
			return false
		case <-time.After(5 * time.Second):
		}
		_ = p.cmd.Process.Kill()
		<-p.ended
		return false
	}
}

func (p *program) alive() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.ended:
		return false
	default:
		return true
	}
}

// logSize is the size of the log.
func (p *program) logSize() int64 {
	info, err := os.Stat(p.log)
	if err != nil {
		return 0
	}
	return info.Size()
}

// logged is the log after an offset.
func (p *program) logged(since int64) string {
	raw, err := os.ReadFile(p.log)
	if err != nil || int64(len(raw)) < since {
		return ""
	}
	return string(raw[since:])
}

// Bridge is a kycbridge process.
type Bridge struct {
	program
	binary, config          string
	data                    string // data directory
	callbacks, admin, store string // addresses
	embedded                bool
}

// NATS is an external nats-server.
type NATS struct {
	program
	data, address string
}

func (n *NATS) url() string { return "nats://" + n.address }

// newNATS writes the configuration of a server that syncs before it acknowledges.
func newNATS(binary, dir, address string) (*NATS, error) {
	n := &NATS{data: filepath.Join(dir, "nats"), address: address}
	config := filepath.Join(dir, "nats.conf")
	n.words, n.log = []string{binary, "-c", config}, filepath.Join(dir, "nats.log")
	text := fmt.Sprintf("listen: %q\nmax_payload: 8MB\njetstream { store_dir: %q, sync_interval: always }\n", address,
		n.data)
	return n, os.WriteFile(config, []byte(text), 0o600)
}

func (n *NATS) start(ctx context.Context) error {
	if err := n.spawn(); err != nil {
		return err
	}
	return until(ctx, startup, "nats-server answers", func() bool {
		nc, err := nats.Connect(n.url(), nats.Timeout(time.Second))
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
}

// start runs the process until it is ready; if it ends by itself it is restarted, like a service manager
// would. It returns the number of restarts.
func (b *Bridge) start(ctx context.Context, patience time.Duration) (again int, err error) {
	if err := b.spawn(); err != nil {
		return 0, err
	}
	err = until(ctx, patience, "kycbridge is ready", func() bool {
		if b.alive() {
			return b.ready()
		}
		again++
		return pause(ctx, time.Second) && b.spawn() != nil
	})
	return again, err
}

func (b *Bridge) ready() bool {
	client := http.Client{Timeout: 2 * time.Second}
	resp, err := client.Get("http://" + b.admin + "/readyz") //nolint:noctx // the client has a timeout
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// run runs one command of the command line.
func (b *Bridge) run(ctx context.Context, patience time.Duration, args ...string) (stdout []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.binary, append(args, "--config", b.config)...)
	cmd.Env = cleanEnvironment()
	stdout, err = cmd.Output()
	if ended := (*exec.ExitError)(nil); errors.As(err, &ended) {
		err = fmt.Errorf("%w: %s", err, tail(string(ended.Stderr)))
	}
	return stdout, err
}

// connect opens a connection that may read the streams of the bus, or of the store.
func (b *Bridge) connect(options ...nats.Option) (*nats.Conn, error) {
	if b.embedded {
		password, err := os.ReadFile(filepath.Join(b.data, "operator-password"))
		if err != nil {
			return nil, err
		}
		options = append(options, nats.UserInfo(operator, strings.TrimSpace(string(password))))
	}
	return nats.Connect("nats://"+b.store, options...)
}

// until polls until done.
func until(ctx context.Context, patience time.Duration, what string, done func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !done() {
		if !pause(ctx, 50*time.Millisecond) {
			return fmt.Errorf("not within %s: %s", patience, what)
		}
	}
	return nil
}
