package normalize

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kycbridge"
)

// What bodies that came by the API instead of a webhook are called.
const (
	ondatoGetIDV = "get-identity-verification"
	ondatoGetKYC = "get-identification"
)

// ondatoEnvelopeKeys are the keys of a webhook's envelope. Captures have them as here, some versions
// of the vendor's documentation in PascalCase.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2411331613/Webhooks+examples
var ondatoEnvelopeKeys = [...]string{"id", "applicationId", "createdUtc", "payload", "type", "deliveredUtc", "isDelivered"}

// IdentifyOndato finds the identity verification that a webhook or an answer of the API speaks of:
// every webhook about a person's check leads to the id of the IDV, whatever resource it is of, so
// that all of them meet in one verification. UUIDs are compared in lower case.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2296184995/Webhooks
func IdentifyOndato(doc any) kycbridge.Identity {
	body, ok := doc.(map[string]any)
	if !ok {
		return kycbridge.Identity{Schema: "callback", Document: doc, Missing: "/payload/id"}
	}
	envelope := ondatoEnvelopeOf(body)
	kind, _ := envelope["type"].(string)
	if kind == "" && envelope["payload"] == nil {
		return identifyOndatoResource(body)
	}
	id := kycbridge.Identity{
		Schema:   "callback",
		Document: envelope,
		EventID:  scalarText(envelope["id"]),
		Event:    clip(kind, maxName),
	}
	id.Reference, id.Missing = ondatoReference(envelope, kind)
	return id
}

// ondatoEnvelopeOf copies a webhook's top level with its own keys in one spelling; all other keys
// and the payload stay as they are.
func ondatoEnvelopeOf(body map[string]any) map[string]any {
	envelope := make(map[string]any, len(body))
	for key, v := range body {
		if !isOndatoEnvelopeKey(key) {
			envelope[key] = v
		}
	}
	for _, key := range ondatoEnvelopeKeys {
		if v, ok := member(body, key); ok {
			envelope[key] = v
		}
	}
	return envelope
}

func isOndatoEnvelopeKey(key string) bool {
	for _, known := range ondatoEnvelopeKeys {
		if strings.EqualFold(key, known) {
			return true
		}
	}
	return false
}

// ondatoReference finds the IDV id in a webhook and says where it was looked for. What is no part of
// a person's check (forms, businesses, types yet unknown) takes any id that tells it apart; it makes
// no event.
func ondatoReference(envelope map[string]any, kind string) (reference, at string) {
	payload, _ := envelope["payload"].(map[string]any)
	field := func(name string) string {
		v, _ := member(payload, name)
		return strings.ToLower(scalarText(v))
	}
	family, _, _ := strings.Cut(fold(kind), ".")
	switch family {
	case "identityverification", "idv":
		return field("id"), "/payload/id"
	case "kycidentification":
		return field("identityVerificationId"), "/payload/identityVerificationId"
	}
	for _, candidate := range [...]string{field("identityVerificationId"), field("id"), strings.ToLower(scalarText(envelope["id"]))} {
		if candidate != "" {
			return candidate, "/payload/identityVerificationId"
		}
	}
	return "", "/payload/identityVerificationId"
}

// identifyOndatoResource tells the two resources of the API apart by what only a KYC identification has.
func identifyOndatoResource(body map[string]any) kycbridge.Identity {
	field := func(name string) string {
		v, _ := member(body, name)
		return strings.ToLower(scalarText(v))
	}
	if idv := field("identityVerificationId"); idv != "" {
		return kycbridge.Identity{Schema: "kyc", Document: body, Reference: idv, Event: ondatoGetKYC, Missing: "/identityVerificationId"}
	}
	_, hasStatus := member(body, "status")
	if id := field("id"); id != "" && hasStatus {
		return kycbridge.Identity{Schema: "idv", Document: body, Reference: id, Event: ondatoGetIDV, Missing: "/id"}
	}
	return kycbridge.Identity{Schema: "callback", Document: body, Missing: "/payload/id"}
}

// ondatoBody is a webhook or a bare resource: the members of the resource at top level are the
// envelope's id, applicationId and createdUtc where there is an envelope.
type ondatoBody struct {
	Type    string          `json:"type"`
	Payload *ondatoResource `json:"payload"`
	ondatoResource
}

