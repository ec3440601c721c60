package test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"kycbridge/internal/app"
	"kycbridge/test/freeport"
	"kycbridge/test/pki"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// reloading is a bridge whose configuration is written again while it runs.
type reloading struct {
	*bridge
	listeners string // what stays the same
}

func newReloading(t *testing.T, more string) *reloading {
	t.Helper()
	r := &reloading{bridge: newBridge(t, "")}
	r.listeners = fmt.Sprintf("listen: %s\nembedded: {listen: %q, users: []}\ndata_dir: %s\n",
		freeport.Local(r.callbacks), freeport.Local(r.events), r.dir)
	r.write(t, "ops-token-2e77a1", more)
	r.start(t)
	return r
}

// write replaces the file.
func (r *reloading) write(t *testing.T, adminTokens, more string) {
	t.Helper()
	text := fmt.Sprintf("%sadmin: {listen: %q, tokens: [%s]}\n%s", r.listeners, freeport.Local(r.admin), adminTokens, more)
	writeFile(t, r.config+".new", text)
	if err := os.Rename(r.config+".new", r.config); err != nil {
		t.Fatal(err)
	}
}

func (r *reloading) hangup(t *testing.T) {
	t.Helper()
	if err := r.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// used waits until the process uses the current content of its file.
func (r *reloading) used(t *testing.T) {
	t.Helper()
	config, err := app.LoadConfig(r.config, nil, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	is := false
	defer func() {
		if !is {
			t.Logf("the end of the log:\n%s", r.stderr.tail())
		}
	}()
	info := fmt.Sprintf("kycbridge_config_info{version=%q}", config.Version())
	wait.For(t, 20*time.Second, "version "+config.Version()+" in use", func() bool {
		_, is = r.metric(info)
		is = is && r.unchanged(t, config.Admin.Tokens[0].Token.Reveal())
		return is
	})
}

// unchanged reports whether the configuration in use is that of the file, secrets included, which the version leaves
// out.
func (r *reloading) unchanged(t *testing.T, token string) bool {
	t.Helper()
	got := r.get(t, "/v1/config/diff", token)
	var compared app.ConfigComparison
	return got.Code == http.StatusOK && json.Unmarshal([]byte(got.Text), &compared) == nil &&
		len(compared.Changes)+len(compared.Faults) == 0
}

// asked is the status of the answer to a request to the admin API.
func (r *reloading) asked(t *testing.T, path, token string) int {
	t.Helper()
	return r.get(t, path, token).Code
}

// get is the answer to a request to the admin API.
func (r *reloading) get(t *testing.T, path, token string) traffic.Reply {
	t.Helper()
	q, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.adminURL(path), nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+token)
	got, err := r.send(q)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// kinds put a secret into a request, for an account of each kind.
var kinds = map[string]func(r *http.Request, secret string, body []byte){
	"bearer": func(r *http.Request, secret string, _ []byte) { r.Header.Set("Authorization", "Bearer "+secret) },
	"basic":  func(r *http.Request, secret string, _ []byte) { r.SetBasicAuth("bank", secret) },
	"header": func(r *http.Request, secret string, _ []byte) { r.Header.Set("X-Callback-Key", secret) },
	"url":    func(r *http.Request, secret string, _ []byte) { r.URL.RawQuery = "token=" + secret },
	"hmac": func(r *http.Request, secret string, body []byte) {
		at := fmt.Sprint(time.Now().Unix())
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(at + "." + string(body)))
		r.Header.Set("Ondato-Signature", "t="+at+", s="+hex.EncodeToString(mac.Sum(nil)))
	},
}

// accountsWith are an account of each kind with these secrets.
func accountsWith(secrets ...string) string {
	each := func(format string) string {
		var all []string
		for _, s := range secrets {
			all = append(all, fmt.Sprintf(format, s))
		}
		return strings.Join(all, ", ")
	}
	auth := map[string]string{
		"bearer": "{bearer: [" + each("%s") + "]}",
		"basic":  "{basic: [" + each("{username: bank, password: %s}") + "]}",
		"header": "{headers: [" + each("{name: X-Callback-Key, value: %s}") + "]}",
		"url":    "{url_tokens: [" + each("%s") + "]}",
		"hmac":   "{hmac: {secrets: [" + each("%s") + "]}}",
	}
	text := "accounts:\n"
	for kind, a := range auth {
		text += fmt.Sprintf("  - {name: %s, provider: ondato, environment: test, confirm: false, auth: %s}\n", kind, a)
	}
	return text
}

// senders post callbacks to all accounts with the current secret.
type senders struct {
	mu           sync.RWMutex // held for reading during each callback
	secret       string
	sent, failed atomic.Int64
}

// use changes the secret after every callback with the previous one has been answered.
func (s *senders) use(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = secret
}

// run sends perSecond callbacks until ctx ends.
func (s *senders) run(ctx context.Context, t *testing.T, b *bridge, perSecond rate.Limit) {
	limit := rate.NewLimiter(perSecond, 10)
	var sending sync.WaitGroup
	for kind, sign := range kinds {
		for range 2 {
			sending.Go(func() {
				for limit.Wait(ctx) == nil {
					s.post(t, b, kind, sign)
				}
			})
		}
	}
	sending.Wait()
}

func (s *senders) post(t *testing.T, b *bridge, kind string, sign func(*http.Request, string, []byte)) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	body := kycHook(int(s.sent.Add(1)), 1, "Approved", "Approved", "")
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, b.callbackURL("ondato", kind),
		strings.NewReader(string(body)))
	if err != nil {
		t.Error(err)
		return
	}
	r.Header.Set("Content-Type", "application/json")
	sign(r, s.secret, body)
	if got, err := b.send(r); (err != nil || got.Code != http.StatusOK) && s.failed.Add(1) < 5 {
		t.Errorf("%s: %d %s %v", kind, got.Code, got.Text, err)
	}
}

