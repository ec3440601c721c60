package app

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"kycbridge/test/pki"
	"kycbridge/test/wait"
)

// faultsOf are the faults of a configuration with a fixed file name; none for a valid one.
func faultsOf(t *testing.T, text string) []string {
	t.Helper()
	_, err := parseConfig("kyc.yaml", []byte(text), nil, ProviderCatalog())
	var faulty *ConfigError
	if err != nil && !errors.As(err, &faulty) {
		t.Fatal(err)
	}
	if faulty == nil {
		return nil
	}
	return strings.Split(faulty.Error(), "\n")
}

// TestTLSFiles: each way in which the files of a listener cannot be used has its own message, which repeats
// nothing of them.
func TestTLSFiles(t *testing.T) {
	dir := t.TempDir()
	ca, other := pki.NewAuthority(t, "ca"), pki.NewAuthority(t, "other")
	good, stranger := ca.Server(t), ca.Server(t)
	file := func(name string, content []byte) string { return pki.Replace(t, filepath.Join(dir, name), content) }
	cert, key := good.Write(t, dir, "good")
	sec1, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalECPrivateKey(sec1)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"cert": cert, "key": key, "none": filepath.Join(dir, "none"),
		"ca":      file("ca.pem", ca.PEM),
		"text":    file("text.pem", []byte("not PEM\n")),
		"broken":  file("broken.pem", []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
		"nokey":   file("nokey.key", []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
		"other":   file("other.key", stranger.Key),
		"expired": file("expired.pem", ca.Server(t, pki.Expired).Cert),
		"oldca":   file("oldca.pem", ca.Server(t, pki.Expired).Cert),
		"cas":     file("cas.pem", slices.Concat(ca.Server(t, pki.Expired).Cert, other.PEM)),
		"cut":     file("cut.pem", slices.Concat(ca.PEM, other.PEM[:len(other.PEM)/2])),
		"cutcert": file("cutcert.pem", slices.Concat(good.Cert, ca.PEM[:len(ca.PEM)/2])),
		"damaged": file("damaged.pem", slices.Concat(other.PEM[:len(other.PEM)/2], []byte("\n"), ca.PEM)),
		"sealed": file("sealed.key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte{1},
			Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}})),
		"sealed8": file("sealed8.key", []byte("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")),
		"sec1":    file("sec1.key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})),
	}
	for _, c := range []struct{ name, tls, want string }{
		{"good", "{cert: <cert>, key: <key>}", ""},
		{"with authorities", "{cert: <cert>, key: <key>, client_ca: <ca>}", ""},
		{"an old authority beside a valid one", "{cert: <cert>, key: <key>, client_ca: <cas>}", ""},
		{"empty", "{}", ""},
		{"no key", "{cert: <cert>}", "tls: has only one of cert and key"},
		{"no cert", "{key: <key>, client_ca: <ca>}", "tls: has only one of cert and key"},
		{"authorities alone", "{client_ca: <ca>}", "tls.client_ca: is written without cert and key"},
		{"missing file", "{cert: <none>, key: <key>}", "tls.cert: the file cannot be read"},
		{"missing key file", "{cert: <cert>, key: <none>}", "tls.key: the file cannot be read"},
		{"not PEM", "{cert: <text>, key: <key>}", "tls.cert: holds no certificate in PEM"},
		{"key as certificate", "{cert: <key>, key: <key>}", "tls.cert: holds no certificate in PEM"},
		{"certificate as key", "{cert: <cert>, key: <cert>}", "tls.key: holds no private key in PEM"},
		{"broken", "{cert: <broken>, key: <key>}", "tls.cert: holds a certificate that cannot be read"},
		{"broken key", "{cert: <cert>, key: <nokey>}", "tls.key: holds a private key that cannot be read"},
		{"key of another", "{cert: <cert>, key: <other>}", "tls.key: does not belong to the first certificate in cert"},
		{"key of another, SEC 1", "{cert: <cert>, key: <sec1>}", "tls.key: does not belong to the first certificate in cert"},
		{"expired, but with another key", "{cert: <expired>, key: <key>}", "tls.key: does not belong to"},
		{"passphrase", "{cert: <cert>, key: <sealed>}", "tls.key: is encrypted with a passphrase"},
		{"passphrase, PKCS 8", "{cert: <cert>, key: <sealed8>}", "tls.key: is encrypted with a passphrase"},
		{"authorities not PEM", "{cert: <cert>, key: <key>, client_ca: <text>}", "tls.client_ca: holds no certificate in PEM"},
		{"authorities expired: a warning", "{cert: <cert>, key: <key>, client_ca: <oldca>}", ""},
		{"authorities cut", "{cert: <cert>, key: <key>, client_ca: <cut>}",
			"tls.client_ca: holds a block that cannot be read"},
		{"authorities damaged", "{cert: <cert>, key: <key>, client_ca: <damaged>}",
			"tls.client_ca: holds a block that cannot be read"},
		{"chain cut", "{cert: <cutcert>, key: <key>}", "tls.cert: holds a block that cannot be read"},
		{"several faults", "{cert: <text>, key: <text>, client_ca: <none>}",
			"tls.cert: holds no certificate in PEM|tls.key: holds no private key in PEM|tls.client_ca: the file cannot be read"},
		{"unknown key", "{ca: <ca>}", "tls.ca: unknown key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := c.tls
			for name, path := range files {
				text = strings.ReplaceAll(text, "<"+name+">", path)
			}
			for _, where := range []string{"tls: " + text + "\n", "admin: {tls: " + text + "}\n"} {
				got := faultsOf(t, where)
				var want []string
				if c.want != "" {
					want = strings.Split(c.want, "|")
				}
				if len(got) != len(want) {
					t.Fatalf("%q", got)
				}
				for i, w := range want {
					if strings.HasPrefix(where, "admin") {
						w = "admin." + w
					}
					named := strings.Contains(got[i], " ("+dir+"/") || strings.Contains(w, "unknown key") ||
						strings.Contains(w, " cert and key")
					if !strings.HasPrefix(got[i], "kyc.yaml:1: "+w) || !named {
						t.Errorf("%q, want %q", got[i], w)
					}
				}
			}
		})
	}
}

