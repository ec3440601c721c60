package schemas

import (
	"net/netip"
	"strings"
	"unicode"
)

// maxToken and maxPath bound what a body's own member names can make of a path, since paths go into
// message headers, answers and logs.
const (
	maxToken = 64
	maxPath  = 512
)

// withheld stands in a path for a member name that is not repeated.
const withheld = "*"

// join appends one unescaped token to a JSON pointer.
func join(path, token string) string {
	if len(path) > maxPath {
		return path
	}
	token = strings.ReplaceAll(presentable(token), "~", "~0")
	return path + "/" + strings.ReplaceAll(token, "/", "~1")
}

// pointer writes the unescaped tokens of a place as a JSON pointer.
func pointer(tokens []string) string {
	path := ""
	for _, token := range tokens {
		path = join(path, token)
	}
	return path
}

// presentable returns a member name that may be shown, else withheld: providers use addresses of
// people's machines as names, and a name may hold anything that a value may.
func presentable(token string) string {
	if len(token) > maxToken || strings.ContainsFunc(token, unusual) {
		return withheld
	}
	if _, err := netip.ParseAddr(token); err == nil {
		return withheld
	}
	return token
}

// unusual tells the characters that no label of a provider has been seen with; '@' is among them.
func unusual(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune(" _-.,'()$:/~", r)
}
