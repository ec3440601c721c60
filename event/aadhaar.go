package event

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// aadhaarType is the document type whose number is always treated as an Aadhaar number.
const aadhaarType = "in_aadhaar"

// Lengths of an Aadhaar number and of the virtual id (VID) that may replace one, and how many of their
// digits stay visible.
const (
	aadhaarDigits = 12
	vidDigits     = 16
	keptDigits    = 4
)

// Replacements of the other digits. The lower-case one is for ids and words that must be in lower case.
const (
	aadhaarMask     = "XXXXXXXX"
	aadhaarWordMask = "xxxxxxxx"
)

// HideAadhaar returns text with every Aadhaar number and VID in it reduced to its last four digits. Text
// without such a number is returned unchanged, without an allocation.
// A number is 12 digits that begin with 2 to 9, or 16 digits, with a correct check digit. The digits may
// be of any script, separated by any characters that are neither letters nor digits, also escaped ones such as %20, \n,
// \u00a0 and &nbsp;, and may follow 91, the calling code of India. Digits that directly follow or precede another digit
// are part of a longer number. Digits in a UUID, in an ISO 8601 date, with or without the time of day, and in a
// hexadecimal id of at least 24 characters are not changed. Lines of a machine-readable zone are hidden as well.
func HideAadhaar(text string) string { return hideNumbersIn(text, aadhaarMask, false) }

// hideNumbersIn replaces all but the last four digits of each number in text by mask; with anyNumber also
// without a correct check digit.
func hideNumbersIn(text, mask string, anyNumber bool) string {
	text = hideMRZ(text, mask)
	if !mayHoldNumber(text) {
		return text
	}
	return searchNumbers(text, mask, anyNumber)
}

// searchNumbers is hideNumbersIn for a text that may hold a number.
func searchNumbers(text, mask string, anyNumber bool) string {
	var out strings.Builder
	done := 0           // how much of text is in out
	before := separator // kind of the character before i
	for i := 0; i < len(text); {
		if before == separator && hexDigit(text[i]) {
			if n := harmlessToken(text[i:]); n > 0 {
				i, before = i+n, letter
				continue
			}
		}
		kind, size := kindAt(text[i:])
		begin := -1 // where a number may begin
		if kind == digits && before != digits {
			begin = i
		} else if n := escapeAt(text[i:]); n > 0 {
			begin = i + n
		}
		if begin >= 0 {
			if start, kept := numberAt(text[begin:], anyNumber); kept > 0 {
				out.WriteString(text[done : begin+start])
				out.WriteString(mask)
				// The remaining digits may begin the next number, so they are examined again.
				i, done, before = begin+kept, begin+kept, letter
				continue
			}
		}
		i, before = i+size, kind
		i += runAt(text[i:], kind) // no number begins in it
	}
	if done == 0 {
		return text
	}
	out.WriteString(text[done:])
	return out.String()
}

// mayHoldNumber reports whether text has as many possible digits as the shortest number, without a letter between
// them that is not part of an escape. It is called for every string of every event.
func mayHoldNumber(text string) bool {
	if len(text) < aadhaarDigits {
		return false
	}
	n := 0
	for i := range len(text) {
		switch c := text[i]; {
		case c-'0' <= 9, c >= 0xC0: // the first byte of a character that may be a digit of another script
			if n++; n == aadhaarDigits {
				return true
			}
		case n > 0 && asciiLetter(c) && !mayEndEscape(text[:i]):
			n = 0
		}
	}
	return false
}

// mayEndEscape reports whether a letter after text may belong to an escape that has begun in text.
func mayEndEscape(text string) bool {
	for i := len(text) - 1; i >= max(0, len(text)-longestEscape); i-- {
		switch text[i] {
		case '&', '\\':
			return true
		case '%':
			return len(text)-i < len("%20")
		}
	}
	return false
}

// kind is the role of a character in or around a number.
type kind byte

const (
	separator kind = iota
	digits
	letter
)

// kindAt returns the kind and the size of the first character of text.
func kindAt(text string) (kind, int) {
	c := text[0]
	switch {
	case digit(c):
		return digits, 1
	case asciiLetter(c):
		return letter, 1
	case c < utf8.RuneSelf:
		return separator, 1
	}
	r, size := utf8.DecodeRuneInString(text)
	switch {
	case unicode.IsDigit(r):
		return digits, size
	case unicode.IsLetter(r):
		return letter, size
	}
	return separator, size
}

func asciiLetter(c byte) bool { return lower(c | 0x20) }

// runAt is the number of ASCII characters of one kind, letters or digits, at the beginning of text.
func runAt(text string, kind kind) (n int) {
	for n < len(text) && (kind == digits && digit(text[n]) || kind == letter && asciiLetter(text[n])) {
		n++
	}
	return n
}

// digitValue is the value of a decimal digit of any script.
func digitValue(r rune) byte {
	if r < utf8.RuneSelf {
		return byte(r - '0')
	}
	// Each range of the table consists of whole rows from 0 to 9.
	for _, row := range unicode.Nd.R16 {
		if r <= rune(row.Hi) {
			return byte((r - rune(row.Lo)) % 10)
		}
	}
	for _, row := range unicode.Nd.R32 {
		if r <= rune(row.Hi) {
			return byte((r - rune(row.Lo)) % 10)
		}
	}
	return 0
}