// TestCredentialKindsOfTLS: client certificates and OAuth 2 clients that could never admit a callback are
// faults.
func TestCredentialKindsOfTLS(t *testing.T) {
	dir := t.TempDir()
	ca := pki.NewAuthority(t, "ca")
	cert, key := ca.Server(t).Write(t, dir, "server")
	file := pki.Replace(t, filepath.Join(dir, "ca.pem"), ca.PEM)
	with := fmt.Sprintf("tls: {cert: %s, key: %s, client_ca: %s}\n", cert, key, file)
	auth := func(provider, auth string) string {
		return "accounts: [{name: a, provider: " + provider + ", environment: test, confirm: false, auth: " + auth + "}]\n"
	}
	digest := strings.Repeat("0A:", 31) + "0a"
	for name, c := range map[string]struct{ text, want string }{
		"common name":        {with + auth("kwikid", "{client_certs: [{subject_cn: g}]}"), ""},
		"DNS name":           {with + auth("signzy", "{client_certs: [{san_dns: G.example.com}]}"), ""},
		"fingerprint":        {with + auth("idwise", "{client_certs: [{sha256: '"+digest+"'}]}"), ""},
		"without tls":        {auth("ondato", "{client_certs: [{subject_cn: g}]}"), "client_certs: admits nobody without tls.client_ca"},
		"of nothing":         {with + auth("ondato", "{client_certs: [{}]}"), "client_certs[0]: describes no certificate"},
		"of two":             {with + auth("ondato", "{client_certs: [{subject_cn: g, san_dns: g}]}"), "client_certs[0]: has several of"},
		"short fingerprint":  {with + auth("ondato", "{client_certs: [{sha256: 0a0b}]}"), "client_certs[0].sha256: is not a SHA-256"},
		"a pattern":          {with + auth("ondato", "{client_certs: [{san_dns: '*.example.com'}]}"), "client_certs[0].san_dns: is not a DNS name"},
		"oauth2":             {auth("ondato", "{oauth2: {clients: [{id: c, secret: long-enough}], lifetime: 5m}}"), ""},
		"oauth2 elsewhere":   {auth("idwise", "{oauth2: {clients: [{id: c, secret: s}]}}"), "auth.oauth2: idwise does not read it"},
		"no clients":         {auth("ondato", "{basic: [{username: u, password: p}], oauth2: {lifetime: 5m}}"), "oauth2.clients: is missing beside lifetime"},
		"no secret":          {auth("ondato", "{oauth2: {clients: [{id: c}]}}"), "clients[0].secret: is missing"},
		"no id":              {auth("ondato", "{oauth2: {clients: [{secret: s}]}}"), "clients[0].id: is missing"},
		"a colon in the id":  {auth("ondato", "{oauth2: {clients: [{id: 'a:b', secret: s}]}}"), "clients[0].id: holds characters"},
		"a long lifetime":    {auth("ondato", "{oauth2: {clients: [{id: c, secret: s}], lifetime: 25h}}"), "oauth2.lifetime: is out of 1m to 24h"},
		"a short lifetime":   {auth("ondato", "{oauth2: {clients: [{id: c, secret: s}], lifetime: 1s}}"), "oauth2.lifetime: is out of 1m to 24h"},
		"rotation":           {auth("ondato", "{oauth2: {clients: [{id: c, secret: s}, {id: c, secret: t}]}}"), ""},
		"admin certificates": {strings.Replace(with, "tls:", "admin:\n  client_certs: [{name: ops, subject_cn: ops}]\n  tls:", 1), ""},
		"admin without tls":  {"admin: {client_certs: [{name: ops, subject_cn: ops}]}\n", "admin.client_certs: admits nobody without admin.tls.client_ca"},
		"admin, tls of listen": {with + "admin: {client_certs: [{name: ops, subject_cn: ops}]}\n",
			"admin.client_certs: admits nobody without admin.tls.client_ca"},
		"admin without name": {strings.Replace(with, "tls:", "admin:\n  client_certs: [{subject_cn: ops}]\n  tls:", 1),
			"admin.client_certs[0].name: is missing"},
		"admin name twice": {strings.Replace(with, "tls:",
			"admin:\n  client_certs: [{name: o, subject_cn: a}, {name: o, subject_cn: b}]\n  tls:", 1),
			"admin.client_certs[1].name: is another holder's already"},
		"a client of two accounts": {`accounts:
  - {name: a, provider: ondato, environment: test, auth: {oauth2: {clients: [{id: c, secret: s}]}}}
  - {name: b, provider: ondato, environment: test, auth: {oauth2: {clients: [{id: c, secret: t}]}}}
`, "accounts[1].auth.oauth2.clients[0].id: is a client of accounts[0] already"},
	} {
		got := faultsOf(t, c.text)
		if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestTLSWarnings: a certificate that expires soon, or that providers would refuse, is a warning, not a
// fault.
func TestTLSWarnings(t *testing.T) {
	cert, key := pki.NewAuthority(t, "ca").Server(t).Write(t, t.TempDir(), "server")
	c, err := parseConfig("kyc.yaml", fmt.Appendf(nil,
		"tls: {cert: %s, key: %s}\npublic_url: https://kyc.example.com\n", cert, key), nil, ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(Warnings(c), "\n")
	for _, want := range []string{"tls.cert: expires on 20", "tls.cert: is not valid for the host of public_url"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in %q", want, got)
		}
	}
}

// TestExpiredCertificates: a process starts with an expired certificate, because it must be able to
// restart, and reports it. Files with an expired certificate do not replace a valid one.
func TestExpiredCertificates(t *testing.T) {
	dir, ca := t.TempDir(), pki.NewAuthority(t, "ca")
	cert, key := ca.Server(t, pki.Expired).Write(t, dir, "server")
	files := ListenTLS{Cert: cert, Key: key}
	c, err := parseConfig("kyc.yaml", fmt.Appendf(nil, "tls: {cert: %s, key: %s}\n", cert, key), nil, ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(Warnings(c), "\n"); !strings.Contains(got, "tls.cert: expired on 20") {
		t.Errorf("no warning in %q", got)
	}
	core, logs := observer.New(zap.InfoLevel)
	in, err := newCertificates("callbacks", files, zap.New(core), func(time.Time) {})
	if err != nil {
		t.Fatal(err)
	}
	if n := logs.FilterMessageSnippet("is not valid now").Len(); n != 1 {
		t.Errorf("%d lines about it", n)
	}
	valid := ca.Server(t)
	valid.Write(t, dir, "server")
	in.reload()
	if got := in.current.Load().leaf().SerialNumber; got.Cmp(valid.Leaf.SerialNumber) != 0 {
		t.Error("the valid certificate is not in use")
	}
	ca.Server(t, pki.Expired).Write(t, dir, "server")
	in.reload()
	in.reload()
	if got := in.current.Load().leaf().SerialNumber; got.Cmp(valid.Leaf.SerialNumber) != 0 {
		t.Error("an expired certificate has replaced the valid one")
	}
	if n := logs.FilterMessageSnippet("the TLS files cannot be used").Len(); n != 1 {
		t.Errorf("%d lines about the expired one", n)
	}
}

// served is one listener with TLS whose handler answers with the protocol and the client's name.
type served struct {
	stop    func()
	address string
	app     *App
	logs    *observer.ObservedLogs
	ca      pki.Authority
	dir     string
}

func newServed(t *testing.T, h http.Handler) *served {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	s := &served{logs: logs, ca: pki.NewAuthority(t, "ca"), dir: t.TempDir()}
	cert, key := s.ca.Server(t).Write(t, s.dir, "server")
	files := ListenTLS{Cert: cert, Key: key, ClientCA: pki.Replace(t, filepath.Join(s.dir, "client-ca.pem"), s.ca.PEM)}
	config := defaults()
	s.app = &App{system: newSystem(&config, zap.New(core)), metrics: newMetrics()}
	s.app.handshakeLogs.First = 100
	if h == nil {
		h = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			name := "nobody"
			if len(r.TLS.VerifiedChains) > 0 {
				name = r.TLS.VerifiedChains[0][0].Subject.CommonName
			}
			fmt.Fprintf(w, "%s %s", r.Proto, name)
		})
	}
	address, stop, err := s.app.serve("callbacks", "127.0.0.1:0", files, h)
	if err != nil {
		t.Fatal(err)
	}
	s.address, s.stop = address, sync.OnceFunc(stop)
	t.Cleanup(func() { s.stop(); s.app.close() })
	return s
}

// client is a client that trusts the authority of s.
func (s *served) client(t *testing.T, http2 bool, pairs ...pki.Pair) *http.Client {
	t.Helper()
	transport := &http.Transport{TLSClientConfig: pki.ClientConfig(t, []pki.Authority{s.ca}, pairs...),
		ForceAttemptHTTP2: http2}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

func (s *served) get(t *testing.T, client *http.Client) (string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+s.address+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(r)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return string(body), err
}

// metric is the value of a metric with its labels as they are printed; 0 if it does not exist.
func (s *served) metric(name string) float64 {
	w := httptest.NewRecorder()
	s.app.metrics.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(w.Body.String()) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), name+" "); ok {
			value, _ := strconv.ParseFloat(text, 64)
			return value
		}
	}
	return 0
}

