package event

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// This file is the only list of personal data: what the profile masked keeps of the claims, which members
// of an event are personal, and what may be shown to viewers without permission for personal data. The
// stored-payload tool, the differences of a replay and the new words of providers use it. Unknown values
// count as personal.

// phoneClaims are the names of claims with a telephone number.
var phoneClaims = []string{"phone_number", "msisdn", "phone", "mobile"}

// maskClaim masks one claim by its name, without language tag; nil omits it.
func maskClaim(name string, v any) any {
	switch name {
	case "birthdate", "date_of_birth":
		return maskText(v, maskBirthdate)
	case "email":
		return maskText(v, maskEmail)
	case "address":
		return keepMembers(v, "country", "country_code", "region")
	case "place_of_birth":
		return keepMembers(v, "country")
	case "nationalities", "locale":
		return maskText(v, maskCode)
	case "gender":
		return maskText(v, maskGender)
	}
	switch {
	case slices.Contains(phoneClaims, name):
		return maskText(v, maskNumber)
	case name == "name" || name == "nickname" || name == "also_known_as" || strings.HasSuffix(name, "_name"):
		return maskText(v, maskName)
	case idKey(name):
		return maskText(v, maskNumber)
	}
	return nil
}

// idKey reports whether a claim of this name is a number of a person or document.
func idKey(name string) bool {
	if aadhaarKey(name) || name == "id" || name == "number" {
		return true
	}
	for _, suffix := range []string{"_number", "_id", "_no"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// personalPlaces are the JSON pointers within data below which everything is personal.
var personalPlaces = []string{
	"/extracted_claims", "/verified_claims", "/documents", "/media", "/external_reference", "/session", "/extensions",
}

func personalPlace(pointer string) bool {
	return slices.ContainsFunc(personalPlaces, func(p string) bool {
		return pointer == p || strings.HasPrefix(pointer, p+"/")
	})
}

// content is the content of members by their name.
type content byte

const (
	anything content = iota // possibly personal
	aWord                   // of an enumeration, or several
	anID                    // of a thing or a process
	aTime                   // of an occurrence
	aNumber                 // a score, a count, a version
	aCountry                // as a code
)

// contents lists the last words of member names, by the content of the member.
var contents = map[content][]string{
	aWord: {
		"status", "detail", "decision", "outcome", "result", "event", "action", "trigger", "step", "stage", "severity",
		"progress", "type", "reason", "reasons", "code", "codes", "method", "via", "level", "channel", "environment",
		"notice",
		"check", "profile", "product", "source", "key", "applicability", "assessment", "diagnose", "side", "mode",
	},
	aTime: {"at", "utc", "time", "timestamp", "deadline", "until"},
	aNumber: {
		"score", "scores", "threshold", "percentage", "confidence", "probability", "attempts", "count", "version", "min",
		"max",
		"revision",
	},
}

// idOwners are the words before "id" in the names of ids that may be shown: ids of things and processes,
// not of persons or their documents.
var idOwners = []string{
	"", "journey", "session", "verification", "identification", "application", "setup", "flow", "link", "event", "step",
	"check",
	"idv", "kyc", "payload", "message", "request", "database", "version", "enrollment",
}

// contentOf derives the content of a member from its name.
func contentOf(member string) content {
	words := wordsOf(member)
	if len(words) == 0 {
		return anything
	}
	last, before := words[len(words)-1], ""
	if len(words) > 1 {
		before = words[len(words)-2]
	} else if owner, ok := strings.CutSuffix(last, "id"); ok {
		last, before = "id", owner // journeyid: a provider may write names in lower case
	}
	switch {
	case member == "check_id":
		return aWord // of an event: derived from the provider's name of the check
	case last == "country" || before == "country" && last == "code":
		return aCountry
	case last == "id" || last == "ids":
		if slices.Contains(idOwners, before) {
			return anID
		}
		return anything
	}
	for c, names := range contents {
		if slices.Contains(names, last) {
			return c
		}
	}
	return anything
}

// Harmless reports whether v, as the value of a member of this name, may be shown to viewers without
// permission for personal data: a word, an id, a time or a number if the name implies one and v has its
// form. Yes, no and empty values are harmless anywhere.
func Harmless(member string, v any) bool { return contentOf(member).admits(v) }

func (c content) admits(v any) bool {
	if _, ok := v.(bool); ok || v == nil || v == "" {
		return true
	}
	s, ok := scalar(v)
	if !ok {
		return false
	}
	switch c {
	case aWord:
		return HarmlessWord(s)
	case anID:
		return HarmlessID(s)
	case aTime:
		return isMoment(s)
	case aNumber:
		return isScore(s)
	case aCountry:
		return isUpper(s, 2, 3)
	}
	return false
}

// HarmlessID reports whether s looks like the id of a thing: letters and digits without spaces, with at
// least one digit, and neither a date nor an Aadhaar number.
func HarmlessID(s string) bool {
	const longest = 128
	isDay := len(s) >= dateBytes && isDate(s[:dateBytes])
	if len(s) > longest || !strings.ContainsAny(s, "0123456789") || isDay || HideAadhaar(s) != s {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !digit(c) && !asciiLetter(c) && (i == 0 || strings.IndexByte("_-.:", c) < 0) {
			return false
		}
	}
	return true
}

// isMoment accepts an ISO 8601 instant, and seconds or milliseconds since 1970 of the years 2014 to 2033: other
// numbers of ten digits are phone numbers. An instant before 2000 may be a date of birth.
func isMoment(s string) bool {
	const second, millisecond = len("1740906000"), len("1740906000000")
	whole, decimals, _ := strings.Cut(s, ".")
	if (len(whole) == second || len(whole) == millisecond) && allDigits(whole) && allDigits(decimals) {
		return "14" <= whole[:2] && whole[:2] <= "19"
	}
	if len(s) < dateBytes || !isDate(s[:dateBytes]) || s < "2000" {
		return false
	}
	clock := clockBytes(s[dateBytes:])
	return clock > 0 && isZone(s[dateBytes+clock:])
}

// isMidnight reports whether an instant has no other time than midnight: in a member that is not named as a time it
// may be a date of birth.
func isMidnight(s string) bool {
	return len(s) > dateBytes && strings.Trim(s[dateBytes:], "Tt 0:.Z+-") == ""
}

// isZone accepts Z, +05:30, +0530 and an empty text.
func isZone(s string) bool {
	if s == "" || s == "Z" {
		return true
	}
	return (s[0] == '+' || s[0] == '-') && len(s) <= len("+00:00") && strings.Trim(s[1:], "0123456789:") == ""
}

// isScore accepts numbers of at most four digits, with decimals and a percent sign or without.
func isScore(s string) bool {
	s = strings.TrimPrefix(strings.TrimSuffix(s, "%"), "-")
	whole, decimals, _ := strings.Cut(s, ".")
	return whole != "" && len(whole) <= 4 && allDigits(whole) && len(decimals) <= 17 && allDigits(decimals)
}

// Limits of a harmless word: text with many digits may be a person's number.
const (
	longestWord    = 96
	mostRunDigits  = 3 // in a row
	mostWordDigits = 4
)

// HarmlessWord reports whether s consists of words of the vocabulary, one or several, joined in any way:
// NotUnder18, kyc_result_approved, "Finished Journey". also are further permitted words in lower case: the
// name of a provider. A person's name does not match, unless it happens to be such a word.
func HarmlessWord(s string, also ...string) bool {
	words := wordsOf(s)
	if len(words) == 0 || len(s) > longestWord || strings.ContainsFunc(s, func(r rune) bool { return !isWordRune(r) }) {
		return false
	}
	digits := 0
	for _, word := range words {
		if digit(word[0]) {
			if digits += len(word); len(word) > mostRunDigits || digits > mostWordDigits {
				return false
			}
			continue
		}
		if !vocabulary[word] && !slices.Contains(also, word) {
			return false
		}
	}
	return true
}

// wordMarks are the permitted separators of words.
const wordMarks = " _-./:,()#"

func isWordRune(r rune) bool {
	return r < utf8.RuneSelf && (digit(byte(r)) || asciiLetter(byte(r)) || strings.ContainsRune(wordMarks, r))
}

// wordsOf splits a name or a word of a program into lower-case words and numbers: KYCResult_2 is kyc,
// result, 2. All characters except ASCII letters and digits are separators.
func wordsOf(s string) []string {
	var words []string
	begin := 0
	end := func(i int) {
		if i > begin {
			words = append(words, strings.ToLower(s[begin:i]))
		}
	}
	for i := range len(s) {
		switch {
		case !wordByte(s[i]):
			end(i)
			begin = i + 1
		case i > begin && boundary(s, i):
			end(i)
			begin = i
		}
	}
	end(len(s))
	return words
}

func wordByte(c byte) bool { return digit(c) || asciiLetter(c) }

// boundary reports whether a word ends before s[i]. The byte before s[i] is part of a word.
func boundary(s string, i int) bool {
	before, c := s[i-1], s[i]
	switch {
	case !wordByte(c):
		return true
	case digit(before) != digit(c):
		return true
	case lower(before) && !lower(c): // resultApproved
		return true
	}
	// The last capital of several belongs to the next word: KYCResult.
	return !digit(c) && !lower(before) && !lower(c) && i+1 < len(s) && lower(s[i+1])
}
