// Package signing reads the keys that sign events.
package signing

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"kycbridge/event"
)

// Keys sign events with the first key and publish all keys: consumers can verify events that a former key
// signed, and have the next key before it is used.
type Keys struct {
	private ed25519.PrivateKey
	public  []ed25519.PublicKey
}

// Advice explains how to create a key.
const Advice = "make one with: openssl genpkey -algorithm ed25519 -out FILE"

// Parse reads PEM blocks: first the private key that signs (PKCS #8, Ed25519), then any number of private or
// public ones that are only published. Errors contain no part of a key.
func Parse(text string) (*Keys, error) {
	k := &Keys{}
	rest := []byte(text)
	for number := 1; ; number++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		public, private, err := parseBlock(block)
		switch {
		case err != nil:
			return nil, fmt.Errorf("PEM block %d: %w", number, err)
		case number == 1 && private == nil:
			return nil, errors.New("PEM block 1 is a public key: the private key that signs comes first")
		case number == 1:
			k.private = private
		}
		k.public = append(k.public, public)
	}
	if k.private == nil {
		return nil, errors.New("no PEM block with a private key; " + Advice)
	}
	if strings.TrimSpace(string(rest)) != "" {
		return nil, errors.New("text after the last PEM block")
	}
	return k, nil
}

// parseBlock reads one key; private is nil for a public one.
func parseBlock(block *pem.Block) (public ed25519.PublicKey, private ed25519.PrivateKey, err error) {
	var key any
	switch block.Type {
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "PUBLIC KEY":
		key, err = x509.ParsePKIXPublicKey(block.Bytes)
	default:
		return nil, nil, errors.New("neither PRIVATE KEY nor PUBLIC KEY; " + Advice)
	}
	if err != nil {
		return nil, nil, errors.New("the key cannot be read; " + Advice)
	}
	switch k := key.(type) {
	case ed25519.PrivateKey:
		public, ok := k.Public().(ed25519.PublicKey)
		if !ok {
			return nil, nil, errors.New("the key has no public part")
		}
		return public, k, nil
	case ed25519.PublicKey:
		return k, nil, nil
	}
	return nil, nil, errors.New("not an Ed25519 key; " + Advice)
}

// Sign is the signature of the bytes of an event.
func (k *Keys) Sign(body []byte) string { return event.Sign(k.private, body) }

// Private is the key that signs.
func (k *Keys) Private() ed25519.PrivateKey { return k.private }

// Public are the public keys, that of the signing one first.
func (k *Keys) Public() []ed25519.PublicKey { return k.public }

// Set is the JSON Web Key Set of all keys, the signing one first.
func (k *Keys) Set() []byte { return event.KeySet(k.public...) }