// ondatoResource is an IDV or a KYC identification, as far as it is read.
type ondatoResource struct {
	ID                     text            `json:"id"`
	ApplicationID          text            `json:"applicationId"`
	IdentityVerificationID text            `json:"identityVerificationId"`
	ExternalReferenceID    text            `json:"externalReferenceId"`
	CreatedUTC             text            `json:"createdUtc"`
	ModifiedUTC            text            `json:"modifiedUtc"`
	CompletedUTC           text            `json:"completedUtc"`
	Status                 text            `json:"status"`
	StatusReason           text            `json:"statusReason"`
	IsCrossChecked         any             `json:"isCrossChecked"`
	Setup                  ondatoSetup     `json:"setup"`
	Step                   ondatoStep      `json:"step"`
	Document               *ondatoDocument `json:"document"`
	Face                   struct {
		Files []ondatoFile `json:"files"`
	} `json:"face"`
	AdditionalFiles []ondatoFile  `json:"additionalFiles"`
	Rules           []ondatoCheck `json:"rules"`
	FraudChecks     []ondatoCheck `json:"fraudChecks"`
}

type ondatoSetup struct {
	ID        text `json:"id"`
	VersionID text `json:"versionId"`
}

type ondatoStep struct {
	KYC struct {
		ID        text `json:"id"`
		IsSuccess any  `json:"isSuccess"`
	} `json:"kycIdentification"`
	Consent struct {
		IsConsented  text `json:"isConsented"`
		ConsentedUTC text `json:"consentedUtc"`
	} `json:"consent"`
}

type ondatoDocument struct {
	FullName         text         `json:"fullName"`
	FirstName        text         `json:"firstName"`
	MiddleName       text         `json:"middleName"`
	LastName         text         `json:"lastName"`
	DocumentNumber   text         `json:"documentNumber"`
	PersonalCode     text         `json:"personalCode"`
	Address          text         `json:"address"`
	DateOfIssue      text         `json:"dateOfIssue"`
	DateOfExpiration text         `json:"dateOfExpiration"`
	DateOfBirth      text         `json:"dateOfBirth"`
	NationalityIso3  text         `json:"nationalityIso3"`
	CountryIso3      text         `json:"countryIso3"`
	CountryStateIso2 text         `json:"countryStateIso2"`
	Gender           text         `json:"gender"`
	Type             text         `json:"type"`
	Category         text         `json:"category"`
	MRZVerified      text         `json:"mrzVerified"`
	Files            []ondatoFile `json:"files"`
	OCRValidations   []struct {
		Key     text `json:"key"`
		IsValid text `json:"isValid"`
	} `json:"ocrValidations"`
}

type ondatoFile struct {
	FileID        text `json:"fileId"`
	FileExtension text `json:"fileExtension"`
	Part          text `json:"part"`
	FileType      text `json:"fileType"`
}

type ondatoCheck struct {
	Name   text `json:"name"`
	Status text `json:"status"`
}

// Ondato maps a webhook, or the answer to a GET of an IDV or a KYC identification. Only the KYC
// identification decides about the person; the IDV's Completed says that the user reached the end
// of the flow.
// Source: https://ondato.atlassian.net/wiki/x/7ILWi (IDV statuses) and the vendor's Webhooks page.
func Ondato(p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	var body ondatoBody
	if err := decode(p.Body, &body); err != nil {
		return kycbridge.Observation{}, fmt.Errorf("ondato: %w", err)
	}
	var o kycbridge.Observation
	r := &body.ondatoResource
	switch {
	case body.Type != "" || body.Payload != nil:
		o = body.webhook(s)
	case r.IdentityVerificationID != "":
		o = r.fetchedKYC(s)
		if p.Via == kycbridge.ViaCallback && o.Effect == kycbridge.EffectReopen {
			o.Effect = kycbridge.EffectProgress // only a fetch takes back a verdict; a webhook comes in an envelope
		}
	default:
		o = r.fetchedIDV()
	}
	confirm(&o, p, s)
	if o.Effect != kycbridge.EffectNone && o.References["idv_id"] == "" {
		return kycbridge.Observation{}, fmt.Errorf("ondato: %w", errOndatoShape)
	}
	return o, nil
}

var errOndatoShape = errors.New("names no identity verification")

