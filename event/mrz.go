package event

import (
	"regexp"
	"slices"
	"strings"
)

// mrzLengths are the numbers of characters in a line of a machine-readable zone (ICAO 9303): TD1, TD2, and TD3.
var mrzLengths = [...]int{30, 36, 44}

const (
	mrzShortest = 30
	mrzFiller   = "<<" // in all lines but those that are full
	mrzDay      = `[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])`

	// mrzPieces is the largest number of pieces, with blanks between them, in which a recogniser returns a line.
	mrzPieces    = 4
	mostBlanks   = 2 // between two pieces
	mrzFillers   = 4 // so many make a line of pieces, whatever else it contains
	mrzNoLetters = "<0123456789"
)

var (
	// mrzDates matches the part of a line that no long id has by chance: date of birth, sex and date of expiry, each date
	// with its check digit.
	mrzDates = regexp.MustCompile(`(` + mrzDay + `)([0-9<])[FMX<](` + mrzDay + `)([0-9<])`)
	// mrzCard matches the first line of a card: type, country, and number with its check digit.
	mrzCard = regexp.MustCompile(`^[ACI][A-Z<][A-Z<]{3}([0-9A-Z<]{9})([0-9])[0-9A-Z<]{15}$`)
	// mrzBetween matches the filler between surname and given names.
	mrzBetween = regexp.MustCompile(`[A-Z]<<[A-Z]`)
)

// mrzEscapes are other forms of fillers: escaped, or as a recogniser reads them. In lower case.
var mrzEscapes = map[byte][]struct{ form, fillers string }{
	'&':    {{"&lt;", "<"}, {"&#60;", "<"}, {"&#x3c;", "<"}, {"&amp;lt;", "<"}},
	'%':    {{"%3c", "<"}},
	'\\':   {{`\u003c`, "<"}},
	"«"[0]: {{"«", "<<"}},
	"‹"[0]: {{"‹", "<"}},
	"＜"[0]: {{"＜", "<"}},
}

// mrzPiece is a part of a text that consists of characters of a machine-readable zone.
type mrzPiece struct {
	from, to int
	line     string // its characters, in upper case and with "<" for every form of a filler
	lower    bool   // it has a letter in lower case
	joined   bool   // there are only blanks between it and the piece before, at most mostBlanks
}

// hideMRZ replaces each line of a machine-readable zone in text by mask: a provider's recogniser may have put one where
// a name or a number belongs, and no event contains one. A line may be in lower case, escaped, or have blanks in it.
func hideMRZ(text, mask string) string {
	if !mayHoldMRZ(text) {
		return text
	}
	var out strings.Builder
	done := 0
	for pieces := splitMRZ(text); len(pieces) > 0; {
		n := mrzLine(pieces)
		if n > 0 {
			out.WriteString(text[done:pieces[0].from])
			out.WriteString(mask)
			done = pieces[n-1].to
		}
		pieces = pieces[max(n, 1):]
	}
	if done == 0 {
		return text
	}
	out.WriteString(text[done:])
	return out.String()
}

// mrzLine is the number of pieces, from the first one on, that are a line; 0 if none are.
func mrzLine(pieces []mrzPiece) int {
	line, plain, most := "", true, min(len(pieces), mrzPieces)
	for n, p := range pieces[:most] {
		if n > 0 && !p.joined {
			return 0
		}
		line, plain = line+p.line, plain && !p.lower
		if !isMRZ(line, n == 0, plain && n == 0) {
			continue
		}
		if beginsWithWord(pieces[:n+1], line) {
			return 0
		}
		return restOfMRZ(pieces, n+1, line)
	}
	return 0
}

// restOfMRZ returns how many pieces belong to a line that the first n of them are. Further ones follow while they have
// a digit, and up to one that has a filler, or that completes the line.
func restOfMRZ(pieces []mrzPiece, n int, line string) int {
	words := 0 // characters of words that may be before the line
	for _, p := range pieces[:n-1] {
		if strings.ContainsAny(p.line, mrzNoLetters) {
			break
		}
		words += len(p.line)
	}
	isWhole := isComplete(line)
	for found := n; ; n++ {
		if n == len(pieces) || n == found+mrzPieces || !pieces[n].joined {
			return found
		}
		next := pieces[n].line
		line += next
		if strings.Contains(next, "<") || n == found && strings.ContainsAny(next, mrzNoLetters) ||
			(isComplete(line) || isComplete(line[words:])) && (!isWhole || n == found) {
			found = n + 1
		}
	}
}

// isComplete reports whether a line has one of the lengths that lines have.
func isComplete(line string) bool { return slices.Contains(mrzLengths[:], len(line)) }

