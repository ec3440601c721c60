package document

import (
	"net/netip"
	"strings"
	"unicode"
)

// MaxToken and maxPath bound what a body's own member names can make of a path, since paths go into
// message headers, answers and logs.
const (
	MaxToken = 64
	maxPath  = 512
)

// Withheld stands in a path for a member name that is not repeated.
const Withheld = "*"

// Join appends one unescaped token to a JSON pointer; a name that must not be shown becomes Withheld.
func Join(path, token string) string {
	if len(path) > maxPath {
		return path
	}
	token = strings.ReplaceAll(Presentable(token), "~", "~0")
	return path + "/" + strings.ReplaceAll(token, "/", "~1")
}

// Pointer writes the unescaped tokens of a place as a JSON pointer.
func Pointer(tokens []string) string {
	path := ""
	for _, token := range tokens {
		path = Join(path, token)
	}
	return path
}

// Presentable returns a member name that may be shown, else Withheld: providers use addresses of
// people's machines as names, and a name may hold anything that a value may.
func Presentable(token string) string {
	if len(token) > MaxToken || strings.ContainsFunc(token, unusual) || digitsIn(token) > maxNameDigits {
		return Withheld
	}
	if _, err := netip.ParseAddr(token); err == nil {
		return Withheld
	}
	return token
}

// maxNameDigits is how many digits a name may have: more may be the number or the birth date of somebody.
const maxNameDigits = 6

func digitsIn(s string) (n int) {
	for _, r := range s {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n
}

// unusual tells the characters that no label of a provider has been seen with; '@' is among them.
func unusual(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" _-.,'()$:/~", r)
}
