package signzy

import (
	"strings"

	"kycbridge/normalize/values"
)

// The types of documents that are told apart by more than their name.
const (
	idCard          = "idcard"
	residencePermit = "residence_permit"
	emiratesID      = "ae_emirates_id"
)

// recogniser's words for a document, the plainest first.
var recognised = [...][]string{
	{"predictedIdTypeFront", "FDSIDList", "dDescription"}, {"predictedIdTypeFront", "DocumentName"},
	{"predictedIdTypeBack", "FDSIDList", "dDescription"}, {"predictedIdTypeBack", "DocumentName"},
}

// labels are the words by which the recogniser names the document, those that it has.
func (r report) labels() []string {
	var found []string
	for _, path := range recognised {
		if label := r.body.Text(path...); !blank(label) {
			found = append(found, label)
		}
	}
	return found
}

// issuer is the country by the recogniser, as ICAO 9303 writes it.
func (r report) issuer() string {
	for _, side := range [...]string{"predictedIdTypeFront", "predictedIdTypeBack"} {
		if code := values.Alpha3(r.body.Text(side, "FDSIDList", "ICAOCode")); code != "" {
			return code
		}
	}
	return ""
}

// country is the country whose names for documents count: the issuer, else the one that the recogniser
// names, else the one that the applicant chose. Only India and the Emirates have names of their own.
func (r report) country(chosenIn string) string {
	if code := r.issuer(); code != "" {
		return code
	}
	switch values.Letters(r.body.Text("predictedIdTypeFront", "FDSIDList", "dCountryName")) {
	case "india":
		return "IND"
	case "unitedarabemirates":
		return "ARE"
	}
	return values.Alpha3(chosenIn)
}

// typeOf names a document by a label. known is false where the label is none of the vocabulary.
func typeOf(label, country string) (name string, known bool) {
	name, known = values.KnownDocumentType(label, country)
	if !known {
		name, known = typeWithin(label)
	}
	switch {
	case country == "ARE" && name == idCard,
		country == "ARE" && name == residencePermit && strings.Contains(values.Letters(label), "residentid"):
		return emiratesID, true
	case known:
		return name, true
	}
	return values.DocumentType(label, country), false
}

// typeWithin finds the longest word of the vocabulary within a label that says more: "Exampleland -
// Driving License (2021)". Short words stand within too many others.
func typeWithin(label string) (name string, known bool) {
	const shortest = len("passport")
	plain, longest := values.Letters(label), ""
	for word := range values.DocumentTypes {
		longer := len(word) > len(longest) || len(word) == len(longest) && word < longest
		if len(word) >= shortest && longer && strings.Contains(plain, word) {
			longest = word
		}
	}
	name, known = values.DocumentTypes[longest]
	return name, known
}

// documentType names the document: by what it was recognised as, else by what the applicant chose. A
// mention of Aadhaar anywhere decides, because its number is treated in a special way.
func (r report) documentType(chosen, chosenIn string) string {
	country := r.country(chosenIn)
	labels := r.labels()
	for _, label := range append(labels, chosen) {
		if name, _ := typeOf(label, country); name == values.AadhaarCard {
			return name
		}
	}
	for _, label := range labels {
		if name, known := typeOf(label, country); known {
			return name
		}
	}
	if len(labels) > 0 {
		chosen = labels[0]
	}
	name, _ := typeOf(chosen, country)
	return name
}

// compatible reports whether two types may be names of one document: a national card is an identity
// card to whoever does not know its name.
func compatible(a, b string) bool {
	if a == idCard {
		a, b = b, a
	}
	switch a {
	case values.AadhaarCard, "in_pan", "in_voter_id":
		return b == idCard
	case emiratesID, residencePermit:
		return b == idCard || b == emiratesID || b == residencePermit
	}
	return false
}
