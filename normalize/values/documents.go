package values

import (
	"cmp"
	"encoding/json"
	"regexp"
	"strings"
	"unicode"

	"kycbridge/event"
)

// Limits, in bytes, of the texts that a provider's field may add to an event.
const (
	MaxLabel = 64   // a label converted to a canonical name
	MaxID    = 128  // an id or a document number
	MaxValue = 256  // a status of the provider, which is copied unchanged
	MaxClaim = 1024 // a claim; an address is the longest
)

// Scalar returns strings, numbers and booleans for provider.status; it limits the length of texts.
func Scalar(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		return Clip(v, MaxValue), v != ""
	case bool, float64:
		return v, true
	case json.Number:
		f, err := v.Float64() // the value that a consumer of the event decodes
		return f, err == nil
	}
	return nil, false
}

// SetScalar sets m[k] to v if v is a scalar.
func SetScalar(m map[string]any, k string, v any) {
	if v, ok := Scalar(v); ok {
		m[k] = v
	}
}

// TriState reads a boolean in any of the encodings that providers mix in one body: true, "True",
// "true", "None", "NA", "Not Started". ok is false if the value is missing; then the check does not exist.
func TriState(t string) (result event.Result, ok bool) {
	switch Fold(t) {
	case "":
		return "", false
	case "true":
		return event.ResultPassed, true
	case "false":
		return event.ResultFailed, true
	case "none", "na", "n/a", "notstarted":
		return event.ResultNotPerformed, true
	}
	return event.ResultUndetermined, true
}

// Letters returns a label in lower case without any character that is not a letter, for comparison.
func Letters(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// Snake converts a label of a provider (DocumentHasFace, "Date of Birth") to lower snake case of ASCII letters
// and digits, at most MaxLabel bytes; "" if no character is left.
func Snake(label string) string {
	label = event.HideAadhaar(label) // before it is cut, as in Clip
	var b strings.Builder
	gap, lower := false, false
	for i := 0; i < len(label) && b.Len() < MaxLabel-1; i++ {
		c := label[i]
		upper := c >= 'A' && c <= 'Z'
		switch {
		case upper, c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			if b.Len() > 0 && (gap || upper && lower) {
				b.WriteByte('_')
			}
			if upper {
				c += 'a' - 'A'
			}
			b.WriteByte(c)
			gap, lower = false, !upper
		case c == '\'': // Driver's License
		default:
			gap = true
		}
	}
	return b.String()
}

// DocumentTypes maps the labels of providers and operators, reduced to letters, to canonical names. The names
// are those of OIDC4IDA (predefined values, "ID documents"), or country-prefixed names if OIDC4IDA has none.
var DocumentTypes = map[string]string{
	"passport": "passport", "epassport": "passport", "internationalpassport": "passport",
	"ordinarypassport": "passport", "passportcard": "passport",

	"idcard": "idcard", "id": "idcard", "identitycard": "idcard", "identificationcard": "idcard",
	"nationalid": "idcard", "nationalidcard": "idcard", "nationalidentitycard": "idcard",
	"nationalidentificationcard": "idcard",

	"driverlicense": "driving_permit", "driverslicense": "driving_permit", "driverlicence": "driving_permit",
	"driverslicence": "driving_permit", "drivinglicense": "driving_permit", "drivinglicence": "driving_permit",
	"drivingpermit": "driving_permit", "driverpermit": "driving_permit", "dl": "driving_permit",

	"residencepermit": "residence_permit", "residentpermit": "residence_permit", "residencecard": "residence_permit",
	"residencepermitcard": "residence_permit", "residentcard": "residence_permit",
	"residentidentitycard": "residence_permit", "residentidcard": "residence_permit",
	"permanentresidentcard": "residence_permit",

	"emiratesid": "ae_emirates_id", "emiratesidcard": "ae_emirates_id", "uaeemiratesid": "ae_emirates_id",
}

// IndianDocumentTypes maps labels that mean an Indian document only if the issuer is India or not known: other
// countries have voter cards too.
var IndianDocumentTypes = map[string]string{
	"pan": "in_pan", "pancard": "in_pan", "permanentaccountnumber": "in_pan", "permanentaccountnumbercard": "in_pan",
	"voterid": "in_voter_id", "voteridcard": "in_voter_id", "voter": "in_voter_id", "votercard": "in_voter_id",
	"voterscard": "in_voter_id", "electionid": "in_voter_id", "epic": "in_voter_id",
	"electorsphotoidentitycard": "in_voter_id",
}

// DocumentType returns the canonical name of a document from a provider's label and the issuer. An unknown label
// is converted to snake case, an empty one to "unknown". Any label that mentions Aadhaar is in_aadhaar, because
// an Aadhaar number must never appear in full (schemas/event/data.schema.json).
func DocumentType(label, countryAlpha3 string) string {
	if name, ok := KnownDocumentType(label, countryAlpha3); ok {
		return name
	}
	if name := Snake(label); name != "" {
		return name
	}
	return "unknown"
}

// KnownDocumentType is like DocumentType for known labels; ok is false for any other label.
func KnownDocumentType(label, countryAlpha3 string) (name string, ok bool) {
	plain := Letters(label)
	for _, spelling := range [...]string{"aadhaar", "aadhar", "adhaar", "uidai"} {
		if strings.Contains(plain, spelling) {
			return AadhaarCard, true
		}
	}
	if name, ok := DocumentTypes[plain]; ok {
		return name, true
	}
	// A label may contain its country: "Indian PAN Card", "India - Voter ID".
	short := strings.TrimPrefix(strings.TrimPrefix(plain, "india"), "n")
	if name, ok := IndianDocumentTypes[short]; ok && strings.HasPrefix(plain, "india") {
		return name, true
	}
	if name, ok := IndianDocumentTypes[plain]; ok && (countryAlpha3 == "" || countryAlpha3 == "IND") {
		return name, true
	}
	return "", false
}

// AadhaarNumber reports whether s has the form of an Aadhaar number (12 digits, the first from 2 to
// 9) or of a VID (16 digits). Source: UIDAI, https://uidai.gov.in, number format.
func AadhaarNumber(s string) bool {
	digits := strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' {
			return -1
		}
		return r
	}, s)
	if strings.Trim(digits, "0123456789") != "" {
		return false
	}
	return len(digits) == 12 && digits[0] >= '2' || len(digits) == 16
}

