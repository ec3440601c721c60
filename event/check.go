package event

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of Check and of the schema.
const (
	maxFaults        = 20
	maxExternalRunes = 128
	maxAdmittedRunes = 64
	maxTokenBytes    = 63
	digestHexDigits  = 64
	dataSchemaPrefix = "urn:kycbridge:schema:verification:1."
)

// Expectations for values that occur in several members.
const (
	wantUUID     = "must be a valid uuid"
	wantInstant  = "must be a valid date-time that ends in Z"
	wantDate     = "must be a valid date"
	wantToken    = "must be 1 to 63 of a-z, 0-9, _ and -, and start with a letter or a digit"
	wantCode     = "must be category.detail in lower case"
	wantWord     = "must be a word of a-z, 0-9 and _ that starts with a letter"
	wantList     = "must be an array"
	wantObject   = "must be an object"
	wantScore    = "must be a number from 0 to 1"
	wantNumber   = "must be a number"
	wantSubject  = "must be data.verification_id"
	wantNoPerson = "must be absent under the profile none"
)

// Fault is one error in an event: a pointer, and the expectation there. It never contains a value of the
// event.
type Fault struct {
	Path    string `json:"path"` // JSON pointer
	Message string `json:"message"`
}

// Check returns the faults of e, in the order of the members and at most 20, or nil if e may be published.
// It applies the published schema (schemas/event/event.json) to e as encoding/json would encode it,
// without encoding it: it runs for every event, and takes about a hundredth of the time. Numbers that JSON
// cannot express are faults too.
// It is stricter than the schema in three respects: subject and partitionkey must be data.verification_id,
// and the hour, minute and second of an instant must be digits, while the validator accepts +1 as a
// number. It does not check extensions, details and claims, which the schema does not restrict.
// test/check_agrees_test.go compares it with the schema. Change both together.
func (e *Event) Check() []Fault {
	var f faults
	f.want(e.SpecVersion == "1.0", "/specversion", `must be "1.0"`)
	f.want(isEventType(e.Type), "/type", "must end in .verification. and updated.v1, completed.v1 or closed.v1")
	f.want(isSource(e.Source), "/source", "must end in /provider/account")
	f.want(isUUID(e.ID), "/id", wantUUID)
	f.want(e.Subject == e.Data.VerificationID, "/subject", wantSubject)
	f.want(isInstant(e.Time), "/time", wantInstant)
	f.want(e.DataContentType == "application/json", "/datacontenttype", `must be "application/json"`)
	f.want(isDataSchema(e.DataSchema), "/dataschema", "must be "+dataSchemaPrefix+" and the minor version")
	f.want(e.PartitionKey == e.Data.VerificationID, "/partitionkey", wantSubject)
	f.want(isInstant(e.RecordedTime), "/recordedtime", wantInstant)
	f.want(e.RestoredTime == "" || isInstant(e.RestoredTime), "/restoredtime", wantInstant)
	before := len(f)
	e.Data.check(&f)
	f.below(before, "/data")
	return f
}

// faults collects the faults. The checks of a value use pointers within that value; the caller adds its
// own prefix. So no path is built for a valid event.
type faults []Fault

func (f *faults) want(ok bool, path, message string) {
	if !ok {
		f.add(path, message)
	}
}

func (f *faults) add(path, message string) {
	if len(*f) < maxFaults {
		*f = append(*f, Fault{Path: path, Message: message})
	}
}

// below prefixes the paths of the faults after the first n.
func (f *faults) below(n int, prefix string) {
	for i := n; i < len(*f); i++ {
		(*f)[i].Path = prefix + (*f)[i].Path
	}
}

// belowItem is below for the item of a list.
func (f *faults) belowItem(n int, list string, item int) {
	if len(*f) > n {
		f.below(n, list+"/"+strconv.Itoa(item))
	}
}

// instant checks an optional member.
func (f *faults) instant(s, path string) { f.want(s == "" || isInstant(s), path, wantInstant) }

func (f *faults) date(s, path string) { f.want(s == "" || isDate(s), path, wantDate) }

func (f *faults) score(n *float64, path string) {
	f.want(n == nil || *n >= 0 && *n <= 1, path, wantScore) // NaN is neither
}

func (f *faults) codes(list []string, path string) {
	for i, s := range list {
		if !isCode(s) {
			f.add(path+"/"+strconv.Itoa(i), wantCode)
		}
	}
}

// oneOf requires s to be one of words.
func oneOf[T ~string](f *faults, s T, path string, words ...T) {
	if !slices.Contains(words, s) {
		f.add(path, "must be one of "+quoted(words))
	}
}

