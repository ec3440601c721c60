package sealed

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
)

// leastRSA is the smallest RSA key that is accepted, bits.
const leastRSA = 2048

// Advice describes how to create a key.
const Advice = "make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out FILE"

// errNoKeys: a file contains no key.
var errNoKeys = errors.New("no key: write PEM, a JSON Web Key or a JSON Web Key Set; " + Advice)

// Keys decrypt events: private keys by their key id.
type Keys struct{ keys []jose.JSONWebKey }

// ParseKeys reads private keys: PEM blocks (PKCS #8, SEC 1, PKCS #1), a JSON Web Key or a JSON Web Key Set, on the
// curves P-256, P-384 and P-521 or RSA of at least 2048 bits. A key without a key id gets its thumbprint
// (RFC 7638) as key id. Errors contain nothing of a key.
func ParseKeys(text []byte) (*Keys, error) {
	found, err := parse(text)
	if err != nil {
		return nil, err
	}
	for i, key := range found {
		if key.IsPublic() {
			return nil, fmt.Errorf("key %d is a public key: decryption needs the private one", i+1)
		}
	}
	return &Keys{found}, nil
}

// And returns the keys of k and of others.
func (k *Keys) And(others *Keys) *Keys {
	return &Keys{append(append([]jose.JSONWebKey{}, k.keys...), others.keys...)}
}

// Recipient is the public part of the first key.
func (k *Keys) Recipient() (*Recipient, error) {
	return newRecipient(k.keys[0].KeyID, k.keys[0].Public())
}

// Recipient is a public key to which events are encrypted. Several goroutines may use it.
type Recipient struct {
	KeyID     string
	encrypter jose.Encrypter
}

// ParseRecipient reads the public key of a consumer: one PEM block (PUBLIC KEY), a JSON Web Key, or a JSON Web Key
// Set from which keyID selects one. Without keyID the recipient has the key id in the file, or the thumbprint
// (RFC 7638). A private key is refused. Errors contain nothing of a key.
func ParseRecipient(keyID string, text []byte) (*Recipient, error) {
	found, err := parse(text)
	if err != nil {
		return nil, err
	}
	for _, key := range found {
		if !key.IsPublic() {
			return nil, errors.New("is a private key: the consumer keeps it; write its public part, for PEM made with: " +
				"openssl pkey -in FILE -pubout")
		}
	}
	if len(found) > 1 {
		var named []jose.JSONWebKey
		for _, key := range found {
			if key.KeyID == keyID {
				named = append(named, key)
			}
		}
		if len(named) != 1 {
			return nil, fmt.Errorf("holds %d keys, and key_id names %d of them: name one", len(found), len(named))
		}
		found = named
	}
	if keyID == "" {
		keyID = found[0].KeyID
	}
	return newRecipient(keyID, found[0])
}

func newRecipient(keyID string, key jose.JSONWebKey) (*Recipient, error) {
	algorithm := jose.ECDH_ES_A256KW
	if _, isRSA := key.Key.(*rsa.PublicKey); isRSA {
		algorithm = jose.RSA_OAEP_256
	}
	to := jose.Recipient{Algorithm: algorithm, Key: key.Key, KeyID: keyID}
	encrypter, err := jose.NewEncrypter(jose.A256GCM, to, (&jose.EncrypterOptions{}).WithContentType("json"))
	if err != nil {
		return nil, errors.New("the key cannot encrypt")
	}
	return &Recipient{KeyID: keyID, encrypter: encrypter}, nil
}

// parse reads all keys of a text, each with a key id. It returns an error if it finds no key.
func parse(text []byte) (found []jose.JSONWebKey, err error) {
	if text = bytes.TrimSpace(text); bytes.HasPrefix(text, []byte("{")) {
		found, err = parseJSON(text)
	} else {
		found, err = parsePEM(text)
	}
	if err == nil && len(found) == 0 {
		err = errNoKeys
	}
	for i := range found {
		if err == nil {
			err = complete(&found[i])
		}
	}
	return found, err
}

// parseJSON reads a JSON Web Key, or a set; it skips the signature keys of a set.
func parseJSON(text []byte) (found []jose.JSONWebKey, err error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if json.Unmarshal(text, &set) != nil {
		return nil, errNoKeys
	}
	isSet := set.Keys != nil
	if !isSet {
		set.Keys = []json.RawMessage{text}
	}
	for i, raw := range set.Keys {
		var about struct {
			Use string `json:"use"`
		}
		if json.Unmarshal(raw, &about) == nil && about.Use == "sig" {
			if isSet {
				continue
			}
			return nil, errors.New("the key is for signatures (use: sig)")
		}
		var key jose.JSONWebKey
		if key.UnmarshalJSON(raw) != nil {
			return nil, fmt.Errorf("key %d is no JSON Web Key that can be read; %s", i+1, Advice)
		}
		found = append(found, key)
	}
	return found, nil
}

func parsePEM(rest []byte) (found []jose.JSONWebKey, err error) {
	for number := 1; ; number++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "EC PARAMETERS" {
			continue // openssl ecparam -genkey writes it before the key
		}
		key, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("PEM block %d: %w", number, err)
		}
		found = append(found, jose.JSONWebKey{Key: key})
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, errNoKeys
	}
	return found, nil
}

func parseBlock(block *pem.Block) (key any, err error) {
	switch block.Type {
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	default:
		return nil, errors.New("neither PRIVATE KEY nor PUBLIC KEY; " + Advice)
	}
	if err != nil {
		return nil, errors.New("the key cannot be read; " + Advice)
	}
	return key, nil
}

// complete checks the kind of a key and gives it its thumbprint as id if it has none.
func complete(key *jose.JSONWebKey) error {
	switch public := key.Public().Key.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits < leastRSA {
			return fmt.Errorf("the RSA key has %d bits: write one of at least %d", bits, leastRSA)
		}
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P224() {
			return errors.New("the curve is P-224: write a key on P-256, P-384 or P-521; " + Advice)
		}
	default:
		return errors.New("neither an EC nor an RSA key: events are encrypted by ECDH-ES+A256KW or RSA-OAEP-256; " + Advice)
	}
	if strings.TrimSpace(key.KeyID) == "" {
		sum, err := key.Thumbprint(crypto.SHA256)
		if err != nil {
			return errors.New("the key cannot be read; " + Advice)
		}
		key.KeyID = base64.RawURLEncoding.EncodeToString(sum)
	}
	return nil
}
