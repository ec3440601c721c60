package kwikid

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// session is session_data. Scalars may be of any JSON type, objects may be null or JSON inside a string,
// and keys are missing before the session has ended. Members that no method reads are deliberately left out:
// extras.session_status is not the session's status, and IP addresses, locations, employers, loans and answers
// to questions never leave the payload.
type session struct{ document.Object }

// times returns the times of the session. A call that is only booked has a scheduled time and no start yet.
func (d session) times() *event.Session {
	started, call, scheduled := d.Time("start_time"), d.Time("vkyc_start_time"), ""
	switch {
	case d.Text("session_status") == statusScheduled:
		scheduled = event.Instant(call)
	case started.IsZero():
		started = call
	}
	return &event.Session{
		Channel:     "video_call",
		ScheduledAt: scheduled,
		StartedAt:   event.Instant(started),
		EndedAt:     event.Instant(d.Time("end_time")),
	}
}

// said returns the text or number at a path of o, without spaces around it; "" if it means that there is no value. The
// vendor's service writes a missing value as "None" or "NA" (observed in public support notes), and a boolean is
// neither a name nor a number.
func said(o document.Object, path ...string) string {
	text := strings.TrimSpace(values.ScalarText(o.Value(path...)))
	if values.IsBlank(text) {
		return ""
	}
	return text
}

// said returns what the session says at a path.
func (d session) said(path ...string) string { return said(d.Object, path...) }

// The ids of the two documents of a session, as named in captured_images, and the vendor's titles.
const (
	idPAN        = "pan"
	idAadhaar    = "aadhaar"
	titlePAN     = "Pan Card"
	titleAadhaar = "Aadhaar Card"
)

// documentIDs maps a folded title to a document's id; other titles (Signature Match) are not documents. The title
// Aadhaar is that of a bank's portal (public support notes of the vendor).
var documentIDs = map[string]string{"pancard": idPAN, "aadhaarcard": idAadhaar, "aadhaar": idAadhaar}

// docs returns the documents of the summary.
func (d session) docs() []document.Object {
	return d.Objects("summary_data", "docs")
}

// shown returns the first entry of the summary for a document, or nil.
func (d session) shown(id string) document.Object {
	for _, doc := range d.docs() {
		if documentIDs[values.Fold(doc.Text("name"))] == id {
			return doc
		}
	}
	return nil
}

// documents returns the documents that the applicant showed: listed in the summary, or with an image. A
// number that the caller sent at the start is not a document.
func (d session) documents() []event.Document {
	var documents []event.Document
	add := func(id, title, number string, images ...string) {
		if d.shown(id) == nil && !slices.ContainsFunc(images, func(name string) bool { return d.said(name) != "" }) {
			return
		}
		doc := values.NewDocument(title, "IND", number)
		doc.DocumentID = id
		doc.Issuer = &event.Issuer{CountryCode: "IND"}
		documents = append(documents, doc)
	}
	number, _ := d.numberOfPAN()
	add(idPAN, titlePAN, number, "pan_url")
	number, _ = d.numberShown(idAadhaar, lastFourOf)
	add(idAadhaar, titleAadhaar, number, "aadhaar_url", "aadhaarback_url")
	return documents
}

// numberOfPAN returns the number as read from the card, else as the caller sent it at the start.
func (d session) numberOfPAN() (number string, agreed bool) {
	number, agreed = d.numberShown(idPAN, func(doc document.Object) []string {
		return details(doc, "panumber", "pannumber", "pan")
	})
	if number == "" && agreed {
		number = d.said("extras", "pan_number")
	}
	return number, agreed
}

// numberShown returns the number on which all entries of the summary for a document that have one agree. read returns
// the numbers of an entry.
func (d session) numberShown(id string, read func(document.Object) []string) (number string, agreed bool) {
	for _, doc := range d.docs() {
		if documentIDs[values.Fold(doc.Text("name"))] != id {
			continue
		}
		for _, said := range read(doc) {
			switch {
			case number == "":
				number = said
			case values.Fold(number) != values.Fold(said):
				return "", false
			}
		}
	}
	return number, true
}

// detail returns the text in a document's details under the first of the folded names that has one.
func detail(doc document.Object, names ...string) string {
	if texts := details(doc, names...); len(texts) > 0 {
		return texts[0]
	}
	return ""
}

