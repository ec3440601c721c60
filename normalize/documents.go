package normalize

import (
	"regexp"
	"strings"
	"unicode"

	"kycbridge"
)

// Bounds of what a provider may put into an event through a text field.
const (
	maxLabel = 64   // a label turned into a name of ours
	maxID    = 128  // an id or a document number
	maxValue = 256  // a status of the provider, which is carried as it is
	maxClaim = 1024 // a claim; an address is the longest
)

// most is how many members of a list go into an event.
const most = 100

// atMost bounds a list whose entries become entries of an event: what a body of the allowed size
// could hold would make an event that no bus takes.
func atMost[T any](list []T) []T {
	return list[:min(len(list), most)]
}

// member finds a member of a decoded object, the exact name first, then without regard to case; of
// several spellings the least one is taken, so that the answer never depends on map order.
func member(object map[string]any, name string) (any, bool) {
	if v, ok := object[name]; ok {
		return v, true
	}
	found := ""
	for key := range object {
		if strings.EqualFold(key, name) && (found == "" || key < found) {
			found = key
		}
	}
	v, ok := object[found]
	return v, ok && found != ""
}

// scalar keeps strings, numbers and booleans for provider.status; texts are bounded.
func scalar(v any) (any, bool) {
	switch v := v.(type) {
	case string:
		return clip(v, maxValue), v != ""
	case bool, float64:
		return v, true
	}
	return nil, false
}

// setScalar puts v under k if it is a scalar.
func setScalar(m map[string]any, k string, v any) {
	if v, ok := scalar(v); ok {
		m[k] = v
	}
}

// triState reads a boolean in any of the encodings that providers mix in one body: true, "True",
// "true", "None", "NA", "Not Started". ok is false where nothing was sent at all, which is no check.
func triState(t text) (result kycbridge.Result, ok bool) {
	switch fold(string(t)) {
	case "":
		return "", false
	case "true":
		return kycbridge.ResultPassed, true
	case "false":
		return kycbridge.ResultFailed, true
	case "none", "na", "n/a", "notstarted":
		return kycbridge.ResultNotPerformed, true
	}
	return kycbridge.ResultUndetermined, true
}

