package test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/event/sealed"
	"kycbridge/internal/app"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
	"kycbridge/test/traffic"
	"kycbridge/test/wait"
)

// keyFiles writes a new private key and its public part in PEM, and returns their names.
func keyFiles(t *testing.T, dir, name string, isRSA bool) (private, public string) {
	t.Helper()
	var key, open any
	if isRSA {
		k, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			t.Fatal(err)
		}
		key, open = k, &k.PublicKey
	} else {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		key, open = k, &k.PublicKey
	}
	secret, err1 := x509.MarshalPKCS8PrivateKey(key)
	clear, err2 := x509.MarshalPKIXPublicKey(open)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	private, public = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".pub.pem")
	writeFile(t, private, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
	writeFile(t, public, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: clear})))
	return private, public
}

// accountsEverywhere has an account at each provider, with more lines for each.
func accountsEverywhere(more string) string {
	var b strings.Builder
	b.WriteString("log: {level: warn}\naccounts:\n")
	for _, name := range app.ProviderCatalog().Names {
		fmt.Fprintf(&b, "  - {name: acme, provider: %s, environment: test, auth: {bearer: [%s]}, confirm: false%s}\n", name,
			loadToken, more)
	}
	return b.String()
}

// sendFixtures posts the body of every fixture, one after the other.
func (b *bridge) sendFixtures(t *testing.T) {
	t.Helper()
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.callbackURL(c.Provider, "acme"),
			bytes.NewReader(c.Body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+loadToken)
		req.Header.Set("Content-Type", "application/json")
		if _, err := b.send(req); err != nil {
			t.Fatal(err)
		}
		b.settled(t, 20*time.Second) // so that both services process in the same order
	}
}

// printed are the events that kycbridge events prints, by verification.
func (b *bridge) printed(t *testing.T, more ...string) (bodies map[string][][]byte, code int, stderr string) {
	t.Helper()
	code, stdout, stderr := run(t, "kycbridge", append([]string{"events", "--json", "--url", b.eventsURL()}, more...)...)
	bodies = map[string][][]byte{}
	for line := range strings.Lines(stdout) {
		e, err := event.Decode([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		bodies[e.Subject] = append(bodies[e.Subject], []byte(strings.TrimSpace(line)))
	}
	return bodies, code, stderr
}

// withoutNow is an event as JSON in which instants of this run are replaced.
func withoutNow(t *testing.T, body []byte, began time.Time) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case map[string]any:
			for key := range v {
				v[key] = walk(v[key])
			}
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case string:
			if at := event.ParseInstant(v); at.After(began) {
				return "now"
			}
		}
		return v
	}
	return walk(v)
}