// isMRZ reports whether a text of pieces is a line. whole: it is one piece. plain: that is as it is printed on the
// document. Otherwise, and if it may be a hexadecimal id, a line without a filler must have the correct check digits.
func isMRZ(line string, whole, plain bool) bool {
	if len(line) < mrzShortest {
		return false
	}
	fillers := strings.Count(line, "<")
	if strings.Contains(line, mrzFiller) && (whole || fillers >= mrzFillers || mrzBetween.MatchString(line)) {
		return true
	}
	if fillers > 0 {
		card := mrzCard.FindStringSubmatch(line)
		if card != nil && (line[1] == '<' || mrzCheckDigit(card[1]) == card[2]) {
			return true
		}
	}
	at := mrzDates.FindStringSubmatch(line)
	isHex := strings.Trim(line, "0123456789ABCDEF") == ""
	return at != nil && (plain && !isHex || fillers > 0 || mrzCheckDigit(at[1]) == at[2] && mrzCheckDigit(at[3]) == at[4])
}

// beginsWithWord reports whether the first piece is a word before a line, and not the beginning of the line: without
// it, and further words, the line is complete. A single word may complete it as well.
func beginsWithWord(pieces []mrzPiece, line string) bool {
	rest := line
	for i, p := range pieces {
		if strings.ContainsAny(p.line, mrzNoLetters) {
			return false
		}
		rest = rest[len(p.line):]
		if isComplete(rest) && isMRZ(rest, true, false) && (i > 0 || !isComplete(line)) {
			return true
		}
	}
	return false
}

// mrzCheckDigit is the check digit of a date or a number.
func mrzCheckDigit(text string) string {
	sum := 0
	for i := range len(text) {
		value := 0 // of a filler
		switch c := text[i]; {
		case c-'0' <= 9:
			value = int(c - '0')
		case c-'A' <= 'Z'-'A':
			value = int(c-'A') + 10
		}
		sum += value * [...]int{7, 3, 1}[i%3]
	}
	return string(rune('0' + sum%10))
}

// splitMRZ returns the pieces of a text.
func splitMRZ(text string) (pieces []mrzPiece) {
	var line []byte
	var p mrzPiece
	blanks := mostBlanks + 1 // since the piece before
	for i := 0; i < len(text); {
		c, size := mrzAt(text[i:])
		if c == "" {
			if size = blankAt(text[i:]); size == 0 {
				size, blanks = 1, mostBlanks
			}
			blanks++
			i += size
			continue
		}
		p, line = mrzPiece{from: i, joined: blanks <= mostBlanks}, line[:0]
		for ; c != ""; c, size = mrzAt(text[i:]) {
			p.lower = p.lower || size == 1 && c[0] != text[i]
			line = append(line, c...)
			i += size
		}
		p.to, p.line, blanks = i, string(line), 0
		pieces = append(pieces, p)
	}
	return pieces
}

// mrzAt returns the characters of a line that text begins with, and the size of their form in text; "" if there are
// none.
func mrzAt(text string) (c string, size int) {
	if text == "" {
		return "", 0
	}
	switch b := text[0]; {
	case b-'0' <= 9, b-'A' <= 'Z'-'A', b == '<':
		return text[:1], 1
	case b-'a' <= 'z'-'a':
		return mrzUpper[b-'a' : b-'a'+1], 1
	default:
		for _, e := range mrzEscapes[b] {
			if len(text) >= len(e.form) && strings.EqualFold(text[:len(e.form)], e.form) {
				return e.fillers, len(e.form)
			}
		}
		return "", 0
	}
}

const mrzUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

// blankAt is the size of the blank that text begins with; 0 if it begins with another character.
func blankAt(text string) int {
	for _, blank := range [...]string{" ", "\t", "\u00a0", "\u202f"} {
		if strings.HasPrefix(text, blank) {
			return len(blank)
		}
	}
	return 0
}

// mayHoldMRZ reports whether text has a filler, or as many characters and digits without another between them as the
// shortest line has and two dates with their check digits have. It is called for every string of every event.
func mayHoldMRZ(text string) bool {
	if len(text) < mrzShortest {
		return false
	}
	characters, digits := 0, 0
	for i := range len(text) {
		switch mrzBytes[text[i]] {
		case mrzOther:
			characters, digits = 0, 0
			continue
		case mrzEscape:
			if c, _ := mrzAt(text[i:]); c != "" {
				return true
			}
			continue
		case mrzDigit:
			digits++
			characters++
		case mrzLetter:
			characters++
		}
		if digits >= len("YYMMDD0YYMMDD0") && characters >= mrzShortest {
			return true
		}
	}
	return false
}

// The roles of bytes in mayHoldMRZ.
const (
	mrzOther = iota
	mrzDigit
	mrzLetter
	mrzEscape // it may begin a form of a filler
	mrzBlank  // or a part of a character that is not ASCII
)

// mrzBytes are the roles of all bytes.
var mrzBytes = func() (roles [256]byte) {
	for b := range roles {
		switch c := byte(b); {
		case c-'0' <= 9:
			roles[b] = mrzDigit
		case c-'A' <= 'Z'-'A', c-'a' <= 'z'-'a':
			roles[b] = mrzLetter
		case c == '<' || mrzEscapes[c] != nil:
			roles[b] = mrzEscape
		case c == ' ', c == '\t', c >= 0x80:
			roles[b] = mrzBlank
		}
	}
	return roles
}()
