package values

import (
	"encoding/json"
	"regexp"
	"strings"
	"unicode"

	"kycbridge/event"
)

// Bounds of what a provider may put into an event through a text field.
const (
	MaxLabel = 64   // a label turned into a name of ours
	MaxID    = 128  // an id or a document number
	MaxValue = 256  // a status of the provider, which is carried as it is
	MaxClaim = 1024 // a claim; an address is the longest
)

// Most is how many members of a list go into an event.
const Most = 100

// AtMost bounds a list whose entries become entries of an event: what a body of the allowed size
// could hold would make an event that no bus takes.
func AtMost[T any](list []T) []T {
	return list[:min(len(list), Most)]
}

// Scalar keeps strings, numbers and booleans for provider.status; texts are bounded.
func Scalar(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		return Clip(v, MaxValue), v != ""
	case bool, float64:
		return v, true
	case json.Number:
		f, err := v.Float64() // as a reader of the event has it
		return f, err == nil
	}
	return nil, false
}

// SetScalar puts v under k if it is a scalar.
func SetScalar(m map[string]any, k string, v any) {
	if v, ok := Scalar(v); ok {
		m[k] = v
	}
}

// TriState reads a boolean in any of the encodings that providers mix in one body: true, "True",
// "true", "None", "NA", "Not Started". ok is false where nothing was sent at all, which is no check.
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

