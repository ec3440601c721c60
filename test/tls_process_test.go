package test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/time/rate"

	"kycbridge/test/freeport"
	"kycbridge/test/pki"
	"kycbridge/test/wait"
)

// secured is a bridge with TLS on the callback port, and its files.
type secured struct {
	*bridge
	ca  pki.Authority
	dir string
}

// newSecured writes the files and a configuration with accounts.
func newSecured(t *testing.T, accounts string) *secured {
	t.Helper()
	s := &secured{ca: pki.NewAuthority(t, "bank"), dir: t.TempDir()}
	cert, key := s.ca.Server(t).Write(t, s.dir, "server")
	s.bridge = newBridge(t, fmt.Sprintf("tls: {cert: %s, key: %s, client_ca: %s}\n%s", cert, key,
		pki.Replace(t, filepath.Join(s.dir, "client-ca.pem"), s.ca.PEM), accounts))
	return s
}

// url is an address on the callback port.
func (s *secured) url(path string) string { return "https://" + freeport.Local(s.callbacks) + path }

// sender is a client that trusts the authority of s. With keep it reuses its connections.
func (s *secured) sender(t *testing.T, keep bool, pairs ...pki.Pair) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: pki.ClientConfig(t, []pki.Authority{s.ca}, pairs...),
		DisableKeepAlives: !keep, ForceAttemptHTTP2: keep, MaxIdleConnsPerHost: 16}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * wait.Slowdown * time.Second}
}

// postTo posts a callback and returns the status and the answer.
func postTo(ctx context.Context, client *http.Client, address, token string, body []byte) (int, string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return res.StatusCode, string(answer), err
}

// fetchToken requests an access token.
func fetchToken(ctx context.Context, client *http.Client, address, id, secret string) (string, error) {
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {id}, "client_secret": {secret}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%d %s %w", res.StatusCode, answer.Error, err)
	}
	return answer.AccessToken, nil
}

// TestCertificateRotation replaces the certificate, the key and the authorities of clients repeatedly while up to 500
// callbacks arrive in a second, on new connections and on persistent ones, with HTTP/1.1 and HTTP/2. No callback
// fails, and at the end the last certificate is in use.
func TestCertificateRotation(t *testing.T) {
	t.Parallel()
	s := newSecured(t, oneAccount+"  - {name: sealed, provider: ondato, environment: test, confirm: false,\n"+
		"     auth: {client_certs: [{san_dns: gateway.example.com}]}}\n")
	s.start(t)
	gateway := s.ca.Client(t, "gateway")
	clients := []struct {
		client         *http.Client
		account, token string
	}{
		{s.sender(t, true), "acme", loadToken},
		{s.sender(t, false), "acme", loadToken},
		{s.sender(t, true, gateway), "sealed", ""},
		{s.sender(t, false, gateway), "sealed", ""},
	}
	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
	defer cancel()
	limit := rate.NewLimiter(500, 10)
	var sending sync.WaitGroup
	var sent, failed atomic.Int64
	for i := range 8 {
		c := clients[i%len(clients)]
		sending.Go(func() {
			for limit.Wait(ctx) == nil {
				n := int(sent.Add(1))
				code, answer, err := postTo(context.WithoutCancel(ctx), c.client, s.url("/webhooks/ondato/"+c.account), c.token,
					kycHook(n, 1, "Approved", "Approved", ""))
				if err != nil || code != http.StatusOK {
					if failed.Add(1) < 5 {
						t.Errorf("callback %d at %s: %d %s %v", n, c.account, code, answer, err)
					}
				}
			}
		})
	}
	var last pki.Pair
	rotations := 0
	for ctx.Err() == nil {
		last = s.ca.Server(t)
		last.Write(t, s.dir, "server")
		other := pki.NewAuthority(t, "another")
		pki.Replace(t, filepath.Join(s.dir, "client-ca.pem"), append(other.PEM, s.ca.PEM...))
		rotations++
		select {
		case <-ctx.Done():
		case <-time.After(700 * time.Millisecond): // the interval of the changes, not a wait for success
		}
	}
	sending.Wait()
	if failed.Load() > 0 || sent.Load() < 500 {
		t.Errorf("%d of %d callbacks failed", failed.Load(), sent.Load())
	}
	wait.For(t, 20*time.Second, "the last certificate in use", func() bool {
		return strings.Contains(s.metrics(), fmt.Sprintf("kycbridge_tls_certificate_expiry_timestamp_seconds{listener=%q} %g",
			"callbacks", float64(last.Leaf.NotAfter.Unix())))
	})
	t.Logf("%d callbacks during %d rotations", sent.Load(), rotations)
}

