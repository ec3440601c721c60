package keys

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// Advice explains how to create a master key.
const Advice = "make one with: kycbridge keys generate"

// Local are master keys from the configuration.
type Local struct {
	first string // the id of the key that wraps
	keys  map[string]cipher.AEAD
}

// keyID is a valid id of a master key.
var keyID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ParseLocal reads master keys, one a line: an id, a space and 32 bytes in base64. The first one wraps, the
// others unwrap what was wrapped with them earlier. Empty lines and lines that start with # are skipped.
// Errors name the line and contain no part of a key.
func ParseLocal(text string) (*Local, error) {
	l := &Local{keys: map[string]cipher.AEAD{}}
	for number, line := range strings.Split(text, "\n") {
		if !IsKeyLine(line) {
			continue
		}
		id, aead, err := parseLine(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number+1, err)
		}
		if l.keys[id] != nil {
			return nil, fmt.Errorf("line %d: there is another key with the id %s", number+1, id)
		}
		if l.first == "" {
			l.first = id
		}
		l.keys[id] = aead
	}
	if l.first == "" {
		return nil, errors.New("no master key; " + Advice)
	}
	return l, nil
}

// IsKeyLine reports whether a line of ParseLocal is neither empty nor a comment.
func IsKeyLine(line string) bool {
	line = strings.TrimSpace(line)
	return line != "" && !strings.HasPrefix(line, "#")
}

func parseLine(line string) (id string, aead cipher.AEAD, err error) {
	id, encoded, _ := strings.Cut(strings.TrimSpace(line), " ")
	if !keyID.MatchString(id) {
		return "", nil, errors.New("the id of the key is not 1 to 64 letters, digits, '.', '-' and '_'; " + Advice)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil || len(raw) != Size {
		return "", nil, errors.New("after the id and a space come 32 bytes in base64; " + Advice)
	}
	aead, err = newAEAD(raw)
	return id, aead, err
}

// Generate makes a line for ParseLocal with a new key.
func Generate(id string) (string, error) {
	if !keyID.MatchString(id) {
		return "", fmt.Errorf("%q cannot be the id of a key: write 1 to 64 letters, digits, '.', '-' and '_'", id)
	}
	return id + " " + base64.StdEncoding.EncodeToString(New()), nil
}

// NewID is an id for a new key: a date, and a random part, because several processes may have made a key on one day. A
// page that was wrapped with one of two keys with the same id could not be opened with the other.
func NewID(at time.Time) string {
	random := make([]byte, 3)
	_, _ = rand.Read(random) // never fails
	return at.UTC().Format(time.DateOnly) + "-" + hex.EncodeToString(random)
}

// New makes a random key.
func New() []byte {
	key := make([]byte, Size)
	_, _ = rand.Read(key) // never fails
	return key
}

func (l *Local) has(id string) bool { return l.keys[id] != nil }

// Wrap encrypts a key with the first master key.
func (l *Local) Wrap(key []byte) (id string, wrapped []byte, err error) {
	return l.first, sealWith(l.keys[l.first], key, []byte(l.first)), nil
}

// Unwrap decrypts a key.
func (l *Local) Unwrap(id string, wrapped []byte) ([]byte, error) {
	key, err := openWith(l.keys[id], wrapped, []byte(id))
	if err != nil {
		return nil, fmt.Errorf("master key %s: %w", id, err)
	}
	return key, nil
}

// ErrAltered means that encrypted bytes were altered, or encrypted with another key.
var ErrAltered = errors.New("the encrypted bytes were altered, or this is another key")

// Seal encrypts plain with AES-256-GCM. The result starts with the random nonce. about is authenticated as
// additional data.
func Seal(key, plain, about []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return sealWith(aead, plain, about), nil
}

// Open decrypts the result of Seal, or returns ErrAltered.
func Open(key, sealed, about []byte) ([]byte, error) {
	aead, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	return openWith(aead, sealed, about)
}

// Overhead is the number of bytes by which Seal makes its input longer.
const Overhead = 12 + 16

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func sealWith(aead cipher.AEAD, plain, about []byte) []byte {
	sealed := make([]byte, aead.NonceSize(), len(plain)+Overhead)
	_, _ = rand.Read(sealed) // never fails
	return aead.Seal(sealed, sealed, plain, about)
}

func openWith(aead cipher.AEAD, sealed, about []byte) ([]byte, error) {
	if len(sealed) < Overhead {
		return nil, ErrAltered
	}
	plain, err := aead.Open(nil, sealed[:aead.NonceSize()], sealed[aead.NonceSize():], about)
	if err != nil {
		return nil, ErrAltered
	}
	return plain, nil
}
