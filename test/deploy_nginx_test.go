package test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kycbridge/test/freeport"
	"kycbridge/test/pki"
	"kycbridge/test/wait"
)

// nginxAccounts are an account with every kind of credential that a proxy may drop or write into its log, and one that
// accepts only an address from which nobody sends.
const nginxAccounts = `trusted_proxies: [127.0.0.1]
accounts:
  - name: acme
    provider: ondato
    environment: test
    confirm: false
    auth: {bearer: [` + loadToken + `], url_tokens: [url-token-8c11f0], headers: [{name: api_key, value: header-value-51b7}]}
  - {name: pinned, provider: ondato, environment: test, confirm: false, allow_ips: [198.51.100.7], auth: {bearer: [` +
	loadToken + `]}}
`

// nginx is the real server with the files of deploy/nginx, before a bridge.
type nginx struct {
	*bridge
	dir               string // with its logs
	public, operators int
	sender            *http.Client
	older             *http.Client // HTTP/1.1
}

// nginxProgram is the program, if it is installed.
func nginxProgram(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"nginx", "/usr/sbin/nginx", filepath.Join(os.TempDir(), "kycbridge-ci-bin", "nginx")} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "no nginx (Debian: nginx-light; .ci/run fetches it)"
	if os.Getenv("REQUIRE_NGINX") == "1" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// newNginx starts both. Addresses and file names are replaced, everything else is as in the files.
func newNginx(t *testing.T) *nginx {
	t.Helper()
	program := nginxProgram(t)
	n := &nginx{bridge: newBridge(t, nginxAccounts), dir: t.TempDir(), public: freeport.New(t), operators: freeport.New(t)}
	ca := pki.NewAuthority(t, "bank")
	cert, key := ca.Server(t).Write(t, n.dir, "server")
	n.sender = &http.Client{Timeout: 20 * wait.Slowdown * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{TLSClientConfig: pki.ClientConfig(t, []pki.Authority{ca}), ForceAttemptHTTP2: true}}
	n.older = &http.Client{Timeout: n.sender.Timeout, Transport: &http.Transport{
		TLSClientConfig: pki.ClientConfig(t, []pki.Authority{ca}),
		TLSNextProto:    map[string]func(string, *tls.Conn) http.RoundTripper{}}}
	t.Cleanup(n.sender.CloseIdleConnections)
	t.Cleanup(n.older.CloseIdleConnections)
	main := "daemon off;\nmaster_process off;\nevents {}\n" +
		fmt.Sprintf("pid %[1]s/pid;\nerror_log %[1]s/start.log;\nhttp {\n", n.dir)
	for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
		main += fmt.Sprintf("%s_temp_path %s/%s;\n", kind, n.dir, kind)
	}
	main += n.adapted(t, "kycbridge.conf", "listen 443 ", "listen "+freeport.Local(n.public)+" ",
		"server 127.0.0.1:8080;", "server "+freeport.Local(n.callbacks)+";",
		"/etc/nginx/tls/kyc.pem", cert, "/etc/nginx/tls/kyc.key", key)
	main += n.adapted(t, "operators.conf", "listen 127.0.0.1:8443 ", "listen "+freeport.Local(n.operators)+" ",
		"http://127.0.0.1:8081;", "http://"+freeport.Local(n.admin)+";",
		"/etc/nginx/tls/operators.pem", cert, "/etc/nginx/tls/operators.key", key)
	config := filepath.Join(n.dir, "nginx.conf")
	writeFile(t, config, main+"}\n")
	n.start(t)
	p := startProgram(t, program, "-c", config, "-e", filepath.Join(n.dir, "early.log"))
	wait.For(t, 20*time.Second, "nginx ready", func() bool {
		select {
		case <-p.ended:
			t.Fatalf("nginx ended:\n%s", p.stderr.tail())
		default:
		}
		res, err := n.sender.Get(n.url(n.public, "/"))
		if err != nil {
			return false
		}
		res.Body.Close()
		return true
	})
	return n
}