// failures is the count of failed handshakes of one kind.
func (s *served) failures(how string) float64 {
	return s.metric(`kycbridge_tls_handshake_failures_total{how="` + how + `",listener="callbacks"}`)
}

// TestTLSHandshakes: HTTP/2 and HTTP/1.1 over TLS 1.2 and 1.3; a client certificate is verified before its
// name is read, it is optional, and one that cannot be verified ends the connection. Each failure is
// counted.
func TestTLSHandshakes(t *testing.T) {
	s := newServed(t, nil)
	other := pki.NewAuthority(t, "ca") // of the same name
	for name, c := range map[string]struct {
		http2 bool
		max   uint16
		pairs []pki.Pair
		want  string
		how   string
	}{
		"HTTP/2":                     {http2: true, want: "HTTP/2.0 nobody"},
		"HTTP/1.1":                   {want: "HTTP/1.1 nobody"},
		"HTTP/2, TLS 1.2":            {http2: true, max: tls.VersionTLS12, want: "HTTP/2.0 nobody"},
		"client certificate":         {pairs: []pki.Pair{s.ca.Client(t, "gateway")}, want: "HTTP/1.1 gateway"},
		"client certificate, HTTP/2": {http2: true, pairs: []pki.Pair{s.ca.Client(t, "gateway")}, want: "HTTP/2.0 gateway"},
		"client certificate, TLS 1.2": {max: tls.VersionTLS12, pairs: []pki.Pair{s.ca.Client(t, "gateway")},
			want: "HTTP/1.1 gateway"},
		"expired":                    {pairs: []pki.Pair{s.ca.Client(t, "gateway", pki.Expired)}, how: handshakeCert},
		"of another authority":       {pairs: []pki.Pair{other.Client(t, "gateway")}, how: handshakeCert},
		"of a server":                {pairs: []pki.Pair{s.ca.Server(t)}, how: handshakeCert},
		"TLS 1.2, another authority": {max: tls.VersionTLS12, pairs: []pki.Pair{other.Client(t, "gateway")}, how: handshakeCert},
		"TLS 1.1":                    {max: tls.VersionTLS11, how: handshakeProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			client := s.client(t, c.http2, c.pairs...)
			config := client.Transport.(*http.Transport).TLSClientConfig
			if config.MaxVersion = c.max; c.max == tls.VersionTLS11 {
				config.MinVersion = tls.VersionTLS10
			}
			before := s.failures(c.how)
			got, err := s.get(t, client)
			if c.how == "" {
				if err != nil || got != c.want {
					t.Errorf("%q, %v", got, err)
				}
				return
			}
			if err == nil {
				t.Errorf("answered %q", got)
			}
			wait.For(t, 5*time.Second, "the failure counted", func() bool { return s.failures(c.how) == before+1 })
		})
	}
	reasons := map[string]bool{}
	for _, entry := range s.logs.FilterMessage("a client certificate was refused").All() {
		reasons[fmt.Sprint(entry.ContextMap()["reason"])] = true
	}
	want := map[string]bool{"expired, or not valid yet": true, "of an authority that is not in client_ca": true,
		"not for the authentication of clients": true}
	if diff := cmp.Diff(want, reasons); diff != "" {
		t.Error(diff)
	}
}

