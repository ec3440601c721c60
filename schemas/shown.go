package schemas

import (
	"strings"
	"unicode/utf8"
)

// Bounds of what is shown of a body. A name or a word with many digits in it may be the number of
// somebody.
const (
	maxWord       = 48
	maxRun        = 3 // digits in a row
	maxWordDigits = 4
)

// identifier returns a member name if it looks like one that a program has, else withheld: a name
// may hold anything that a value may.
func identifier(s string) string {
	if len(s) > maxToken || !label(s, "_-.") || digitsOf(s) > maxWordDigits || isDigit(s[0]) {
		return withheld
	}
	return s
}

// plainWord returns a value if it looks like a word of an enumeration whose known words hold these
// marks, else nothing. Two words where the known ones are one may be a name.
func plainWord(s, marks string) string {
	others := "_-" + marks
	if len(s) > maxWord || !label(s, others) || digitsOf(s) > maxWordDigits || strings.TrimSpace(s) != s {
		return ""
	}
	return s
}

// label reports whether s is made of ASCII letters, digits and some others, begins with a letter, a
// digit or '_', and has no long run of digits.
func label(s, others string) bool {
	run := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			return false
		case isDigit(c):
			if run++; run > maxRun {
				return false
			}
			continue
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_':
		case i == 0 || strings.IndexByte(others, c) < 0:
			return false
		}
		run = 0
	}
	return s != ""
}

func digitsOf(s string) (n int) {
	for i := range len(s) {
		if isDigit(s[i]) {
			n++
		}
	}
	return n
}
