package signzy

import (
	"reflect"
	"strings"
	"unicode"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// labels holds extractedFields, whose members are the labels printed on a document. Keys are reduced to
// letters and digits, because case and separators vary. A label with two different values counts as
// unreadable.
type labels struct {
	values map[string]any
	twice  map[string]bool
	unread *values.Unread
}

func newLabels(fields document.Object, unread *values.Unread) *labels {
	l := &labels{values: map[string]any{}, twice: map[string]bool{}, unread: unread}
	for _, label := range values.Sorted(fields) {
		key := labelKey(label)
		for _, v := range spread(fields[label]) {
			known, again := l.values[key]
			l.twice[key] = l.twice[key] || again && !equal(known, v)
			if !again {
				l.values[key] = v
			}
		}
	}
	return l
}

func labelKey(label string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, label)
}

// spread returns the non-empty values of a label. A list of values means that the label occurred more than
// once.
func spread(v any) []any {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var all []any
		for _, item := range v {
			all = append(all, spread(item)...)
		}
		return all
	case map[string]any:
		if len(v) == 0 {
			return nil
		}
	case string:
		if text := strings.TrimSpace(v); text == "" || text == "NA" {
			return nil
		}
	}
	return []any{v}
}

func equal(a, b any) bool {
	x, y := document.Text(a), document.Text(b)
	if x != "" || y != "" {
		return strings.EqualFold(strings.TrimSpace(x), strings.TrimSpace(y))
	}
	return reflect.DeepEqual(a, b)
}

// text returns the value of the first of these labels that has one. A value that cannot be read is noted for
// field.
func (l *labels) text(field string, keys ...string) string {
	for _, key := range keys {
		if text, given := l.one(field, key); given {
			return text
		}
	}
	return ""
}

// one returns the value of a label; given is false if the label is missing.
func (l *labels) one(field, key string) (text string, given bool) {
	v, given := l.values[key]
	if !given {
		return "", false
	}
	_, isBool := v.(bool)
	if text = strings.TrimSpace(document.Text(v)); l.twice[key] || isBool || text == "" {
		l.unread.Add(field)
		return "", true
	}
	return text, true
}

// dates returns the texts of all these labels that have one, for the date of field; a value such as "NA" means no
// date. A label that cannot be read leaves none.
func (l *labels) dates(field string, keys ...string) []string {
	var texts []string
	for _, key := range keys {
		text, given := l.one(field, key)
		if given && text == "" {
			return nil
		}
		if !values.IsBlank(text) {
			texts = append(texts, text)
		}
	}
	return texts
}

// country returns the first of the labelled values that is an ICAO 9303 code.
func (l *labels) country(field string, keys ...string) string {
	for _, key := range keys {
		if code := values.Alpha3(l.text(field, key)); code != "" {
			return code
		}
	}
	return ""
}

// claims returns the claims read from the document.
func (l *labels) claims(dates *values.Dates) event.Claims {
	claims := event.Claims{}
	l.name(claims, "name", "names", "fullname", "name", "surnameandgivennames")
	l.name(claims, "given_name", "firstname", "givennames", "givenname")
	l.name(claims, "middle_name", "middlename")
	l.name(claims, "family_name", "lastname", "surname", "familyname")
	values.SetClaim(claims, "birthdate", dates.Agreed("birthdate", (*values.Dates).Birth,
		l.dates("birthdate", "dateofbirth", "birthdate", "dob")...))
	values.SetClaim(claims, "gender", values.Gender(l.text("gender", "sex", "gender")))
	values.SetClaim(claims, "personal_number", l.text("personal_number", "personalnumber"))
	values.SetNationality(claims, l.country("nationalities", "nationalitycode", "nationality"))
	values.SetAddress(claims, l.address())
	return values.OrNil(claims)
}

// name sets a name claim. A name in a script other than Latin goes into the claim with its language tag. If no
// label gives the name in Latin letters, the claim without a tag holds it as well.
func (l *labels) name(claims event.Claims, claim string, keys ...string) {
	native := ""
	for _, key := range keys {
		if claims[claim] != nil && l.twice[key] {
			continue
		}
		text, given := l.one(claim, key)
		if given && text == "" {
			return
		}
		tag := languageTag(text)
		if tag != "" && native == "" {
			native = text
		}
		if name := claim + tag; claims[name] == nil {
			values.SetClaim(claims, name, text)
		}
	}
	if claims[claim] == nil {
		values.SetClaim(claims, claim, native)
	}
}

// scripts are the tags of scripts other than Latin: the language if it is known, else the ISO 15924 code of
// the script.
var scripts = []struct {
	of  *unicode.RangeTable
	tag string
}{
	{unicode.Arabic, "#ar"}, {unicode.Devanagari, "#hi"}, {unicode.Cyrillic, "#und-Cyrl"},
	{unicode.Greek, "#und-Grek"}, {unicode.Han, "#und-Hani"}, {unicode.Hangul, "#und-Hang"},
	{unicode.Hiragana, "#und-Hira"}, {unicode.Katakana, "#und-Kana"}, {unicode.Thai, "#und-Thai"},
	{unicode.Hebrew, "#und-Hebr"}, {unicode.Bengali, "#und-Beng"}, {unicode.Gujarati, "#und-Gujr"},
	{unicode.Gurmukhi, "#und-Guru"}, {unicode.Kannada, "#und-Knda"}, {unicode.Malayalam, "#und-Mlym"},
	{unicode.Oriya, "#und-Orya"}, {unicode.Tamil, "#und-Taml"}, {unicode.Telugu, "#und-Telu"},
	{unicode.Sinhala, "#und-Sinh"}, {unicode.Thaana, "#und-Thaa"}, {unicode.Tibetan, "#und-Tibt"},
	{unicode.Myanmar, "#und-Mymr"}, {unicode.Khmer, "#und-Khmr"}, {unicode.Lao, "#und-Laoo"},
	{unicode.Mongolian, "#und-Mong"}, {unicode.Armenian, "#und-Armn"}, {unicode.Georgian, "#und-Geor"},
	{unicode.Ethiopic, "#und-Ethi"},
}

// languageTag returns the tag for the script of the first letter of a text, with the # of OIDC before it; ""
// if the text has a Latin letter or no letter.
func languageTag(text string) string {
	tag := ""
	for _, r := range text {
		if unicode.Is(unicode.Latin, r) {
			return ""
		}
		if tag == "" && unicode.IsLetter(r) {
			tag = tagOf(r)
		}
	}
	return tag
}

func tagOf(r rune) string {
	for _, script := range scripts {
		if unicode.Is(script.of, r) {
			return script.tag
		}
	}
	return "#und-Zzzz" // the ISO 15924 code for an unknown script
}