func quoted[T ~string](words []T) string {
	var text strings.Builder
	for i, w := range words {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(strconv.Quote(string(w)))
	}
	return text.String()
}

func (d *Data) check(f *faults) {
	f.want(isUUID(d.VerificationID), "/verification_id", wantUUID)
	f.want(d.Revision >= 1, "/revision", "must be at least 1")
	f.want(d.Supersedes == "" || isUUID(d.Supersedes), "/supersedes", wantUUID)
	f.want(isToken(d.Account), "/account", wantToken)
	oneOf(f, d.Environment, "/environment", EnvironmentLive, EnvironmentTest)
	f.want(atMostRunes(d.ExternalReference, maxExternalRunes), "/external_reference", "must have at most 128 characters")
	before := len(*f)
	d.Provider.check(f)
	f.below(before, "/provider")
	d.Status.check(f, "/status")
	f.want(d.StatusDetail == "" || isWord(d.StatusDetail), "/status_detail", wantWord)
	before = len(*f)
	d.Decision.check(f)
	f.below(before, "/decision")
	d.checkVerdictLists(f)
	d.checkChecks(f)
	d.checkEvidence(f)
	d.checkSession(f)
	oneOf(f, d.PII.Profile, "/pii/profile", ProfileNone, ProfileMasked, ProfileEncrypted, ProfileFull)
	d.checkJWE(f)
	f.want(isDigest(d.Payload.Digest), "/payload/digest", "must be sha256: and 64 hexadecimal digits in lower case")
	f.want(atMostRunes(d.Payload.AdmittedBy, maxAdmittedRunes), "/payload/admitted_by", "must have at most 64 characters")
	d.checkApproval(f)
	d.checkNoPerson(f)
	d.checkEncrypted(f)
}

func (p *ProviderData) check(f *faults) {
	f.want(isToken(p.Name), "/name", wantToken)
	f.want(p.References != nil, "/references", wantObject)
	f.want(p.References == nil || len(p.References) > 0, "/references", "must not be empty")
	f.instant(p.Event.OccurredAt, "/event/occurred_at")
	f.want(isInstant(p.Event.ReceivedAt), "/event/received_at", wantInstant)
	oneOf(f, p.Event.Via, "/event/via", ViaCallback, ViaPoll, ViaFetch, ViaStart, ViaDeadline, ViaReplay)
	f.want(p.Status != nil, "/status", wantObject)
	for _, v := range p.Status {
		if !writesScalar(v) {
			// The member is not named: its name comes from the provider, and may be anything.
			f.add("/status", "must hold strings, numbers, booleans and null only")
			break
		}
	}
}

func (s Status) check(f *faults, path string) {
	oneOf(f, s, path, StatusCompleted, StatusInReview, StatusProcessing, StatusInProgress, StatusCreated,
		StatusRequiresInput,
		StatusExpired, StatusAbandoned, StatusCanceled, StatusFailed, StatusUnknown)
}

func (o Outcome) check(f *faults, path string) {
	oneOf(f, o, path, OutcomeNone, OutcomeApproved, OutcomeRejected, OutcomeReview, OutcomeResubmit)
}

func (s Stage) check(f *faults, path string) {
	oneOf(f, s, path, StageSystem, StageMaker, StageChecker, StageManualReview, StagePolicy)
}

func (a ActorType) check(f *faults, path string) {
	oneOf(f, a, path, ActorSystem, ActorHuman, ActorUnspecified)
}

func (r Result) check(f *faults, path string) {
	oneOf(f, r, path, ResultPassed, ResultFailed, ResultWarning, ResultUndetermined, ResultNotPerformed)
}

func (d *Decision) check(f *faults) {
	d.Outcome.check(f, "/outcome")
	if d.Stage != "" {
		d.Stage.check(f, "/stage")
	}
	if d.ActorType != "" {
		d.ActorType.check(f, "/actor_type")
	}
	f.instant(d.DecidedAt, "/decided_at")
}

// checkVerdictLists checks the explanations of the verdict: its chain, its reasons and the required
// actions.
func (d *Data) checkVerdictLists(f *faults) {
	f.want(d.Decisions != nil, "/decisions", wantList)
	for i := range d.Decisions {
		before := len(*f)
		d.Decisions[i].check(f)
		f.belowItem(before, "/decisions", i)
	}
	f.want(d.Reasons != nil, "/reasons", wantList)
	for i := range d.Reasons {
		before := len(*f)
		f.want(isCode(d.Reasons[i].Code), "/code", wantCode)
		f.belowItem(before, "/reasons", i)
	}
	for i := range d.RequiredActions {
		before := len(*f)
		d.RequiredActions[i].check(f)
		f.belowItem(before, "/required_actions", i)
	}
}