// ondatoState is what one value of the provider means.
type ondatoState struct {
	effect kycbridge.Effect
	status kycbridge.Status
	detail string
	// kyc lists the KYC statuses, folded, that a webhook of this meaning may carry; "" is none.
	kyc []string
}

// ondatoSessions are the IDV statuses.
// Source: https://ondato.atlassian.net/wiki/x/7ILWi
var ondatoSessions = map[string]ondatoState{
	"pending":    {effect: kycbridge.EffectProgress, status: kycbridge.StatusCreated},
	"inprogress": {effect: kycbridge.EffectProgress, status: kycbridge.StatusInProgress},
	"suspended":  {effect: kycbridge.EffectProgress, status: kycbridge.StatusInProgress, detail: ondatoSuspended},
	"completed":  {effect: kycbridge.EffectProgress, status: kycbridge.StatusProcessing, detail: kycbridge.DetailStepsSubmitted},
	"aborted":    {effect: kycbridge.EffectEnd, status: kycbridge.StatusAbandoned},
	"expired":    {effect: kycbridge.EffectEnd, status: kycbridge.StatusExpired},
}

const ondatoSuspended = "suspended"

// ondatoKYCEvents are the webhooks about a KYC identification with the statuses that agree with
// each: a message that contradicts itself is not believed. Updated is not among them, because it
// tells facts and no status. Expired stands in pre-release documentation only.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2296184995/Webhooks
var ondatoKYCEvents = map[string]ondatoState{
	"kycidentification.created": {
		effect: kycbridge.EffectProgress, status: kycbridge.StatusInProgress,
		kyc: []string{"", "unfinished", "awaiting"},
	},
	"kycidentification.processed": {
		effect: kycbridge.EffectProgress, status: kycbridge.StatusProcessing, detail: kycbridge.DetailStepsSubmitted,
		kyc: []string{"", "awaiting"},
	},
	"kycidentification.approved": {
		effect: kycbridge.EffectVerdict, status: kycbridge.StatusCompleted,
		kyc: []string{"approved"},
	},
	"kycidentification.rejected": {
		effect: kycbridge.EffectVerdict, status: kycbridge.StatusCompleted,
		kyc: []string{"rejected"},
	},
	"kycidentification.expired": {
		effect: kycbridge.EffectEnd, status: kycbridge.StatusExpired,
		kyc: []string{"", "unfinished", "awaiting", "expired"},
	},
}

// ondatoKYCStatuses are the statuses of a KYC identification that was fetched. Awaiting after a
// rejection is the provider's way to reopen one, so a fetched Awaiting takes back what was decided;
// the webhooks that carry it are signs of progress, because they may come late.
var ondatoKYCStatuses = map[string]ondatoState{
	"unfinished": {effect: kycbridge.EffectProgress, status: kycbridge.StatusInProgress},
	"awaiting":   {effect: kycbridge.EffectReopen, status: kycbridge.StatusProcessing, detail: kycbridge.DetailStepsSubmitted},
	"approved":   {effect: kycbridge.EffectVerdict, status: kycbridge.StatusCompleted},
	"rejected":   {effect: kycbridge.EffectVerdict, status: kycbridge.StatusCompleted},
}

// webhook maps an event by its type. Types are compared folded, like all values of this provider.
func (b *ondatoBody) webhook(s kycbridge.Settings) kycbridge.Observation {
	r := b.Payload
	if r == nil {
		r = &ondatoResource{}
	}
	if r.ApplicationID == "" {
		r.ApplicationID = b.ApplicationID
	}
	var o kycbridge.Observation
	kind := fold(b.Type)
	switch state, isKYC := ondatoKYCEvents[kind]; {
	case isKYC:
		o = r.kyc(state, s)
	case kind == "kycidentification.updated":
		o = r.note()
	case kind == "identityverification.consented", kind == "idv.consented":
		o = r.idv(ondatoSessions["inprogress"])
	case kind == "identityverification.statuschanged", kind == "idv.statuschanged":
		o = r.idv(ondatoSessions[fold(string(r.Status))])
	default:
		o = kycbridge.Observation{Effect: kycbridge.EffectNone, Ignored: ignoredType}
	}
	o.EventName = clip(b.Type, maxName)
	o.EventID = clip(string(b.ID), maxID)
	o.OccurredAt = instant(string(b.CreatedUTC))
	return o
}