// adapted is a file of deploy/nginx with other addresses and file names.
func (n *nginx) adapted(t *testing.T, name string, pairs ...string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(docsRoot, "deploy", "nginx", name))
	if err != nil {
		t.Fatal(err)
	}
	pairs = append(pairs, "/var/log/nginx", n.dir)
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(raw), pairs[i]) {
			t.Errorf("%s does not contain %s", name, pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(string(raw))
}

func (n *nginx) url(port int, path string) string { return "https://" + freeport.Local(port) + path }

// send sends a request through nginx. The header is pairs of a name and a value.
func (n *nginx) send(t *testing.T, method, address string, body io.Reader, header ...string) (int, string) {
	t.Helper()
	return n.sendBy(t, n.sender, method, address, body, header...)
}

// sendBy is send by one of the clients.
func (n *nginx) sendBy(
	t *testing.T, by *http.Client, method, address string, body io.Reader, header ...string,
) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := by.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}

// TestDeployNginx: the files of deploy/nginx in the real nginx.
func TestDeployNginx(t *testing.T) {
	t.Parallel()
	n := newNginx(t)
	for _, part := range []struct {
		name string
		test func(*testing.T, *nginx)
	}{
		{"callbacks", nginxCallbacks}, {"hidden", nginxHidden}, {"console", nginxConsole}, {"down", nginxDown},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, n) })
	}
	logs, err := filepath.Glob(filepath.Join(n.dir, "*.log"))
	if err != nil || len(logs) < 3 {
		t.Fatalf("logs: %v %v", logs, err)
	}
	for _, file := range logs {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"url-token-8c11f0", "header-value-51b7", loadToken, "ops-token-2e77a1",
			"ref-secret"} {
			if bytes.Contains(raw, []byte(secret)) {
				t.Errorf("%s contains %s", filepath.Base(file), secret)
			}
		}
	}
}

// nginxCallbacks: every kind of credential and of body arrives, without a file of nginx, and a forged address does not
// count.
func nginxCallbacks(t *testing.T, n *nginx) {
	if err := os.RemoveAll(filepath.Join(n.dir, "client_body")); err != nil { // a body for a file would be answered 500
		t.Fatal(err)
	}
	const path = "/webhooks/ondato/acme"
	bearer := []string{"Authorization", "Bearer " + loadToken}
	hook := func(i int) []byte { return kycHook(i, 1, "Approved", "Approved", "") }
	padded := func(i, size int) []byte {
		body := hook(i)
		return append(body, bytes.Repeat([]byte(" "), size-len(body))...)
	}
	const limit = 1 << 20
	for _, c := range []struct {
		name, path string
		body       io.Reader
		header     []string
		status     int
	}{
		{"bearer", path, bytes.NewReader(hook(1)), bearer, 200},
		{"chunked", path, io.MultiReader(bytes.NewReader(hook(2))), bearer, 200},
		{"packed", path, bytes.NewReader(packed(t, "gzip", hook(3))), append(bearer, "Content-Encoding", "gzip"), 200},
		{"url token", path + "?token=url-token-8c11f0", bytes.NewReader(hook(4)), nil, 200},
		{"underscore", path, bytes.NewReader(hook(5)), []string{"api_key", "header-value-51b7"}, 200},
		{"at the limit", path, bytes.NewReader(padded(6, limit)), bearer, 200},
		{"at the limit, chunked", path, io.MultiReader(bytes.NewReader(padded(10, limit))), bearer, 200},
		{"at the limit, in pieces", path, inPieces(padded(11, limit)), bearer, 200},
		{"over the limit", path, bytes.NewReader(padded(7, limit+1)), bearer, 413},
		{"wrong", path, bytes.NewReader(hook(8)), []string{"Authorization", "Bearer wrong"}, 401},
		{"forged address", "/webhooks/ondato/pinned", bytes.NewReader(hook(9)),
			append(bearer, "X-Forwarded-For", "198.51.100.7"), 403},
		{"token", "/oauth2/token", strings.NewReader("{}"), nil, 400},
	} {
		status, answer := n.send(t, http.MethodPost, n.url(n.public, c.path), c.body, c.header...)
		if status != c.status {
			t.Errorf("%s: %d %s, want %d", c.name, status, answer, c.status)
		}
	}
	status, answer := n.sendBy(t, n.older, http.MethodPost, n.url(n.public, path), inPieces(padded(12, limit)), bearer...)
	if status != http.StatusOK {
		t.Errorf("HTTP/1.1, at the limit, in pieces: %d %s", status, answer)
	}
	if got := n.list(t, "--status", "accepted"); strings.Count(got, "\n") != 9 {
		t.Errorf("stored:\n%s", got)
	}
}