// details returns all texts in a document's details under these folded names. The members of details are not
// documented, so no schema defines their names.
func details(doc document.Object, names ...string) (texts []string) {
	details := doc.Object("details")
	members := values.Sorted(details)
	for _, name := range names {
		for _, member := range members {
			if values.Fold(member) != name {
				continue
			}
			if text := said(details, member); text != "" {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// lastFourOf finds the last four digits of the numbers of an Aadhaar card. The members of details are
// not documented; a number that is already masked is accepted too.
func lastFourOf(doc document.Object) (numbers []string) {
	details := doc.Object("details")
	for _, key := range values.Sorted(details) {
		name := values.Fold(key)
		if !strings.Contains(name, "number") && !strings.Contains(name, "aadhaar") && !strings.HasPrefix(name, "uid") {
			continue
		}
		value := strings.Map(func(r rune) rune {
			switch r {
			case ' ', '-', '*', 'x', 'X':
				return -1
			}
			return r
		}, details.Text(key))
		if (len(value) == 4 || len(value) == 12) && strings.Trim(value, "0123456789") == "" {
			numbers = append(numbers, values.LastFour(value))
		}
	}
	return numbers
}

// claims returns the claims of the session. All come from the session itself, except the date of birth, which
// is read from the documents, and the name, which is read from them if the session has none. If the documents
// disagree on one of them, a failed check reports that.
func (d session) claims(dates *values.Dates, s kycbridge.Settings) (event.Claims, []event.Check) {
	claims := event.Claims{}
	var differ []event.CheckField
	name, agreed := d.said("extras", "applicant_name"), true
	if name == "" {
		name, agreed = d.nameShown()
	}
	if !agreed {
		differ = append(differ, event.CheckField{Field: "name", Result: event.ResultFailed})
	}
	values.SetClaim(claims, "name", name)
	values.SetClaim(claims, "phone_number", values.PhoneNumber(d.Text("phone_number"), countryOf(s)))
	if formatted := values.Clip(d.said("extras", "current_address"), values.MaxClaim); formatted != "" {
		values.SetAddress(claims, map[string]string{"formatted": formatted})
	}
	birth, agreed := d.birth()
	values.SetClaim(claims, "birthdate", dates.Birth(birth))
	if !agreed {
		differ = append(differ, event.CheckField{Field: "birthdate", Result: event.ResultFailed})
	}
	_, agreed = d.numberOfPAN()
	_, agreedToo := d.numberShown(idAadhaar, lastFourOf)
	if !agreed || !agreedToo {
		differ = append(differ, event.CheckField{Field: "document_number", Result: event.ResultFailed})
	}
	if differ == nil {
		return values.OrNil(claims), nil
	}
	return values.OrNil(claims), []event.Check{{
		CheckID: "docs.data_consistency", Type: event.CheckDataConsistency, Result: event.ResultFailed,
		Fields: differ, Reasons: []string{"data.inconsistent"}, DocumentIDs: []string{idPAN, idAadhaar},
	}}
}

// nameShown returns the name on which all documents of the summary that have one agree; case and spaces do not
// matter. A session that another system opens may lack the applicant's name, while the documents have it (public
// support notes of the vendor).
func (d session) nameShown() (name string, agreed bool) {
	for _, doc := range d.docs() {
		said := strings.Join(strings.Fields(detail(doc, "name")), " ")
		switch {
		case said == "" || documentIDs[values.Fold(doc.Text("name"))] == "":
		case name == "":
			name = said
		case !strings.EqualFold(name, said):
			return "", false
		}
	}
	return name, true
}

// birth returns the date of birth on which all documents of the summary that have one agree, under whatever name. A
// card may have only the year.
func (d session) birth() (date string, agreed bool) {
	for _, doc := range d.docs() {
		if documentIDs[values.Fold(doc.Text("name"))] == "" {
			continue
		}
		for _, said := range details(doc, "dob", "dateofbirth") {
			said = cmp.Or(document.ParseDate(said), said)
			switch {
			case strings.HasPrefix(said, date):
				date = said // the first date, the same date, or a more complete one
			case !strings.HasPrefix(date, said):
				return "", false
			}
		}
	}
	return date, true
}

// countryOf returns the country of phone numbers without a country code.
func countryOf(s kycbridge.Settings) string {
	return cmp.Or(own(s).Country, "IN")
}

// mediaFields are the members that contain the address of a file, with the kind of the file. The applicant's signature,
// and the Aadhaar card and the summary as PDF, occur in sessions of banks (public support notes of the vendor).
var mediaFields = [...]struct{ kind, field string }{
	{"selfie", "selfie_url"},
	{"document_front", "pan_url"},
	{"document_front", "aadhaar_url"},
	{"document_back", "aadhaarback_url"},
	{"document", "aadhaarpdf_url"},
	{"signature", "signature_url"},
	{"user_video", "user_video_url"},
	{"agent_video", "agent_video_url"},
	{"agent_screen", "agent_screen_url"},
	{"summary", "summary_json_url"},
	{"summary", "summary_pdf_url"},
	{"archive", "zip_url"},
}

// media lists the files of a session. The body contains only their addresses, so each entry also names the
// field with its address.
func (d session) media() []event.Media {
	var media []event.Media
	add := func(kind, url, field string) {
		field = "session_data." + field
		ref := values.MediaRef(url, field)
		known := func(m event.Media) bool { return m.ProviderRef == ref }
		if ref != "" && len(media) < values.Most && !slices.ContainsFunc(media, known) {
			media = append(media, event.Media{Kind: kind, ProviderRef: ref, Field: field})
		}
	}
	for _, m := range mediaFields {
		add(m.kind, d.said(m.field), m.field)
	}
	for i, item := range d.List("summary_data", "docs") {
		doc, _ := item.(map[string]any)
		at := "summary_data.docs." + strconv.Itoa(i)
		add("document_front", said(doc, "front_url"), at+".front_url")
		add("signature", said(doc, "signature_url"), at+".signature_url")
	}
	return media
}
