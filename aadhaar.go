package kycbridge

import (
	"reflect"
	"strings"
	"unicode"
	"unicode/utf8"
)

// aadhaarType is the document whose number is an Aadhaar number whatever it looks like.
const aadhaarType = "in_aadhaar"

// Lengths of an Aadhaar number and of the virtual id that may stand for one, and what of them stays.
const (
	aadhaarDigits = 12
	vidDigits     = 16
	keptDigits    = 4
	aadhaarMask   = "XXXXXXXX"
)

// indianDocument reports whether doc may carry an Aadhaar number: another country's numbers of
// twelve digits are left alone.
func indianDocument(doc Document) bool {
	if strings.HasPrefix(doc.Type, "in_") || doc.Issuer == nil {
		return true
	}
	switch strings.ToUpper(strings.TrimSpace(doc.Issuer.CountryCode)) {
	case "", "IND", "IN":
		return true
	}
	return false
}

// indianEvent reports whether claims beside docs may hold an Aadhaar number.
func indianEvent(docs []Document) bool {
	for _, doc := range docs {
		if indianDocument(doc) {
			return true
		}
	}
	return len(docs) == 0
}

// withoutAadhaarNumber is the number of doc as every profile may show it.
func withoutAadhaarNumber(doc Document) string {
	switch {
	case doc.Type == aadhaarType && doc.DocumentNumber != "":
		return lastFour(doc.DocumentNumber)
	case indianDocument(doc):
		return maskNumbersIn(doc.DocumentNumber, identityNumber)
	}
	return doc.DocumentNumber
}

// withoutAadhaar copies claims without Aadhaar numbers and VIDs, however deep they stand.
func withoutAadhaar(claims Claims, indian bool) Claims {
	if claims == nil {
		return nil
	}
	out := make(Claims, len(claims))
	for k, v := range claims {
		out[k] = v
		// What needs no change keeps its Go type.
		if hidden := hideAadhaar(k, v, indian, false); !reflect.DeepEqual(generic(v), hidden) {
			out[k] = hidden
		}
	}
	return out
}

// hideAadhaar treats one value that stands under key; named says that a key above it spoke of Aadhaar.
func hideAadhaar(key string, v any, indian, named bool) any {
	named = named || aadhaarKey(key)
	switch v := generic(v).(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = hideAadhaar(k, item, indian, named)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = hideAadhaar(key, v[i], indian, named)
		}
		return out
	default:
		s, ok := scalar(v)
		if !ok {
			return v
		}
		if hidden := hideAadhaarText(key, s, indian, named); hidden != s {
			return hidden
		}
		return v
	}
}

// hideAadhaarText treats one string. An E.164 phone number of India has twelve digits too and keeps
// them: a tenth of them would pass for Aadhaar numbers.
func hideAadhaarText(key, s string, indian, named bool) string {
	switch {
	case named && strings.Trim(s, "0123456789Xx* -") == "" && len(digitsOf(s)) > keptDigits:
		return lastFour(s)
	case named:
		return maskNumbersIn(s, func(string) bool { return true })
	case !indian, baseKey(key) == "phone_number" && e164(s):
		return s
	}
	return maskNumbersIn(s, identityNumber)
}

// aadhaarKey reports whether a claim of this name holds an Aadhaar number or a VID.
func aadhaarKey(key string) bool {
	key = baseKey(key)
	for _, prefix := range []string{"aadhaar", "aadhar", "uid", "vid"} {
		if strings.HasPrefix(key, prefix) {
			return !strings.HasPrefix(key, "video")
		}
	}
	return false
}

// e164 reports whether s is a phone number with its plus sign and nothing else.
func e164(s string) bool {
	return strings.HasPrefix(s, "+") && strings.Trim(s[1:], "0123456789 -") == "" && len(digitsOf(s)) <= 15
}

// lastFour keeps of a number its last four digits.
func lastFour(s string) string {
	digits := digitsOf(s)
	return aadhaarMask + digits[max(0, len(digits)-keptDigits):]
}

// maskNumbersIn masks all but the last four digits of every number in text that qualifies. A number
// has sixteen or twelve digits, with spaces or dashes between any of them, and no digit beside it.
func maskNumbersIn(text string, qualifies func(digits string) bool) string {
	if len(text) < aadhaarDigits {
		return text
	}
	var out strings.Builder
	for i, start := 0, true; i < len(text); {
		if start && digit(text[i]) {
			if kept := numberAt(text[i:], qualifies); kept > 0 {
				// The digits that stay may begin the next number, so they are a start again.
				out.WriteString(aadhaarMask)
				i += kept
				continue
			}
		}
		start = !digit(text[i])
		out.WriteByte(text[i])
		i++
	}
	return out.String()
}

// numberAt returns where in text the last four digits of the number begin that text begins with; 0
// if no number that qualifies does.
func numberAt(text string, qualifies func(digits string) bool) int {
	var places [vidDigits]int
	var digits [vidDigits]byte
	n, short := 0, false
	for i := 0; i < len(text) && n < vidDigits; {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case digit(text[i]):
			places[n], digits[n] = i, text[i]
			n++
			if n == aadhaarDigits {
				short = i+1 == len(text) || !digit(text[i+1])
			}
		case !separator(r):
			text = text[:i] // the loop ends here, and so does the number
		}
		i += size
	}
	long := n == vidDigits && (places[n-1]+1 == len(text) || !digit(text[places[n-1]+1]))
	switch {
	case long && qualifies(string(digits[:])):
		return places[vidDigits-keptDigits]
	case short && qualifies(string(digits[:aadhaarDigits])):
		return places[aadhaarDigits-keptDigits]
	}
	return 0
}

// separator reports whether r is a space or dash as numbers are grouped by.
func separator(r rune) bool { return r == '\t' || unicode.In(r, unicode.Zs, unicode.Pd) }

// identityNumber reports whether digits are an Aadhaar number or a VID.
func identityNumber(digits string) bool {
	return (len(digits) == vidDigits || digits[0] >= '2') && verhoeff(digits)
}

// verhoeff reports whether the last of digits is the Verhoeff check digit of the others. The
// multiplication of the dihedral group D5 is computed; the permutation stands in eight rows of ten.
func verhoeff(digits string) bool {
	const permutation = "01234567891576283094580379614289160435279453126870428657390127938064157046913258"
	c := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
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

// The masked profile.