// longestEscape is the length of the longest escape that is known, a character reference such as &#x00a0; with room for
// a long name.
const longestEscape = len("&emsp14;") + 2

// escapeAt is the length of the escaped character at the beginning of text; 0 if there is none. It is taken for a
// separator: in a URL, in JSON inside a text, or in HTML.
func escapeAt(text string) int {
	if len(text) < len(`\n`) {
		return 0
	}
	switch text[0] {
	case '%':
		return withHex(text, len("%"), 2)
	case '&':
		return referenceAt(text)
	case '\\':
		switch text[1] {
		case 'n', 'r', 't', 'f', 'b', 'v':
			return len(`\n`)
		case 'x':
			return withHex(text, len(`\x`), 2)
		case 'u':
			return withHex(text, len(`\u`), 4)
		}
	}
	return 0
}

// withHex is the length of an escape with n hexadecimal digits after its sign; 0 if they do not follow.
func withHex(text string, sign, n int) int {
	if len(text) < sign+n {
		return 0
	}
	for i := range n {
		if !hexDigit(text[sign+i]) {
			return 0
		}
	}
	return sign + n
}

// referenceAt is the length of the character reference at the beginning of text: &nbsp; or &#160; or &#xa0;.
func referenceAt(text string) int {
	for i := 1; i < min(len(text), longestEscape); i++ {
		switch c := text[i]; {
		case c == ';' && i > 1:
			return i + 1
		case !asciiLetter(c) && !digit(c) && (c != '#' || i > 1):
			return 0
		}
	}
	return 0
}

func hexDigit(c byte) bool { return digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f' }

// maxRowDigits is the maximum number of digits of a number with its prefix, plus one that shows whether it
// ends there.
const maxRowDigits = len("0091") + vidDigits + 1

// digitRow is the digits at the beginning of a text, with their positions.
type digitRow struct {
	n      int
	value  [maxRowDigits]byte
	place  [maxRowDigits]int
	joined [maxRowDigits]bool // whether it directly follows another digit

	escapes bool // the text between the digits may contain escapes
}

// readDigits reads the digits at the beginning of text, up to the first letter. An escape is one separator if escapes
// is set; otherwise its sign is a separator, and what follows is read as usual.
func readDigits(text string, escapes bool) (row digitRow) {
	before := separator
	for i := 0; i < len(text) && row.n < maxRowDigits; {
		kind, size := kindAt(text[i:])
		switch kind {
		case letter:
			return row
		case digits:
			r, _ := utf8.DecodeRuneInString(text[i:])
			row.value[row.n], row.place[row.n], row.joined[row.n] = digitValue(r), i, before == digits
			row.n++
		case separator:
			if n := escapeAt(text[i:]); n > 0 {
				row.escapes = true
				if escapes {
					size = n
				}
			}
		}
		i, before = i+size, kind
	}
	return row
}

// numberAt returns the start of the number at the beginning of text, and the start of its visible digits;
// 0, 0 if text does not begin with a number.
func numberAt(text string, anyNumber bool) (start, kept int) {
	row := readDigits(text, false)
	if start, kept = row.number(anyNumber); kept == 0 && row.escapes {
		row = readDigits(text, true)
		start, kept = row.number(anyNumber)
	}
	return start, kept
}

// number finds a number at the beginning of the row, or after the calling code of India.
func (row *digitRow) number(anyNumber bool) (start, kept int) {
	for _, code := range [...]string{"", "91", "0091"} {
		if !row.begins(code) {
			continue
		}
		for _, length := range [...]int{vidDigits, aadhaarDigits} {
			end := len(code) + length
			if end > row.n || end < row.n && row.joined[end] || !anyNumber && !identityNumber(row.value[len(code):end]) {
				continue
			}
			return row.place[len(code)], row.place[end-keptDigits]
		}
	}
	return 0, 0
}

func (row *digitRow) begins(code string) bool {
	for i := range len(code) {
		if i >= row.n || row.value[i] != code[i]-'0' {
			return false
		}
	}
	return true
}

// Lengths of text that HideAadhaar does not change.
const (
	uuidBytes  = len("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")
	dateBytes  = len("2006-01-02")
	shortestID = 24 // of hexadecimal ids; an object id of MongoDB has as many digits
)

// harmlessToken is the length of the UUID, the date or the hexadecimal id at the beginning of text; 0 if
// text begins with none of them.
func harmlessToken(text string) int {
	if len(text) >= uuidBytes && isUUID(text[:uuidBytes]) && endsAt(text, uuidBytes) {
		return uuidBytes
	}
	if len(text) >= dateBytes && isDate(text[:dateBytes]) && text >= "1900" && text < "2200" {
		return dateBytes + clockBytes(text[dateBytes:])
	}
	n, letters := 0, false
	for n < len(text) && hexDigit(text[n]) {
		letters = letters || !digit(text[n])
		n++
	}
	if n >= shortestID && letters && endsAt(text, n) {
		return n
	}
	return 0
}

// endsAt reports whether the word at the beginning of text ends before i.
func endsAt(text string, i int) bool {
	if i == len(text) {
		return true
	}
	kind, _ := kindAt(text[i:])
	return kind == separator
}

// clockBytes is the length of the time of day that follows a date: "T09:00", " 09:00:12.488".
func clockBytes(text string) int {
	const minutes, seconds = len("T15:04"), len("T15:04:05")
	if len(text) < minutes || text[0]|0x20 != 't' && text[0] != ' ' || text[3] != ':' {
		return 0
	}
	if twoDigits(text[1:]) > 23 || twoDigits(text[4:]) > 59 {
		return 0
	}
	if len(text) < seconds || text[6] != ':' || twoDigits(text[7:]) > 60 {
		return minutes
	}
	n := seconds
	if n < len(text) && text[n] == '.' {
		for n++; n < len(text) && digit(text[n]); n++ {
		}
	}
	return n
}

// lastFour is the last four digits of a number.
func lastFour(s string) string {
	all := digitsOf(s)
	return aadhaarMask + all[max(0, len(all)-keptDigits):]
}

// digitsOf returns the digits of s, of any script, as 0 to 9.
func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsDigit(r) {
			return -1
		}
		return '0' + rune(digitValue(r))
	}, s)
}

