package idwise

import (
	"slices"
	"strings"
	"time"

	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// card is one entry of documents: a step of the flow in which the applicant presents a document.
type card struct {
	document.Object
	id       string         // of its step
	read     map[string]any // the scalars read from the document, by folded label
	accuracy []accuracy     // how well they were read, by label
	names    fullName
	dates    map[string]string // by the name of the field in the event
	unread   values.Unread     // dates that have a value that cannot be read
}

// accuracy is how well one field of a document was read.
type accuracy struct{ field, word string }

// The names of the date fields in the event.
const (
	fieldBirth  = "birthdate"
	fieldIssue  = "date_of_issuance"
	fieldExpiry = "date_of_expiry"
)

// labelBirthYear is the label of the year of birth, which a document may contain beside the whole date.
const labelBirthYear = "yearofbirth"

// dateFields are the dates with their folded labels. Two labels with different dates leave the date unread, but the
// year of birth is read only if there is no date of birth. Some documents contain only the year (field-names.md in
// https://github.com/idwise/idwise.github.io). Dates of another calendar have labels of their own (Birth Date Hijri)
// and are never read: where a document has no other, the field is reported as unread.
var dateFields = []struct {
	field  string
	read   func(*values.Dates, string) string
	labels []string
}{
	{fieldBirth, (*values.Dates).Birth, []string{"birthdate", "dateofbirth", "dob", labelBirthYear}},
	{fieldExpiry, (*values.Dates).Expiry, []string{"expirydate", "dateofexpiry", "expirationdate"}},
	{fieldIssue, (*values.Dates).Issue, []string{"issuedate", "dateofissue", "issuancedate"}},
}

// cards returns the documents in the order of their steps. A step that was not taken yet may be null.
func (r result) cards(received time.Time) []card {
	entries := r.Object.Object("documents")
	var cards []card
	for _, id := range values.Sorted(entries) {
		if entry := entries.Object(id); entry != nil {
			cards = append(cards, newCard(id, entry, received))
		}
	}
	return cards
}

// newCard reads the extracted fields of a document. A field is an object with a value, or the bare value. A label that
// occurs in two spellings with different values is unread.
func newCard(id string, entry document.Object, received time.Time) card {
	c := card{Object: entry, id: values.Clip(id, values.MaxCode), read: map[string]any{}, dates: map[string]string{}}
	fields := entry.Object("extracted_fields")
	for _, label := range values.Sorted(fields) {
		folded, value := values.Fold(label), fields[label]
		if field := fields.Object(label); field != nil {
			value = field["value"]
			if word := field.Text("read_accuracy"); word != "" {
				c.accuracy = append(c.accuracy, accuracy{fieldOf(label, folded), word})
			}
			if values.Fold(field.Text("type")) == "image" {
				continue
			}
		}
		c.take(label, folded, value)
	}
	c.names = fullName{
		full: c.words("fullname", "name"), given: c.words("firstname", "givenname", "givennames"),
		middle: c.words("middlename"), family: c.words("lastname", "surname", "familyname"),
	}
	c.readDates(values.NewDates(received))
	return c
}

// take stores the value of a label.
func (c *card) take(label, folded string, value any) {
	text := plain(values.ScalarText(value))
	before, again := c.read[folded]
	switch {
	case text == "":
	case !again:
		c.read[folded] = value
	case !strings.EqualFold(plain(values.ScalarText(before)), text):
		c.read[folded] = nil
		if field := fieldOf(label, folded); field != "other" {
			c.unread.Add(field)
		}
	}
}

// fieldOf returns the name of a field of the check data_extraction. The year of birth was read on its own.
func fieldOf(label, folded string) string {
	for _, date := range dateFields {
		if slices.Contains(date.labels, folded) && folded != labelBirthYear {
			return date.field
		}
	}
	return values.FieldName(label)
}

func (c *card) readDates(dates *values.Dates) {
	for _, date := range dateFields {
		var texts []string
		for _, label := range date.labels {
			if text := values.ScalarText(c.read[label]); text != "" && (label != labelBirthYear || texts == nil) {
				texts = append(texts, text)
			}
		}
		if value := dates.Agreed(date.field, date.read, texts...); !slices.Contains(c.unread, date.field) {
			c.dates[date.field] = value
		}
		if texts == nil && c.otherCalendar(date.labels) {
			c.unread.Add(date.field)
		}
	}
	for _, field := range dates.Unread {
		c.unread.Add(field)
	}
}

// otherCalendar reports whether a document has a date only in another calendar. Its label is that of the date, with the
// name of the calendar behind it.
func (c card) otherCalendar(labels []string) bool {
	for label, value := range c.read {
		isOther := func(of string) bool { return label != of && strings.HasPrefix(label, of) }
		if slices.ContainsFunc(labels, isOther) && values.ScalarText(value) != "" {
			return true
		}
	}
	return false
}

// text returns the first of these fields that contains text.
func (c card) text(labels ...string) string {
	for _, label := range labels {
		if s, ok := c.read[label].(string); ok {
			return strings.TrimSpace(s)
		}
	}
	return ""
}

// words returns the first of these fields that contains text with letters or digits.
func (c card) words(labels ...string) string {
	for _, label := range labels {
		s, _ := c.read[label].(string)
		if s = values.Content(s, len(s)); s != "" {
			return s
		}
	}
	return ""
}

// address returns the address as one text, or its lines: some documents have only these (field-names.md in
// https://github.com/idwise/idwise.github.io).
func (c card) address() string {
	if whole := c.words("address", "fulladdress"); whole != "" {
		return whole
	}
	return strings.TrimSpace(c.words("addressline1") + "\n" + c.words("addressline2"))
}

// number returns the first of these fields that contains text or a number of digits only.
func (c card) number(labels ...string) string {
	for _, label := range labels {
		if number := numberOf(c.read[label]); number != "" {
			return number
		}
	}
	return ""
}

// numberOf reads the number of a document or a person: text, or a JSON number of digits only.
func numberOf(v any) string {
	s := strings.TrimSpace(values.ScalarText(v))
	if _, isText := v.(string); !isText && strings.Trim(s, "0123456789") != "" {
		return ""
	}
	return values.Content(s, len(s))
}

// country returns the issuing country of a document. The documentation specifies alpha-3; alpha-2 is
// converted.
func (c card) country() string { return values.Alpha3(c.Text("issuing_country_code")) }

// ownNumber returns the number of a document. A visa or a card may also contain the number of the holder's passport
// (field-names.md in https://github.com/idwise/idwise.github.io), which is not its own.
func (c card) ownNumber(label string) string {
	if number := c.number("documentnumber"); number != "" {
		return number
	}
	if strings.Contains(values.Fold(label), "passport") {
		return c.number("passportnumber", "idnumber")
	}
	return c.number("idnumber")
}

// documents returns the presented documents. A step that was not taken yet has no type, and nothing was read in it: a
// type that cannot be read does not cost what was.
func documents(cards []card) []event.Document {
	shown := make([]event.Document, 0, len(cards))
	for _, c := range cards {
		label, _ := c.Object["document_type"].(string)
		country := c.country()
		doc := values.NewDocument(label, country, c.ownNumber(label))
		doc.DocumentID = c.id
		doc.DateOfIssuance = c.dates[fieldIssue]
		doc.DateOfExpiry = c.dates[fieldExpiry]
		if label == "" && doc.DocumentNumber == "" && doc.DateOfIssuance == "" && doc.DateOfExpiry == "" {
			continue
		}
		if country != "" {
			doc.Issuer = &event.Issuer{CountryCode: country}
		}
		shown = append(shown, doc)
	}
	return shown
}
