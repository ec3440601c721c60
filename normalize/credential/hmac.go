package credential

import (
	"crypto/hmac"
	"crypto/sha512"
	"hash"
)

// HMAC reports whether presented is the HMAC of the parts, one after the other, under one of the secrets.
// All of them are tried, and each is compared in constant time; an empty one matches nothing.
func HMAC(newHash func() hash.Hash, secrets []string, presented []byte, parts ...[]byte) bool {
	found := false
	var sum [sha512.Size]byte // the largest
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