// TestEncryptedEvents compares two services that receive the callbacks of all providers, one with pii: full and one
// with pii: encrypted for two consumers. Each consumer decrypts exactly the same events, and the files of the stream
// contain nothing personal in clear. Redelivered and replayed payloads change nothing.
func TestEncryptedEvents(t *testing.T) {
	t.Parallel()
	dir, began := t.TempDir(), time.Now().Add(-time.Second)
	own, _ := keyFiles(t, dir, "own", false)
	signing := filepath.Join(dir, "signing.pem")
	signingKey, _ := newSigningKey(t)
	writeFile(t, signing, signingKey)
	bank, bankPublic := keyFiles(t, dir, "bank", false)
	auditor, auditorPublic := keyFiles(t, dir, "auditor", true)
	full := newBridge(t, accountsEverywhere(""))
	full.start(t)
	full.sendFixtures(t)
	b := newBridge(t, fmt.Sprintf("encryption: {event_key_file: %s, recipients: [{key_id: bank, key_file: %s}, "+
		"{key_id: auditor, key_file: %s}]}\nintegrity: {signing_key_file: %s}\n", own, bankPublic, auditorPublic,
		signing)+accountsEverywhere(", pii: encrypted"))
	b.start(t)
	b.sendFixtures(t)

	want, _, _ := full.printed(t)
	if len(want) < 15 {
		t.Fatalf("only %d verifications", len(want))
	}
	for _, key := range []string{bank, auditor, own} {
		got, code, stderr := b.printed(t, "--decrypt", key, "--keys", b.adminURL("/.well-known/jwks.json"))
		if code != 0 {
			t.Fatalf("%s: %d, %s", key, code, stderr)
		}
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(got))); diff != "" {
			t.Fatalf("verifications: %s", diff)
		}
		for id := range want {
			if len(got[id]) != len(want[id]) {
				t.Errorf("%s: %d revisions, with pii: full %d", id, len(got[id]), len(want[id]))
				continue
			}
			for i := range want[id] {
				if diff := cmp.Diff(withoutNow(t, want[id][i], began), withoutNow(t, got[id][i], began)); diff != "" {
					t.Errorf("%s, revision %d: -full +decrypted\n%s", id, i+1, diff)
				}
			}
		}
	}
	published, code, stderr := b.printed(t)
	if code != 0 {
		t.Fatalf("%d, %s", code, stderr)
	}
	checkClosed(t, published)
	nothingInClear(t, b.dir, want)

	// Known payloads lead to no new events.
	b.sendFixtures(t)
	if again, _, _ := b.printed(t); !cmp.Equal(again, published) {
		t.Error("a redelivery made events")
	}
	code, stdout, stderr := run(t, "kycbridge", "payloads", "replay", "--dry-run", "--json", "--config", b.config)
	if code != 0 || strings.Contains(stdout, `"differs"`) || strings.Contains(stdout, "would") ||
		!strings.Contains(stdout, "unchanged") {
		t.Errorf("replay: %d, %s, %s", code, stdout, stderr)
	}
	file := filepath.Join(dir, "again.ndjson")
	code, _, stderr = run(t, "kycbridge", "payloads", "replay", "--to", file, "--yes",
		"--config", b.config)
	if code != 0 {
		t.Fatalf("replay --to: %d, %s", code, stderr)
	}
	written, err := os.ReadFile(file)
	if err != nil || !bytes.Contains(written, []byte(`"jwe"`)) || bytes.Contains(written, []byte(`"extracted_claims"`)) {
		t.Errorf("replay --to writes events in clear: %v", err)
	}
}

// checkClosed checks events with the closed schema.
func checkClosed(t *testing.T, published map[string][][]byte) {
	t.Helper()
	closed, err := schemas.Closed()
	if err != nil {
		t.Fatal(err)
	}
	for id, bodies := range published {
		for _, body := range bodies {
			doc, faults := document.Decode(body)
			if len(faults) == 0 {
				faults = closed.Validate(doc)
			}
			if len(faults) > 0 {
				t.Errorf("%s: %v", id, faults)
			}
		}
	}
}

// nothingInClear searches the files of the event stream for the claims and document numbers of events.
func nothingInClear(t *testing.T, dir string, want map[string][][]byte) {
	t.Helper()
	values := map[string]bool{}
	for _, bodies := range want {
		for _, body := range bodies {
			e, err := event.Decode(body)
			if err != nil {
				t.Fatal(err)
			}
			for _, doc := range e.Data.Documents {
				values[doc.DocumentNumber] = true
			}
			for _, name := range []string{"name", "given_name", "family_name", "email", "phone_number"} {
				if s, ok := e.Data.ExtractedClaims[name].(string); ok {
					values[s] = true
				}
			}
		}
	}
	read := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.Contains(path, "KYC_EVENTS") {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		read += len(raw)
		for value := range values {
			needle := value
			if len(value) < 9 {
				needle = `"` + value + `"` // ids may contain a short number
			}
			if len(value) > 4 && bytes.Contains(raw, []byte(needle)) {
				t.Errorf("%s contains %q", filepath.Base(path), value)
			}
		}
		return nil
	})
	if err != nil || read < 1<<16 || len(values) < 10 {
		t.Errorf("%v; %d bytes and %d values are too few", err, read, len(values))
	}
}

