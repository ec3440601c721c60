package idwise

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode"

	"kycbridge/event"
	"kycbridge/normalize/values"
)

// claims returns the claims of the person: the applicant's values, which apply to the journey as a whole. A
// value that the applicant lacks is taken from the documents, if all documents that contain it agree. Values
// on which the documents disagree, and unreadable values of the applicant, are left out and reported by
// checks.
func (r result) claims(cards []card, received time.Time) (event.Claims, []event.Check) {
	applicant, claims, dates := r.Object.Object("applicant"), event.Claims{}, values.NewDates(received)
	var differ []event.CheckField
	agreed := func(field, own string, of func(card) string) string {
		if own != "" {
			return own
		}
		value, ok := agreement(cards, of)
		if !ok {
			differ = append(differ, event.CheckField{Field: field, Result: event.ResultFailed})
		}
		return value
	}
	fullName, _ := applicant["full_name"].(string)
	if !setNames(claims, values.Content(fullName, values.MaxClaim), cards) {
		differ = append(differ, event.CheckField{Field: "name", Result: event.ResultFailed})
	}
	birth := strings.TrimSpace(values.ScalarText(applicant["birth_date"]))
	if birth != "" {
		values.SetClaim(claims, fieldBirth, dates.Birth(birth))
	} else if !slices.ContainsFunc(cards, func(c card) bool { return slices.Contains(c.unread, fieldBirth) }) {
		values.SetClaim(claims, fieldBirth, agreed(fieldBirth, "", birthOf(cards)))
	}
	number := numberOf(applicant["personal_number"])
	values.SetClaim(claims, "personal_number", agreed("personal_number", number, func(c card) string {
		return c.number("personalnumber")
	}))
	values.SetClaim(claims, "gender", agreed("gender", "", func(c card) string {
		return values.Gender(c.text("sex", "gender"))
	}))
	values.SetNationality(claims, agreed("nationalities", "", func(c card) string {
		return cmp.Or(values.Alpha3(c.text("nationalitycode")), values.Alpha3(c.text("nationality")))
	}))
	address := agreed("address", "", card.address)
	if formatted := values.Clip(address, values.MaxClaim); formatted != "" {
		values.SetAddress(claims, map[string]string{"formatted": formatted})
	}
	return claims, unsure(cards, differ, dates.Unread)
}

// unsure returns the checks that report what was left out of the claims.
func unsure(cards []card, differ []event.CheckField, unread values.Unread) []event.Check {
	checks := unread.AddTo(nil)
	for i := range checks {
		checks[i].CheckID = "applicant.data_extraction"
	}
	if len(differ) == 0 {
		return checks
	}
	c := event.Check{
		CheckID: "documents.data_consistency", Type: event.CheckDataConsistency, Result: event.ResultFailed,
		Fields: differ, Reasons: []string{"data.inconsistent"},
	}
	for _, card := range values.AtMost(cards) {
		c.DocumentIDs = append(c.DocumentIDs, card.id)
	}
	return append(checks, c)
}

// agreement returns the value that all documents with this value agree on, "" if no document has it; ok is
// false if they differ. Differences in case and spaces are ignored.
func agreement(cards []card, of func(card) string) (value string, ok bool) {
	for _, c := range cards {
		switch said := of(c); {
		case said == "":
		case value == "":
			value = said
		case !strings.EqualFold(plain(value), plain(said)):
			return "", false
		}
	}
	return value, true
}

// birthOf returns how to read the date of birth of a document. A document that contains only the year agrees with
// a date in that year.
func birthOf(cards []card) func(card) string {
	longest := ""
	for _, c := range cards {
		if date := c.dates[fieldBirth]; len(date) > len(longest) {
			longest = date
		}
	}
	return func(c card) string {
		if date := c.dates[fieldBirth]; date == "" || !strings.HasPrefix(longest, date) {
			return date
		}
		return longest
	}
}

// plain returns text with single spaces.
func plain(s string) string { return strings.Join(strings.Fields(s), " ") }

// fullName is a name as one document or the applicant contains it: whole, in parts, or both.
type fullName struct{ full, given, middle, family string }

// words returns the words of a name, regardless of their order, their case and what is between them: a comma after the
// family name, a hyphen or an apostrophe.
func (n fullName) words() string {
	between := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) }
	words := strings.FieldsFunc(strings.ToLower(cmp.Or(n.full, n.given+" "+n.middle+" "+n.family)), between)
	slices.Sort(words)
	return strings.Join(words, " ")
}

// isTorn reports whether the whole name and the parts of one document are those of two persons: neither has all words
// of the other. A family name alone may be beside a whole name that lacks it: some documents call the given names Name.
func (n fullName) isTorn() bool {
	whole, parts := n, n
	whole.given, whole.middle, whole.family = "", "", ""
	parts.full = ""
	return n.full != "" && n.given != "" && !whole.contains(parts) && !parts.contains(whole)
}

// contains reports whether n has all words of other.
func (n fullName) contains(other fullName) bool {
	words := strings.Fields(n.words())
	return !slices.ContainsFunc(strings.Fields(other.words()), func(word string) bool {
		return !slices.Contains(words, word)
	})
}

// parts counts the members of a name.
func (n fullName) parts() (count int) {
	for _, part := range []string{n.full, n.given, n.middle, n.family} {
		if part != "" {
			count++
		}
	}
	return count
}

// setNames sets the name claims as one unit and reports whether the name is known: the applicant has one, or
// the documents do not disagree. The applicant's name has precedence. Parts of the name are taken from a
// document only if the documents agree, each with itself too, and have the same words as the applicant, so that names
// of two persons are never mixed.
func setNames(claims event.Claims, applicant string, cards []card) bool {
	_, agree := agreement(cards, func(c card) string { return c.names.words() })
	agree = agree && !slices.ContainsFunc(cards, func(c card) bool { return c.names.isTorn() })
	var names fullName
	if agree {
		for _, c := range cards {
			if c.names.parts() > names.parts() {
				names = c.names
			}
		}
	}
	own := fullName{full: applicant}
	switch {
	case applicant == "":
	case own.words() != names.words():
		names = own
	default:
		names.full = applicant
	}
	values.SetNames(claims, names.full, names.given, names.middle, names.family)
	return agree || applicant != ""
}

// guarded returns the claims as an event may contain them. The personal number on an Aadhaar card is the
// Aadhaar number, so only its last four digits are kept.
func guarded(claims event.Claims, documents []event.Document) event.Claims {
	number, _ := claims["personal_number"].(string)
	if slices.ContainsFunc(documents, func(d event.Document) bool { return d.Type == values.AadhaarCard }) {
		values.SetClaim(claims, "personal_number", values.LastFour(number))
	}
	return values.OrNil(claims)
}
