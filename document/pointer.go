package document

import (
	"net/netip"
	"strings"
	"unicode"
)

// MaxToken and maxPath limit the member names of a body in a path, since paths are used in message
// headers, answers and logs.
const (
	MaxToken = 64
	maxPath  = 512
)

// Withheld replaces a hidden member name in a path.
const Withheld = "*"

// Join appends one unescaped token to a JSON pointer; a hidden name becomes Withheld.
func Join(path, token string) string {
	if len(path) > maxPath {
		return path
	}
	token = strings.ReplaceAll(Presentable(token), "~", "~0")
	return path + "/" + strings.ReplaceAll(token, "/", "~1")
}

// Pointer joins unescaped tokens to a JSON pointer.
func Pointer(tokens []string) string {
	path := ""
	for _, token := range tokens {
		path = Join(path, token)
	}
	return path
}

// Presentable returns a member name that may be shown, else Withheld: providers use addresses of persons'
// computers as names, and a name may contain anything that a value may.
func Presentable(token string) string {
	if len(token) > MaxToken || strings.ContainsFunc(token, unusual) || digitsIn(token) > maxNameDigits {
		return Withheld
	}
	if _, err := netip.ParseAddr(token); err == nil {
		return Withheld
	}
	return token
}

// maxNameDigits limits the digits of a name: more may be a person's number or birth date.
const maxNameDigits = 6

func digitsIn(s string) (n int) {
	for _, r := range s {
		if unicode.IsDigit(r) {
			n++
		}
	}
	return n
}

// unusual reports characters that no known label of a provider contains; '@' is among them.
func unusual(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" _-.,'()$:/~", r)
}
