package ledger

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// keyName is the name of the key in signatures.
const keyName = "kycbridge"

// Checkpoint is a state of the log.
type Checkpoint struct {
	Origin string // which log
	Size   int64
	Root   tlog.Hash
	At     time.Time // when it was signed
}

// text is the checkpoint in the format of C2SP tlog-checkpoint, with the time as an extension line.
func (c Checkpoint) text() string {
	return fmt.Sprintf("%s\n%d\n%s\n%s\n", c.Origin, c.Size, base64.StdEncoding.EncodeToString(c.Root[:]),
		c.At.UTC().Format(time.RFC3339))
}

// Sign signs the checkpoint.
func (c Checkpoint) Sign(key ed25519.PrivateKey) ([]byte, error) {
	return SignText(c.text(), key)
}

// SignText signs a text, which ends with a line end, as a note.
func SignText(text string, key ed25519.PrivateKey) ([]byte, error) {
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return nil, errors.New("the key has no public part")
	}
	verifier, err := VerifierKey(public)
	if err != nil {
		return nil, err
	}
	parts := strings.SplitN(verifier, "+", 3)
	secret := base64.StdEncoding.EncodeToString(append([]byte{1}, key.Seed()...)) // 1: Ed25519
	signer, err := note.NewSigner("PRIVATE+KEY+" + parts[0] + "+" + parts[1] + "+" + secret)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return note.Sign(&note.Note{Text: text}, signer)
}

// VerifierKey is a public key in the format of signed notes.
func VerifierKey(public ed25519.PublicKey) (string, error) {
	return note.NewEd25519VerifierKey(keyName, public)
}

// Verifiers check signatures with any of several keys.
type Verifiers struct {
	list []note.Verifier
	seen map[uint32]bool
}

// NewVerifiers takes public keys.
func NewVerifiers(keys ...ed25519.PublicKey) (*Verifiers, error) {
	v := &Verifiers{}
	for _, k := range keys {
		text, err := VerifierKey(k)
		if err == nil {
			err = v.add(text)
		}
		if err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *Verifiers) add(text string) error {
	one, err := note.NewVerifier(text)
	if err != nil {
		return errors.New("this is no public key of a log; kycbridge log key prints it")
	}
	if v.seen[one.KeyHash()] {
		return nil
	}
	if v.seen == nil {
		v.seen = map[uint32]bool{}
	}
	v.seen[one.KeyHash()] = true
	v.list = append(v.list, one)
	return nil
}

// ParseVerifiers reads public keys: lines as kycbridge log key prints them, and PEM blocks. Errors name the line.
func ParseVerifiers(text string) (*Verifiers, error) {
	v := &Verifiers{}
	rest := []byte(text)
	for block, after := pem.Decode(rest); block != nil; block, after = pem.Decode(rest) {
		rest = after
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		public, ok := key.(ed25519.PublicKey)
		if err != nil || !ok {
			return nil, errors.New("a PEM block is no public Ed25519 key")
		}
		verifier, err := VerifierKey(public)
		if err == nil {
			err = v.add(verifier)
		}
		if err != nil {
			return nil, err
		}
	}
	for i, line := range strings.Split(string(rest), "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := v.add(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if len(v.list) == 0 {
		return nil, errors.New("no public key; kycbridge log key prints it")
	}
	return v, nil
}

// ErrOtherKey means that a note has no signature of a known key.
var ErrOtherKey = errors.New("it is not signed with this key")

// OpenText returns the text of a signed note. The error wraps ErrOtherKey if it is signed with none of the keys.
func (v *Verifiers) OpenText(signed []byte) (string, error) {
	n, err := note.Open(signed, note.VerifierList(v.list...))
	if _, ok := errors.AsType[*note.UnverifiedNoteError](err); ok {
		return "", ErrOtherKey
	}
	if err != nil {
		return "", errors.New("its signature does not match: it was altered, or signed with another key")
	}
	return n.Text, nil
}

// IsSigned reports whether a text has the form of a signed checkpoint; its signature is not checked.
func IsSigned(text []byte) bool {
	_, err := note.Open(text, note.VerifierList())
	_, ok := errors.AsType[*note.UnverifiedNoteError](err)
	return ok
}

// Open returns a signed checkpoint.
func (v *Verifiers) Open(signed []byte) (Checkpoint, error) {
	text, err := v.OpenText(signed)
	if err != nil {
		return Checkpoint{}, fmt.Errorf("checkpoint: %w", err)
	}
	var c Checkpoint
	lines := strings.Split(text, "\n")
	if len(lines) != 5 || lines[4] != "" {
		return c, errors.New("checkpoint: unknown format")
	}
	c.Origin = lines[0]
	c.Size, err = strconv.ParseInt(lines[1], 10, 64)
	root, errRoot := base64.StdEncoding.DecodeString(lines[2])
	at, errAt := time.Parse(time.RFC3339, lines[3])
	if err != nil || c.Size < 0 || errRoot != nil || len(root) != tlog.HashSize || errAt != nil {
		return c, errors.New("checkpoint: unknown format")
	}
	c.Root, c.At = tlog.Hash(root), at
	return c, nil
}
