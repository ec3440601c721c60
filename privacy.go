package kycbridge

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Protect reduces the person data of d to what profile p lets out. It may be applied any number of
// times with the same result, never writes into maps or slices that d shares with others, and fails
// closed: a profile that is not known carries no person data and says so. An empty profile is full.
//
// In every profile an Aadhaar number or VID keeps only its last four digits.
func Protect(d *Data, p Profile) {
	indian := indianEvent(d.Documents)
	d.ExtractedClaims = withoutAadhaar(d.ExtractedClaims, indian)
	d.Documents = mapDocuments(d.Documents, withoutAadhaarNumber)
	d.VerifiedClaims = protectVerified(d.VerifiedClaims, indian, p)
	switch p {
	case "", ProfileFull:
		d.PII.Profile = ProfileFull
	case ProfileMasked:
		d.PII.Profile = ProfileMasked
		d.ExtractedClaims = maskClaims(d.ExtractedClaims)
		d.Documents = mapDocuments(d.Documents, func(doc Document) string { return maskNumber(doc.DocumentNumber) })
		d.Media = closeMedia(d.Media)
	default:
		d.PII.Profile = ProfileNone
		d.ExtractedClaims = nil
		d.Documents = mapDocuments(d.Documents, func(Document) string { return "" })
		d.Media = closeMedia(d.Media)
	}
}

// mapDocuments returns docs with each number replaced by what number makes of its document.
func mapDocuments(docs []Document, number func(Document) string) []Document {
	if docs == nil {
		return nil
	}
	out := make([]Document, len(docs))
	for i, doc := range docs {
		doc.DocumentNumber = number(doc)
		out[i] = doc
	}
	return out
}

// closeMedia replaces every address that opens without credentials by the place it was read from,
// and drops the item where there is no such place.
func closeMedia(media []Media) []Media {
	var out []Media
	for _, m := range media {
		if openAddress(m.ProviderRef) {
			m.ProviderRef = m.Field
		}
		if m.ProviderRef != "" && !openAddress(m.ProviderRef) {
			out = append(out, m)
		}
	}
	return out
}

// openAddress reports whether ref is an address rather than an id; a data URL is the image itself.
func openAddress(ref string) bool {
	return strings.Contains(ref, "://") || strings.HasPrefix(ref, "//") ||
		len(ref) >= 5 && strings.EqualFold(ref[:5], "data:")
}

// protectVerified treats the claims like the extracted ones, and the numbers that stand in the evidence.
func protectVerified(v *VerifiedClaims, indian bool, p Profile) *VerifiedClaims {
	if v == nil || p != "" && p != ProfileFull && p != ProfileMasked {
		return nil
	}
	masked := p == ProfileMasked
	out := VerifiedClaims{Claims: withoutAadhaar(v.Claims, indian)}
	if masked {
		out.Claims = maskClaims(out.Claims)
	}
	if v.Verification != nil {
		out.Verification, _ = evidenceNumbers(v.Verification, masked).(map[string]any)
	}
	return &out
}

// evidenceNumbers copies v with every document_number in it reduced.
func evidenceNumbers(v any, masked bool) any {
	switch v := generic(v).(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = evidenceNumbers(v[i], masked)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			number, ok := scalar(item)
			if k != "document_number" || !ok {
				out[k] = evidenceNumbers(item, masked)
				continue
			}
			number = withoutAadhaarNumber(evidenceDocument(v, number))
			if masked {
				number = maskNumber(number)
			}
			out[k] = number
		}
		return out
	default:
		return v
	}
}

// evidenceDocument reads back of document_details what decides how its number is treated.
func evidenceDocument(details map[string]any, number string) Document {
	doc := Document{DocumentNumber: number}
	doc.Type, _ = details["type"].(string)
	if issuer, ok := generic(details["issuer"]).(map[string]any); ok {
		country, _ := issuer["country_code"].(string)
		doc.Issuer = &Issuer{CountryCode: country}
	}
	return doc
}

// Aadhaar numbers and VIDs: the part that holds in every profile.

// aadhaarType is the document whose number is an Aadhaar number whatever it looks like.
const aadhaarType = "in_aadhaar"

// Lengths of an Aadhaar number and of the virtual id that may stand for one, and what of them stays.
const (
	aadhaarDigits = 12
	vidDigits     = 16
	keptDigits    = 4
	aadhaarMask   = "XXXXXXXX"
)

// indianDocument reports whether doc may carry an Aadhaar number: another country's numbers of
// twelve digits are left alone.
func indianDocument(doc Document) bool {
	if strings.HasPrefix(doc.Type, "in_") || doc.Issuer == nil {
		return true
	}
	switch strings.ToUpper(strings.TrimSpace(doc.Issuer.CountryCode)) {
	case "", "IND", "IN":
		return true
	}
	return false
}

