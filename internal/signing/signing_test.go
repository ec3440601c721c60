package signing

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"kycbridge/event"
)

// block encodes a key in PEM, a private one as PKCS #8.
func block(t *testing.T, key any) string {
	t.Helper()
	kind, encode := "PRIVATE KEY", x509.MarshalPKCS8PrivateKey
	if public, ok := key.(ed25519.PublicKey); ok {
		kind, key, encode = "PUBLIC KEY", public, x509.MarshalPKIXPublicKey
	}
	der, err := encode(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// TestSigningKeys: the first key signs, all are published, and other texts are refused without repeating them.
func TestSigningKeys(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	former, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	k, err := Parse("made for a test\n" + block(t, private) + block(t, former))
	if err != nil {
		t.Fatal(err)
	}
	published, err := event.ParseKeys(k.Set())
	if err != nil || len(published) != 2 {
		t.Errorf("%d keys, %v", len(published), err)
	}
	first := event.Keys{event.KeyID(public): public}
	if err := first.Verify([]byte("x"), k.Sign([]byte("x"))); err != nil {
		t.Errorf("another key than the first signs: %v", err)
	}
	if err := published.Verify([]byte("x"), k.Sign([]byte("x"))); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct{ text, want string }{
		"nothing":            {"", "no PEM block"},
		"no PEM":             {"secret-text", "no PEM block"},
		"a public key first": {block(t, former) + block(t, private), "private key that signs comes first"},
		"another kind":       {block(t, other), "not an Ed25519 key"},
		"another kind later": {block(t, private) + block(t, other), "PEM block 2: not an Ed25519 key"},
		"a certificate":      {strings.ReplaceAll(block(t, private), "PRIVATE KEY", "CERTIFICATE"), "neither PRIVATE KEY"},
		"cut":                {strings.Replace(block(t, private), "MC4C", "MC4D", 1), "cannot be read"},
		"text behind":        {block(t, private) + "secret-text", "text after the last PEM block"},
	} {
		if _, err := Parse(c.text); err == nil || !strings.Contains(err.Error(), c.want) ||
			strings.Contains(err.Error(), "secret-text") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
