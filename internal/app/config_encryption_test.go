package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// keyPair is a new key in PEM.
func keyPair(t *testing.T, key any, public any) (private, open string) {
	t.Helper()
	secret, err1 := x509.MarshalPKCS8PrivateKey(key)
	clear, err2 := x509.MarshalPKIXPublicKey(public)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: clear}))
}

// TestEncryptionKeys: faults in the keys of encrypted events are reported when the configuration is read,
// and without any part of a key.
func TestEncryptionKeys(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, public := keyPair(t, key, &key.PublicKey)
	weak, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // it is refused
	if err != nil {
		t.Fatal(err)
	}
	_, weakPublic := keyPair(t, weak, &weak.PublicKey)
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	own, consumer := file("own.pem", private), file("bank.pem", public)
	const encrypted = `
accounts:
  - {name: a, provider: ondato, environment: test, auth: {bearer: [long-enough-1]}, pii: encrypted`
	for name, c := range map[string]struct{ text, want string }{
		"complete": {"encryption: {event_key_file: " + own + ", recipients: [{key_id: bank, key_file: " + consumer + "}]}" +
			encrypted + ", pii_keys: [bank]}", ""},
		"no recipient": {"encryption: {event_key_file: " + own + "}" + encrypted + "}",
			"accounts[0].pii: is encrypted, and there is no recipient"},
		"no own key": {"encryption: {recipients: [{key_file: " + consumer + "}]}" + encrypted + "}",
			"accounts[0].pii: is encrypted, and encryption.event_key is missing"},
		"private key of the consumer": {"encryption: {recipients: [{key_id: bank, key_file: " + own + "}]}",
			"encryption.recipients[0].key: is no public key of a consumer: is a private key"},
		"public key of the service": {"encryption: {event_key_file: " + consumer + "}",
			"encryption.event_key: is no key of the service: key 1 is a public key"},
		"weak RSA": {"encryption: {recipients: [{key_file: " + file("weak.pem", weakPublic) + "}]}", "has 1024 bits"},
		"no key":   {"encryption: {recipients: [{key_file: " + file("text", "hunter2") + "}]}", "no key: write PEM"},
		"missing":  {"encryption: {recipients: [{key_id: bank}]}", "encryption.recipients[0].key: is missing"},
		"twice": {"encryption: {recipients: [{key_file: " + consumer + "}, {key_file: " + consumer + "}]}",
			"encryption.recipients[1].key_id: is another recipient's already"},
		"unknown id": {"encryption: {event_key_file: " + own + ", recipients: [{key_id: bank, key_file: " +
			consumer + "}]}" + encrypted + ", pii_keys: [bnk]}", "accounts[0].pii_keys[0]: is none of the key ids"},
		"ids without encryption": {strings.Replace(encrypted, "encrypted", "full", 1) + ", pii_keys: [bank]}",
			"accounts[0].pii_keys: has no effect"},
	} {
		_, err := load(c.text)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		case err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "MIG")):
			t.Errorf("%s: the error shows the key: %v", name, err)
		}
	}
}