// fetchedKYC maps the answer to a GET of a KYC identification. It happened when it was completed;
// of an open one the provider does not say since when it is so.
func (r *ondatoResource) fetchedKYC(s kycbridge.Settings) kycbridge.Observation {
	state := ondatoKYCStatuses[fold(string(r.Status))]
	state.kyc = []string{fold(string(r.Status))}
	o := r.kyc(state, s)
	o.EventName = ondatoGetKYC
	if state.effect == kycbridge.EffectVerdict {
		o.OccurredAt = instant(string(r.CompletedUTC))
	}
	return o
}

// fetchedIDV maps the answer to a GET of an IDV.
func (r *ondatoResource) fetchedIDV() kycbridge.Observation {
	o := r.idv(ondatoSessions[fold(string(r.Status))])
	o.EventName = ondatoGetIDV
	o.OccurredAt = instant(string(r.ModifiedUTC))
	return o
}

// facts is what a resource says whatever its status.
func (r *ondatoResource) facts() kycbridge.Observation {
	o := kycbridge.Observation{
		ExternalReference: externalReference(string(r.ExternalReferenceID)),
		References:        map[string]string{},
		ProviderStatus:    map[string]any{},
		Decision:          kycbridge.Decision{Outcome: kycbridge.OutcomeNone},
	}
	set(o.References, "application_id", ondatoID(r.ApplicationID))
	return o
}

// ondatoID bounds an id and writes it as it is compared.
func ondatoID(id text) string { return clip(strings.ToLower(string(id)), maxID) }

// idv maps an identity verification: the session, never a verdict.
func (r *ondatoResource) idv(state ondatoState) kycbridge.Observation {
	o := r.facts()
	o.FlowID, o.FlowVersion = ondatoID(r.Setup.ID), ondatoID(r.Setup.VersionID)
	set(o.References, "idv_id", ondatoID(r.ID))
	set(o.References, "kyc_identification_id", ondatoID(r.Step.KYC.ID))
	setScalar(o.ProviderStatus, "idv_status", string(r.Status))
	setScalar(o.ProviderStatus, "idv_kyc_is_success", r.Step.KYC.IsSuccess)
	o.Session = r.session(state)
	if state.status == "" {
		unmapped(&o, string(r.Status))
		return o
	}
	o.Effect, o.Status, o.StatusDetail = state.effect, state.status, state.detail
	switch {
	case state.status == kycbridge.StatusAbandoned:
		o.Reasons = []kycbridge.Reason{{Code: "session.aborted_by_user", ProviderCode: clip(string(r.Status), maxCode)}}
	case state.detail == ondatoSuspended:
		o.RequiredActions = []kycbridge.RequiredAction{{Action: "resume"}}
	}
	return o
}

// session is the applicant's part of an IDV. The last modification is the end where the status is one.
func (r *ondatoResource) session(state ondatoState) *kycbridge.Session {
	session := kycbridge.Session{CreatedAt: kycbridge.Instant(instant(string(r.CreatedUTC)))}
	modified := kycbridge.Instant(instant(string(r.ModifiedUTC)))
	switch {
	case state.status.Closed():
		session.EndedAt = modified
	case state.status == kycbridge.StatusProcessing:
		session.SubmittedAt = modified
	}
	consent := r.Step.Consent
	switch given, _ := triState(consent.IsConsented); given {
	case kycbridge.ResultPassed:
		session.Consent = &kycbridge.Consent{Given: true, At: kycbridge.Instant(instant(string(consent.ConsentedUTC)))}
	case kycbridge.ResultFailed:
		session.Consent = &kycbridge.Consent{} // a time beside it is that of an earlier consent
	}
	if session == (kycbridge.Session{}) {
		return nil
	}
	return &session
}

// kycFacts is what a KYC identification says whatever its status: the documents, claims and checks.
// Its setup is not the IDV's; it goes to the references, so that the flow does not change its name
// with every other message.
func (r *ondatoResource) kycFacts() kycbridge.Observation {
	o := r.facts()
	set(o.References, "idv_id", ondatoID(r.IdentityVerificationID))
	set(o.References, "kyc_identification_id", ondatoID(r.ID))
	set(o.References, "kyc_setup_id", ondatoID(r.Setup.ID))
	setScalar(o.ProviderStatus, "kyc_status", string(r.Status))
	setScalar(o.ProviderStatus, "kyc_status_reason", string(r.StatusReason))
	setScalar(o.ProviderStatus, "kyc_is_cross_checked", r.IsCrossChecked)
	r.Document.addTo(&o)
	o.Checks = r.checks(len(o.Documents) > 0)
	o.Media = r.media()
	return o
}

