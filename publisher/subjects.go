package publisher

import (
	"errors"
	"strings"

	"kycbridge"
)

// meet reports whether a subject exists that both a and b match; each may contain wildcards.
func meet(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		switch {
		case as[i] == ">" || bs[i] == ">":
			return true
		case as[i] != bs[i] && as[i] != "*" && bs[i] != "*":
			return false
		}
	}
	return len(as) == len(bs)
}

// within reports whether every subject that inner matches is matched by outer.
func within(inner, outer string) bool {
	is, os := strings.Split(inner, "."), strings.Split(outer, ".")
	for i, o := range os {
		switch {
		case i >= len(is):
			return false
		case o == ">":
			return true
		case is[i] == ">", o != "*" && o != is[i]:
			return false
		}
	}
	return len(is) == len(os)
}

// keyOf reads the last three tokens of a subject.
func keyOf(subject string) (kycbridge.Key, bool) {
	tokens := strings.Split(subject, ".")
	n := len(tokens)
	if n < 4 {
		return kycbridge.Key{}, false
	}
	return kycbridge.Key{Provider: tokens[n-3], Account: tokens[n-2], VerificationID: tokens[n-1]}, true
}

func orAny(s string) string {
	if s == "" {
		return "*"
	}
	return s
}

// token reports whether s can be a single token of a subject without a special meaning.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// errUnnamed is the error of a verification that cannot be named in a subject.
var errUnnamed = errors.New("provider, account and verification id must be letters, digits, '-' and '_'")

// checkKey returns an error if a verification cannot be named in a subject. An imported payload may name any text: a
// wildcard would mean other verifications, and a subject that is too long ends the connection for good.
func checkKey(k kycbridge.Key) error {
	if token(k.Provider) && token(k.Account) && token(k.VerificationID) {
		return nil
	}
	return errUnnamed
}
