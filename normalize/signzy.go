package normalize

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"kycbridge"
)

// What Signzy's bodies are called: none of them has a name of its own.
const (
	signzyCallback = "callback"
	signzyGet      = "get-journey"
	signzyCreate   = "create-journey-url"
)

// signzyMissing is where the id of a journey should have been.
const signzyMissing = "/journeyId"

// IdentifySignzy finds the journey in a callback or in an answer of the API, which may be wrapped in
// result, data or both (the documentation shows more than one form). Journey ids are opaque and
// case-sensitive. There is no id of the message.
// Source: https://docs.signzy.com/us-apis/get-journey-results
func IdentifySignzy(doc any) kycbridge.Identity {
	for _, at := range [...][]string{{}, {"result"}, {"data"}, {"result", "data"}, {"data", "result"}} {
		journey, ok := descend(doc, at)
		if !ok {
			continue
		}
		if reference := scalarText(journey["journeyId"]); reference != "" {
			status, _ := journey["currentStatus"].(string)
			return kycbridge.Identity{
				Schema:    "result",
				At:        pointer(at),
				Document:  journey,
				Reference: reference,
				Event:     clip(status, maxName),
				Missing:   pointer(at) + signzyMissing,
			}
		}
	}
	return kycbridge.Identity{Schema: "result", Document: doc, Missing: signzyMissing}
}

// descend follows object members from doc.
func descend(doc any, members []string) (map[string]any, bool) {
	object, ok := doc.(map[string]any)
	for _, name := range members {
		object, ok = object[name].(map[string]any)
	}
	return object, ok
}

// pointer is a JSON pointer of plain names.
func pointer(members []string) string {
	if len(members) == 0 {
		return ""
	}
	return "/" + strings.Join(members, "/")
}

// signzyBody is a journey, bare or wrapped as IdentifySignzy finds it.
type signzyBody struct {
	signzyJourney
	Result *signzyLayer `json:"result"`
	Data   *signzyLayer `json:"data"`
}

type signzyLayer struct {
	signzyJourney
	Result *signzyJourney `json:"result"`
	Data   *signzyJourney `json:"data"`
}

// journey finds the journey in its wrappers, in the order of IdentifySignzy.
func (b *signzyBody) journey() *signzyJourney {
	candidates := []*signzyJourney{&b.signzyJourney, nil, nil, nil, nil}
	if b.Result != nil {
		candidates[1], candidates[3] = &b.Result.signzyJourney, b.Result.Data
	}
	if b.Data != nil {
		candidates[2], candidates[4] = &b.Data.signzyJourney, b.Data.Result
	}
	for _, j := range candidates {
		if j != nil && j.JourneyID != "" {
			return j
		}
	}
	return nil
}

// signzyJourney is a journey as far as it is read. processingConfig is not: it holds the secret of
// the callback in clear. Neither is userInfo but for the caller's reference: its data came from the
// caller and prove nothing.
type signzyJourney struct {
	ID            text `json:"_id"`
	JourneyID     text `json:"journeyId"`
	JourneyURL    text `json:"journeyUrl"` // in the answer to the create call only
	ClientID      text `json:"clientId"`
	UserID        text `json:"userId"`
	CurrentStatus text `json:"currentStatus"`
	Step          text `json:"step"`
	Message       text `json:"message"`
	CreatedAt     text `json:"createdAt"`
	StartedAt     text `json:"startedAt"`
	CompletedAt   text `json:"completedAt"`
	UpdatedAt     text `json:"updatedAt"`
	Flow          struct {
		FlowID  text `json:"flowId"`
		Version text `json:"version"`
	} `json:"flow"`
	UserInfo struct {
		ExternalReferenceID text `json:"externalReferenceId"`
	} `json:"userInfo"`
	Captured    signzyCaptured      `json:"capturedData"`
	Match       signzyMatch         `json:"matchPercentage"`
	Document    signzyDocument      `json:"documentIntelligence"`
	Selfie      signzySelfie        `json:"selfieAnalysis"`
	IPAddresses map[string]signzyIP `json:"ipAddresses"`
	External    []struct {
		API      text `json:"api"`
		Response struct {
			OverallStatus text `json:"overallStatus"`
		} `json:"response"`
	} `json:"externalApiResponses"`
}