// note maps KycIdentification.Updated: data were edited, the verdict is not touched. The status
// counts only where nothing else is known.
func (r *ondatoResource) note() kycbridge.Observation {
	o := r.kycFacts()
	o.Effect, o.Status, o.StatusDetail = kycbridge.EffectNote, kycbridge.StatusProcessing, kycbridge.DetailStepsSubmitted
	return o
}

// kyc maps a KYC identification whose meaning is state, if its own status agrees.
func (r *ondatoResource) kyc(state ondatoState, s kycbridge.Settings) kycbridge.Observation {
	o := r.kycFacts()
	if state.status == "" || !slices.Contains(state.kyc, fold(string(r.Status))) {
		if state.status == "" || state.effect == kycbridge.EffectVerdict {
			doubt(&o, string(r.Status), kycbridge.StageSystem, kycbridge.ActorUnspecified)
		} else {
			unmapped(&o, string(r.Status))
		}
		return o
	}
	o.Effect, o.Status, o.StatusDetail = state.effect, state.status, state.detail
	switch {
	case state.effect == kycbridge.EffectVerdict:
		r.decide(&o)
	case state.detail == kycbridge.DetailStepsSubmitted && s.ManualReview:
		o.Status = kycbridge.StatusInReview
	}
	return o
}

// decide states the verdict of a KYC identification. The reason of an approval names who gave it;
// on a rejection the same words are leftovers of an earlier approval, and believing them could make
// a person's rejection yield as a machine's.
func (r *ondatoResource) decide(o *kycbridge.Observation) {
	reason := fold(string(r.StatusReason))
	d := kycbridge.Decision{
		Outcome:   kycbridge.OutcomeRejected,
		Final:     true,
		Stage:     kycbridge.StageSystem,
		ActorType: kycbridge.ActorUnspecified,
		DecidedAt: kycbridge.Instant(instant(string(r.CompletedUTC))),
	}
	if fold(string(r.Status)) == "approved" {
		d.Outcome = kycbridge.OutcomeApproved
		switch reason {
		case "automaticallyidentified":
			d.ActorType = kycbridge.ActorSystem
		case "manuallyidentified":
			d.Stage, d.ActorType = kycbridge.StageManualReview, kycbridge.ActorHuman
		}
	} else if reason != "" {
		o.Reasons = []kycbridge.Reason{ondatoReason(r.StatusReason)}
	}
	o.Decision = d
	o.Decisions = []kycbridge.DecisionStep{{
		Stage:         d.Stage,
		Outcome:       d.Outcome,
		ActorType:     d.ActorType,
		ProviderValue: clip(string(r.Status), maxCode),
		DecidedAt:     d.DecidedAt,
	}}
}

// ondatoCode is the meaning of a rejection; critical means that the user gets no further try.
type ondatoCode struct {
	code     string
	critical bool
}

// ondatoReasons are the rejection reasons, folded: the API writes PascalCase, the SDK's interface
// SCREAMING_SNAKE. Source: https://ondato.atlassian.net/wiki/x/IgBqpg and the SDK's list of critical
// reasons, https://github.com/ondato/ondato-sdk-react-native
var ondatoReasons = map[string]ondatoCode{
	"missingdocumentphoto":           {code: "document.missing"},
	"documentnotaccepted":            {code: "document.type_not_accepted"},
	"datadoesnotmatch":               {code: "data.mismatch"},
	"namemismatch":                   {code: "data.mismatch"},
	"expirationdatemismatch":         {code: "data.mismatch"},
	"incorrectinformationprovided":   {code: "data.mismatch"},
	"sanctioned":                     {code: "aml.sanctions", critical: true},
	"missingselfiephoto":             {code: "face.missing"},
	"facesdoesnotmatch":              {code: "face.mismatch"},
	"poorphotoquality":               {code: "image.poor_quality"},
	"poorphotolighting":              {code: "image.too_dark"},
	"blurredphoto":                   {code: "image.blurred"},
	"badmediaformat":                 {code: "image.wrong_format"},
	"possiblefraudattempt":           {code: "risk.fraud_suspected", critical: true},
	"unrelatedphoto":                 {code: "image.wrong_content"},
	"morethanoneperson":              {code: "face.multiple"},
	"prohibitedcountryorstate":       {code: "document.country_not_accepted", critical: true},
	"documentisexpired":              {code: "document.expired"},
	"documentwithnonlatincharacters": {code: "document.script_not_supported"},
	"partofdocumentiscovered":        {code: "image.obscured"},
	"partoffaceiscovered":            {code: "face.occluded"},
	"underageperson":                 {code: "data.underage", critical: true},
	"prohibitednationality":          {code: "data.nationality_not_accepted", critical: true},
	"docandbioagedoesntmatch":        {code: "data.age_mismatch", critical: true},
	"duplicatedinfo":                 {code: "risk.duplicate_applicant", critical: true},
	"miscellaneous":                  {code: "review.other", critical: true},
}