var rotationRate = flag.Float64("rotation.rate", 300, "callbacks a second in TestRotationWithoutRestart")

// TestRotationWithoutRestart rotates credentials of every kind and the admin token, adds and removes an account and
// changes a limit while hundreds of callbacks arrive per second. No sender that follows the order is refused or
// interrupted.
func TestRotationWithoutRestart(t *testing.T) {
	t.Parallel()
	b := newReloading(t, accountsWith("first-secret"))
	s := &senders{secret: "first-secret"}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.run(ctx, t, b.bridge, rate.Limit(*rotationRate)) })
	began := time.Now()
	defer running.Wait()
	defer cancel()

	spare := "  - {name: spare, provider: ondato, environment: test, auth: {bearer: [spare-secret]}}\n"
	b.write(t, "ops-token-2e77a1, ops-token-next", accountsWith("first-secret", "second-secret")+spare)
	b.used(t) // without a signal: the change of the file is enough
	s.use("second-secret")
	for _, token := range []string{"ops-token-2e77a1", "ops-token-next"} {
		if code := b.asked(t, "/v1/payloads?limit=1", token); code != http.StatusOK {
			t.Errorf("token %s: %d", token, code)
		}
	}
	if code, answer, err := postTo(t.Context(), b.client, b.callbackURL("ondato", "spare"), "spare-secret",
		kycHook(1, 1, "Approved", "Approved", "")); err != nil || code != http.StatusOK {
		t.Errorf("added account: %d %s %v", code, answer, err)
	}
	b.write(t, "ops-token-next", "receive: {concurrency: 64, requests_per_second: 5000}\n"+accountsWith("second-secret"))
	b.hangup(t)
	b.used(t)
	if code := b.asked(t, "/v1/payloads?limit=1", "ops-token-2e77a1"); code != http.StatusUnauthorized {
		t.Errorf("removed token: %d", code)
	}
	if code, _, _ := postTo(t.Context(), b.client, b.callbackURL("ondato", "spare"), "spare-secret",
		[]byte("{}")); code != http.StatusNotFound {
		t.Errorf("removed account: %d", code)
	}
	// And again, quickly, until enough callbacks have arrived meanwhile: a slow machine needs more time for them.
	for i := 0; i < 3 || s.sent.Load() < 500 && time.Since(began) < 10*time.Second*wait.Slowdown; i++ {
		next := fmt.Sprintf("secret-number-%d", i)
		b.write(t, "ops-token-next", accountsWith(s.secret, next))
		b.hangup(t)
		b.used(t)
		s.use(next)
		b.write(t, "ops-token-next", accountsWith(next))
		b.hangup(t)
		b.used(t)
	}
	cancel()
	running.Wait()
	t.Logf("%d callbacks, %.0f a second", s.sent.Load(), float64(s.sent.Load())/time.Since(began).Seconds())
	if s.failed.Load() > 0 || s.sent.Load() < 500 {
		t.Errorf("%d of %d callbacks failed", s.failed.Load(), s.sent.Load())
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.callbackURL("ondato", "bearer"),
		strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer second-secret")
	if got, err := b.send(r); err != nil || got.Code != http.StatusUnauthorized {
		t.Errorf("removed secret: %d %v", got.Code, err)
	}
	t.Logf("%d callbacks", s.sent.Load())
}