type signzyCaptured struct {
	Images struct {
		FrontDoc text `json:"frontDoc"`
		BackDoc  text `json:"backDoc"`
		Selfie   text `json:"selfie"`
	} `json:"images"`
	Location struct {
		Latitude  text `json:"latitude"`
		Longitude text `json:"longitude"`
	} `json:"location"`
	Consent text `json:"consent"`
	Country text `json:"country"`
	IDType  text `json:"idType"`
}

type signzyMatch struct {
	DateOfBirth    text `json:"dateOfBirthMatch"`
	Address        text `json:"addressMatch"`
	FullName       text `json:"fullNameMatch"`
	DocumentNumber text `json:"documentNumberMatch"`
}

type signzyDocument struct {
	CompleteStatus struct {
		OverallStatus text `json:"overallStatus"`
		RFID          text `json:"rfid"`
		Optical       struct {
			DocType  text `json:"docType"`
			Expiry   text `json:"expiry"`
			ImageQA  text `json:"imageQA"`
			MRZ      text `json:"mrz"`
			Security text `json:"security"`
			Text     text `json:"text"`
			VDS      text `json:"vds"`
		} `json:"detailsOptical"`
	} `json:"completeStatus"`
	ImageQuality struct {
		Result text `json:"result"`
	} `json:"imageQuality"`
	FieldErrors signzyFieldErrors          `json:"extractedFieldErrors"`
	Front       signzyIDType               `json:"predictedIdTypeFront"`
	IDExpired   text                       `json:"idExpired"`
	Fields      map[string]json.RawMessage `json:"extractedFields"`
}

type signzyIDType struct {
	DocumentName text `json:"DocumentName"`
	FDSID        struct {
		ICAOCode    text `json:"ICAOCode"`
		CountryName text `json:"dCountryName"`
		Description text `json:"dDescription"`
	} `json:"FDSIDList"`
}

type signzySelfie struct {
	Liveness struct {
		Status   text `json:"status"`
		Liveness text `json:"liveness"`
		Score    text `json:"score"`
	} `json:"passiveLiveliness"` // the vendor's spelling
	FaceMatch struct {
		Status          text `json:"status"`
		Verified        text `json:"verified"`
		MatchPercentage text `json:"matchPercentage"`
	} `json:"faceMatch"`
	Additional struct {
		Cover struct {
			Result struct {
				IsFaceCovered text `json:"isFaceCovered"`
			} `json:"result"`
		} `json:"faceCoverDetection"`
	} `json:"additionalFaceChecks"`
}

type signzyIP struct {
	Proxy      text `json:"proxy"`
	VPN        text `json:"vpn"`
	Tor        text `json:"tor"`
	FraudScore text `json:"fraudScore"`
}

// signzyFieldErrors are the fields that could not be read. some is also true of a value that is no
// list: a policy must not take what it cannot read for the absence of errors.
type signzyFieldErrors struct {
	some   bool
	fields []string
}

// UnmarshalJSON never fails on valid JSON.
func (e *signzyFieldErrors) UnmarshalJSON(raw []byte) error {
	*e = signzyFieldErrors{}
	if string(raw) == "null" {
		return nil
	}
	var list []json.RawMessage
	if err := json.Unmarshal(raw, &list); err != nil {
		e.some = true
		return nil
	}
	e.some = len(list) > 0
	for _, item := range atMost(list) {
		var entry struct {
			FieldName text `json:"fieldName"`
		}
		if json.Unmarshal(item, &entry) == nil {
			if name := fieldName(string(entry.FieldName)); name != "" {
				e.fields = append(e.fields, name)
			}
		}
	}
	return nil
}

var errSignzyShape = errors.New("no journeyId")

