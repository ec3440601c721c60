package credential

import (
	"crypto/hmac"
	"crypto/sha512"
	"hash"
)

// HMAC reports whether presented is the HMAC of the concatenated parts under one of the secrets. It tries all
// secrets and compares each HMAC in constant time; an empty secret matches nothing.
func HMAC(newHash func() hash.Hash, secrets []string, presented []byte, parts ...[]byte) bool {
	found := false
	var sum [sha512.Size]byte // the size of the largest HMAC
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		mac := hmac.New(newHash, []byte(secret))
		for _, part := range parts {
			mac.Write(part)
		}
		found = hmac.Equal(mac.Sum(sum[:0]), presented) || found
	}
	return found
}