// TestClientCertificates: an account admits the certificates that it names and no others, and accounts of other kinds
// need none. The header of a proxy is not read.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	s := newSecured(t, "")
	gateway, partner := s.ca.Client(t, "gateway"), s.ca.Client(t, "partner")
	raw, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.config, string(raw)+oneAccount+fmt.Sprintf(`  - {name: cn, provider: ondato, environment: test, auth: {client_certs: [{subject_cn: gateway}]}}
  - {name: dns, provider: ondato, environment: test, auth: {client_certs: [{san_dns: GATEWAY.example.com}]}}
  - {name: digest, provider: ondato, environment: test, auth: {client_certs: [{sha256: '%s'}]}}
  - {name: both, provider: ondato, environment: test, auth: {bearer: [%s], client_certs: [{subject_cn: partner}]}}
`, gateway.Fingerprint(), loadToken))
	s.start(t)
	stranger := pki.NewAuthority(t, "bank")
	for name, c := range map[string]struct {
		pairs []pki.Pair
		token string
		want  map[string]int // 0 means no connection
	}{
		"gateway": {[]pki.Pair{gateway}, "", map[string]int{"cn": 200, "dns": 200, "digest": 200, "both": 401, "acme": 401}},
		"partner": {[]pki.Pair{partner}, "", map[string]int{"cn": 401, "dns": 401, "digest": 401, "both": 200, "acme": 401}},
		"nobody":  {nil, "", map[string]int{"cn": 401, "both": 401, "acme": 401}},
		"a token": {nil, loadToken, map[string]int{"cn": 401, "both": 200, "acme": 200}},
		"partner with a token": {[]pki.Pair{partner}, loadToken,
			map[string]int{"cn": 401, "both": 200, "acme": 200}},
		"of the same name by another authority": {[]pki.Pair{stranger.Client(t, "gateway")}, "",
			map[string]int{"cn": 0, "dns": 0, "digest": 0, "acme": 0}},
		"expired": {[]pki.Pair{s.ca.Client(t, "gateway", pki.Expired)}, "", map[string]int{"cn": 0}},
		"of the same name by the same authority": {[]pki.Pair{s.ca.Client(t, "gateway")}, "",
			map[string]int{"cn": 200, "dns": 200, "digest": 401}},
	} {
		client := s.sender(t, true, c.pairs...)
		for account, want := range c.want {
			code, answer, err := postTo(t.Context(), client, s.url("/webhooks/ondato/"+account), c.token,
				kycHook(1, 1, "Approved", "Approved", ""))
			if code != want || (err != nil) != (want == 0) {
				t.Errorf("%s at %s: %d %s %v, want %d", name, account, code, answer, err, want)
			}
		}
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url("/webhooks/ondato/cn"),
		strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"X-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "X-SSL-Client-S-DN"} {
		r.Header.Set(name, "CN=gateway")
	}
	res, err := s.sender(t, true).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("the headers of a proxy: %d", res.StatusCode)
	}
	wait.For(t, 10*time.Second, "refused handshakes in the metrics", func() bool {
		return strings.Contains(s.metrics(), `kycbridge_tls_handshake_failures_total{how="client_certificate",listener="callbacks"}`)
	})
}

