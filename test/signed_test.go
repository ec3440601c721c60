package test

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/event"
	"kycbridge/test/freeport"
	"kycbridge/test/wait"
)

// newSigningKey is a new key and its public part in PEM.
func newSigningKey(t testing.TB) (private, public string) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	open, err := x509.MarshalPKIXPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return block("PRIVATE KEY", secret), block("PUBLIC KEY", open)
}

// keySet fetches the published keys; nil if no keys are published.
func (b *bridge) keySet(t *testing.T) []byte {
	t.Helper()
	res, err := b.client.Get(b.adminURL("/.well-known/jwks.json")) //nolint:noctx // the client has a timeout
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	set, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		return nil
	}
	return set
}

// signedBy checks a message with a third-party library: the set contains the key id, and the signature is of exactly
// these bytes.
func signedBy(t *testing.T, set []byte, body []byte, signature string) {
	t.Helper()
	var keys jose.JSONWebKeySet
	if err := json.Unmarshal(set, &keys); err != nil {
		t.Fatal(err)
	}
	jws, err := jose.ParseDetached(signature, body, []jose.SignatureAlgorithm{jose.EdDSA})
	if err != nil {
		t.Fatalf("%q: %v", signature, err)
	}
	named := keys.Key(jws.Signatures[0].Header.KeyID)
	if len(named) != 1 {
		t.Fatalf("%d keys are called %s", len(named), jws.Signatures[0].Header.KeyID)
	}
	if err := jws.DetachedVerify(body, named[0]); err != nil {
		t.Errorf("the signature of another library: %v", err)
	}
	mine, err := event.ParseKeys(set)
	if err != nil {
		t.Fatal(err)
	}
	if err := mine.Verify(body, signature); err != nil {
		t.Error(err)
	}
}

// TestEventsAreSigned: a consumer can check that an event comes from the service, live and in the stream,
// after a replay by another process and after the key was replaced; foreign events in the stream are
// detected.
func TestEventsAreSigned(t *testing.T) {
	t.Parallel()
	private, public := newSigningKey(t)
	file := filepath.Join(t.TempDir(), "signing.pem")
	writeFile(t, file, private)
	b := newBridge(t, "integrity: {signing_key_file: "+file+"}\n"+oneAccount)
	b.start(t)
	nc, err := nats.Connect(b.eventsURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	live, err := nc.SubscribeSync("kyc.event.v1.>")
	if err != nil || nc.Flush() != nil {
		t.Fatal(err)
	}
	b.approve(t, 1, 3)
	first := b.keySet(t)
	for range 3 {
		m, err := live.NextMsg(wait.Slowdown * 10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		signedBy(t, first, m.Data, m.Header.Get(event.SignatureHeader))
	}
	check := func() (code int, stderr string) {
		code, _, stderr = run(t, "kycbridge", "events", "--json", "--url", b.eventsURL(), "--keys",
			b.adminURL("/.well-known/jwks.json"))
		return code, stderr
	}
	if code, stderr := check(); code != 0 {
		t.Fatalf("signed events: %d, %s", code, stderr)
	}

	// The key is replaced; the former one is still published.
	b.stop(t)
	next, _ := newSigningKey(t)
	writeFile(t, file, next+public)
	b.start(t)
	b.approve(t, 4, 4)
	b.settled(t, 20*time.Second)
	if set := b.keySet(t); strings.Count(string(set), `"kid"`) != 2 {
		t.Errorf("published keys: %s", set)
	}
	if code, stderr := check(); code != 0 {
		t.Errorf("events of both keys: %d, %s", code, stderr)
	}

	b.replayedBySomebodyElse(t)
	b.wrongKeys(t, first)
	b.foreignEvents(t, check)
}

// replayedBySomebodyElse: a replay in a separate process signs what it publishes.
func (b *bridge) replayedBySomebodyElse(t *testing.T) {
	t.Helper()
	js := b.operator(t)
	subject := "kyc.event.v1.ondato.acme.*." + idOf(1)
	before := lastOf(t, js, "KYC_EVENTS", subject)
	stream, err := js.Stream(t.Context(), "KYC_EVENTS")
	if err == nil {
		err = stream.DeleteMsg(t.Context(), before.Sequence)
	}
	if err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := run(t, "kycbridge", "payloads", "replay", "--yes", "--config", b.config); code != 0 {
		t.Fatalf("replay: %d, %s", code, stderr)
	}
	after := lastOf(t, js, "KYC_EVENTS", subject)
	signedBy(t, b.keySet(t), after.Data, after.Header.Get(event.SignatureHeader))
}

// wrongKeys: the command reports what is wrong with its keys.
func (b *bridge) wrongKeys(t *testing.T, outdated []byte) {
	t.Helper()
	old := filepath.Join(t.TempDir(), "old.json")
	writeFile(t, old, string(outdated))
	broken := filepath.Join(t.TempDir(), "broken.json")
	writeFile(t, broken, "{}")
	for keys, want := range map[string]string{
		old:                    "unknown key: event ",
		broken:                 "no Ed25519 key",
		old + ".missing":       "no such file",
		b.adminURL("/nothing"): "answers 404",
		"http://" + freeport.Local(9) + "/jwks.json": "no answer from",
	} {
		code, _, stderr := run(t, "kycbridge", "events", "--url", b.eventsURL(), "--keys", keys)
		if code != 1 || !strings.Contains(stderr, want) || strings.Count(stderr, "\n") != 1 {
			t.Errorf("%s: %d, %s", keys, code, stderr)
		}
	}
}

// foreignEvents: an event that another client has published or changed is refused.
func (b *bridge) foreignEvents(t *testing.T, check func() (int, string)) {
	t.Helper()
	js := b.operator(t)
	signed := lastOf(t, js, "KYC_EVENTS", "kyc.event.v1.ondato.acme.*."+idOf(4))
	for name, c := range map[string]struct {
		body, signature, want string
	}{
		"altered":  {strings.Replace(string(signed.Data), "Person", "Porson", 1), signed.Header.Get(event.SignatureHeader), "does not match"},
		"unsigned": {string(signed.Data), "", "not signed"},
	} {
		m := nats.NewMsg("kyc.put.v1.ondato.acme.updated." + idOf(5))
		m.Data = []byte(c.body)
		if c.signature != "" {
			m.Header.Set(event.SignatureHeader, c.signature)
		}
		ack, err := js.PublishMsg(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		if code, stderr := check(); code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: %d, %s", name, code, stderr)
		}
		stream, err := js.Stream(t.Context(), "KYC_EVENTS")
		if err == nil {
			err = stream.DeleteMsg(t.Context(), ack.Sequence)
		}
		if err != nil && !errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
			t.Fatal(err)
		}
	}
}

// TestUnsignedByDefault: without a key nothing is signed, no keys are published, and the command reports this.
func TestUnsignedByDefault(t *testing.T) {
	t.Parallel()
	b := newBridge(t, oneAccount)
	b.start(t)
	b.approve(t, 1, 1)
	b.settled(t, 20*time.Second)
	m := lastOf(t, b.operator(t), "KYC_EVENTS", "kyc.event.v1.ondato.acme.*."+idOf(1))
	if m.Header.Get(event.SignatureHeader) != "" || b.keySet(t) != nil {
		t.Errorf("signed by a key that nobody has configured: %v", m.Header)
	}
	code, _, stderr := run(t, "kycbridge", "events", "--url", b.eventsURL(), "--keys",
		b.adminURL("/.well-known/jwks.json"))
	if code != 1 || !strings.Contains(stderr, "integrity.signing_key") {
		t.Errorf("%d, %s", code, stderr)
	}
}