// TestTLSOtherClients: a request without TLS gets an answer, and every connection without TLS is counted;
// refusals of net/http are counted on connections with TLS too.
func TestTLSOtherClients(t *testing.T) {
	s := newServed(t, nil)
	t.Run("plain HTTP", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.address+"/webhooks/ondato/acme",
			strings.NewReader(strings.Repeat("x", 20<<10)))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusBadRequest || !strings.Contains(string(body), "problem:plain_http") ||
			!strings.Contains(string(body), "https") || res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%d %s %v", res.StatusCode, body, err)
		}
		if got := s.failures(handshakePlainHTTP); got != 1 {
			t.Errorf("counted %v", got)
		}
	})
	t.Run("not TLS and not HTTP", func(t *testing.T) {
		c := s.dial(t)
		fmt.Fprint(c, "\x00\x01\x02\x03\x04\x05\x06\x07")
		if answer, err := io.ReadAll(c); err != nil && len(answer) > 20 {
			t.Errorf("answered %q", answer)
		}
		wait.For(t, 5*time.Second, "the failure counted", func() bool { return s.failures(handshakeProtocol) == 1 })
	})
	t.Run("closed at once", func(t *testing.T) {
		s.dial(t).Close()
		wait.For(t, 5*time.Second, "the failure counted", func() bool { return s.failures(handshakeClosed) == 1 })
	})
	t.Run("a client that does not trust us", func(t *testing.T) {
		strange := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}}}
		if got, err := s.get(t, strange); err == nil {
			t.Errorf("answered %q", got)
		}
		wait.For(t, 5*time.Second, "the failure counted", func() bool { return s.failures(handshakeRefused) == 1 })
	})
	t.Run("a header that is too large", func(t *testing.T) {
		c := tls.Client(s.dial(t), s.tls(t))
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("x", 64<<10))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil || res.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Fatalf("%v %v", res, err)
		}
		res.Body.Close()
		if got := s.metric(`kycbridge_payloads_total{account="unknown",outcome="http_431",provider="unknown"}`); got != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