func (s *DecisionStep) check(f *faults) {
	s.Stage.check(f, "/stage")
	s.Outcome.check(f, "/outcome")
	s.ActorType.check(f, "/actor_type")
	f.instant(s.DecidedAt, "/decided_at")
}

func (a *RequiredAction) check(f *faults) {
	oneOf(f, a.Action, "/action", "start", "resume", "resubmit_document", "resubmit_selfie", "resubmit_other",
		"rejoin_call", "renew")
	f.codes(a.Reasons, "/reasons")
	f.instant(a.Deadline, "/deadline")
}

func (d *Data) checkChecks(f *faults) {
	f.want(d.Checks != nil, "/checks", wantList)
	for i := range d.Checks {
		before := len(*f)
		d.Checks[i].check(f)
		f.belowItem(before, "/checks", i)
	}
	if d.Risk != nil {
		f.score(d.Risk.Score, "/risk/score")
		if d.Risk.Level != "" {
			oneOf(f, d.Risk.Level, "/risk/level", "low", "medium", "high")
		}
	}
}

func (c *Check) check(f *faults) {
	f.want(isCheckType(c.Type), "/type", "must be a type of check, or x_ and a word of a-z, 0-9 and _")
	c.Result.check(f, "/result")
	if c.Method != "" {
		oneOf(f, c.Method, "/method", "vpip", "vpiruv", "vri", "vdig", "vcrypt", "data", "auth", "token", "kbv", "pvp",
			"pvr", "bvp", "bvr")
	}
	f.score(c.Score, "/score")
	f.score(c.Threshold, "/threshold")
	if raw := c.ScoreRaw; raw != nil {
		f.want(isFinite(raw.Value), "/score_raw/value", wantNumber)
		f.want(isFinite(raw.Min), "/score_raw/min", wantNumber)
		f.want(isFinite(raw.Max), "/score_raw/max", wantNumber)
	}
	for i := range c.Fields {
		before := len(*f)
		c.Fields[i].Result.check(f, "/result")
		f.score(c.Fields[i].Score, "/score")
		f.belowItem(before, "/fields", i)
	}
	f.codes(c.Reasons, "/reasons")
	f.instant(c.CompletedAt, "/completed_at")
}

// checkEvidence checks the person's evidence.
func (d *Data) checkEvidence(f *faults) {
	for i := range d.Documents {
		before := len(*f)
		d.Documents[i].check(f)
		f.belowItem(before, "/documents", i)
	}
	if v := d.VerifiedClaims; v != nil {
		f.want(v.Verification != nil, "/verified_claims/verification", wantObject)
		if v.Verification != nil {
			_, ok := v.Verification["trust_framework"]
			f.want(ok, "/verified_claims/verification/trust_framework", "is required")
		}
		f.want(v.Claims != nil, "/verified_claims/claims", wantObject)
	}
	for i := range d.Media {
		before := len(*f)
		f.instant(d.Media[i].ExpiresAt, "/expires_at")
		f.belowItem(before, "/media", i)
	}
}

func (d *Document) check(f *faults) {
	f.want(d.MRZDocumentCode == "" || isMRZCode(d.MRZDocumentCode), "/mrz_document_code", "must be 1 or 2 of A-Z and <")
	f.date(d.DateOfIssuance, "/date_of_issuance")
	f.date(d.DateOfExpiry, "/date_of_expiry")
	if d.Issuer != nil && d.Issuer.CountryCode != "" {
		f.want(isUpper(d.Issuer.CountryCode, 1, 3), "/issuer/country_code", "must be 1 to 3 of A-Z")
	}
}

func (d *Data) checkSession(f *faults) {
	if d.Session == nil {
		return
	}
	before := len(*f)
	d.Session.check(f)
	f.below(before, "/session")
}

func (s *Session) check(f *faults) {
	if s.Channel != "" {
		oneOf(f, s.Channel, "/channel", "web", "mobile_sdk", "video_call", "api")
	}
	f.instant(s.CreatedAt, "/created_at")
	f.instant(s.ScheduledAt, "/scheduled_at")
	f.instant(s.StartedAt, "/started_at")
	f.instant(s.SubmittedAt, "/submitted_at")
	f.instant(s.EndedAt, "/ended_at")
	f.instant(s.ExpiresAt, "/expires_at")
	if s.Consent != nil {
		f.instant(s.Consent.At, "/consent/at")
	}
	f.want(s.Country == "" || isUpper(s.Country, 2, 2), "/country", "must be 2 of A-Z")
	if s.CountrySource != "" {
		oneOf(f, s.CountrySource, "/country_source", "gps", "ip", "declared")
	}
}