// Signzy maps a One Touch KYC journey, which brings evidence and no verdict: COMPLETED says that
// everything was captured. A verdict comes only from the account's own thresholds (see
// SignzyPolicyKeys).
// Source: https://docs.signzy.com/us-apis/get-journey-results ; the statuses were observed.
func Signzy(p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	var body signzyBody
	if err := decode(p.Body, &body); err != nil {
		return kycbridge.Observation{}, fmt.Errorf("signzy: %w", err)
	}
	j := body.journey()
	if j == nil {
		return kycbridge.Observation{}, fmt.Errorf("signzy: %w", errSignzyShape)
	}
	o := j.facts()
	o.EventName = signzyCallback
	if p.Via == kycbridge.ViaFetch || p.Via == kycbridge.ViaPoll {
		o.EventName = signzyGet
	}
	if j.CurrentStatus == "" && j.JourneyURL != "" {
		// The answer to our own create call; the address it brings is the applicant's alone.
		o.EventName = signzyCreate
		o.Effect, o.Status, o.StatusDetail = kycbridge.EffectProgress, kycbridge.StatusCreated, kycbridge.DetailLinkSent
		return o, nil
	}
	e := j.evidence(s)
	o.Checks, o.Risk = e.checks, e.risk
	j.apply(&o, &e, s)
	return o, nil
}

// apply states what currentStatus means. COMPLETED and TERMINATED are the only values ever seen; for
// any other the operator may have said what it means.
func (j *signzyJourney) apply(o *kycbridge.Observation, e *signzyEvidence, s kycbridge.Settings) {
	switch strings.ToUpper(string(j.CurrentStatus)) {
	case "COMPLETED":
		o.Effect, o.Status, o.Reasons = kycbridge.EffectVerdict, kycbridge.StatusCompleted, e.reasons
		if len(s.Policy) == 0 {
			o.StatusDetail = kycbridge.DetailNoProviderVerdict
			return
		}
		j.decide(o, s.Policy)
	case "TERMINATED":
		o.Effect, o.Status = kycbridge.EffectEnd, kycbridge.StatusFailed
		o.Reasons = append([]kycbridge.Reason{j.termination()}, e.reasons...)
	default:
		status, ok := signzyOperatorStatus(string(j.CurrentStatus), s.FlowStatuses)
		if !ok {
			unmapped(o, string(j.CurrentStatus))
			return
		}
		o.Effect, o.Status = kycbridge.EffectProgress, status
		if status.Closed() {
			o.Effect, o.Reasons = kycbridge.EffectEnd, e.reasons
		}
	}
}

// termination is why a journey was ended by the provider. The only step seen there is
// RETRIES_EXCEEDED (observed); another one is not guessed at.
func (j *signzyJourney) termination() kycbridge.Reason {
	step := clip(string(j.Step), maxCode)
	if f := fold(step); f == "" || f == "retriesexceeded" {
		return kycbridge.Reason{Code: "session.attempts_exceeded", ProviderCode: step}
	}
	return kycbridge.Reason{Code: kycbridge.ReasonUnmappedStatus, ProviderCode: step}
}

// signzyOperatorStatus looks a status up in the operator's words: as it stands, else without regard
// to case and separators. A word for a verdict is refused, whatever the configuration says.
func signzyOperatorStatus(raw string, words map[string]string) (kycbridge.Status, bool) {
	word, ok := words[raw]
	if !ok {
		for _, key := range slices.Sorted(maps.Keys(words)) {
			if fold(key) == fold(raw) {
				word, ok = words[key], true
				break
			}
		}
	}
	switch status := kycbridge.Status(word); status {
	case kycbridge.StatusCreated, kycbridge.StatusInProgress, kycbridge.StatusProcessing, kycbridge.StatusInReview,
		kycbridge.StatusRequiresInput, kycbridge.StatusExpired, kycbridge.StatusAbandoned, kycbridge.StatusCanceled,
		kycbridge.StatusFailed:
		return status, ok
	}
	return "", false
}