// hideNamed masks text under a name that aadhaarKey matches: every number there counts as an Aadhaar number,
// with or without a correct check digit.
func hideNamed(s string) string {
	isNumber := !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsLetter(r) && r != 'X' && r != 'x' })
	if isNumber && len(digitsOf(s)) > keptDigits {
		return lastFour(s)
	}
	return hideNumbersIn(s, aadhaarMask, true)
}

// aadhaarKey reports whether a claim of this name contains an Aadhaar number or a VID.
func aadhaarKey(key string) bool {
	key = baseKey(key)
	for _, prefix := range []string{"aadhaar", "aadhar", "uid", "vid"} {
		if strings.HasPrefix(key, prefix) {
			return !strings.HasPrefix(key, "video")
		}
	}
	return false
}

// mayBeIndian reports whether the number of doc may be an Aadhaar number: documents of another known
// country are not changed.
func mayBeIndian(doc Document) bool {
	if strings.HasPrefix(doc.Type, "in_") || doc.Issuer == nil {
		return true
	}
	country := strings.ToUpper(strings.TrimSpace(doc.Issuer.CountryCode))
	return !isUpper(country, 1, 3) || country == "IND" || country == "IN"
}

// hideDocumentNumber is the number of doc as every profile may show it.
func hideDocumentNumber(doc Document) string {
	switch {
	case doc.Type == aadhaarType && doc.DocumentNumber != "":
		return lastFour(doc.DocumentNumber)
	case mayBeIndian(doc):
		return HideAadhaar(doc.DocumentNumber)
	}
	return hideMRZ(doc.DocumentNumber, aadhaarMask)
}

// callingCodes are the calling codes of E.164 with complete phone numbers of twelve digits.
const callingCodes = " 20 30 39 43 44 49 52 54 55 57 58 60 62 63 64 81 82 86 90 91 92 95 98" +
	" 212 213 218 221 233 237 243 244 249 250 251 254 255 256 258 260 261 263" +
	" 351 353 355 358 359 380 381 385 420 421 855 886 962 963 966 967 970 971 972 992 994 995 996 998 "

// phoneNumber reports whether s is a phone number in E.164 of twelve digits. A tenth of these would match
// as Aadhaar numbers; in the claim phone_number they are phone numbers.
func phoneNumber(s string) bool {
	number, ok := strings.CutPrefix(s, "+")
	if !ok || strings.Trim(number, "0123456789 -") != "" {
		return false
	}
	number = digitsOf(number)
	return len(number) == aadhaarDigits &&
		(strings.Contains(callingCodes, " "+number[:2]+" ") || strings.Contains(callingCodes, " "+number[:3]+" "))
}

// identityNumber reports whether digits are an Aadhaar number or a VID.
func identityNumber(digits []byte) bool {
	return (len(digits) == vidDigits || digits[0] >= 2) && verhoeff(digits)
}

// verhoeff reports whether the last of digits is the Verhoeff check digit of the others. The
// multiplication of the dihedral group D5 is computed; the permutation is a table of eight rows of ten.
func verhoeff(digits []byte) bool {
	const permutation = "01234567891576283094580379614289160435279453126870428657390127938064157046913258"
	c := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i])
		c = d5(c, int(permutation[i%8*10+d]-'0'))
	}
	return c == 0
}

// d5 multiplies in the dihedral group of the pentagon: 0 to 4 are rotations, 5 to 9 reflections.
func d5(a, b int) int {
	switch {
	case a < 5 && b < 5:
		return (a + b) % 5
	case a < 5:
		return 5 + (a+b-5)%5
	case b < 5:
		return 5 + (a-5-b+5)%5
	}
	return (a - b + 5) % 5
}
