package kycbridge

import (
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"slices"
)

// Right is one kind of operation of the admin API and of the console.
type Right string

// The rights.
const (
	RightRead   Right = "read"   // lists, states, masked payloads, reports, the access log
	RightReveal Right = "reveal" // values about a person: unmasked payloads, images, exports
	RightReplay Right = "replay" // processes stored payloads again, quarantined and refused ones too
	RightImport Right = "import" // stores payloads that kycbridge did not receive: any decision about anybody
	RightStart  Right = "start"  // starts verifications, watches them and submits parts of them
	RightHold   Right = "hold"   // holds what is stored about a verification, and releases it
	RightPurge  Right = "purge"  // erases
)

// Rights are the rights of one holder.
type Rights []Right

// AllRights are all rights, in the order of the documentation.
func AllRights() Rights {
	return Rights{RightRead, RightReveal, RightReplay, RightImport, RightStart, RightHold, RightPurge}
}

// Has reports whether r contains a right.
func (r Rights) Has(right Right) bool { return slices.Contains(r, right) }

// AdminToken gives access to the admin API and to the console. It holds only the digest of the token.
type AdminToken struct {
	Name   string // of the person or system, in the logs
	Digest [sha256.Size]byte
	Rights Rights
	// Nameless: the configuration gives it no name, so Name only distinguishes it from others.
	Nameless bool
}

// NamelessToken is a token with all rights. Its name is its number among the configured tokens, from 1: a name that
// depends on the token would let everyone who reads the log try guesses of a weak one.
func NamelessToken(number int, token string) AdminToken {
	return AdminToken{Name: fmt.Sprintf("token-%d", number), Digest: sha256.Sum256([]byte(token)), Rights: AllRights(),
		Nameless: true}
}

// FindToken returns the one of tokens that is presented as text. It compares all of them, in constant time.
func FindToken(tokens []AdminToken, text string) (found AdminToken, ok bool) {
	digest := sha256.Sum256([]byte(text))
	for _, t := range tokens {
		if subtle.ConstantTimeCompare(t.Digest[:], digest[:]) == 1 && !ok {
			found, ok = t, true
		}
	}
	return found, ok && text != ""
}