// TestAFaultyFileChangesNothing: under load, a file with faults is refused as a whole, and the log has a line for
// each fault and no secret.
func TestAFaultyFileChangesNothing(t *testing.T) {
	t.Parallel()
	b := newReloading(t, accountsWith("first-secret"))
	s := &senders{secret: "first-secret"}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.run(ctx, t, b.bridge, 100) })
	defer running.Wait()
	defer cancel()
	refused := func(n float64) {
		wait.For(t, 20*time.Second, "a refused reload", func() bool {
			got, ok := b.metric(`kycbridge_config_reloads_total{result="refused"}`)
			return ok && got == n
		})
	}
	b.write(t, "tiger-token", accountsWith("tiger-secret")+"  - {name: BAD, provider: nobody, auth: {bearer: [tiger]}}\n")
	refused(1)
	ca := pki.NewAuthority(t, "bank")
	cert, key := ca.Server(t).Write(t, b.dir, "server")
	b.write(t, "ops-token-2e77a1", fmt.Sprintf("tls: {cert: %s, key: %s, client_ca: %s}\n%s", cert, key,
		pki.Replace(t, filepath.Join(b.dir, "ca.pem"), ca.PEM), accountsWith("first-secret")+
			"  - {name: sealed, provider: ondato, environment: test, auth: {client_certs: [{san_dns: a.example.com}]}}\n"))
	b.hangup(t)
	refused(2) // valid, but requires a restart
	secret := filepath.Join(filepath.Dir(b.config), "secret")
	b.write(t, "tiger-token", strings.ReplaceAll(accountsWith("tiger-secret"), "bearer: [", "bearer_file: "+secret+
		", url_tokens: ["))
	b.hangup(t)
	refused(3)
	writeFile(t, b.config, "") // as after a copy to a full disk
	refused(4)
	b.write(t, "tiger-token", "accounts: []\n")
	refused(5)
	b.write(t, "tiger-token", strings.ReplaceAll(accountsWith("tiger-secret"), "bearer: [", "bearer_file: "+secret+
		", url_tokens: ["))
	refused(6)
	if got, ok := b.metric("kycbridge_config_refused"); !ok || got != 1 {
		t.Errorf("the file still has faults: %v %t", got, ok)
	}
	if code := b.asked(t, "/v1/payloads?limit=1", "ops-token-2e77a1"); code != http.StatusOK {
		t.Errorf("the token before: %d", code)
	}
	log := b.stderr.String()
	for _, want := range []string{"nothing was changed", "provider", "name", "bearer_file: the file cannot be read",
		"client_certs", "is empty; write", "accounts: there is none any more", "restart kycbridge: it needs a changed key"} {
		if !strings.Contains(log, want) {
			t.Errorf("the log does not say %q:\n%s", want, log)
		}
	}
	if strings.Contains(log, "tiger") {
		t.Error("the log shows a secret")
	}
	cancel()
	running.Wait()
	if s.failed.Load() > 0 || s.sent.Load() == 0 {
		t.Errorf("%d of %d callbacks failed", s.failed.Load(), s.sent.Load())
	}
	writeFile(t, secret, "first-secret\nanother-secret\n")
	b.used(t) // without a signal: the file of a secret is watched too
	if got, ok := b.metric("kycbridge_config_refused"); !ok || got != 0 {
		t.Errorf("the files are in use: %v %t", got, ok)
	}
}

