package signzy

import (
	"strings"

	"kycbridge/normalize/values"
)

// Document types that need more than their name to be distinguished.
const (
	idCard          = "idcard"
	residencePermit = "residence_permit"
	emiratesID      = "ae_emirates_id"
)

// recognised lists the paths of the recogniser's labels for a document, the plainest first.
var recognised = [...][]string{
	{"predictedIdTypeFront", "FDSIDList", "dDescription"}, {"predictedIdTypeFront", "DocumentName"},
	{"predictedIdTypeBack", "FDSIDList", "dDescription"}, {"predictedIdTypeBack", "DocumentName"},
}

// labels returns the recogniser's labels for the document, without the empty ones.
func (r report) labels() []string {
	var found []string
	for _, path := range recognised {
		if label := r.body.Text(path...); !values.IsBlank(label) {
			found = append(found, label)
		}
	}
	return found
}

// issuer returns the issuing country that the recogniser reports, as an ICAO 9303 code.
func (r report) issuer() string {
	for _, side := range [...]string{"predictedIdTypeFront", "predictedIdTypeBack"} {
		if code := values.Alpha3(r.body.Text(side, "FDSIDList", "ICAOCode")); code != "" {
			return code
		}
	}
	return ""
}

// country returns the country whose document names apply: the issuer, else the country that the recogniser
// names, else the one that the applicant chose. Only India and the Emirates have document names of their own.
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

// typeOf returns the document type for a label. known is false if the label is not in the vocabulary.
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

// typeWithin finds the longest word of the vocabulary within a longer label, such as "Exampleland - Driving
// License (2021)". Short words are skipped because they occur within too many other words.
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

// documentType returns the type of the document: the recognised type, else the type that the applicant chose.
// If any label mentions Aadhaar, the type is Aadhaar, because its number needs special treatment.
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

// compatible reports whether two types may be names of one document: a recogniser that does not know the name
// of a national card reports it as an identity card.
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