func (s *served) dial(t *testing.T) net.Conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// tls is the configuration of a client.
func (s *served) tls(t *testing.T) *tls.Config {
	config := pki.ClientConfig(t, []pki.Authority{s.ca})
	config.ServerName = "localhost"
	return config
}

// TestTLSSilentClients: connections that begin no handshake, or half of one, do not delay other clients
// and are closed when the time for a header has passed.
func TestTLSSilentClients(t *testing.T) {
	s := newServed(t, nil)
	var silent []net.Conn
	for i := range 500 {
		c := s.dial(t)
		if i%2 == 0 {
			fmt.Fprint(c, "\x16\x03\x01\x02") // a part of the first record
		}
		silent = append(silent, c)
	}
	began := time.Now()
	if got, err := s.get(t, s.client(t, true)); err != nil || got != "HTTP/2.0 nobody" {
		t.Fatalf("%q, %v", got, err)
	}
	if took := time.Since(began); took > 2*wait.Slowdown*time.Second {
		t.Errorf("an ordinary client waited %s", took)
	}
	for _, c := range silent {
		if _, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("a silent connection stays open")
		}
	}
	wait.For(t, 5*time.Second, "all counted", func() bool { return s.failures(handshakeTimeout) == 500 })
}

// TestCertificatesAreReadAgain: a new pair is used from the next handshake on; a faulty pair leaves the
// former in use, with one line in the log; the certificates of a removed authority no longer count, on
// open connections either.
func TestCertificatesAreReadAgain(t *testing.T) {
	s := newServed(t, nil)
	gateway := s.ca.Client(t, "gateway")
	kept := s.client(t, false, gateway)
	serial := func() string {
		c := tls.Client(s.dial(t), s.tls(t))
		if err := c.HandshakeContext(context.Background()); err != nil {
			t.Fatal(err)
		}
		return c.ConnectionState().PeerCertificates[0].SerialNumber.String()
	}
	if got, err := s.get(t, kept); err != nil || got != "HTTP/1.1 gateway" {
		t.Fatalf("%q, %v", got, err)
	}
	first := serial()
	next := s.ca.Server(t)
	pki.Replace(t, filepath.Join(s.dir, "server.pem"), next.Cert) // its key follows only later
	lines := func() int { return s.logs.FilterMessageSnippet("the TLS files cannot be used").Len() }
	wait.For(t, 20*time.Second, "the fault in the log", func() bool { return lines() == 1 })
	if serial() != first {
		t.Error("a certificate without its key is in use")
	}
	pki.Replace(t, filepath.Join(s.dir, "server.key"), next.Key)
	wait.For(t, 20*time.Second, "the new certificate", func() bool { return serial() == next.Leaf.SerialNumber.String() })
	if lines() != 1 {
		t.Errorf("%d lines about one fault", lines())
	}
	other := pki.NewAuthority(t, "other")
	pki.Replace(t, filepath.Join(s.dir, "client-ca.pem"), other.PEM)
	wait.For(t, 20*time.Second, "the authority to be gone for a connection from before", func() bool {
		got, err := s.get(t, kept)
		return err == nil && got == "HTTP/1.1 nobody"
	})
	if got, err := s.get(t, s.client(t, false, gateway)); err == nil {
		t.Errorf("a certificate of the former authority: %q", got)
	}
	if got, err := s.get(t, s.client(t, false, other.Client(t, "partner"))); err != nil || got != "HTTP/1.1 partner" {
		t.Errorf("a certificate of the new authority: %q, %v", got, err)
	}
}