// indianEvent reports whether claims beside docs may hold an Aadhaar number.
func indianEvent(docs []Document) bool {
	for _, doc := range docs {
		if indianDocument(doc) {
			return true
		}
	}
	return len(docs) == 0
}

// withoutAadhaarNumber is the number of doc as every profile may show it.
func withoutAadhaarNumber(doc Document) string {
	switch {
	case doc.Type == aadhaarType && doc.DocumentNumber != "":
		return lastFour(doc.DocumentNumber)
	case indianDocument(doc):
		return maskNumbersIn(doc.DocumentNumber, identityNumber)
	}
	return doc.DocumentNumber
}

// withoutAadhaar copies claims without Aadhaar numbers and VIDs, however deep they stand.
func withoutAadhaar(claims Claims, indian bool) Claims {
	if claims == nil {
		return nil
	}
	out := make(Claims, len(claims))
	for k, v := range claims {
		out[k] = v
		// What needs no change keeps its Go type.
		if hidden := hideAadhaar(k, v, indian, false); !reflect.DeepEqual(generic(v), hidden) {
			out[k] = hidden
		}
	}
	return out
}

// hideAadhaar treats one value that stands under key; named says that a key above it spoke of Aadhaar.
func hideAadhaar(key string, v any, indian, named bool) any {
	named = named || aadhaarKey(key)
	switch v := generic(v).(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, item := range v {
			out[k] = hideAadhaar(k, item, indian, named)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = hideAadhaar(key, v[i], indian, named)
		}
		return out
	default:
		s, ok := scalar(v)
		if !ok {
			return v
		}
		if hidden := hideAadhaarText(key, s, indian, named); hidden != s {
			return hidden
		}
		return v
	}
}

// hideAadhaarText treats one string. An E.164 phone number of India has twelve digits too and keeps
// them: a tenth of them would pass for Aadhaar numbers.
func hideAadhaarText(key, s string, indian, named bool) string {
	switch {
	case named && strings.Trim(s, "0123456789Xx* -") == "" && len(digitsOf(s)) > keptDigits:
		return lastFour(s)
	case named:
		return maskNumbersIn(s, func(string) bool { return true })
	case !indian, baseKey(key) == "phone_number" && e164(s):
		return s
	}
	return maskNumbersIn(s, identityNumber)
}

// aadhaarKey reports whether a claim of this name holds an Aadhaar number or a VID.
func aadhaarKey(key string) bool {
	key = baseKey(key)
	for _, prefix := range []string{"aadhaar", "aadhar", "uid", "vid"} {
		if strings.HasPrefix(key, prefix) {
			return !strings.HasPrefix(key, "video")
		}
	}
	return false
}

// e164 reports whether s is a phone number with its plus sign and nothing else.
func e164(s string) bool {
	return strings.HasPrefix(s, "+") && strings.Trim(s[1:], "0123456789 -") == "" && len(digitsOf(s)) <= 15
}

// lastFour keeps of a number its last four digits.
func lastFour(s string) string {
	digits := digitsOf(s)
	return aadhaarMask + digits[max(0, len(digits)-keptDigits):]
}

// maskNumbersIn masks all but the last four digits of every number in text that qualifies. A number
// has sixteen or twelve digits, with spaces or dashes between any of them, and no digit beside it.
func maskNumbersIn(text string, qualifies func(digits string) bool) string {
	if len(text) < aadhaarDigits {
		return text
	}
	var out strings.Builder
	for i, start := 0, true; i < len(text); {
		if start && digit(text[i]) {
			if kept := numberAt(text[i:], qualifies); kept > 0 {
				// The digits that stay may begin the next number, so they are a start again.
				out.WriteString(aadhaarMask)
				i += kept
				continue
			}
		}
		start = !digit(text[i])
		out.WriteByte(text[i])
		i++
	}
	return out.String()
}

// numberAt returns where in text the last four digits of the number begin that text begins with; 0
// if no number that qualifies does.
func numberAt(text string, qualifies func(digits string) bool) int {
	var places [vidDigits]int
	var digits [vidDigits]byte
	n, short := 0, false
	for i := 0; i < len(text) && n < vidDigits; {
		r, size := utf8.DecodeRuneInString(text[i:])
		switch {
		case digit(text[i]):
			places[n], digits[n] = i, text[i]
			n++
			if n == aadhaarDigits {
				short = i+1 == len(text) || !digit(text[i+1])
			}
		case !separator(r):
			text = text[:i] // the loop ends here, and so does the number
		}
		i += size
	}
	long := n == vidDigits && (places[n-1]+1 == len(text) || !digit(text[places[n-1]+1]))
	switch {
	case long && qualifies(string(digits[:])):
		return places[vidDigits-keptDigits]
	case short && qualifies(string(digits[:aadhaarDigits])):
		return places[aadhaarDigits-keptDigits]
	}
	return 0
}

