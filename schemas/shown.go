package schemas

import (
	"strings"
	"unicode/utf8"

	"kycbridge/document"
)

// Bounds of what is shown of the name of a member. One with many digits in it may be the number of
// somebody.
const (
	maxRun        = 3 // digits in a row
	maxNameDigits = 4
)

// identifier returns a member name if it looks like one that a program has, else withheld: a name
// may hold anything that a value may.
func identifier(s string) string {
	if s == "" || len(s) > document.MaxToken || isDigit(s[0]) {
		return document.Withheld
	}
	run, digits := 0, 0
	for i := range len(s) {
		c := s[i]
		switch {
		case isDigit(c):
			digits++
			if run++; run > maxRun || digits > maxNameDigits {
				return document.Withheld
			}
			continue
		case c >= utf8.RuneSelf, !isLetter(c) && c != '_' && (i == 0 || strings.IndexByte("-.", c) < 0):
			return document.Withheld
		}
		run = 0
	}
	return s
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