// TestAdminCertificates: a certificate of admin.client_certs opens the API as a token does, but not to a page of
// another site; the commands use it.
func TestAdminCertificates(t *testing.T) {
	t.Parallel()
	ca, dir := pki.NewAuthority(t, "bank"), t.TempDir()
	cert, key := ca.Server(t).Write(t, dir, "server")
	ops := ca.Client(t, "ops")
	opsCert, opsKey := ops.Write(t, dir, "ops")
	guestCert, guestKey := ca.Client(t, "guest").Write(t, dir, "guest")
	caFile := pki.Replace(t, filepath.Join(dir, "ca.pem"), ca.PEM)
	b := newBridge(t, oneAccount)
	raw, err := os.ReadFile(b.config)
	if err != nil {
		t.Fatal(err)
	}
	tlsKeys := fmt.Sprintf("tls: {cert: %s, key: %s, client_ca: %s}, client_certs: [{name: ops, subject_cn: ops}]",
		cert, key, caFile)
	writeFile(t, b.config, strings.Replace(string(raw), "tokens: [ops-token-2e77a1]", tlsKeys, 1))
	b.launch(t)
	address := "https://" + freeport.Local(b.admin)
	wait.For(t, 20*time.Second, "kycbridge ready", func() bool {
		code, _, _ := run(t, "kycbridge", "health", "--api", address, "--ca-file", caFile)
		return code == 0
	})
	if code, _, stderr := run(t, "kycbridge", "health", "--api", "http://"+freeport.Local(b.admin)); code == 0 ||
		!strings.Contains(stderr, "400") {
		t.Errorf("plain HTTP: %d %s", code, stderr)
	}
	list := func(more ...string) (int, string) {
		args := append([]string{"payloads", "list", "--api", address, "--ca-file", caFile}, more...)
		code, _, stderr := run(t, "kycbridge", args...)
		return code, stderr
	}
	if code, stderr := list("--cert-file", opsCert, "--key-file", opsKey); code != 0 {
		t.Errorf("ops: %d %s", code, stderr)
	}
	if code, stderr := list("--cert-file", guestCert, "--key-file", guestKey); code == 0 ||
		!strings.Contains(stderr, "rejects the client certificate") {
		t.Errorf("guest: %d %s", code, stderr)
	}
	if code, stderr := list(); code == 0 || !strings.Contains(stderr, "no admin token") {
		t.Errorf("nobody: %d %s", code, stderr)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: pki.ClientConfig(t, []pki.Authority{ca}, ops)}}
	for _, c := range []struct {
		method, site string
		want         int
	}{{http.MethodGet, "", 200}, {http.MethodPost, "cross-site", 401}, {http.MethodPost, "same-origin", 400}} {
		path := map[string]string{http.MethodGet: "/v1/payloads", http.MethodPost: "/v1/payloads/purge"}[c.method]
		r, err := http.NewRequestWithContext(t.Context(), c.method, address+path, strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		if c.site != "" {
			r.Header.Set("Sec-Fetch-Site", c.site)
		}
		res, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != c.want {
			t.Errorf("%s from %q: %d, want %d", c.method, c.site, res.StatusCode, c.want)
		}
	}
	// No key is configured here, so a 404 shows that the listener was reached over TLS.
	keys := []string{"events", "--url", b.eventsURL(), "--keys", address + "/.well-known/jwks.json"}
	for want, more := range map[string][]string{"answers 404": {"--keys-ca-file", caFile}, "is not trusted here": nil} {
		if code, _, stderr := run(t, "kycbridge", append(keys, more...)...); code != 1 || !strings.Contains(stderr, want) {
			t.Errorf("keys, %q: %d %s", want, code, stderr)
		}
	}
	wait.For(t, 10*time.Second, "the log names the certificate of a refused request", func() bool {
		return strings.Contains(b.stderr.String(), `"by":"ops"`)
	})
}

// oauth2Config is a configuration with these clients of the account acme.
func oauth2Config(clients ...string) string {
	return "log: {level: warn}\naccounts:\n  - {name: acme, provider: ondato, environment: test, confirm: false,\n" +
		"     auth: {oauth2: {clients: [" + strings.Join(clients, ", ") + "]}}}\n"
}