// separator reports whether r is a space or dash as numbers are grouped by.
func separator(r rune) bool { return r == '\t' || unicode.In(r, unicode.Zs, unicode.Pd) }

// identityNumber reports whether digits are an Aadhaar number or a VID.
func identityNumber(digits string) bool {
	return (len(digits) == vidDigits || digits[0] >= '2') && verhoeff(digits)
}

// verhoeff reports whether the last of digits is the Verhoeff check digit of the others. The
// multiplication of the dihedral group D5 is computed; the permutation stands in eight rows of ten.
func verhoeff(digits string) bool {
	const permutation = "01234567891576283094580379614289160435279453126870428657390127938064157046913258"
	c := 0
	for i := range len(digits) {
		d := int(digits[len(digits)-1-i] - '0')
		c = d5(c, int(permutation[i%8*10+d]-'0'))
	}
	return c == 0
}

// d5 multiplies in the dihedral group of the pentagon: 0 to 4 are rotations, 5 to 9 reflections.
func d5(a, b int) int {
	switch {
	case a < 5 && b < 5:
		return (a + b) % 5
	case a < 5:
		return 5 + (a+b-5)%5
	case b < 5:
		return 5 + (a-5-b+5)%5
	}
	return (a - b + 5) % 5
}

// The masked profile.

// maskClaims keeps of claims what tells little of a person. What it does not know, it leaves out.
func maskClaims(claims Claims) Claims {
	var out Claims
	for k, v := range claims {
		if v = maskClaim(baseKey(k), v); v != nil {
			if out == nil {
				out = make(Claims, len(claims))
			}
			out[k] = v
		}
	}
	return out
}

// maskClaim masks one claim by its name, without language tag; nil leaves it out.
func maskClaim(name string, v any) any {
	same := func(s string) string { return s }
	switch name {
	case "birthdate", "date_of_birth":
		return maskText(v, maskBirthdate)
	case "phone_number", "msisdn", "phone", "mobile":
		return maskText(v, maskNumber)
	case "email":
		return maskText(v, maskEmail)
	case "address":
		return keepMembers(v, "country", "country_code", "region")
	case "place_of_birth":
		return keepMembers(v, "country")
	case "nationalities", "gender", "locale":
		return maskText(v, same)
	}
	switch {
	case name == "name" || name == "nickname" || name == "also_known_as" || strings.HasSuffix(name, "_name"):
		return maskText(v, maskName)
	case idKey(name):
		return maskText(v, maskNumber)
	}
	return nil
}

// idKey reports whether a claim of this name is some number of a person or document.
func idKey(name string) bool {
	if aadhaarKey(name) || name == "id" || name == "number" {
		return true
	}
	for _, suffix := range []string{"_number", "_id", "_no"} {
		if strings.HasSuffix(name, suffix) {
			return true
		}
	}
	return false
}

// maskText masks a scalar or each scalar of a list; whatever else v holds, and what is masked to
// nothing, is left out.
func maskText(v any, mask func(string) string) any {
	v = generic(v)
	if s, ok := scalar(v); ok {
		if s = mask(s); s != "" {
			return s
		}
		return nil
	}
	list, _ := v.([]any)
	var out []any
	for _, item := range list {
		if s, ok := scalar(item); ok {
			if s = mask(s); s != "" {
				out = append(out, s)
			}
		}
	}
	if out == nil {
		return nil // not a nil slice in an interface
	}
	return out
}