// NewDocument returns a document with its canonical type. An Aadhaar card that a provider labels as an identity
// card is recognised by its number. Only the last four digits of an Aadhaar number are kept.
func NewDocument(label, country, number string) event.Document {
	d := event.Document{
		DocumentID:     "document",
		Type:           DocumentType(label, country),
		DocumentNumber: Content(number, MaxID),
	}
	generic := d.Type == "idcard" || d.Type == "unknown"
	if generic && country == "IND" && AadhaarNumber(d.DocumentNumber) {
		d.Type = AadhaarCard
	}
	if d.Type == AadhaarCard {
		d.DocumentNumber = LastFour(d.DocumentNumber)
	}
	return d
}

// DocumentCheck reports whether a type of check examines the document itself.
func DocumentCheck(checkType string) bool {
	switch checkType {
	case event.CheckDocumentRecognition, event.CheckDocumentAccepted, event.CheckDocumentAuthenticity,
		event.CheckDocumentExpiry, event.CheckMRZ, event.CheckBarcode, event.CheckChip,
		event.CheckDataConsistency, event.CheckDataExtraction:
		return true
	}
	return false
}

// CheckMethod returns the OIDC4IDA check_method of a check type (schemas/event/data.schema.json); "" if it has none.
func CheckMethod(checkType string) string {
	switch checkType {
	case event.CheckDocumentAuthenticity, event.CheckMRZ:
		return "vri"
	case event.CheckChip, event.CheckBarcode:
		return "vcrypt"
	case event.CheckFaceMatch:
		return "bvr"
	case event.CheckDatabase:
		return "data"
	}
	return ""
}

// Gender returns the OIDC gender claim: female, male, or another value. In ICAO 9303, X and < mean that the
// document does not specify it. A value without letters, such as a digit, gives "": without its code list it
// would be a guess.
func Gender(s string) string {
	s = strings.TrimSpace(s)
	switch Fold(s) {
	case "f", "female":
		return "female"
	case "m", "male":
		return "male"
	case "<", "x", "unspecified":
		return "unspecified"
	case "t", "transgender":
		return "transgender"
	case "na", "n/a", "none", "null", "unknown":
		return ""
	}
	if Letters(s) == "" {
		return ""
	}
	return Snake(s)
}

// Patterns of codes. Alpha3Pattern is not a closed list, because ICAO 9303 codes such as D, UNO and XXA are not
// in ISO 3166-1.
var (
	Alpha3Pattern  = regexp.MustCompile(`^[A-Z]{1,3}$`)
	Alpha2Pattern  = regexp.MustCompile(`^[A-Z]{2}$`)
	MrzCodePattern = regexp.MustCompile(`^[A-Z<][A-Z<]?$`)
	RegionPattern  = regexp.MustCompile(`^[A-Z]{2}-[A-Z0-9]{1,3}$`)
)

