package test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge/internal/app"
	"kycbridge/test/fixture"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestExternalWithTLS sends a callback to a service with an external server that requires TLS and a password, and
// checks that the trace context of the callback is in the headers of its event.
func TestExternalWithTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, cert := certificates(t, dir)
	const password = "synthetic-nats-password"
	external, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: filepath.Join(dir, "nats"), SyncAlways: true,
		MaxPayload: 4 << 20, NoSigs: true, NoLog: true, Username: "bridge", Password: password,
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
	})
	if err != nil {
		t.Fatal(err)
	}
	external.Start()
	t.Cleanup(func() { external.Shutdown(); external.WaitForShutdown() })
	if !external.ReadyForConnections(10 * time.Second) {
		t.Fatal("nats-server did not start")
	}
	url := "tls://" + external.Addr().String()
	write := func(name, auth string) string {
		file := filepath.Join(dir, name)
		writeFile(t, file, fmt.Sprintf(`
listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
data_dir: %s
store: {url: %q, %s}
bus: {url: %q, %s}
accounts:
  - {name: acme, provider: ondato, environment: test, auth: {bearer: [synthetic-bearer-token]}}
`, filepath.Join(dir, "data"), url, auth, url, auth))
		return file
	}

	wrong, err := app.LoadConfig(write("wrong.yaml", "username: bridge, password: "+password), nil, app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	if a, err := app.Start(t.Context(), wrong, app.AllRoles(), zap.NewNop()); err == nil {
		a.Stop()
		t.Error("a server with an unknown certificate is trusted")
	} else if strings.Contains(err.Error(), password) {
		t.Errorf("the password is in %q", err)
	}

	config, err := app.LoadConfig(write("right.yaml", "username: bridge, password: "+password+", tls: {ca: "+ca+"}"), nil,
		app.ProviderCatalog())
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Start(t.Context(), config, app.AllRoles(), zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Stop()
	nc, err := nats.Connect(url, nats.UserInfo("bridge", password), nats.RootCAs(ca))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, _ := jetstream.New(nc)
	consumer, err := js.OrderedConsumer(t.Context(), "KYC_EVENTS", jetstream.OrderedConsumerConfig{})
	if err != nil {
		t.Fatal(err)
	}
	postTraced(t, "http://"+a.CallbackAddr()+"/webhooks/ondato/acme")
	m, err := consumer.Next(jetstream.FetchMaxWait(10 * time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Headers().Get("traceparent"); got != traceparent {
		t.Errorf("traceparent of the event: %q", got)
	}
	if got := m.Headers().Get("Content-Type"); got != "application/cloudevents+json" {
		t.Errorf("content type of the event: %q", got)
	}
	for name := range m.Headers() {
		if strings.HasPrefix(strings.ToLower(name), "ce-") {
			t.Errorf("header %s: the event would be taken for binary mode", name)
		}
	}
}

// postTraced sends one approval with a trace context.
func postTraced(t *testing.T, url string) {
	t.Helper()
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		if c.Dir() != "ondato/kyc-identification-approved" {
			continue
		}
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(c.Body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer synthetic-bearer-token")
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Traceparent", traceparent)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("answered %s", res.Status)
		}
	}
}

// certificates makes a root and a server certificate for 127.0.0.1; ca is the file of the root.
func certificates(t *testing.T, dir string) (ca string, cert tls.Certificate) {
	t.Helper()
	key := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	rootKey, serverKey := key(), key()
	template := func(serial int64, name string, isCA bool) *x509.Certificate {
		return &x509.Certificate{SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, IsCA: isCA,
			BasicConstraintsValid: true,
			NotBefore:             time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
			IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
			KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	}
	root := template(1, "test root", true)
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		t.Fatal(err)
	}
	serverDER, err := x509.CreateCertificate(rand.Reader, template(2, "test server", false), root, &serverKey.PublicKey,
		rootKey)
	if err != nil {
		t.Fatal(err)
	}
	ca = filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	return ca, tls.Certificate{Certificate: [][]byte{serverDER}, PrivateKey: serverKey}
}