// TestConfigDiff compares two files, and a running process with its file: it reports keys and how they are applied,
// but no values.
func TestConfigDiff(t *testing.T) {
	t.Parallel()
	b := newReloading(t, accountsWith("tiger-first"))
	before := filepath.Join(filepath.Dir(b.config), "before.yaml")
	raw, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, before, string(raw))
	token := filepath.Join(filepath.Dir(b.config), "token")
	writeFile(t, token, "ops-token-2e77a1\n")
	b.write(t, "ops-token-2e77a1", "public_url: https://kyc.example.com\nlog: {level: debug}\n"+
		accountsWith("tiger-first")+"  - {name: spare, provider: ondato, environment: test, auth: {bearer: [tiger-spare]}}\n")
	const spare, address = "accounts[ondato/spare] added, applies at reload\nlog.level changed, applies at reload\n",
		"public_url added, needs a restart\n"
	code, out, log := run(t, "kycbridge", "config", "diff", before, b.config)
	if code != 0 || out != spare+address {
		t.Errorf("two files: %d %s%s", code, out, log)
	}
	b.hangup(t)
	wait.For(t, 20*time.Second, "a reload", func() bool {
		n, ok := b.metric(`kycbridge_config_reloads_total{result="applied"}`)
		return ok && n == 1
	})
	if code, _, err := postTo(t.Context(), b.client, b.callbackURL("ondato", "spare"), "tiger-spare",
		kycHook(1, 1, "Approved", "Approved", "")); err != nil || code != http.StatusOK {
		t.Errorf("added account: %d %v", code, err)
	}
	wait.For(t, 20*time.Second, "a line at level debug", func() bool {
		return strings.Contains(b.stderr.String(), `"level":"debug"`)
	})
	live := []string{"config", "diff", "--api", b.adminURL(""), "--token-file", token}
	if code, out, log = run(t, "kycbridge", live...); code != 0 || out != address {
		t.Errorf("after the reload: %d %s%s", code, out, log)
	}
	if said := b.stderr.String(); !strings.Contains(said, `"key":"public_url"`) ||
		!strings.Contains(said, "takes effect only at the next start") || strings.Contains(said, "tiger") {
		t.Errorf("the log does not name the key that needs a restart:\n%s", said)
	}
	writeFile(t, b.config, "acounts: [tiger]\n")
	if code, out, log = run(t, "kycbridge", live...); code == 0 || out != "" || !strings.Contains(log, "unknown key") ||
		strings.Contains(log, "tiger") {
		t.Errorf("a faulty file: %d %s%s", code, out, log)
	}
	if code, out, log = run(t, "kycbridge", append(live, "--json")...); code == 0 || strings.Contains(out+log, "tiger") {
		t.Errorf("a faulty file, JSON: %d %s%s", code, out, log)
	}
}

// TestHangupDuringAStart: a process that is still starting when its configuration changes does not end, and uses the
// change.
func TestHangupDuringAStart(t *testing.T) {
	t.Parallel()
	b := newBridge(t, "")
	r := &reloading{bridge: b, listeners: fmt.Sprintf("listen: %s\nembedded: {listen: %q, users: []}\ndata_dir: %s\n",
		freeport.Local(b.callbacks), freeport.Local(b.events), b.dir)}
	r.write(t, "ops-token-2e77a1", "")
	r.launch(t)
	wait.For(t, 20*time.Second, "its data directory", func() bool {
		_, err := os.Stat(r.dir)
		return err == nil
	})
	if r.readyz() != 0 {
		t.Log("it has started already")
	}
	r.write(t, "ops-token-2e77a1", accountsWith("first-secret"))
	r.hangup(t)
	r.waitReady(t)
	r.used(t)
	if code := r.terminate(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestAccountsArePolledAfterAReload: an added account with an API gets its consumer of due sessions, a changed number
// of concurrent calls keeps it, and a removed account loses it.
func TestAccountsArePolledAfterAReload(t *testing.T) {
	t.Parallel()
	provider := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(provider.Close)
	const token, due = "ops-token-2e77a1", `kycbridge_poll_due{account="calls",provider="kwikid"}`
	b := newReloading(t, accountsWith("first-secret"))
	calls := func(concurrency int) string {
		return accountsWith("first-secret") + fmt.Sprintf("  - {name: calls, provider: kwikid, environment: test, "+
			"api: {base_url: %q, username: u, password: a-long-password}, limits: {concurrency: %d}}\n",
			provider.URL, concurrency)
	}
	for _, step := range []struct {
		accounts string
		polled   bool
	}{{calls(2), true}, {calls(5), true}, {accountsWith("first-secret"), false}, {calls(5), true}} {
		b.write(t, token, step.accounts)
		b.hangup(t)
		b.used(t)
		wait.For(t, 20*time.Second, fmt.Sprint("polled: ", step.polled), func() bool {
			n, ok := b.metric(due)
			return ok == step.polled && (!ok || n == 0)
		})
	}
	watch, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.adminURL("/v1/watches"),
		strings.NewReader(`{"provider":"kwikid","account":"calls","reference":"S1"}`))
	if err != nil {
		t.Fatal(err)
	}
	watch.Header.Set("Authorization", "Bearer "+token)
	watch.Header.Set("Content-Type", "application/json")
	if got, err := b.send(watch); err != nil || got.Code != http.StatusAccepted {
		t.Fatalf("watch: %d %s %v", got.Code, got.Text, err)
	}
	wait.For(t, 60*time.Second, "a call of the added account", func() bool {
		return strings.Contains(b.metrics(), `kycbridge_provider_calls_total{account="calls"`)
	})
	if code := b.terminate(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
