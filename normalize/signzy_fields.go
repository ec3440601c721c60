package normalize

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"kycbridge"
)

// signzyFields are extractedFields by label in letters. Labels have no stable case and some come
// twice; the first in order of the raw labels that says anything is taken.
type signzyFields map[string]json.RawMessage

func (j *signzyJourney) fields() signzyFields {
	raw := j.Document.Fields
	fields := make(signzyFields, len(raw))
	for _, label := range slices.Sorted(maps.Keys(raw)) {
		plain := letters(label)
		if value, known := fields[plain]; !known || signzyEmpty(value) {
			fields[plain] = raw[label]
		}
	}
	return fields
}

func signzyEmpty(raw json.RawMessage) bool {
	switch string(raw) {
	case "null", `""`, `"NA"`, "{}", "[]":
		return true
	}
	return false
}

// get returns the first of the labelled fields that holds a text.
func (f signzyFields) get(labels ...string) string {
	for _, label := range labels {
		raw, ok := f[label]
		if !ok || signzyEmpty(raw) {
			continue
		}
		var value text
		if value.UnmarshalJSON(raw) == nil && strings.TrimSpace(string(value)) != "" {
			return strings.TrimSpace(string(value))
		}
	}
	return ""
}

// addDocument puts the document and the claims into o. What the flow asked for names the document,
// else what the provider recognised; only a document that was presented is one.
func (j *signzyJourney) addDocument(o *kycbridge.Observation) {
	fields := j.fields()
	predicted := &j.Document.Front
	country := signzyCountry(string(predicted.FDSID.ICAOCode), fields.get("issuingstatecode"))
	doc := newDocument(j.documentLabel(), j.countryHint(country), fields.get("documentnumber", "identitycardnumber",
		"idnumber", "licensenumber", "licencenumber", "passportnumber", "aadhaarnumber", "pannumber"))
	doc.DateOfIssuance = wholeDate(fields.get("dateofissue", "issuedate", "dateofissuance"))
	doc.DateOfExpiry = wholeDate(fields.get("dateofexpiry", "expirydate", "dateofexpiration"))
	doc.MRZDocumentCode = matching(mrzCodePattern, fields.get("documentclasscode"))
	issuer := kycbridge.Issuer{CountryCode: country, Name: clip(fields.get("issuingstatename"), maxID)}
	if issuer.Name == "" {
		issuer.Name = clip(string(predicted.FDSID.CountryName), maxID)
	}
	if issuer != (kycbridge.Issuer{}) {
		doc.Issuer = &issuer
	}
	presented := webAddress(string(j.Captured.Images.FrontDoc)) || webAddress(string(j.Captured.Images.BackDoc)) ||
		predicted.DocumentName != "" || predicted.FDSID.Description != "" || doc.DocumentNumber != "" || doc.DateOfExpiry != ""
	if presented {
		o.Documents = []kycbridge.Document{doc}
	}
	o.ExtractedClaims = fields.claims()
}

// documentLabel names the document. A mention of Aadhaar anywhere decides, because its number is
// treated in a special way.
func (j *signzyJourney) documentLabel() string {
	predicted := &j.Document.Front
	label := ""
	for _, candidate := range [...]text{j.Captured.IDType, predicted.FDSID.Description, predicted.DocumentName} {
		if documentType(string(candidate), "") == aadhaarCard {
			return string(candidate)
		}
		if label == "" {
			label = string(candidate)
		}
	}
	return label
}

// countryHint is the issuer for naming the document: the recognised one, else India where the user
// chose it, whose documents have names of their own.
func (j *signzyJourney) countryHint(country string) string {
	if country == "" && (alpha2(string(j.Captured.Country)) == "IN" || letters(string(j.Document.Front.FDSID.CountryName)) == "india") {
		return "IND"
	}
	return country
}

// signzyCountry takes the first code of ICAO 9303; codes of two letters are of another list.
func signzyCountry(codes ...string) string {
	for _, code := range codes {
		if c := alpha3(code); c != "" && len(c) != 2 {
			return c
		}
	}
	return ""
}

// claims are what was read from the document.
func (f signzyFields) claims() kycbridge.Claims {
	claims := kycbridge.Claims{}
	setNames(claims, f.get("names", "fullname", "name", "surnameandgivennames"), f.get("firstname", "givennames", "givenname"),
		f.get("middlename"), f.get("lastname", "surname", "familyname"))
	setClaim(claims, "birthdate", date(f.get("dateofbirth", "birthdate", "dob")))
	setClaim(claims, "gender", gender(f.get("sex", "gender")))
	setClaim(claims, "personal_number", f.get("personalnumber"))
	setNationality(claims, signzyCountry(f.get("nationalitycode"), f.get("nationality")))
	setAddress(claims, f.address())
	return orNil(claims)
}

// address is the printed address with the parts that the provider made of it: names beside codes, in
// arrays of arrays.
func (f signzyFields) address() map[string]string {
	var split struct {
		State       any  `json:"state"`
		City        any  `json:"city"`
		Country     any  `json:"country"`
		Pincode     text `json:"pincode"`
		AddressLine text `json:"addressLine"`
	}
	if raw, ok := f["splitaddress"]; ok {
		_ = decode(raw, &split) // what is no object has no parts
	}
	formatted := f.get("address")
	if formatted == "" {
		formatted = string(split.AddressLine)
	}
	address := map[string]string{}
	put := func(name, value string) { set(address, name, clip(strings.TrimSpace(value), maxClaim)) }
	put("formatted", formatted)
	put("locality", first(leaves(split.City)))
	put("postal_code", string(split.Pincode))
	put("region", signzyRegion(split.State, leaves(split.Country)))
	for _, code := range leaves(split.Country) {
		if c := alpha3(code); len(c) == 3 {
			put("country_code", c)
			break
		}
	}
	return address
}

// signzyRegion is ISO 3166-2 where state and country bring their codes, else the state's name. The
// states are pairs of name and code, and the first pair is the likeliest one.
func signzyRegion(states any, country []string) string {
	if list, ok := states.([]any); ok && len(list) > 0 {
		if pair, ok := list[0].([]any); ok {
			states = pair
		}
	}
	state := leaves(states)
	if len(state) < 2 {
		return first(state)
	}
	for _, c := range country {
		if alpha2(c) == "" {
			continue
		}
		if r := matching(regionPattern, alpha2(c)+"-"+state[1]); r != "" {
			return r
		}
	}
	return state[0]
}

// leaves are the texts in v, however deep in arrays.
func leaves(v any) []string {
	switch v := v.(type) {
	case string:
		return []string{v}
	case []any:
		var all []string
		for _, item := range v {
			all = append(all, leaves(item)...)
		}
		return all
	}
	return nil
}

func first(list []string) string {
	if len(list) == 0 {
		return ""
	}
	return list[0]
}
