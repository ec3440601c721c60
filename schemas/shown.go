package schemas

import (
	"strings"
	"unicode/utf8"

	"kycbridge/document"
)

// Limits of visible member names. A name with many digits may be a person's number.
const (
	maxRun        = 3 // digits in a row
	maxNameDigits = 4
)

// identifier returns a member name if it looks like an identifier of a program, else withheld: a name may
// contain anything that a value may.
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
