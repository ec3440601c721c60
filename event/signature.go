package event

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// SignatureHeader is the NATS header that holds the signature of an event: a JSON Web Signature with detached
// content (RFC 7515, appendix F) over the bytes of the message, by Ed25519. It is present if the service has a
// signing key.
const SignatureHeader = "Kyc-Signature"

var (
	// ErrUnsigned means that an event has no signature.
	ErrUnsigned = errors.New("the event is not signed")
	// ErrUnknownKey means that the signature names a key that is not among the known ones. They may be outdated: read
	// them again.
	ErrUnknownKey = errors.New("the event is signed by an unknown key")
	// ErrSignature means that the signature does not match the event, so one of them was altered.
	ErrSignature = errors.New("the signature does not match the event")
)

// Keys are the public keys that sign events, by key id.
type Keys map[string]ed25519.PublicKey

// jsonWebKey is a public Ed25519 key in the form of RFC 8037.
type jsonWebKey struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv"`
	X         string `json:"x"`
	KeyID     string `json:"kid,omitempty"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
}

// protectedHeader is the header of a signature.
type protectedHeader struct {
	Algorithm string `json:"alg"`
	KeyID     string `json:"kid"`
}

// algorithm is the name of Ed25519 in a signature (RFC 8037).
const algorithm = "EdDSA"

var base64url = base64.RawURLEncoding.Strict()

// KeyID is the id of a key: its thumbprint (RFC 7638).
func KeyID(key ed25519.PublicKey) string {
	sum := sha256.Sum256(fmt.Appendf(nil, `{"crv":"Ed25519","kty":"OKP","x":%q}`, base64url.EncodeToString(key)))
	return base64url.EncodeToString(sum[:])
}

// ParseKeys reads a JSON Web Key Set, as the service publishes it at /.well-known/jwks.json. Keys of other
// kinds than Ed25519 are skipped. It fails if no key is left.
func ParseKeys(set []byte) (Keys, error) {
	var read struct {
		Keys []jsonWebKey `json:"keys"`
	}
	if err := json.Unmarshal(set, &read); err != nil {
		return nil, errors.New("read signing keys: not a JSON Web Key Set")
	}
	keys := Keys{}
	for _, k := range read.Keys {
		x, err := base64url.DecodeString(k.X)
		if k.KeyType != "OKP" || k.Curve != "Ed25519" {
			continue
		}
		if err != nil || len(x) != ed25519.PublicKeySize {
			return nil, errors.New("read signing keys: the key set holds a key that is not one of Ed25519")
		}
		keys[KeyID(x)] = x
	}
	if len(keys) == 0 {
		return nil, errors.New("read signing keys: the key set holds no Ed25519 key")
	}
	return keys, nil
}

// KeySet writes keys as a JSON Web Key Set, in the given order.
func KeySet(keys ...ed25519.PublicKey) []byte {
	set := struct {
		Keys []jsonWebKey `json:"keys"`
	}{[]jsonWebKey{}}
	for _, k := range keys {
		set.Keys = append(set.Keys, jsonWebKey{KeyType: "OKP", Curve: "Ed25519", X: base64url.EncodeToString(k),
			KeyID: KeyID(k), Use: "sig", Algorithm: algorithm})
	}
	out, err := json.Marshal(set)
	if err != nil {
		panic(err) // strings only
	}
	return out
}

// Sign signs the bytes of an event, for SignatureHeader.
func Sign(key ed25519.PrivateKey, body []byte) string {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		panic("an Ed25519 key has another public key") // cannot happen
	}
	header := base64url.EncodeToString(fmt.Appendf(nil, `{"alg":%q,"kid":%q}`, algorithm, KeyID(public)))
	return header + ".." + base64url.EncodeToString(ed25519.Sign(key, signingInput(header, body)))
}

// signingInput is what a signature is computed over (RFC 7515, section 5.1).
func signingInput(header string, body []byte) []byte {
	input := make([]byte, 0, len(header)+1+base64url.EncodedLen(len(body)))
	input = append(append(input, header...), '.')
	return base64url.AppendEncode(input, body)
}

// Verify checks the signature of an event: body is the message as it was received, signature the value of
// SignatureHeader, "" if the message has none. The error is ErrUnsigned, ErrUnknownKey or ErrSignature; nil means that
// the service with one of the keys has published exactly these bytes. It does not mean that the event is the
// newest one: compare revisions (Event.NewerThan).
func (k Keys) Verify(body []byte, signature string) error {
	if signature == "" {
		return ErrUnsigned
	}
	header, rest, _ := strings.Cut(signature, ".")
	encoded, detached := strings.CutPrefix(rest, ".")
	raw, err := base64url.DecodeString(header)
	sum, failed := base64url.DecodeString(encoded)
	var protected protectedHeader
	if err != nil || failed != nil || !detached || json.Unmarshal(raw, &protected) != nil ||
		protected.Algorithm != algorithm {
		return ErrSignature
	}
	key, known := k[protected.KeyID]
	switch {
	case !known:
		return ErrUnknownKey
	case !ed25519.Verify(key, signingInput(header, body), sum):
		return ErrSignature
	}
	return nil
}