// checkApproval requires a final approval for verified claims. It requires the status completed and the
// outcome approved or rejected for any final decision.
func (d *Data) checkApproval(f *faults) {
	outcome := d.Decision.Outcome
	if d.VerifiedClaims != nil {
		f.want(outcome == OutcomeApproved, "/decision/outcome", `must be "approved" where there are verified claims`)
		f.want(d.Decision.Final, "/decision/final", "must be true where there are verified claims")
	}
	if d.Decision.Final {
		f.want(d.Status == StatusCompleted, "/status", `must be "completed" where the decision is final`)
		verdict := outcome == OutcomeApproved || outcome == OutcomeRejected
		f.want(verdict, "/decision/outcome", `must be "approved" or "rejected" where the decision is final`)
	}
}

// checkNoPerson checks that the profile none contains no person.
func (d *Data) checkNoPerson(f *faults) {
	if d.PII.Profile != ProfileNone {
		return
	}
	f.want(len(d.ExtractedClaims) == 0, "/extracted_claims", wantNoPerson)
	f.want(d.VerifiedClaims == nil, "/verified_claims", wantNoPerson)
	for i := range d.Documents {
		before := len(*f)
		f.want(d.Documents[i].DocumentNumber == "", "/document_number", wantNoPerson)
		f.belowItem(before, "/documents", i)
	}
}

// checkJWE checks the form of the encrypted members.
func (d *Data) checkJWE(f *faults) {
	if len(d.PII.JWE) == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(d.PII.JWE)) {
		f.want(isJWE(d.PII.JWE[id]), "/pii/jwe/"+escape(id), "must be a compact JSON Web Encryption")
	}
}

// isJWE accepts five parts of base64url, of which the first and the last three have content.
func isJWE(s string) bool {
	parts := strings.Split(s, ".")
	for i, part := range parts {
		if part == "" && i != 1 || strings.ContainsFunc(part, func(r rune) bool {
			return r >= utf8.RuneSelf || !wordByte(byte(r)) && r != '-' && r != '_'
		}) {
			return false
		}
	}
	return len(parts) == 5
}

// checkEncrypted checks that under the profile encrypted d has encrypted members, and none of them in clear text.
func (d *Data) checkEncrypted(f *faults) {
	if d.PII.Profile != ProfileEncrypted {
		return
	}
	f.want(len(d.PII.JWE) > 0, "/pii/jwe", "is required under the profile encrypted")
	for _, m := range d.personal().members() {
		f.want(!m.present, m.pointer, "must be encrypted under the profile encrypted")
	}
}

// writesScalar reports whether encoding/json encodes v as a string, a number, a boolean or null. The types
// that mappings use are recognized directly, others are encoded.
func writesScalar(v any) bool {
	switch v := v.(type) {
	case nil, string, bool, json.Number, int, int64:
		return true
	case float64:
		return isFinite(v)
	}
	text, err := json.Marshal(v)
	return err == nil && len(text) > 0 && text[0] != '{' && text[0] != '['
}

func isFinite(n float64) bool { return !math.IsNaN(n) && !math.IsInf(n, 0) }

// atMostRunes reports whether s has at most n characters in the encoded event: each invalid byte is
// encoded as one character.
func atMostRunes(s string, n int) bool { return len(s) <= n || utf8.RuneCountInString(s) <= n }

func isCheckType(s string) bool {
	switch s {
	case CheckDocumentRecognition, CheckDocumentAccepted, CheckDocumentAuthenticity, CheckDocumentExpiry,
		CheckImageQuality, CheckMRZ, CheckBarcode, CheckChip, CheckDataExtraction, CheckDataConsistency,
		CheckDataMatch, CheckDatabase, CheckFaceMatch, CheckLiveness, CheckFaceDuplicate, CheckDuplicate,
		CheckAge, CheckAML, CheckGeolocation, CheckIPRisk, CheckDeviceRisk, CheckContactOTP,
		CheckQuestionnaire, CheckAgentReview:
		return true
	}
	private, ok := strings.CutPrefix(s, "x_")
	return ok && private != "" && isWordTail(private)
}