// Alpha3 returns a country of identity data (ICAO 9303, ISO 3166-1 alpha-3), or "". It converts a known
// two-letter code and returns "" for an unknown one.
func Alpha3(s string) string {
	code := Matching(Alpha3Pattern, s)
	if len(code) != 2 {
		return code
	}
	if three, _, ok := pairOf(code); ok {
		return three
	}
	return otherAlpha3[code]
}

// Alpha2 returns a country of a network or a location (ISO 3166-1 alpha-2), or "".
func Alpha2(s string) string { return Matching(Alpha2Pattern, s) }

// Matching returns s in upper case and trimmed if it matches p, else "".
func Matching(p *regexp.Regexp, s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	if !p.MatchString(s) {
		return ""
	}
	return s
}

// Federations are the countries whose states issue identity documents. Only for them is a state code without a
// country completed to ISO 3166-2.
var Federations = map[string]string{
	"ARE": "AE", "ARG": "AR", "AUS": "AU", "AUT": "AT", "BIH": "BA", "BRA": "BR", "CAN": "CA", "CHE": "CH",
	"D": "DE", "DEU": "DE", "IND": "IN", "MEX": "MX", "MYS": "MY", "NGA": "NG", "PAK": "PK", "USA": "US",
}

// Region returns an ISO 3166-2 code (IN-MH) from a state code and the alpha-3 code of its country, or "".
func Region(state, country string) string {
	if r := Matching(RegionPattern, state); r != "" {
		return r
	}
	if prefix, ok := Federations[country]; ok && state != "" {
		return Matching(RegionPattern, prefix+"-"+state)
	}
	return ""
}

// ClaimNames are the OIDC names of fields that occur in checks, by the provider's label reduced to letters.
var ClaimNames = map[string]string{
	"firstname": "given_name", "givenname": "given_name", "givennames": "given_name",
	"lastname": "family_name", "surname": "family_name", "middlename": "middle_name",
	"fullname": "name", "names": "name", "surnameandgivennames": "name",
	"dateofbirth": "birthdate", "sex": "gender", "nationality": "nationalities",
	"documentnumber": "document_number", "personalcode": "personal_number", "personalnumber": "personal_number",
	"dateofexpiration": "date_of_expiry", "dateofexpiry": "date_of_expiry", "expirydate": "date_of_expiry",
	"dateofissue": "date_of_issuance", "issuedate": "date_of_issuance",
}

// FieldName returns the name of a field of a check: the corresponding claim or document member, else the label in
// snake case; "other" if nothing of the label is left, as of one in another script.
func FieldName(label string) string {
	if name, ok := ClaimNames[Letters(label)]; ok {
		return name
	}
	return cmp.Or(Snake(label), "other")
}

// SetClaim sets a text claim, trimmed and limited in length, unless it has no content.
func SetClaim(c event.Claims, name, value string) {
	if value = Content(value, MaxClaim); value != "" {
		c[name] = value
	}
}

// SetNames sets the name claims; some persons have only a full name.
func SetNames(c event.Claims, full, given, middle, family string) {
	SetClaim(c, "name", full)
	SetClaim(c, "given_name", given)
	SetClaim(c, "middle_name", middle)
	SetClaim(c, "family_name", family)
}

// SetNationality sets the nationalities claim of OIDC4IDA, a list of ICAO codes.
func SetNationality(c event.Claims, code string) {
	if code = Alpha3(code); code != "" {
		c["nationalities"] = []string{code}
	}
}

// SetAddress sets the address claim unless the address has no member.
func SetAddress(c event.Claims, address map[string]string) {
	if len(address) > 0 {
		c["address"] = address
	}
}

// OrNil returns nil if c has no member, else c.
func OrNil(c event.Claims) event.Claims {
	if len(c) == 0 {
		return nil
	}
	return c
}

// MediaType returns the IANA media type of a file extension, with or without its dot; "" if it is not known.
func MediaType(extension string) string {
	switch strings.ToLower(strings.TrimPrefix(extension, ".")) {
	case "jpg", "jpeg":
		return "image/jpeg"
	case "png":
		return "image/png"
	case "webp":
		return "image/webp"
	case "mp4":
		return "video/mp4"
	case "pdf":
		return "application/pdf"
	}
	return ""
}

// Worst combines the results of the fields of one check: failed if any field failed, else undetermined if any
// field is undetermined or a warning, else passed if any field passed, else not performed.
func Worst(fields []event.CheckField) event.Result {
	combined := event.ResultNotPerformed
	for _, f := range fields {
		switch f.Result {
		case event.ResultFailed:
			return event.ResultFailed
		case event.ResultUndetermined, event.ResultWarning:
			combined = event.ResultUndetermined
		case event.ResultPassed:
			if combined == event.ResultNotPerformed {
				combined = event.ResultPassed
			}
		}
	}
	return combined
}
