package signzy

import (
	"slices"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// numberLabels are the labels for the number of a document.
var numberLabels = []string{
	"documentnumber", "identitycardnumber", "idnumber", "licensenumber", "licencenumber", "passportnumber",
	"aadhaarnumber", "pannumber",
}

// expiryLabels are the labels for the last day on which a document is valid.
var expiryLabels = []string{
	"dateofexpiry", "expirydate", "dateofexpiration", "expirationdate", "validuntil", "validtill",
	"expiry", "expires", "expireson", "validto", "validupto", "validthrough", "validthru",
}

// expiryWords are parts of labels for such a day. The vendor publishes no list of labels, and a label may name a class
// too ("Valid Till (NT)"). So a past date under any label with such a part counts against an approval, even if the
// event shows another date.
var expiryWords = []string{"expir", "validuntil", "validtill", "validto", "validupto", "validthr"}

// addDocuments adds the presented documents, and the claims of the first one, to o. Claims of two documents
// are never mixed.
func addDocuments(o *kycbridge.Observation, j document.Object, reports []report, dates *values.Dates) {
	captured := j.Object("capturedData")
	if captured == nil && j.Object("documentIntelligence") == nil {
		return // contains nothing about documents
	}
	o.Documents = []event.Document{}
	for _, r := range reports {
		read := newLabels(r.body.Object("extractedFields"), &dates.Unread)
		if doc, presented := r.document(read, captured, dates); presented {
			o.Documents = append(o.Documents, doc)
		}
		if r.number == 1 {
			o.ExtractedClaims = read.claims(dates)
		}
	}
}

// document returns the data that r contains about its document; presented is false if no document was
// presented.
func (r report) document(
	read *labels, captured document.Object, dates *values.Dates,
) (doc event.Document, presented bool) {
	chosen, chosenIn := captured.Text(numberedName("idType", r.number)), captured.Text("country")
	issuer := r.issuedBy(read)
	country := issuer.CountryCode
	if country == "" {
		country = r.country(chosenIn)
	}
	doc = values.NewDocument(r.documentType(chosen, chosenIn), country, read.text("document_number", numberLabels...))
	doc.DocumentID = r.documentID()
	doc.DateOfIssuance = dates.Agreed("date_of_issuance", (*values.Dates).Issue,
		read.dates("date_of_issuance", "dateofissue", "issuedate", "dateofissuance")...)
	doc.DateOfExpiry = dates.Agreed("date_of_expiry", (*values.Dates).Expiry,
		read.dates("date_of_expiry", expiryLabels...)...)
	doc.MRZDocumentCode = values.Matching(values.MrzCodePattern, read.text("mrz_document_code", "documentclasscode"))
	if issuer != (event.Issuer{}) {
		doc.Issuer = &issuer
	}
	images := captured.Object("images")
	taken := picture(images[numberedName("frontDoc", r.number)]) || picture(images[numberedName("backDoc", r.number)])
	return doc, taken || len(r.labels()) > 0 || doc.DocumentNumber != "" || doc.DateOfExpiry != ""
}

// expiries returns every day of expiry that was read from the document. They may differ; then none is in the event, but
// each of them still counts against an approval.
func (r report) expiries() []string {
	var days []string
	dates := values.NewDates(time.Time{})
	for label, v := range r.body.Object("extractedFields") {
		if !isExpiry(label) {
			continue
		}
		for _, text := range spread(v) {
			if day := dates.Expiry(document.Text(text)); day != "" {
				days = append(days, day)
			}
		}
	}
	return days
}

// isExpiry reports whether a label is one for the last day on which a document is valid.
func isExpiry(label string) bool {
	key := labelKey(label)
	return slices.ContainsFunc(expiryWords, func(word string) bool { return strings.Contains(key, word) })
}

// issuedBy returns the issuer of the document. For the country, the recogniser's value has precedence over the
// printed one; for the name it is the other way round.
func (r report) issuedBy(read *labels) event.Issuer {
	code, name := r.issuer(), read.text("issuer", "issuingstatename")
	if code == "" {
		code = read.country("issuer", "issuingstatecode")
	}
	if name == "" {
		name = r.body.Text("predictedIdTypeFront", "FDSIDList", "dCountryName")
	}
	return event.Issuer{CountryCode: code, Name: values.Clip(name, values.MaxID)}
}
