package idwise

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"kycbridge/event"
	"kycbridge/normalize/values"
)

// claims are the person's: the applicant's, which stand for the journey as a whole. A member that the
// applicant lacks is taken from the documents, if all of them that carry it agree. What they do not agree
// on, and what of the applicant cannot be read, is left out and told by checks.
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
	if !setNames(claims, strings.TrimSpace(fullName), cards) {
		differ = append(differ, event.CheckField{Field: "name", Result: event.ResultFailed})
	}
	birth := strings.TrimSpace(values.ScalarText(applicant["birth_date"]))
	if birth != "" {
		values.SetClaim(claims, fieldBirth, dates.Birth(birth))
	} else if !slices.ContainsFunc(cards, func(c card) bool { return slices.Contains(c.unread, fieldBirth) }) {
		values.SetClaim(claims, fieldBirth, agreed(fieldBirth, "", func(c card) string { return c.dates[fieldBirth] }))
	}
	number := numberOf(applicant["personal_number"])
	values.SetClaim(claims, "personal_number", agreed("personal_number", number, func(c card) string {
		return c.number("personalnumber")
	}))
	values.SetClaim(claims, "gender", agreed("gender", "", func(c card) string {
		return values.Gender(c.text("sex", "gender"))
	}))
	values.SetNationality(claims, agreed("nationalities", "", func(c card) string {
		return values.Alpha3(c.text("nationality", "nationalitycode"))
	}))
	address := agreed("address", "", func(c card) string { return c.text("address", "fulladdress") })
	if formatted := values.Clip(address, values.MaxClaim); formatted != "" {
		values.SetAddress(claims, map[string]string{"formatted": formatted})
	}
	return claims, unsure(cards, differ, dates.Unread)
}

// unsure are the checks that tell what was left out of the claims.
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
	for _, card := range cards {
		c.DocumentIDs = append(c.DocumentIDs, card.id)
	}
	return append(checks, c)
}

// agreement is what all documents that carry a member say, "" if none does. Case and spaces may differ.
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

// plain is text with single spaces.
func plain(s string) string { return strings.Join(strings.Fields(s), " ") }

// fullName is a name as one document or the applicant has it: whole, in parts, or both.
type fullName struct{ full, given, middle, family string }

// words are the words of a name, whatever their order and case.
func (n fullName) words() string {
	words := strings.Fields(strings.ToLower(cmp.Or(n.full, n.given+" "+n.middle+" "+n.family)))
	slices.Sort(words)
	return strings.Join(words, " ")
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

// setNames puts the name claims, which count as one member, and reports whether it is known whose they
// are. They are the applicant's; parts of the name are taken from a document only where the documents
// agree and have the same words as the applicant, so that names of two persons never stand together.
func setNames(claims event.Claims, applicant string, cards []card) bool {
	_, agree := agreement(cards, func(c card) string { return c.names.words() })
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

// guarded are the claims as they go into an event. The personal number on an Aadhaar card is the Aadhaar
// number.
func guarded(claims event.Claims, documents []event.Document) event.Claims {
	number, _ := claims["personal_number"].(string)
	if slices.ContainsFunc(documents, func(d event.Document) bool { return d.Type == values.AadhaarCard }) {
		values.SetClaim(claims, "personal_number", values.LastFour(number))
	}
	return values.OrNil(claims)
}