// facts is what a journey says whatever its status.
func (j *signzyJourney) facts() kycbridge.Observation {
	o := kycbridge.Observation{
		FlowID:         clip(string(j.Flow.FlowID), maxID),
		FlowVersion:    clip(string(j.Flow.Version), maxID),
		References:     map[string]string{},
		ProviderStatus: map[string]any{},
		Decision:       kycbridge.Decision{Outcome: kycbridge.OutcomeNone},
		Session:        j.session(),
		Media:          j.media(),
	}
	reference := j.UserInfo.ExternalReferenceID
	if reference == "" {
		reference = j.UserID
	}
	o.ExternalReference = externalReference(string(reference))
	// The provider writes updatedAt just before the last save, completedAt at it (observed); a later
	// change moves updatedAt.
	o.OccurredAt = later(instant(string(j.UpdatedAt)), instant(string(j.CompletedAt)))
	set(o.References, "journey_id", clip(string(j.JourneyID), maxID))
	set(o.References, "database_id", clip(string(j.ID), maxID))
	set(o.References, "client_id", clip(string(j.ClientID), maxID))
	setScalar(o.ProviderStatus, "currentStatus", string(j.CurrentStatus))
	setScalar(o.ProviderStatus, "step", string(j.Step))
	setScalar(o.ProviderStatus, "message", string(j.Message))
	j.addDocument(&o)
	return o
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// session is the applicant's visit. The consent of the selfie page is left out: it is false even in
// journeys that succeeded (observed). The country is what the user chose.
func (j *signzyJourney) session() *kycbridge.Session {
	session := kycbridge.Session{
		Channel:   "web",
		CreatedAt: kycbridge.Instant(instant(string(j.CreatedAt))),
		StartedAt: kycbridge.Instant(instant(string(j.StartedAt))),
		EndedAt:   kycbridge.Instant(instant(string(j.CompletedAt))),
		Country:   alpha2(string(j.Captured.Country)),
	}
	if session.Country != "" {
		session.CountrySource = "declared"
	}
	switch given, _ := triState(j.Captured.Consent); given {
	case kycbridge.ResultPassed:
		session.Consent = &kycbridge.Consent{Given: true}
	case kycbridge.ResultFailed:
		session.Consent = &kycbridge.Consent{}
	}
	return &session
}

// media lists the captured images. Whoever has such an address can read the file, so the place in
// the body goes along to stand in for it.
// Source: https://docs.signzy.com/contract360/persist-file-system
func (j *signzyJourney) media() []kycbridge.Media {
	images := j.Captured.Images
	var media []kycbridge.Media
	for _, image := range [...]struct {
		kind, field string
		address     text
	}{
		{"document_front", "frontDoc", images.FrontDoc},
		{"document_back", "backDoc", images.BackDoc},
		{"selfie", "selfie", images.Selfie},
	} {
		address := string(image.address)
		if !webAddress(address) {
			continue // not captured, or the picture itself, which no event carries
		}
		name, _, _ := strings.Cut(address, "?")
		media = append(media, kycbridge.Media{
			Kind:        image.kind,
			MediaType:   mediaType(path.Ext(name)),
			ProviderRef: address,
			Field:       "capturedData.images." + image.field,
		})
	}
	return media
}

// webAddress reports whether s is an address of sensible length rather than data.
func webAddress(s string) bool {
	const longest = 2048
	return len(s) <= longest && (strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://"))
}

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

// signzyEvidence collects checks with the reasons that failed ones give.
type signzyEvidence struct {
	checks  []kycbridge.Check
	reasons []kycbridge.Reason
	risk    *kycbridge.Risk
}

// add takes a check; code says what its failure (or warning) means, "" for nothing.
func (e *signzyEvidence) add(c kycbridge.Check, code string) {
	c.Method = checkMethod(c.Type)
	c.ProviderResult = clip(c.ProviderResult, maxCode)
	bad := c.Result == kycbridge.ResultFailed || c.Result == kycbridge.ResultWarning
	if bad && code != "" {
		c.Reasons = []string{code}
		e.because(kycbridge.Reason{Code: code, CheckID: c.CheckID, ProviderCode: c.ProviderCheck})
	}
	e.checks = append(e.checks, c)
}

// because adds a reason unless its code is known already.
func (e *signzyEvidence) because(reason kycbridge.Reason) {
	if !slices.ContainsFunc(e.reasons, func(r kycbridge.Reason) bool { return r.Code == reason.Code }) {
		e.reasons = append(e.reasons, reason)
	}
}

// evidence lists every check of the journey (EVENT section 5). A value that was not sent is no check.
func (j *signzyJourney) evidence(s kycbridge.Settings) signzyEvidence {
	var e signzyEvidence
	j.documentEvidence(&e)
	j.fieldEvidence(&e, s.Policy)
	j.livenessEvidence(&e)
	j.faceEvidence(&e)
	j.ipEvidence(&e)
	if at := j.Captured.Location; at.Latitude != "" && at.Longitude != "" {
		// The browser gave its position; nobody judged it, and it is not carried.
		e.add(kycbridge.Check{
			CheckID: "geolocation", Type: kycbridge.CheckGeolocation, Result: kycbridge.ResultUndetermined,
			ProviderCheck: "capturedData.location",
		}, "")
	}
	j.externalEvidence(&e)
	return e
}

// documentEvidence reads the three-valued document checks. idExpired is none of them: it is "False"
// even where nothing was read (observed), so only its "True" counts, as a reason.
// Source: https://docs.signzy.com/us-apis/complete-status
func (j *signzyJourney) documentEvidence(e *signzyEvidence) {
	status := &j.Document.CompleteStatus
	optical := &status.Optical
	for _, c := range [...]struct {
		id, source, kind, code string
		value                  text
	}{
		{"security", "detailsOptical.security", kycbridge.CheckDocumentAuthenticity, "document.not_authentic", optical.Security},
		{"doc_type", "detailsOptical.docType", kycbridge.CheckDocumentRecognition, "document.not_recognized", optical.DocType},
		{"expiry", "detailsOptical.expiry", kycbridge.CheckDocumentExpiry, "document.expired", optical.Expiry},
		{"mrz", "detailsOptical.mrz", kycbridge.CheckMRZ, "document.mrz_invalid", optical.MRZ},
		{"vds", "detailsOptical.vds", kycbridge.CheckBarcode, "document.barcode_invalid", optical.VDS},
		{"text", "detailsOptical.text", kycbridge.CheckDataConsistency, "data.inconsistent", optical.Text},
		{"rfid", "completeStatus.rfid", kycbridge.CheckChip, "document.chip_invalid", status.RFID},
		{"image_qa", "detailsOptical.imageQA", kycbridge.CheckImageQuality, "image.poor_quality", optical.ImageQA},
		{"image_quality", "imageQuality.result", kycbridge.CheckImageQuality, "image.poor_quality", j.Document.ImageQuality.Result},
		// Last: it fails whenever another one does, and only then says something of its own.
		{"complete_status", "completeStatus.overallStatus", kycbridge.CheckDocumentAuthenticity, j.overallCode(), status.OverallStatus},
	} {
		if result, ok := triState(c.value); ok {
			e.add(kycbridge.Check{
				CheckID: c.id, Type: c.kind, Result: result,
				ProviderCheck: c.source, ProviderResult: string(c.value),
			}, c.code)
		}
	}
	if expired, _ := triState(j.Document.IDExpired); expired == kycbridge.ResultPassed {
		e.because(kycbridge.Reason{Code: "document.expired", ProviderCode: "idExpired"})
	}
}

// overallCode is what a failed overallStatus means: a document that was merely not recognised or is
// out of date must not be called a forgery.
func (j *signzyJourney) overallCode() string {
	optical := &j.Document.CompleteStatus.Optical
	for _, value := range [...]text{optical.DocType, optical.Expiry, optical.ImageQA, optical.MRZ, optical.Text, optical.VDS} {
		if result, _ := triState(value); result == kycbridge.ResultFailed {
			return ""
		}
	}
	return "document.not_authentic"
}

// all lists the comparisons with what the caller knows, by field, with the threshold of a
// policy that speaks of each.
func (m *signzyMatch) all() []signzyComparison {
	return []signzyComparison{
		{"name", "min_name_match", m.FullName},
		{"birthdate", "min_date_of_birth_match", m.DateOfBirth},
		{"document_number", "min_document_number_match", m.DocumentNumber},
		{"address", "min_address_match", m.Address},
	}
}

type signzyComparison struct {
	field, threshold string
	value            text
}

// result judges a comparison: against the account's threshold if there is one, else only the two
// ends of the scale speak for themselves. "0%" is a real zero, "NA" means nothing to compare with.
func (c signzyComparison) result(policy map[string]float64) kycbridge.CheckField {
	f := kycbridge.CheckField{Field: c.field, Result: kycbridge.ResultUndetermined}
	score, ok := percent(string(c.value))
	if !ok {
		if result, _ := triState(c.value); result == kycbridge.ResultNotPerformed {
			f.Result = result
		}
		return f
	}
	f.Score = &score
	least, set := policy[c.threshold]
	switch {
	case set && score >= least, !set && score == 1:
		f.Result = kycbridge.ResultPassed
	case set, score == 0:
		f.Result = kycbridge.ResultFailed
	}
	return f
}

// fieldEvidence is about single fields: what matched, and what could not be read.
func (j *signzyJourney) fieldEvidence(e *signzyEvidence, policy map[string]float64) {
	var fields []kycbridge.CheckField
	for _, c := range j.Match.all() {
		if c.value != "" {
			fields = append(fields, c.result(policy))
		}
	}
	if len(fields) > 0 {
		e.add(kycbridge.Check{
			CheckID: "match_percentage", Type: kycbridge.CheckDataMatch, Result: worst(fields), Fields: fields,
			ProviderCheck: "matchPercentage",
		}, "data.mismatch")
	}
	if j.Document.FieldErrors.some {
		var unread []kycbridge.CheckField
		for _, name := range j.Document.FieldErrors.fields {
			unread = append(unread, kycbridge.CheckField{Field: name, Result: kycbridge.ResultFailed})
		}
		e.add(kycbridge.Check{
			CheckID: "extracted_fields", Type: kycbridge.CheckDataExtraction, Result: kycbridge.ResultFailed, Fields: unread,
			ProviderCheck: "extractedFieldErrors",
		}, "document.data_incomplete")
	}
}

// signzyRan judges a check of the selfie by its value and its status, which is the text "200" for a
// check that ran and "Not Started" for one that did not (observed); under any other status neither
// answer is relied on.
func signzyRan(status, value text) (result kycbridge.Result, sent bool) {
	if ran, ok := triState(status); ok && ran == kycbridge.ResultNotPerformed {
		return ran, true
	}
	result, sent = triState(value)
	if status != "" && status != "200" {
		return kycbridge.ResultUndetermined, true
	}
	if !sent && status != "" {
		return kycbridge.ResultUndetermined, true
	}
	return result, sent
}

func (j *signzyJourney) liveness() (kycbridge.Result, bool) {
	return signzyRan(j.Selfie.Liveness.Status, j.Selfie.Liveness.Liveness)
}

func (j *signzyJourney) faceMatch() (kycbridge.Result, bool) {
	return signzyRan(j.Selfie.FaceMatch.Status, j.Selfie.FaceMatch.Verified)
}

// signzyWord is what the provider said of a selfie check: its answer, else its status.
func signzyWord(value, status text) string {
	if value != "" {
		return string(value)
	}
	return string(status)
}

func (j *signzyJourney) livenessEvidence(e *signzyEvidence) {
	liveness := &j.Selfie.Liveness
	result, ok := j.liveness()
	if !ok {
		return
	}
	c := kycbridge.Check{
		CheckID: "liveness", Type: kycbridge.CheckLiveness, Result: result,
		ProviderCheck: "passiveLiveliness", ProviderResult: signzyWord(liveness.Liveness, liveness.Status),
	}
	if score, ok := ratio(liveness.Score); ok && result != kycbridge.ResultNotPerformed {
		c.Score, c.ScoreRaw = &score, &kycbridge.ScoreRaw{Value: score, Min: 0, Max: 1}
	}
	e.add(c, "face.not_live")
}

// ratio reads a number from 0 to 1.
func ratio(t text) (float64, bool) {
	f, ok := decimal(string(t))
	return f, ok && f <= 1
}

// faceEvidence decides on verified, never on the accompanying sentence.
// Source: https://docs.signzy.com/us-apis/face-match
func (j *signzyJourney) faceEvidence(e *signzyEvidence) {
	match := &j.Selfie.FaceMatch
	if result, ok := j.faceMatch(); ok {
		c := kycbridge.Check{
			CheckID: "face_match", Type: kycbridge.CheckFaceMatch, Result: result,
			ProviderCheck: "faceMatch", ProviderResult: signzyWord(match.Verified, match.Status),
		}
		if score, ok := percent(string(match.MatchPercentage)); ok && result != kycbridge.ResultNotPerformed {
			c.Score = &score
			c.ScoreRaw = &kycbridge.ScoreRaw{Value: percentRaw(match.MatchPercentage), Min: 0, Max: 100}
		}
		e.add(c, "face.mismatch")
	}
	if covered, _ := triState(j.Selfie.Additional.Cover.Result.IsFaceCovered); covered == kycbridge.ResultPassed {
		e.because(kycbridge.Reason{Code: "face.occluded", ProviderCode: "isFaceCovered"})
	}
}

// percentRaw is the number before the sign of a text that percent has read.
func percentRaw(t text) float64 {
	f, _ := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(string(t)), "%")), 64)
	return f
}