// TestEncryptionKeysChange: the service's key is replaced, and events encrypted with the former one remain readable.
// Without the former key nothing is computed for their verifications, the reason is logged, and payloads wait until
// the key is available again.
func TestEncryptionKeysChange(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	own, _ := keyFiles(t, dir, "own", false)
	next, nextPublic := keyFiles(t, dir, "next", false)
	bank, bankPublic := keyFiles(t, dir, "bank", false)
	first, second := readFileText(t, own), readFileText(t, next)
	b := newBridge(t, fmt.Sprintf("encryption: {event_key_file: %s, recipients: [{key_id: bank, key_file: %s}]}\n", own,
		bankPublic)+strings.Replace(oneAccount, "confirm: false", "confirm: false\n    pii: encrypted", 1))
	b.start(t)
	b.approve(t, 1, 2)
	b.settled(t, 20*time.Second)

	// Without the former key the payload waits.
	b.stop(t)
	writeFile(t, own, second)
	b.start(t)
	post := func(n int) {
		r, err := b.post(t.Context(), kycHook(n, 2, "Rejected", "Rejected", ""))
		if err != nil || r.Code != http.StatusOK {
			t.Fatalf("%d, %v", r.Code, err)
		}
	}
	post(1)
	b.approve(t, 3, 3)
	decided(t, b.eventsURL(), 3, 3) // another verification is not delayed
	wait.For(t, 20*time.Second, "the missing key is named", func() bool {
		return strings.Contains(b.stderr.String(), "is not configured in encryption.event_key")
	})
	if n := len(traffic.Histories(t, b.eventsURL())[idOf(1)]); n != 1 {
		t.Errorf("%d events", n)
	}

	// An event that cannot be read can be erased.
	code, _, stderr := run(t, "kycbridge", "payloads", "purge", "--verification", idOf(2), "--yes",
		"--why", "request", "--config", b.config)
	if code != 0 {
		t.Errorf("purge: %d, %s", code, stderr)
	}

	// With both keys everything continues, and new events are encrypted with the new one.
	b.stop(t)
	writeFile(t, own, second+first)
	b.start(t)
	b.settled(t, 60*time.Second)
	all, code, stderr := b.printed(t, "--decrypt", bank)
	if code != 0 || len(all[idOf(1)]) != 2 || len(all[idOf(2)]) != 0 {
		t.Fatalf("%d, %s, %d events of the first, %d of the erased one", code, stderr, len(all[idOf(1)]), len(all[idOf(2)]))
	}
	newest, _ := event.Decode(all[idOf(1)][1])
	if len(newest.Data.ExtractedClaims) == 0 || newest.Data.PII.Profile != event.ProfileFull {
		t.Errorf("%+v", newest.Data)
	}
	to, err := sealed.ParseRecipient("", []byte(readFileText(t, nextPublic)))
	if err != nil {
		t.Fatal(err)
	}
	published, _, _ := b.printed(t)
	if e, _ := event.Decode(published[idOf(1)][1]); e.Data.PII.JWE[to.KeyID] == "" || e.Data.PII.KeyID != "bank" {
		t.Errorf("%+v", e.Data.PII)
	}

	// The index stores a digest of the reference that is encrypted in the event.
	wait.For(t, 20*time.Second, "an encrypted reference is found", func() bool {
		code, stdout, _ := run(t, "kycbridge", "find", "ref-1", "--config", b.config)
		return code == 0 && strings.Contains(stdout, idOf(1)[:8])
	})
	if _, stdout, _ := run(t, "kycbridge", "find", idOf(1), "--config", b.config); strings.Contains(stdout, "Person0") {
		t.Errorf("find shows a name without --reveal: %s", stdout)
	}
	if mine, _, _ := b.printed(t, "--decrypt", bank, "--case", "ref-1"); len(mine) != 1 {
		t.Errorf("%d verifications of an encrypted reference", len(mine))
	}

	// A consumer with another key sees the events without personal data, and gets a message about it.
	stranger, _ := keyFiles(t, dir, "stranger", false)
	clear, code, stderr := b.printed(t, "--decrypt", stranger)
	if code != 1 || len(clear[idOf(1)]) != 2 || !strings.Contains(stderr, "none of the keys decrypts the event") ||
		!strings.Contains(stderr, "3 events could not be decrypted") {
		t.Errorf("%d, %s", code, stderr)
	}
}

func readFileText(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
