package sealed_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"

	"kycbridge/event"
	"kycbridge/event/sealed"
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func privatePEM(key any) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(key))})
}

func publicPEM(key any) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(key))})
}

func ec(c elliptic.Curve) *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(c, rand.Reader)) }

// goldens are the events of all fixtures with the profile full.
func goldens(tb testing.TB) map[string][]byte {
	tb.Helper()
	files := must(filepath.Glob("../../test/fixture/testdata/*/*/golden.json"))
	found := map[string][]byte{}
	for _, file := range files {
		body := must(os.ReadFile(file))
		if e, err := event.Decode(body); err == nil && e.Data.PII.Profile == event.ProfileFull {
			found[file] = body
		}
	}
	if len(found) < 50 {
		tb.Fatalf("only %d events", len(found))
	}
	return found
}

// encrypt is the body of an event of the profile full, encrypted.
func encrypt(tb testing.TB, body []byte, to ...*sealed.Recipient) []byte {
	tb.Helper()
	e := must(event.Decode(body))
	if err := sealed.Seal(&e.Data, to...); err != nil {
		tb.Fatal(err)
	}
	if faults := e.Check(); len(faults) > 0 {
		tb.Fatalf("the encrypted event breaks its schema: %v", faults)
	}
	return must(json.Marshal(e))
}

func decoded(tb testing.TB, body []byte) (v map[string]any) {
	tb.Helper()
	if err := json.Unmarshal(body, &v); err != nil {
		tb.Fatal(err)
	}
	return v
}

// TestEveryEventComesBack encrypts every event of the fixtures to two consumers, one with an RSA key: each decrypts
// exactly the event of the profile full, and the published bytes contain none of its personal members.
func TestEveryEventComesBack(t *testing.T) {
	curve, numbers := ec(elliptic.P256()), must(rsa.GenerateKey(rand.Reader, 2048))
	bank := must(sealed.ParseRecipient("bank", publicPEM(&curve.PublicKey)))
	auditor := must(sealed.ParseRecipient("", publicPEM(&numbers.PublicKey)))
	keys := []*sealed.Keys{must(sealed.ParseKeys(privatePEM(curve))), must(sealed.ParseKeys(privatePEM(numbers)))}
	for name, body := range goldens(t) {
		published := encrypt(t, body, bank, auditor)
		pii := must(event.Decode(published)).Data.PII
		if pii.KeyID != "bank" || len(pii.JWE) != 2 {
			t.Fatalf("%s: %+v", name, pii)
		}
		for _, k := range keys {
			opened, err := k.Open(published)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(decoded(t, body), decoded(t, opened)); diff != "" {
				t.Errorf("%s: decrypted and full differ: %s", name, diff)
			}
		}
		for _, member := range []string{"external_reference", "documents", "extracted_claims", "verified_claims", "media",
			"session", "extensions"} {
			if bytes.Contains(published, []byte(`"`+member+`"`)) {
				t.Errorf("%s: %s is in clear", name, member)
			}
		}
	}
}

// fill sets every string below v to a seed.
func fill(v reflect.Value, seed string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(seed)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), seed)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), seed)
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]any{seed: seed}).Convert(v.Type()))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), seed)
		}
	}
}

// TestEveryPersonalMember seeds every string of every personal member, one member after the other: the encrypted
// event does not contain it, and the decrypted one does.
func TestEveryPersonalMember(t *testing.T) {
	const seed = "s33dpersonal"
	key := ec(elliptic.P256())
	to, keys := must(sealed.ParseRecipient("", publicPEM(&key.PublicKey))), must(sealed.ParseKeys(privatePEM(key)))
	personal := reflect.TypeFor[event.Personal]()
	for i := range personal.NumField() {
		name := personal.Field(i).Name
		if name == "PII" || name == "Terms" {
			continue
		}
		var e event.Event
		fill(reflect.ValueOf(&e.Data).Elem().FieldByName(name), seed)
		e.Data.PII.Profile = event.ProfileFull
		full := must(json.Marshal(e))
		if !bytes.Contains(full, []byte(seed)) {
			t.Fatalf("%s is empty", name)
		}
		if err := sealed.Seal(&e.Data, to); err != nil {
			t.Fatal(err)
		}
		published := must(json.Marshal(e))
		if bytes.Contains(published, []byte(seed)) {
			t.Errorf("%s: in clear: %s", name, published)
		}
		opened, err := keys.Open(published)
		if diff := cmp.Diff(decoded(t, full), decoded(t, opened)); err != nil || diff != "" {
			t.Errorf("%s: %v, %s", name, err, diff)
		}
	}
}