// isEventType reports whether s has the suffix of an event type; the prefix is configured.
func isEventType(s string) bool {
	s, ok := strings.CutSuffix(s, ".v1")
	if !ok {
		return false
	}
	at := strings.LastIndexByte(s, '.')
	if at < 0 || !strings.HasSuffix(s[:at], ".verification") {
		return false
	}
	switch Kind(s[at+1:]) {
	case KindUpdated, KindCompleted, KindClosed:
		return true
	}
	return false
}

// isSource reports whether s ends in /provider/account; the prefix is configured.
func isSource(s string) bool {
	last := strings.LastIndexByte(s, '/')
	if last < 0 || !isToken(s[last+1:]) {
		return false
	}
	first := strings.LastIndexByte(s[:last], '/')
	return first >= 0 && isToken(s[first+1:last])
}

func isDataSchema(s string) bool {
	minor, ok := strings.CutPrefix(s, dataSchemaPrefix)
	return ok && minor != "" && allDigits(minor)
}

func allDigits(s string) bool {
	for i := range len(s) {
		if !digit(s[i]) {
			return false
		}
	}
	return true
}

// isUUID accepts hexadecimal digits of either case.
func isUUID(s string) bool {
	if len(s) != len("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx") {
		return false
	}
	for i := range len(s) {
		c := s[i]
		switch i {
		case 8, 13, 18, 23:
			if c != '-' {
				return false
			}
		default:
			if !digit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return false
			}
		}
	}
	return true
}

// isInstant accepts UTC instants of RFC 3339: any number of decimals and leap seconds, with Z.
func isInstant(s string) bool {
	const seconds = len("2006-01-02T15:04:05")
	end := len(s) - 1
	if end < seconds || s[end] != 'Z' || s[10] != 'T' && s[10] != 't' || s[13] != ':' || s[16] != ':' || !isDate(s[:10]) {
		return false
	}
	h, m, sec := twoDigits(s[11:]), twoDigits(s[14:]), twoDigits(s[17:])
	if h > 23 || m > 59 || sec > 60 || sec == 60 && (h != 23 || m != 59) {
		return false
	}
	decimals := s[seconds:end]
	return decimals == "" || decimals[0] == '.' && len(decimals) > 1 && allDigits(decimals[1:])
}

// isDate accepts a day of the calendar, as YYYY-MM-DD.
func isDate(s string) bool {
	if len(s) != len("2006-01-02") || s[4] != '-' || s[7] != '-' {
		return false
	}
	century, year, month, day := twoDigits(s), twoDigits(s[2:]), twoDigits(s[5:]), twoDigits(s[8:])
	return max(century, year) <= 99 && month >= 1 && month <= 12 && day >= 1 && day <= daysOf(century*100+year, month)
}

func daysOf(year, month int) int {
	switch {
	case month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0):
		return 29
	case month == 2:
		return 28
	case month == 4 || month == 6 || month == 9 || month == 11:
		return 30
	}
	return 31
}

// twoDigits parses the number at the beginning of s. If s does not begin with two digits, the
// result is larger than any two digits.
func twoDigits(s string) int {
	if !digit(s[0]) || !digit(s[1]) {
		return math.MaxInt
	}
	return int(s[0]-'0')*10 + int(s[1]-'0')
}

func isToken(s string) bool {
	if s == "" || len(s) > maxTokenBytes || s[0] == '_' || s[0] == '-' {
		return false
	}
	for i := range len(s) {
		if c := s[i]; !lower(c) && !digit(c) && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

func lower(c byte) bool { return c >= 'a' && c <= 'z' }

// isWord accepts snake_case that starts with a letter.
func isWord(s string) bool { return s != "" && lower(s[0]) && isWordTail(s[1:]) }

func isWordTail(s string) bool {
	for i := range len(s) {
		if c := s[i]; !lower(c) && !digit(c) && c != '_' {
			return false
		}
	}
	return true
}

// isCode accepts category.detail, the category of letters only.
func isCode(s string) bool {
	dot := strings.IndexByte(s, '.')
	if dot < 1 || dot == len(s)-1 {
		return false
	}
	for i := range dot {
		if !lower(s[i]) {
			return false
		}
	}
	return isWordTail(s[dot+1:])
}

func isMRZCode(s string) bool {
	for i := range len(s) {
		if c := s[i]; c != '<' && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return len(s) == 1 || len(s) == 2
}

// isUpper accepts least to most capital letters.
func isUpper(s string, least, most int) bool {
	for i := range len(s) {
		if s[i] < 'A' || s[i] > 'Z' {
			return false
		}
	}
	return least <= len(s) && len(s) <= most
}

func isDigest(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(hex) != digestHexDigits {
		return false
	}
	for i := range len(hex) {
		if c := hex[i]; !digit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