// Letters is a label lower-cased and without all that is no letter, as labels are compared.
func Letters(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// Snake turns a label of a provider (DocumentHasFace, "Date of Birth") into lower snake case of
// ASCII letters and digits, at most maxLabel bytes; "" if nothing of it is left.
func Snake(label string) string {
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

// DocumentTypes are the labels of the providers and operators, reduced to letters. The names are
// those of OIDC4IDA (predefined values, "ID documents"), country-prefixed where it has none.
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

// IndianDocumentTypes are labels that mean an Indian document only where the issuer is India or not
// known: other countries have voters' cards of their own.
var IndianDocumentTypes = map[string]string{
	"pan": "in_pan", "pancard": "in_pan", "permanentaccountnumber": "in_pan", "permanentaccountnumbercard": "in_pan",
	"voterid": "in_voter_id", "voteridcard": "in_voter_id", "voter": "in_voter_id", "votercard": "in_voter_id",
	"voterscard": "in_voter_id", "electionid": "in_voter_id", "epic": "in_voter_id",
	"electorsphotoidentitycard": "in_voter_id",
}

// DocumentType names a document by a provider's label and its issuer. An unknown label becomes its
// own snake case, an empty one "unknown". Whatever mentions Aadhaar is in_aadhaar, because its
// number may nowhere appear in full (EVENT section 3).
func DocumentType(label, countryAlpha3 string) string {
	if name, ok := KnownDocumentType(label, countryAlpha3); ok {
		return name
	}
	if name := Snake(label); name != "" {
		return name
	}
	return "unknown"
}

// KnownDocumentType is DocumentType for labels of the vocabulary; ok is false for any other label.
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
	// A label may name its country: "Indian PAN Card", "India - Voter ID".
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

// NewDocument names the document. An Aadhaar card that a provider calls an identity card is
// recognised by its number, and of an Aadhaar number only the last four digits go on.
func NewDocument(label, country, number string) event.Document {
	d := event.Document{
		DocumentID:     "document",
		Type:           DocumentType(label, country),
		DocumentNumber: Clip(strings.TrimSpace(number), MaxID),
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

// CheckMethod is the OIDC4IDA check_method of a check type (EVENT section 6); "" if it has none.
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

// Gender is the OIDC gender claim: female, male, or another word. ICAO 9303 writes X or < where the
// document does not say. Bare digits are refused: without their code list they would be a guess.
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

// alpha3Pattern has no closed list behind it: ICAO 9303 codes such as D, UNO and XXA are no ISO ones.
var (
	Alpha3Pattern  = regexp.MustCompile(`^[A-Z]{1,3}$`)
	Alpha2Pattern  = regexp.MustCompile(`^[A-Z]{2}$`)
	MrzCodePattern = regexp.MustCompile(`^[A-Z<][A-Z<]?$`)
	RegionPattern  = regexp.MustCompile(`^[A-Z]{2}-[A-Z0-9]{1,3}$`)
)

// Alpha3 is a country of identity data (ICAO 9303, ISO 3166-1 alpha-3), or "". A two-letter code is
// converted; one that is no country's is left out.
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

// Alpha2 is a country of network or location (ISO 3166-1 alpha-2), or "".
func Alpha2(s string) string { return Matching(Alpha2Pattern, s) }

// Matching upper-cases s and returns it if it has the form of p.
func Matching(p *regexp.Regexp, s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	if !p.MatchString(s) {
		return ""
	}
	return s
}

// Federations are the countries whose states issue identity documents; only for them has a bare
// state code to be completed to ISO 3166-2.
var Federations = map[string]string{
	"ARE": "AE", "ARG": "AR", "AUS": "AU", "AUT": "AT", "BIH": "BA", "BRA": "BR", "CAN": "CA", "CHE": "CH",
	"D": "DE", "DEU": "DE", "IND": "IN", "MEX": "MX", "MYS": "MY", "NGA": "NG", "PAK": "PK", "USA": "US",
}

// Region is ISO 3166-2 (IN-MH), made of a state code and the alpha-3 code of its country, or "".
func Region(state, country string) string {
	if r := Matching(RegionPattern, state); r != "" {
		return r
	}
	if prefix, ok := Federations[country]; ok && state != "" {
		return Matching(RegionPattern, prefix+"-"+state)
	}
	return ""
}

// ClaimNames are the OIDC names of fields that checks speak of, by the provider's label in letters.
var ClaimNames = map[string]string{
	"firstname": "given_name", "givenname": "given_name", "givennames": "given_name",
	"lastname": "family_name", "surname": "family_name", "middlename": "middle_name",
	"fullname": "name", "names": "name", "surnameandgivennames": "name",
	"dateofbirth": "birthdate", "sex": "gender", "nationality": "nationalities",
	"documentnumber": "document_number", "personalcode": "personal_number", "personalnumber": "personal_number",
	"dateofexpiration": "date_of_expiry", "dateofexpiry": "date_of_expiry", "expirydate": "date_of_expiry",
	"dateofissue": "date_of_issuance", "issuedate": "date_of_issuance",
}

// FieldName names a field of a check: the claim or document member it ends up in, else its snake case.
func FieldName(label string) string {
	if name, ok := ClaimNames[Letters(label)]; ok {
		return name
	}
	return Snake(label)
}

// SetClaim puts a trimmed and bounded text claim unless it is empty.
func SetClaim(c event.Claims, name, value string) {
	if value = Clip(strings.TrimSpace(value), MaxClaim); value != "" {
		c[name] = value
	}
}

// SetNames puts the name claims; a person may have no more than a name.
func SetNames(c event.Claims, full, given, middle, family string) {
	SetClaim(c, "name", full)
	SetClaim(c, "given_name", given)
	SetClaim(c, "middle_name", middle)
	SetClaim(c, "family_name", family)
}

// SetNationality puts the nationalities claim of OIDC4IDA, a list of ICAO codes.
func SetNationality(c event.Claims, code string) {
	if code = Alpha3(code); code != "" {
		c["nationalities"] = []string{code}
	}
}

// SetAddress puts the address claim unless it has no member.
func SetAddress(c event.Claims, address map[string]string) {
	if len(address) > 0 {
		c["address"] = address
	}
}

// OrNil drops claims without a member.
func OrNil(c event.Claims) event.Claims {
	if len(c) == 0 {
		return nil
	}
	return c
}

// MediaType is the IANA media type of a file extension, with or without its dot; "" if not known.
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

// Worst combines the results of the fields of one check: any failure fails it, any doubt leaves it
// undetermined, and it passed only if something passed.
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