// ondatoReason explains a rejection. Of a reason that is not known it is not known either whether
// the user may try again.
func ondatoReason(raw text) kycbridge.Reason {
	reason := kycbridge.Reason{Code: "review.other", ProviderCode: clip(string(raw), maxCode)}
	if known, ok := ondatoReasons[fold(string(raw))]; ok {
		reason.Code, reason.Retryable = known.code, ptr(!known.critical)
	}
	return reason
}

// addTo puts the document and the claims read from it into o; a nil document adds nothing. What only
// says whether the MRZ was right, or lists files, is no document.
func (d *ondatoDocument) addTo(o *kycbridge.Observation) {
	if d == nil {
		return
	}
	country := alpha3(string(d.CountryIso3))
	doc := newDocument(string(d.Type), country, string(d.DocumentNumber))
	doc.DateOfIssuance = wholeDate(string(d.DateOfIssue))
	doc.DateOfExpiry = wholeDate(string(d.DateOfExpiration))
	doc.Subtype = clip(string(d.Category), maxCode)
	issuer := kycbridge.Issuer{CountryCode: country, Jurisdiction: region(string(d.CountryStateIso2), country)}
	if issuer != (kycbridge.Issuer{}) {
		doc.Issuer = &issuer
	}
	if d.Type != "" || doc.DocumentNumber != "" || doc.DateOfExpiry != "" || doc.Issuer != nil {
		o.Documents = []kycbridge.Document{doc}
	}
	claims := kycbridge.Claims{}
	setNames(claims, string(d.FullName), string(d.FirstName), string(d.MiddleName), string(d.LastName))
	setClaim(claims, "birthdate", date(string(d.DateOfBirth)))
	setClaim(claims, "gender", gender(string(d.Gender)))
	setNationality(claims, string(d.NationalityIso3))
	setClaim(claims, "personal_number", string(d.PersonalCode))
	address := map[string]string{}
	set(address, "formatted", clip(strings.TrimSpace(string(d.Address)), maxClaim))
	setAddress(claims, address)
	o.ExtractedClaims = orNil(claims)
}

// ondatoRules are the rules and fraud checks that have a type of ours; the others get a private one.
// The names were observed in deliveries, the vendor publishes no list.
var ondatoRules = map[string]string{
	"documentnotexpired":             kycbridge.CheckDocumentExpiry,
	"documenttypenotprohibited":      kycbridge.CheckDocumentAccepted,
	"documenthasbothsides":           kycbridge.CheckDocumentRecognition,
	"documenthasface":                kycbridge.CheckDocumentRecognition,
	"notunder18":                     kycbridge.CheckAge,
	"selfieanddocumentfacesmatch":    kycbridge.CheckFaceMatch,
	"successfulpassivelivenesscheck": kycbridge.CheckLiveness,
	"documentmanipulation":           kycbridge.CheckDocumentAuthenticity,
}

// ondatoResults are the results of rules and fraud checks. Unavailable is no result (observed beside
// a rejection), and neither is a word that is not known.
var ondatoResults = map[string]kycbridge.Result{
	"success": kycbridge.ResultPassed,
	"fail":    kycbridge.ResultFailed,
	"failed":  kycbridge.ResultFailed,
}