// TestTLSStops: a stop lets a running request finish, answers it over HTTP/2 too, and does not wait for
// connections without one.
func TestTLSStops(t *testing.T) {
	for _, http2 := range []bool{true, false} {
		t.Run(fmt.Sprintf("HTTP/2 %t", http2), func(t *testing.T) {
			began, finish := make(chan struct{}), make(chan struct{})
			s := newServed(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/slow" {
					close(began)
					<-finish
				}
				fmt.Fprint(w, r.Proto)
			}))
			idle, busy := s.client(t, http2), s.client(t, http2)
			if got, err := s.get(t, idle); err != nil || !strings.HasPrefix(got, "HTTP/") {
				t.Fatalf("%q, %v", got, err)
			}
			answered := make(chan error, 1)
			go func() {
				res, err := busy.Get("https://" + s.address + "/slow")
				if err == nil {
					_, err = io.ReadAll(res.Body)
					res.Body.Close()
				}
				answered <- err
			}()
			<-began
			stopped := make(chan struct{})
			go func() { s.stop(); close(stopped) }()
			wait.For(t, 5*time.Second, "no new connections", func() bool {
				var d net.Dialer
				c, err := d.DialContext(t.Context(), "tcp", s.address)
				if err == nil {
					c.Close()
				}
				return err != nil
			})
			close(finish)
			if err := <-answered; err != nil {
				t.Errorf("the running request: %v", err)
			}
			select {
			case <-stopped:
			case <-time.After(5 * wait.Slowdown * time.Second):
				t.Error("the stop waits for idle connections")
			}
		})
	}
}

// TestTLSNeedsItsFiles: a listener does not start without its files, and does not keep its port.
func TestTLSNeedsItsFiles(t *testing.T) {
	config := defaults()
	a := &App{system: newSystem(&config, zap.NewNop()), metrics: newMetrics()}
	_, _, err := a.serve("callbacks", "127.0.0.1:0", ListenTLS{Cert: "none.pem", Key: "none.key"}, http.NotFoundHandler())
	if err == nil || !strings.Contains(err.Error(), "cert the file cannot be read") {
		t.Error(err)
	}
}