// TestOAuth2Replicas: two processes with one configuration accept each other's tokens, and a secret is rotated in
// the documented order, by one restart of each process after the other, without a 401.
func TestOAuth2Replicas(t *testing.T) {
	t.Parallel()
	server := newNATS(t)
	external := fmt.Sprintf("store: {url: %q}\nbus: {url: %q}\n", server.url(), server.url())
	const older, newer = "{id: ondato-acme, secret: secret-older-1}", "{id: ondato-acme, secret: secret-newer-2}"
	both := [2]*bridge{newBridge(t, external+oauth2Config(older)), newBridge(t, external+oauth2Config(older))}
	for _, b := range both {
		b.start(t)
	}
	token := func(b *bridge, secret string) string {
		t.Helper()
		got, err := fetchToken(t.Context(), b.client, "http://"+freeport.Local(b.callbacks)+"/oauth2/token", "ondato-acme",
			secret)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	n := 0
	admitted := func(step string, token string, want int, at ...*bridge) {
		t.Helper()
		for _, b := range at {
			n++
			code, answer, err := postTo(t.Context(), b.client, b.callbackURL("ondato", "acme"), token,
				kycHook(n, 1, "Approved", "Approved", ""))
			if err != nil || code != want {
				t.Errorf("%s: %d %s %v, want %d", step, code, answer, err, want)
			}
		}
	}
	configure := func(b *bridge, clients ...string) {
		t.Helper()
		raw, err := os.ReadFile(b.config)
		if err != nil {
			t.Fatal(err)
		}
		before, _, _ := strings.Cut(string(raw), "log: ")
		writeFile(t, b.config, before+oauth2Config(clients...))
		b.terminate(t)
		b.start(t)
	}
	fromFirst, fromSecond := token(both[0], "secret-older-1"), token(both[1], "secret-older-1")
	admitted("a token of the other process", fromFirst, 200, both[:]...)
	admitted("a token of the other process", fromSecond, 200, both[:]...)
	for _, b := range both { // 1. the new secret beside the old one, in every process
		configure(b, older, newer)
		admitted("the new secret is added", fromFirst, 200, both[:]...)
		fromSecond = token(both[0], "secret-older-1")
		admitted("the old secret is still in use", fromSecond, 200, both[:]...)
	}
	renewed := token(both[1], "secret-newer-2") // 2. the provider uses the new secret
	admitted("the new secret is in use", renewed, 200, both[:]...)
	admitted("tokens of the old secret", fromSecond, 200, both[:]...)
	for _, b := range both { // 3. the old secret is removed after its tokens have expired
		configure(b, newer)
		admitted("the old secret is removed", renewed, 200, both[:]...)
	}
	admitted("a token of the removed secret", fromSecond, 401, both[:]...)
	if _, err := fetchToken(t.Context(), both[0].client, "http://"+freeport.Local(both[0].callbacks)+"/oauth2/token",
		"ondato-acme", "secret-older-1"); err == nil || !strings.Contains(err.Error(), "401 invalid_client") {
		t.Errorf("the removed secret: %v", err)
	}
}

// TestSimulatedOndatoWithOAuth2: init sets up an account with an OAuth 2 client, and the simulated Ondato fetches a
// token over TLS and delivers with it.
func TestSimulatedOndatoWithOAuth2(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	config := filepath.Join(dir, "kycbridge.yaml")
	code, stdout, stderr := run(t, "kycbridge", "init", "--provider", "ondato", "--account", "acme",
		"--environment", "test", "--public-url", "https://localhost", "--credential", "oauth2", "--output", config)
	if code != 0 || !strings.Contains(stdout, "client id ondato-acme") ||
		!strings.Contains(stdout, "https://localhost/oauth2/token") {
		t.Fatalf("%d %s %s", code, stdout, stderr)
	}
	s := newSecured(t, "")
	raw, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	_, accounts, _ := strings.Cut(string(raw), "data_dir: ./data\n")
	ours, err := os.ReadFile(s.config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, s.config, string(ours)+accounts)
	s.start(t)
	caFile := pki.Replace(t, filepath.Join(dir, "ca.pem"), s.ca.PEM)
	if code, _, stderr := run(t, "kycbridge", "send", "ondato", "kyc-identification-approved", "--config", s.config,
		"--ca-file", caFile); code != 0 {
		t.Errorf("send: %s", stderr)
	}
	api := freeport.Address(t)
	sim := startProcess(t, "kycbridge", "simulate", "ondato", "--listen", api, "--speed", "600",
		"--callback-url", s.url("/webhooks/ondato/acme"), "--callback-client", "ondato-acme",
		"--callback-secret-file", filepath.Join(dir, "secrets", "ondato-acme"), "--callback-ca-file", caFile)
	wait.For(t, 20*time.Second, "the simulated Ondato", func() bool {
		return strings.Contains(sim.stderr.String(), "answers at")
	})
	simulated, err := fetchToken(t.Context(), http.DefaultClient, "http://"+api+"/connect/token", "ondato-client",
		"ondato-secret-0001")
	if err != nil {
		t.Fatal(err)
	}
	code, answer, err := postTo(t.Context(), http.DefaultClient, "http://"+api+"/v1/identity-verifications", simulated,
		[]byte(`{"setupId":"5e000000-0000-4000-8000-000000000001","externalReferenceId":"ref-approve-1"}`))
	if err != nil || code != http.StatusCreated {
		t.Fatalf("%d %s %v", code, answer, err)
	}
	// Two callbacks at the same moment may fetch a token each.
	issued := regexp.MustCompile(`kycbridge_oauth2_tokens_total{account="acme",outcome="issued",provider="ondato"} [1-9]`)
	wait.For(t, 30*time.Second, "callbacks with a token", func() bool {
		return issued.MatchString(s.metrics()) && strings.Contains(sim.stderr.String(), "callback answered 200 accepted")
	})
	if strings.Contains(sim.stderr.String(), "401") {
		t.Errorf("refused:\n%s", sim.stderr.String())
	}
}

// TestSendersWithClientCertificates: send and the simulated Ondato reach an account that admits only a client
// certificate, and report what is missing without one.
func TestSendersWithClientCertificates(t *testing.T) {
	t.Parallel()
	s := newSecured(t, "accounts:\n  - {name: acme, provider: ondato, environment: test, confirm: false,\n"+
		"     auth: {client_certs: [{subject_cn: gateway}]}}\n")
	s.start(t)
	cert, key := s.ca.Client(t, "gateway").Write(t, s.dir, "gateway")
	caFile := filepath.Join(s.dir, "client-ca.pem")
	send := func(more ...string) (int, string) {
		args := append([]string{"send", "ondato", "kyc-identification-approved", "--config", s.config}, more...)
		code, stdout, stderr := run(t, "kycbridge", args...)
		return code, stdout + stderr
	}
	if code, text := send("--ca-file", caFile, "--cert-file", cert, "--key-file", key); code != 0 ||
		!strings.Contains(text, "200 accepted") {
		t.Errorf("with the certificate: %d %s", code, text)
	}
	for want, more := range map[string][]string{
		"name one with --cert-file and --key-file":   {"--ca-file", caFile},
		"--cert-file and --key-file belong together": {"--ca-file", caFile, "--cert-file", cert},
		"of an authority that is not trusted here":   {"--cert-file", cert, "--key-file", key},
		"contains no certificate in PEM":             {"--ca-file", key, "--cert-file", cert, "--key-file", key},
	} {
		if code, text := send(more...); code == 0 || !strings.Contains(text, want) {
			t.Errorf("%v: %d %s, want %q", more, code, text, want)
		}
	}
	api := freeport.Address(t)
	sim := startProcess(t, "kycbridge", "simulate", "ondato", "--listen", api, "--speed", "600",
		"--callback-url", s.url("/webhooks/ondato/acme"), "--callback-ca-file", caFile,
		"--callback-cert-file", cert, "--callback-key-file", key)
	wait.For(t, 20*time.Second, "the simulated Ondato", func() bool {
		return strings.Contains(sim.stderr.String(), "answers at")
	})
	token, err := fetchToken(t.Context(), http.DefaultClient, "http://"+api+"/connect/token", "ondato-client",
		"ondato-secret-0001")
	if err != nil {
		t.Fatal(err)
	}
	code, answer, err := postTo(t.Context(), http.DefaultClient, "http://"+api+"/v1/identity-verifications", token,
		[]byte(`{"setupId":"5e000000-0000-4000-8000-000000000001","externalReferenceId":"ref-approve-1"}`))
	if err != nil || code != http.StatusCreated {
		t.Fatalf("%d %s %v", code, answer, err)
	}
	wait.For(t, 30*time.Second, "callbacks over a connection with the certificate", func() bool {
		return strings.Contains(sim.stderr.String(), "callback answered 200 accepted")
	})
}