// inPieces is a body that is sent in pieces of 1,000 bytes, and whose end follows the last of them after a while.
func inPieces(body []byte) io.Reader {
	r, w := io.Pipe()
	go func() {
		for piece := range slices.Chunk(body, 1000) {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
		time.Sleep(200 * time.Millisecond)
		_ = w.Close()
	}()
	return r
}

// nginxHidden: nothing of the admin port is reachable from outside.
func nginxHidden(t *testing.T, n *nginx) {
	for _, path := range []string{"/", "/healthz", "/readyz", "/metrics", "/console/sign-in", "/v1/payloads",
		"/v1/openapi.json", "/webhooks/../metrics", "/webhooks/%2e%2e/metrics"} {
		if status, answer := n.send(t, http.MethodGet, n.url(n.public, path), nil); status != http.StatusNotFound {
			t.Errorf("%s: %d %s", path, status, answer)
		}
	}
}

// nginxConsole: a session of the console, and its live view, which is not held back.
func nginxConsole(t *testing.T, n *nginx) {
	res, err := n.sender.PostForm(n.url(n.operators, "/console/sign-in"), url.Values{"token": {"ops-token-2e77a1"}})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	cookies := res.Cookies()
	if res.StatusCode != http.StatusSeeOther || len(cookies) != 1 || !cookies[0].Secure {
		t.Fatalf("sign-in: %d %v", res.StatusCode, res.Header)
	}
	cookie := cookies[0].Name + "=" + cookies[0].Value
	origin := n.url(n.operators, "")
	// Without the token of a form it is refused, but not as one of another site.
	status, answer := n.send(t, http.MethodPost, origin+"/console/report", nil, "Cookie", cookie, "Origin", origin)
	if status != http.StatusForbidden || !strings.Contains(answer, "out of date") {
		t.Errorf("a form from the console's own address: %d %s", status, answer)
	}
	n.send(t, http.MethodGet, origin+"/v1/verifications/ondato/acme/ref-secret", nil,
		"Authorization", "Bearer ops-token-2e77a1")
	ctx, cancel := context.WithTimeout(t.Context(), 10*wait.Slowdown*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+"/console/live/stream", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", cookie)
	res, err = n.sender.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for _, want := range []string{"event: open", "event: beat"} {
		found := false
		for !found && lines.Scan() {
			found = lines.Text() == want
		}
		if !found {
			t.Fatalf("the live view has no %q: %v", want, lines.Err())
		}
	}
}

// nginxDown: while kycbridge does not run the answer is one after which providers send again.
func nginxDown(t *testing.T, n *nginx) {
	n.stop(t)
	status, _ := n.send(t, http.MethodPost, n.url(n.public, "/webhooks/ondato/acme?token=url-token-8c11f0"),
		bytes.NewReader(kycHook(20, 1, "Approved", "Approved", "")))
	if status != http.StatusBadGateway {
		t.Errorf("answered %d", status)
	}
}