// letters is a label lower-cased and without all that is no letter, as labels are compared.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// snake turns a label of a provider (DocumentHasFace, "Date of Birth") into lower snake case of
// ASCII letters and digits, at most maxLabel bytes; "" if nothing of it is left.
func snake(label string) string {
	var b strings.Builder
	gap, lower := false, false
	for i := 0; i < len(label) && b.Len() < maxLabel-1; i++ {
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

// documentTypes are the labels of the providers and operators, reduced to letters. The names are
// those of OIDC4IDA (predefined values, "ID documents"), country-prefixed where it has none.
var documentTypes = map[string]string{
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
	"permanentresidentcard": "residence_permit",

	"emiratesid": "ae_emirates_id", "emiratesidcard": "ae_emirates_id", "uaeemiratesid": "ae_emirates_id",
}

// indianDocumentTypes are labels that mean an Indian document only where the issuer is India or not
// known: other countries have voters' cards of their own.
var indianDocumentTypes = map[string]string{
	"pan": "in_pan", "pancard": "in_pan", "permanentaccountnumber": "in_pan", "permanentaccountnumbercard": "in_pan",
	"voterid": "in_voter_id", "voteridcard": "in_voter_id", "voter": "in_voter_id", "votercard": "in_voter_id",
	"voterscard": "in_voter_id", "electionid": "in_voter_id", "epic": "in_voter_id",
	"electorsphotoidentitycard": "in_voter_id",
}

// documentType names a document by a provider's label and its issuer. An unknown label becomes its
// own snake case, an empty one "unknown". Whatever mentions Aadhaar is in_aadhaar, because its
// number may nowhere appear in full (EVENT section 3).
func documentType(label, countryAlpha3 string) string {
	plain := letters(label)
	for _, spelling := range [...]string{"aadhaar", "aadhar", "adhaar", "uidai"} {
		if strings.Contains(plain, spelling) {
			return aadhaarCard
		}
	}
	if name, ok := documentTypes[plain]; ok {
		return name
	}
	// A label may name its country: "Indian PAN Card", "India - Voter ID".
	short := strings.TrimPrefix(strings.TrimPrefix(plain, "india"), "n")
	if name, ok := indianDocumentTypes[short]; ok && strings.HasPrefix(plain, "india") {
		return name
	}
	if name, ok := indianDocumentTypes[plain]; ok && (countryAlpha3 == "" || countryAlpha3 == "IND") {
		return name
	}
	if name := snake(label); name != "" {
		return name
	}
	return "unknown"
}

// aadhaarNumber reports whether s has the form of an Aadhaar number (12 digits, the first from 2 to
// 9) or of a VID (16 digits). Source: UIDAI, https://uidai.gov.in, number format.
func aadhaarNumber(s string) bool {
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

// newDocument names the document. An Aadhaar card that a provider calls an identity card is
// recognised by its number, and of an Aadhaar number only the last four digits go on.
func newDocument(label, country, number string) kycbridge.Document {
	d := kycbridge.Document{
		DocumentID:     "document",
		Type:           documentType(label, country),
		DocumentNumber: clip(strings.TrimSpace(number), maxID),
	}
	generic := d.Type == "idcard" || d.Type == "unknown"
	if generic && country == "IND" && aadhaarNumber(d.DocumentNumber) {
		d.Type = aadhaarCard
	}
	if d.Type == aadhaarCard {
		d.DocumentNumber = lastFour(d.DocumentNumber)
	}
	return d
}

// documentCheck reports whether a type of check examines the document itself.
func documentCheck(checkType string) bool {
	switch checkType {
	case kycbridge.CheckDocumentRecognition, kycbridge.CheckDocumentAccepted, kycbridge.CheckDocumentAuthenticity,
		kycbridge.CheckDocumentExpiry, kycbridge.CheckMRZ, kycbridge.CheckBarcode, kycbridge.CheckChip,
		kycbridge.CheckDataConsistency, kycbridge.CheckDataExtraction:
		return true
	}
	return false
}

// checkMethod is the OIDC4IDA check_method of a check type (EVENT section 6); "" if it has none.
func checkMethod(checkType string) string {
	switch checkType {
	case kycbridge.CheckDocumentAuthenticity, kycbridge.CheckMRZ:
		return "vri"
	case kycbridge.CheckChip, kycbridge.CheckBarcode:
		return "vcrypt"
	case kycbridge.CheckFaceMatch:
		return "bvr"
	case kycbridge.CheckDatabase:
		return "data"
	}
	return ""
}

// gender is the OIDC gender claim: female, male, or another word. ICAO 9303 writes X or < where the
// document does not say. Bare digits are refused: without their code list they would be a guess.
func gender(s string) string {
	s = strings.TrimSpace(s)
	switch fold(s) {
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
	if letters(s) == "" {
		return ""
	}
	return snake(s)
}

// alpha3Pattern has no closed list behind it: ICAO 9303 codes such as D, UNO and XXA are no ISO ones.
var (
	alpha3Pattern  = regexp.MustCompile(`^[A-Z]{1,3}$`)
	alpha2Pattern  = regexp.MustCompile(`^[A-Z]{2}$`)
	mrzCodePattern = regexp.MustCompile(`^[A-Z<][A-Z<]?$`)
	regionPattern  = regexp.MustCompile(`^[A-Z]{2}-[A-Z0-9]{1,3}$`)
)

// alpha3 is a country of identity data (ICAO 9303, ISO 3166-1 alpha-3), or "".
func alpha3(s string) string { return matching(alpha3Pattern, s) }

// alpha2 is a country of network or location (ISO 3166-1 alpha-2), or "".
func alpha2(s string) string { return matching(alpha2Pattern, s) }

// matching upper-cases s and returns it if it has the form of p.
func matching(p *regexp.Regexp, s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	if !p.MatchString(s) {
		return ""
	}
	return s
}

// federations are the countries whose states issue identity documents; only for them has a bare
// state code to be completed to ISO 3166-2.
var federations = map[string]string{
	"ARE": "AE", "ARG": "AR", "AUS": "AU", "AUT": "AT", "BIH": "BA", "BRA": "BR", "CAN": "CA", "CHE": "CH",
	"D": "DE", "DEU": "DE", "IND": "IN", "MEX": "MX", "MYS": "MY", "NGA": "NG", "PAK": "PK", "USA": "US",
}

// region is ISO 3166-2 (IN-MH), made of a state code and the alpha-3 code of its country, or "".
func region(state, country string) string {
	if r := matching(regionPattern, state); r != "" {
		return r
	}
	if prefix, ok := federations[country]; ok && state != "" {
		return matching(regionPattern, prefix+"-"+state)
	}
	return ""
}

// claimNames are the OIDC names of fields that checks speak of, by the provider's label in letters.
var claimNames = map[string]string{
	"firstname": "given_name", "givenname": "given_name", "givennames": "given_name",
	"lastname": "family_name", "surname": "family_name", "middlename": "middle_name",
	"fullname": "name", "names": "name", "surnameandgivennames": "name",
	"dateofbirth": "birthdate", "sex": "gender", "nationality": "nationalities",
	"documentnumber": "document_number", "personalcode": "personal_number", "personalnumber": "personal_number",
	"dateofexpiration": "date_of_expiry", "dateofexpiry": "date_of_expiry", "expirydate": "date_of_expiry",
	"dateofissue": "date_of_issuance", "issuedate": "date_of_issuance",
}

// fieldName names a field of a check: the claim or document member it ends up in, else its snake case.
func fieldName(label string) string {
	if name, ok := claimNames[letters(label)]; ok {
		return name
	}
	return snake(label)
}

// setClaim puts a trimmed and bounded text claim unless it is empty.
func setClaim(c kycbridge.Claims, name, value string) {
	if value = clip(strings.TrimSpace(value), maxClaim); value != "" {
		c[name] = value
	}
}

// setNames puts the name claims; a person may have no more than a name.
func setNames(c kycbridge.Claims, full, given, middle, family string) {
	setClaim(c, "name", full)
	setClaim(c, "given_name", given)
	setClaim(c, "middle_name", middle)
	setClaim(c, "family_name", family)
}

// setNationality puts the nationalities claim of OIDC4IDA, a list of ICAO codes.
func setNationality(c kycbridge.Claims, code string) {
	if code = alpha3(code); code != "" {
		c["nationalities"] = []string{code}
	}
}

// setAddress puts the address claim unless it has no member.
func setAddress(c kycbridge.Claims, address map[string]string) {
	if len(address) > 0 {
		c["address"] = address
	}
}

// orNil drops claims without a member.
func orNil(c kycbridge.Claims) kycbridge.Claims {
	if len(c) == 0 {
		return nil
	}
	return c
}

// mediaType is the IANA media type of a file extension, with or without its dot; "" if not known.
func mediaType(extension string) string {
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

// worst combines the results of the fields of one check: any failure fails it, any doubt leaves it
// undetermined, and it passed only if something passed.
func worst(fields []kycbridge.CheckField) kycbridge.Result {
	combined := kycbridge.ResultNotPerformed
	for _, f := range fields {
		switch f.Result {
		case kycbridge.ResultFailed:
			return kycbridge.ResultFailed
		case kycbridge.ResultUndetermined, kycbridge.ResultWarning:
			combined = kycbridge.ResultUndetermined
		case kycbridge.ResultPassed:
			if combined == kycbridge.ResultNotPerformed {
				combined = kycbridge.ResultPassed
			}
		}
	}
	return combined
}
