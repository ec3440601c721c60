package ondato

import (
	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// addDocument adds the document and the claims read from it to o. An object that contains only the result of
// the MRZ check or a list of files is not a document.
func addDocument(o *kycbridge.Observation, d document.Object, dates *values.Dates) {
	country := values.Alpha3(word(d, "countryIso3"))
	shown := values.NewDocument(word(d, "type"), country, number(d, "documentNumber"))
	shown.DateOfIssuance = dates.Issue(d.Text("dateOfIssue"))
	shown.DateOfExpiry = dates.Expiry(d.Text("dateOfExpiration"))
	shown.Subtype = values.Clip(word(d, "category"), values.MaxCode)
	issuer := event.Issuer{CountryCode: country, Jurisdiction: values.Region(word(d, "countryStateIso2"), country)}
	if issuer != (event.Issuer{}) {
		shown.Issuer = &issuer
	}
	if word(d, "type") != "" || shown.DocumentNumber != "" || shown.Subtype != "" || shown.Issuer != nil ||
		shown.DateOfIssuance != "" || shown.DateOfExpiry != "" {
		o.Documents = []event.Document{shown}
	}
	o.ExtractedClaims = claims(d, dates)
}

// claims returns the data about its holder that was read from a document.
func claims(d document.Object, dates *values.Dates) event.Claims {
	c := event.Claims{}
	values.SetNames(c, word(d, "fullName"), word(d, "firstName"), word(d, "middleName"), word(d, "lastName"))
	values.SetClaim(c, "birthdate", dates.Birth(d.Text("dateOfBirth")))
	values.SetClaim(c, "gender", values.Gender(word(d, "gender")))
	values.SetNationality(c, word(d, "nationalityIso3"))
	values.SetClaim(c, "personal_number", number(d, "personalCode"))
	address := map[string]string{}
	values.Set(address, "formatted", values.Content(word(d, "address"), values.MaxClaim))
	values.SetAddress(c, address)
	return values.OrNil(c)
}
