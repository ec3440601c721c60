package event

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maskClaims keeps little personal data in claims. Unknown claims are omitted.
func maskClaims(claims Claims) Claims {
	var out Claims
	for k, v := range claims {
		if v = maskClaim(baseKey(k), v); v != nil {
			if out == nil {
				out = make(Claims, len(claims))
			}
			out[k] = v
		}
	}
	return out
}

// maskText masks a scalar or each scalar of a list; everything else in v, and values masked to nothing,
// are omitted.
func maskText(v any, mask func(string) string) any {
	v = generic(v)
	if s, ok := scalar(v); ok {
		if s = mask(s); s != "" {
			return s
		}
		return nil
	}
	list, _ := v.([]any)
	var out []any
	for _, item := range list {
		if s, ok := scalar(item); ok {
			if s = mask(s); s != "" {
				out = append(out, s)
			}
		}
	}
	if out == nil {
		return nil // not a nil slice in an interface
	}
	return out
}

// keepMembers keeps the named scalar members of an object.
func keepMembers(v any, names ...string) any {
	object, _ := generic(v).(map[string]any)
	out := map[string]any{}
	for _, name := range names {
		if s, ok := scalar(object[name]); ok && s != "" {
			out[name] = s
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// maskName keeps the first letter of each word: "J*** S***".
func maskName(s string) string {
	words := strings.Fields(s)
	for i, word := range words {
		r, _ := utf8.DecodeRuneInString(word)
		words[i] = string(r) + "***"
	}
	return strings.Join(words, " ")
}

// maskCode keeps the code of a country or a language: IND, en-IN, zh-Hant.
func maskCode(s string) string {
	if !shortWords(s, len("Hant")) {
		return ""
	}
	return s
}

// maskGender keeps the usual words; another word may be any text.
func maskGender(s string) string {
	switch s {
	case "female", "male", "transgender", "unspecified", "other", "diverse", "non_binary":
		return s
	}
	return ""
}

// maskBirthdate keeps the year of YYYY or YYYY-MM-DD; 0000 is no year.
func maskBirthdate(s string) string {
	year, _, _ := strings.Cut(s, "-")
	if len(year) != 4 || len(digitsOf(year)) != 4 || year == "0000" {
		return ""
	}
	return year
}

// maskNumber keeps the last four characters, and nothing of a value shorter than six, or of one without a digit there:
// that may be a name.
func maskNumber(s string) string {
	runes := []rune(s)
	if len(runes) < 6 {
		return strings.Repeat("*", len(runes))
	}
	kept := string(runes[len(runes)-keptDigits:])
	if digitsOf(kept) == "" {
		kept = ""
	}
	return "****" + kept
}

// maskEmail keeps the first letter and the domain; a value that is not an address is omitted.
func maskEmail(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 {
		return ""
	}
	r, _ := utf8.DecodeRuneInString(s)
	return string(r) + "***" + s[at:]
}

// Values of claims.

// baseKey is the name of a claim in lower case without its language tag (name#hi-Deva).
func baseKey(key string) string {
	key, _, _ = strings.Cut(key, "#")
	return strings.ToLower(key)
}

// generic returns v as decoded JSON: map[string]any, []any or a scalar. A value without a JSON form is
// nil.
func generic(v any) any {
	switch v := v.(type) {
	case nil, string, bool, float64, json.Number, map[string]any, []any:
		return v
	case Claims:
		return map[string]any(v)
	case map[string]string:
		out := make(map[string]any, len(v))
		for k, s := range v {
			out[k] = s
		}
		return out
	case []string:
		out := make([]any, len(v))
		for i, s := range v {
			out[i] = s
		}
		return out
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&out) != nil {
		return nil
	}
	return out
}

// scalar returns a string or number as text.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}

func digit(c byte) bool { return c >= '0' && c <= '9' }