// checks lists what was checked; a rule that was not sent is no check.
func (r *ondatoResource) checks(hasDocument bool) []kycbridge.Check {
	var checks []kycbridge.Check
	add := func(list string, c ondatoCheck) {
		if c.Name != "" {
			checks = append(checks, c.check(list))
		}
	}
	for _, rule := range atMost(r.Rules) {
		add("rule", rule)
	}
	for _, fraud := range atMost(r.FraudChecks) {
		add("fraud_check", fraud)
	}
	checks = append(checks, r.Document.checks()...)
	seen := map[string]int{}
	for i := range checks {
		c := &checks[i]
		c.Method = checkMethod(c.Type)
		if hasDocument && documentCheck(c.Type) {
			c.DocumentIDs = []string{"document"}
		}
		if seen[c.CheckID]++; seen[c.CheckID] > 1 {
			c.CheckID += "." + strconv.Itoa(seen[c.CheckID])
		}
	}
	return checks
}

// check is one entry of rules[] or fraudChecks[].
func (c ondatoCheck) check(list string) kycbridge.Check {
	kind, ok := ondatoRules[fold(string(c.Name))]
	if !ok {
		kind = "x_ondato_" + snake(string(c.Name))
	}
	result, ok := ondatoResults[fold(string(c.Status))]
	if !ok {
		result = kycbridge.ResultUndetermined
	}
	return kycbridge.Check{
		CheckID:        list + "." + clip(string(c.Name), maxCode),
		Type:           kind,
		Result:         result,
		ProviderCheck:  clip(string(c.Name), maxCode),
		ProviderResult: clip(string(c.Status), maxCode),
	}
}

// checks are the two that the document itself carries: its MRZ, and whether what was read from it is
// consistent, field by field.
func (d *ondatoDocument) checks() []kycbridge.Check {
	if d == nil {
		return nil
	}
	var checks []kycbridge.Check
	if result, ok := triState(d.MRZVerified); ok {
		checks = append(checks, kycbridge.Check{
			CheckID: "mrz", Type: kycbridge.CheckMRZ, Result: result,
			ProviderCheck: "mrzVerified", ProviderResult: clip(string(d.MRZVerified), maxCode),
		})
	}
	var fields []kycbridge.CheckField
	for _, v := range atMost(d.OCRValidations) {
		result, sent := triState(v.IsValid)
		if !sent {
			result = kycbridge.ResultUndetermined
		}
		if field := fieldName(string(v.Key)); field != "" {
			fields = append(fields, kycbridge.CheckField{Field: field, Result: result})
		}
	}
	if len(fields) > 0 {
		checks = append(checks, kycbridge.Check{
			CheckID: "ocr_validations", Type: kycbridge.CheckDataConsistency, Result: worst(fields),
			Fields: fields, ProviderCheck: "ocrValidations",
		})
	}
	return checks
}

// ondatoKinds name a file by its type, or by its part where the type says only that it is a document.
// Source: file types and parts of the vendor's KYC examples; the lists are open.
var ondatoKinds = map[string]string{
	"documentphoto/front":    "document_front",
	"documentphoto/datapage": "document_front", // the page of a passport that a card has as its front
	"documentphoto/back":     "document_back",
	"/front":                 "document_front",
	"/datapage":              "document_front",
	"/back":                  "document_back",
	"selfie/":                "selfie",
	"selfiewithdoc/":         "selfie",
	"proofofaddress/":        "proof_of_address",
}

// media lists the files by their id at the provider, which opens nothing without credentials.
func (r *ondatoResource) media() []kycbridge.Media {
	var media []kycbridge.Media
	add := func(list string, files []ondatoFile) {
		for i, f := range atMost(files) {
			if f.FileID == "" {
				continue
			}
			media = append(media, kycbridge.Media{
				Kind:        f.kind(),
				MediaType:   mediaType(string(f.FileExtension)),
				ProviderRef: ondatoID(f.FileID),
				Field:       list + "[" + strconv.Itoa(i) + "]",
			})
		}
	}
	if r.Document != nil {
		add("document.files", r.Document.Files)
	}
	add("face.files", r.Face.Files)
	add("additionalFiles", r.AdditionalFiles)
	return media
}

// kind is the word for what a file shows.
func (f ondatoFile) kind() string {
	if kind, ok := ondatoKinds[fold(string(f.FileType))+"/"+fold(string(f.Part))]; ok {
		return kind
	}
	if kind, ok := ondatoKinds[fold(string(f.FileType))+"/"]; ok {
		return kind
	}
	return "other"
}