// fraudScore is the worst fraud score of the addresses, 0 to 1 and 1 is worst.
func (j *signzyJourney) fraudScore() (float64, bool) {
	worstScore, found := 0.0, false
	for _, ip := range j.IPAddresses {
		if f, ok := decimal(string(ip.FraudScore)); ok && f <= 100 {
			worstScore, found = max(worstScore, f/100), true
		}
	}
	return worstScore, found
}

// ipEvidence is one check over all addresses, none of which is named. Where the account has not
// bought the check there is only a message to say so (observed).
func (j *signzyJourney) ipEvidence(e *signzyEvidence) {
	if len(j.IPAddresses) == 0 {
		return
	}
	c := kycbridge.Check{CheckID: "ip_risk", Type: kycbridge.CheckIPRisk, Result: kycbridge.ResultNotPerformed, ProviderCheck: "ipAddresses"}
	hides, answers, clean := map[string]any{}, 0, 0
	for _, ip := range j.IPAddresses {
		for _, flag := range [...]struct {
			name  string
			value text
		}{{"proxy", ip.Proxy}, {"vpn", ip.VPN}, {"tor", ip.Tor}} {
			result, ok := triState(flag.value)
			if !ok || result == kycbridge.ResultNotPerformed {
				continue
			}
			answers++
			switch result {
			case kycbridge.ResultPassed:
				hides[flag.name] = true
			case kycbridge.ResultFailed:
				clean++
			}
		}
	}
	switch {
	case len(hides) > 0:
		c.Result, c.Details = kycbridge.ResultWarning, hides
	case answers > 0 && clean == 3*len(j.IPAddresses):
		c.Result = kycbridge.ResultPassed
	case answers > 0:
		c.Result = kycbridge.ResultUndetermined
	}
	if score, ok := j.fraudScore(); ok {
		e.risk = &kycbridge.Risk{Score: &score}
	}
	e.add(c, "risk.vpn_or_proxy")
}

