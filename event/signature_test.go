package event

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"testing/quick"
)

// rfc8037 is the key of RFC 8037, appendix A.
func rfc8037(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	seed, err := base64.RawURLEncoding.DecodeString("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A")
	if err != nil {
		t.Fatal(err)
	}
	return ed25519.NewKeyFromSeed(seed)
}

func publicOf(t *testing.T, key ed25519.PrivateKey) ed25519.PublicKey {
	t.Helper()
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		t.Fatal("no Ed25519 key")
	}
	return public
}

// TestSignatureVectors: thumbprint and signature of RFC 8037, appendices A.3 and A.4.
func TestSignatureVectors(t *testing.T) {
	key := rfc8037(t)
	if got := KeyID(publicOf(t, key)); got != "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k" {
		t.Errorf("thumbprint %s", got)
	}
	const jws = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
	input := signingInput("eyJhbGciOiJFZERTQSJ9", []byte("Example of Ed25519 signing"))
	if string(input) != jws {
		t.Errorf("signing input %s", input)
	}
	if got := base64url.EncodeToString(ed25519.Sign(key, input)); got !=
		"hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg" {
		t.Errorf("signature %s", got)
	}
}

// TestSignatures: what was signed verifies, and nothing else does.
func TestSignatures(t *testing.T) {
	key, other := rfc8037(t), ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	keys, err := ParseKeys(KeySet(publicOf(t, key)))
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"id":"1"}`)
	signature := Sign(key, body)
	header, sum, _ := strings.Cut(signature, "..")
	none := base64url.EncodeToString([]byte(`{"alg":"none","kid":"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"}`))
	for name, c := range map[string]struct {
		body, signature string
		want            error
	}{
		"as it was signed":         {string(body), signature, nil},
		"unsigned":                 {string(body), "", ErrUnsigned},
		"another body":             {`{"id":"2"}`, signature, ErrSignature},
		"with a space":             {string(body) + " ", signature, ErrSignature},
		"no body":                  {"", signature, ErrSignature},
		"another key":              {string(body), Sign(other, body), ErrUnknownKey},
		"without a signature":      {string(body), header + "..", ErrSignature},
		"algorithm none":           {string(body), none + ".." + sum, ErrSignature},
		"no algorithm, no sum":     {string(body), none + "..", ErrSignature},
		"content attached":         {string(body), header + "." + base64url.EncodeToString(body) + "." + sum, ErrSignature},
		"padding":                  {string(body), signature + "=", ErrSignature},
		"a fourth part":            {string(body), signature + ".x", ErrSignature},
		"no dots":                  {string(body), "x", ErrSignature},
		"a header that is no JSON": {string(body), base64url.EncodeToString([]byte("x")) + ".." + sum, ErrSignature},
	} {
		if err := keys.Verify([]byte(c.body), c.signature); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	altered := func(at uint, bit uint8) bool {
		changed := []byte(signature)
		changed[at%uint(len(changed))] ^= 1 << (bit % 7)
		return string(changed) == signature || keys.Verify(body, string(changed)) != nil
	}
	if err := quick.Check(altered, &quick.Config{MaxCount: 5000}); err != nil {
		t.Error(err)
	}
}

// TestParseKeys: other kinds of keys are skipped, and a set without a usable key is refused.
func TestParseKeys(t *testing.T) {
	const good = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":"mine"}`
	const rsa = `{"kty":"RSA","n":"AQAB","e":"AQAB"}`
	for text, want := range map[string]int{
		`{"keys":[` + good + `]}`: 1, `{"keys":[` + rsa + `,` + good + `]}`: 1, `{"keys":[` + rsa + `]}`: 0, `{"keys":[]}`: 0,
		`{}`: 0, `[]`: 0, ``: 0, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AQAB"}]}`: 0,
	} {
		keys, err := ParseKeys([]byte(text))
		if len(keys) != want || (err == nil) != (want > 0) {
			t.Errorf("%s: %d keys, %v", text, len(keys), err)
		}
	}
}

func BenchmarkSign(b *testing.B) {
	key, body := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)), make([]byte, 3000)
	for b.Loop() {
		Sign(key, body)
	}
}