// TestKeyForms: keys as PEM, JSON Web Key and set; with an id of their own, a thumbprint or a configured one.
func TestKeyForms(t *testing.T) {
	key, other := ec(elliptic.P384()), ec(elliptic.P521())
	signing, _, _ := ed25519.GenerateKey(rand.Reader)
	jwk := func(k any, id, use string) []byte {
		return must(json.Marshal(jose.JSONWebKey{Key: k, KeyID: id, Use: use}))
	}
	set := func(keys ...[]byte) []byte {
		return append(append([]byte(`{"keys":[`), bytes.Join(keys, []byte(","))...), "]}"...)
	}
	sec1 := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: must(x509.MarshalECPrivateKey(key))})
	var body []byte
	for _, body = range goldens(t) {
		break
	}
	for name, c := range map[string]struct {
		id              string
		public, private []byte
		want            string
	}{
		"PEM":           {"", publicPEM(&key.PublicKey), privatePEM(key), ""},
		"SEC 1, own id": {"mine", publicPEM(&key.PublicKey), sec1, "mine"},
		"JWK":           {"", jwk(&key.PublicKey, "k1", "enc"), jwk(key, "k1", "enc"), "k1"},
		"JWK, PEM":      {"", jwk(&key.PublicKey, "k1", ""), privatePEM(key), "k1"},
		"set": {"", set(jwk(&key.PublicKey, "k1", "enc"), jwk(signing, "s", "sig")),
			jwk(key, "k1", ""), "k1"},
		"set of two": {"k2", set(jwk(&key.PublicKey, "k1", ""), jwk(&other.PublicKey, "k2", "")),
			set(jwk(key, "k1", ""), jwk(other, "k2", "")), "k2"},
		"several PEM":       {"", publicPEM(&other.PublicKey), append(privatePEM(key), privatePEM(other)...), ""},
		"id of another key": {"k1", publicPEM(&other.PublicKey), set(jwk(key, "k1", ""), jwk(other, "k2", "")), "k1"},
	} {
		to, err := sealed.ParseRecipient(c.id, c.public)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if c.want != "" && to.KeyID != c.want || len(c.want) == 0 && len(to.KeyID) != 43 {
			t.Errorf("%s: key id %s", name, to.KeyID)
		}
		keys, err := sealed.ParseKeys(c.private)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if opened, err := keys.Open(encrypt(t, body, to)); err != nil || !cmp.Equal(decoded(t, opened), decoded(t, body)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRefusedKeys: a text that cannot or must not be a key is refused, and the error contains nothing of
// it.
func TestRefusedKeys(t *testing.T) {
	key := ec(elliptic.P256())
	_, signing, _ := ed25519.GenerateKey(rand.Reader)
	weak := must(rsa.GenerateKey(rand.Reader, 1024)) //nolint:gosec // it is refused
	secret := must(json.Marshal(jose.JSONWebKey{Key: []byte("hunter2hunter2hunter2"), KeyID: "k"}))
	for name, c := range map[string]struct{ text, want string }{
		"private":      {string(privatePEM(key)), "is a private key"},
		"private JWK":  {string(must(json.Marshal(jose.JSONWebKey{Key: key}))), "is a private key"},
		"weak RSA":     {string(publicPEM(&weak.PublicKey)), "1024 bits"},
		"P-224":        {string(publicPEM(&ec(elliptic.P224()).PublicKey)), "P-224"},
		"Ed25519":      {string(publicPEM(signing.Public())), "neither an EC nor an RSA key"},
		"symmetric":    {string(secret), "neither an EC"},
		"text":         {"hunter2", "no key"},
		"empty":        {"", "no key"},
		"empty set":    {`{"keys":[]}`, "no key"},
		"text behind":  {string(publicPEM(&key.PublicKey)) + "hunter2", "no key"},
		"certificate":  {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "neither PRIVATE KEY nor"},
		"several":      {string(publicPEM(&key.PublicKey)) + string(publicPEM(&key.PublicKey)), "holds 2 keys"},
		"for signing":  {string(must(json.Marshal(jose.JSONWebKey{Key: &key.PublicKey, Use: "sig"}))), "for signatures"},
		"unknown kind": {`{"kty":"hunter2"}`, "no JSON Web Key"},
	} {
		_, err := sealed.ParseRecipient("", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	if _, err := sealed.ParseKeys(publicPEM(&key.PublicKey)); err == nil || !strings.Contains(err.Error(), "public key") {
		t.Errorf("a public key decrypts: %v", err)
	}
}

// TestErrors: a wrong key, an altered event, an event of another profile, no event.
func TestErrors(t *testing.T) {
	key, other := ec(elliptic.P256()), ec(elliptic.P256())
	to := must(sealed.ParseRecipient("bank", publicPEM(&key.PublicKey)))
	keys := must(sealed.ParseKeys(must(json.Marshal(jose.JSONWebKey{Key: key, KeyID: "bank"}))))
	wrong := must(sealed.ParseKeys(privatePEM(other)))
	for _, body := range goldens(t) {
		published := encrypt(t, body, to)
		_, err := wrong.Open(published)
		if !errors.Is(err, sealed.ErrUnknownKey) || !strings.Contains(err.Error(), "bank") {
			t.Errorf("another key: %v", err)
		}
		e := must(event.Decode(published))
		parts := strings.Split(e.Data.PII.JWE["bank"], ".")
		if parts[3][0] == 'A' {
			parts[3] = "B" + parts[3][1:]
		} else {
			parts[3] = "A" + parts[3][1:]
		}
		e.Data.PII.JWE["bank"] = strings.Join(parts, ".")
		if err := keys.OpenData(&e.Data); !errors.Is(err, sealed.ErrDamaged) || e.Data.ExtractedClaims != nil {
			t.Errorf("altered: %v", err)
		}
		if same, err := wrong.Open(body); err != nil || !bytes.Equal(same, body) {
			t.Errorf("an event of the profile full: %v", err)
		}
		break
	}
	if _, err := keys.Open([]byte("[]")); err == nil {
		t.Error("what is no event is decrypted")
	}
	if err := sealed.Seal(&event.Data{}); err == nil {
		t.Error("an event is encrypted to nobody")
	}
}

// largest is the longest event of the fixtures.
func largest(b *testing.B) (longest []byte) {
	b.Helper()
	for _, body := range goldens(b) {
		if len(body) > len(longest) {
			longest = body
		}
	}
	return longest
}

func BenchmarkSeal(b *testing.B) {
	key, own := ec(elliptic.P256()), ec(elliptic.P256())
	to := []*sealed.Recipient{must(sealed.ParseRecipient("bank", publicPEM(&key.PublicKey))),
		must(sealed.ParseRecipient("", publicPEM(&own.PublicKey)))}
	e := must(event.Decode(largest(b)))
	for b.Loop() {
		d := e.Data
		if err := sealed.Seal(&d, to...); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	key := ec(elliptic.P256())
	e := must(event.Decode(encrypt(b, largest(b), must(sealed.ParseRecipient("", publicPEM(&key.PublicKey))))))
	keys := must(sealed.ParseKeys(privatePEM(key)))
	for b.Loop() {
		d := e.Data
		if err := keys.OpenData(&d); err != nil {
			b.Fatal(err)
		}
	}
}

// TestConcurrentUse: recipients and keys are used by several goroutines.
func TestConcurrentUse(t *testing.T) {
	key := ec(elliptic.P256())
	to, keys := must(sealed.ParseRecipient("", publicPEM(&key.PublicKey))), must(sealed.ParseKeys(privatePEM(key)))
	var running sync.WaitGroup
	for range 8 {
		running.Go(func() {
			for range 20 {
				d := event.Data{ExternalReference: "r", PII: event.PII{Profile: event.ProfileFull}}
				if err := sealed.Seal(&d, to); err != nil || d.ExternalReference != "" {
					t.Error(err)
				}
				if err := keys.OpenData(&d); err != nil || d.ExternalReference != "r" {
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
}