// keepMembers keeps of an object the named members that are scalars.
func keepMembers(v any, names ...string) any {
	object, _ := generic(v).(map[string]any)
	out := map[string]any{}
	for _, name := range names {
		if s, ok := scalar(object[name]); ok && s != "" {
			out[name] = s
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// maskName keeps the first letter of each word: "J*** S***".
func maskName(s string) string {
	words := strings.Fields(s)
	for i, word := range words {
		r, _ := utf8.DecodeRuneInString(word)
		words[i] = string(r) + "***"
	}
	return strings.Join(words, " ")
}

// maskBirthdate keeps the year of YYYY or YYYY-MM-DD; 0000 is no year.
func maskBirthdate(s string) string {
	year, _, _ := strings.Cut(s, "-")
	if len(year) != 4 || len(digitsOf(year)) != 4 || year == "0000" {
		return ""
	}
	return year
}

// maskNumber keeps the last four characters, and nothing of what is shorter than six.
func maskNumber(s string) string {
	runes := []rune(s)
	if len(runes) < 6 {
		return strings.Repeat("*", len(runes))
	}
	return "****" + string(runes[len(runes)-keptDigits:])
}

// maskEmail keeps the first letter and the domain; what is not an address is left out.
func maskEmail(s string) string {
	at := strings.LastIndexByte(s, '@')
	if at < 1 || at == len(s)-1 {
		return ""
	}
	r, _ := utf8.DecodeRuneInString(s)
	return string(r) + "***" + s[at:]
}

// Values of claims.

// baseKey is the name of a claim in lower case without its language tag (name#hi-Deva).
func baseKey(key string) string {
	key, _, _ = strings.Cut(key, "#")
	return strings.ToLower(key)
}

// generic returns v as JSON decodes it: map[string]any, []any or a scalar. What cannot be written as
// JSON could not stand in an event and is nil.
func generic(v any) any {
	switch v := v.(type) {
	case nil, string, bool, float64, json.Number, map[string]any, []any:
		return v
	case Claims:
		return map[string]any(v)
	case map[string]string:
		out := make(map[string]any, len(v))
		for k, s := range v {
			out[k] = s
		}
		return out
	case []string:
		out := make([]any, len(v))
		for i, s := range v {
			out[i] = s
		}
		return out
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	var out any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if decoder.Decode(&out) != nil {
		return nil
	}
	return out
}

// scalar returns a string or number as text.
func scalar(v any) (string, bool) {
	switch v := v.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64), true
	}
	return "", false
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// digitsOf returns the digits of s alone.
func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}

// NewVerifiedClaims makes the OIDC4IDA object of a final approval under the named trust framework:
// one piece of evidence a document with the checks that it passed, and the extracted claims. It is
// nil without a final approval, a framework or claims. Apply Protect to d before.
func NewVerifiedClaims(d *Data, framework string) *VerifiedClaims {
	approved := d.Status == StatusCompleted && d.Decision.Outcome == OutcomeApproved && d.Decision.Final
	if !approved || framework == "" || len(d.ExtractedClaims) == 0 {
		return nil
	}
	verification := map[string]any{"trust_framework": framework}
	for _, at := range []string{d.Decision.DecidedAt, d.Provider.Event.OccurredAt, d.Provider.Event.ReceivedAt} {
		if at != "" {
			verification["time"] = at
			break
		}
	}
	var evidence []any
	for _, doc := range d.Documents {
		piece := map[string]any{"type": "document", "document_details": documentDetails(doc)}
		if checks := checkDetails(d.Checks, doc.DocumentID); checks != nil {
			piece["check_details"] = checks
		}
		evidence = append(evidence, piece)
	}
	if evidence != nil {
		verification["evidence"] = evidence
	}
	return &VerifiedClaims{Verification: verification, Claims: maps.Clone(d.ExtractedClaims)}
}

// checkDetails lists the passed checks of a document: those made on it and those that name none,
// such as the comparison of faces. OIDC4IDA has no place for a result, so others would mislead.
func checkDetails(checks []Check, documentID string) []any {
	var out []any
	for _, c := range checks {
		about := len(c.DocumentIDs) == 0 || slices.Contains(c.DocumentIDs, documentID)
		if c.Method == "" || c.Result != ResultPassed || !about {
			continue
		}
		detail := map[string]any{"check_method": c.Method, "check_id": c.CheckID}
		setText(detail, "organization", c.PerformedBy)
		out = append(out, detail)
	}
	return out
}

// documentDetails describes a document in the members of OIDC4IDA.
func documentDetails(doc Document) map[string]any {
	details := map[string]any{"type": doc.Type}
	setText(details, "document_number", doc.DocumentNumber)
	setText(details, "date_of_issuance", doc.DateOfIssuance)
	setText(details, "date_of_expiry", doc.DateOfExpiry)
	if doc.Issuer == nil {
		return details
	}
	issuer := map[string]any{}
	setText(issuer, "name", doc.Issuer.Name)
	setText(issuer, "country_code", doc.Issuer.CountryCode)
	setText(issuer, "jurisdiction", doc.Issuer.Jurisdiction)
	if len(issuer) > 0 {
		details["issuer"] = issuer
	}
	return details
}

// setText puts s under key unless it is empty.
func setText(m map[string]any, key, s string) {
	if s != "" {
		m[key] = s
	}
}