// externalEvidence lists the look-ups of the flow by their names; their content stays where it is.
// What True means for a list of wanted or exposed persons is not documented, so such a look-up
// remains undetermined.
func (j *signzyJourney) externalEvidence(e *signzyEvidence) {
	for i, call := range atMost(j.External) {
		c := kycbridge.Check{
			CheckID: "external." + strconv.Itoa(i), Type: kycbridge.CheckDatabase, Result: kycbridge.ResultUndetermined,
			ProviderCheck: clip(string(call.API), maxCode), ProviderResult: string(call.Response.OverallStatus),
		}
		if signzyScreening(string(call.API)) {
			c.Type = kycbridge.CheckAML
		} else if result, ok := triState(call.Response.OverallStatus); ok {
			c.Result = result
		}
		e.add(c, "")
	}
}

// signzyScreening reports whether a look-up is of the anti-money-laundering kind, by its name.
func signzyScreening(api string) bool {
	name := letters(api)
	for _, word := range [...]string{"aml", "sanction", "pepcheck", "pepscreening", "watchlist", "adversemedia"} {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

// signzyMeasures are the keys of an account's policy with what each is compared with.
//
//   - min_face_match: faceMatch.matchPercentage
//   - min_liveness: passiveLiveliness.score
//   - min_name_match, min_date_of_birth_match, min_document_number_match, min_address_match: the
//     members of matchPercentage
//   - max_fraud_score: the highest fraudScore of ipAddresses
//
// All are from 0 to 1. A min is met by an equal or higher measure, a max by an equal or lower one.
// Any key turns the policy on, and then the evidence of decide is always required too.
var signzyMeasures = map[string]func(*signzyJourney) (float64, bool){
	"min_face_match":            func(j *signzyJourney) (float64, bool) { return percent(string(j.Selfie.FaceMatch.MatchPercentage)) },
	"min_liveness":              func(j *signzyJourney) (float64, bool) { return ratio(j.Selfie.Liveness.Score) },
	"min_name_match":            func(j *signzyJourney) (float64, bool) { return percent(string(j.Match.FullName)) },
	"min_date_of_birth_match":   func(j *signzyJourney) (float64, bool) { return percent(string(j.Match.DateOfBirth)) },
	"min_document_number_match": func(j *signzyJourney) (float64, bool) { return percent(string(j.Match.DocumentNumber)) },
	"min_address_match":         func(j *signzyJourney) (float64, bool) { return percent(string(j.Match.Address)) },
	"max_fraud_score":           (*signzyJourney).fraudScore,
}

// SignzyPolicyKeys lists the thresholds that an account may set, in alphabetical order; each is a
// number from 0 to 1. min_* bound face match, liveness and the comparisons with the caller's data
// from below, max_fraud_score bounds the risk of the network address from above. Setting any of them
// lets COMPLETED journeys be approved, rejected or sent to review at stage "policy".
func SignzyPolicyKeys() []string { return slices.Sorted(maps.Keys(signzyMeasures)) }

// decide turns the evidence into the account's own verdict: rejected on evidence that speaks
// clearly against the person, approved if everything asked for is there and good enough, and review
// in every other case.
func (j *signzyJourney) decide(o *kycbridge.Observation, policy map[string]float64) {
	d := kycbridge.Decision{
		Outcome:   kycbridge.OutcomeReview,
		Stage:     kycbridge.StagePolicy,
		ActorType: kycbridge.ActorSystem,
		DecidedAt: kycbridge.Instant(instant(string(j.CompletedAt))),
	}
	switch {
	case j.refuted():
		d.Outcome, d.Final = kycbridge.OutcomeRejected, true
	case j.proven() && j.meets(policy):
		d.Outcome, d.Final = kycbridge.OutcomeApproved, true
	default:
		o.Status = kycbridge.StatusInReview
		o.Reasons = append([]kycbridge.Reason{{Code: "review.manual_review_required"}}, o.Reasons...)
	}
	o.Decision = d
	o.Decisions = []kycbridge.DecisionStep{{
		Stage: d.Stage, Outcome: d.Outcome, ActorType: d.ActorType,
		ProviderValue: clip(string(j.CurrentStatus), maxCode), DecidedAt: d.DecidedAt,
	}}
}

// refuted reports whether some evidence is clearly negative.
func (j *signzyJourney) refuted() bool {
	overall, _ := triState(j.Document.CompleteStatus.OverallStatus)
	expired, _ := triState(j.Document.IDExpired)
	live, _ := j.liveness()
	face, _ := j.faceMatch()
	return overall == kycbridge.ResultFailed || expired == kycbridge.ResultPassed ||
		live == kycbridge.ResultFailed || face == kycbridge.ResultFailed
}

// proven reports whether the evidence that every approval needs is there and positive. A journey at
// an unknown step, or one whose document checks contradict their own summary, is not taken for it.
func (j *signzyJourney) proven() bool {
	overall, _ := triState(j.Document.CompleteStatus.OverallStatus)
	expired, _ := triState(j.Document.IDExpired)
	live, _ := j.liveness()
	face, _ := j.faceMatch()
	optical := &j.Document.CompleteStatus.Optical
	for _, value := range [...]text{optical.DocType, optical.Expiry, optical.Security} {
		if result, _ := triState(value); result == kycbridge.ResultFailed {
			return false
		}
	}
	step := fold(string(j.Step))
	return overall == kycbridge.ResultPassed && expired == kycbridge.ResultFailed &&
		live == kycbridge.ResultPassed && face == kycbridge.ResultPassed &&
		!j.Document.FieldErrors.some && (step == "" || step == "complete")
}

// meets reports whether every threshold is met. A key that is not known, a threshold outside 0 to 1
// and a value that was not measured are never met.
func (j *signzyJourney) meets(policy map[string]float64) bool {
	for key, bound := range policy {
		measure, known := signzyMeasures[key]
		if !known || !(bound >= 0 && bound <= 1) { // false for NaN too
			return false
		}
		value, measured := measure(j)
		if !measured {
			return false
		}
		if strings.HasPrefix(key, "max_") && value > bound || strings.HasPrefix(key, "min_") && value < bound {
			return false
		}
	}
	return true
}
