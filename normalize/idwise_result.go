package normalize

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kycbridge"
)

// idwiseJourney is the answer of Get Journey Result, model version 3.0: the only body that decides
// (https://docs.idwise.com/docs/journey-result; inner objects: https://developers.idwise.com).
type idwiseJourney struct {
	JourneyID       text `json:"journey_id"`
	FlowID          text `json:"flow_id"`
	ReferenceNumber text `json:"reference_number"`
	ReferenceNo     text `json:"reference_no"`
	StartTime       text `json:"start_time"` // no zone: UTC
	EndTime         text `json:"end_time"`
	SystemDecision  text `json:"system_decision"`
	ManualDecision  text `json:"manual_decision"`
	FinalDecision   text `json:"final_decision"`

	Documents map[string]idwiseDocument `json:"documents"` // by step id
	Selfie    *struct {
		Status    text `json:"status"`
		IsLive    text `json:"is_live"`
		Code      text `json:"liveness_status_code"`
		ImagePath text `json:"image_path"`
	} `json:"selfie"`
	Rules     map[string]idwiseRule `json:"rule_results"`
	Applicant struct {
		ApplicantID      text `json:"applicant_id"`
		ProfileImagePath text `json:"profile_image_path"`
		FullName         text `json:"full_name"`
		PersonalNumber   text `json:"personal_number"`
		BirthDate        text `json:"birth_date"`
	} `json:"applicant"`
	AML       *idwiseAML                 `json:"aml"`
	Screening map[string]idwiseScreening `json:"screening_checks"`
	Device    map[string]any             `json:"device_intelligence"`
}

type idwiseDocument struct {
	HasPassedRules     text                   `json:"has_passed_rules"`
	DocumentType       text                   `json:"document_type"`
	IssuingCountryCode text                   `json:"issuing_country_code"`
	Extracted          map[string]idwiseField `json:"extracted_fields"` // by label
	Validation         *idwiseValidation      `json:"validation_result"`
	FaceMatch          *idwiseFaceMatch       `json:"face_match_result"`
	Images             map[string]text        `json:"images"` // opaque paths by member
}

type idwiseField struct {
	Value    text `json:"value"`
	Accuracy text `json:"read_accuracy"` // High, Low, null
	Type     text `json:"type"`          // string, image
}

type idwiseValidation struct {
	Outcome text `json:"validation_outcome"`
	Checks  []struct {
		Name   text `json:"name"`
		Result text `json:"result"`
	} `json:"validation_checks"`
}

type idwiseRule struct {
	Result  text `json:"result"`
	Details []struct {
		Reference struct {
			Object   text `json:"object_key"`
			Instance text `json:"instance_key"`
		} `json:"reference_object"`
	} `json:"details"`
}

type idwiseAML struct {
	Applicability text `json:"applicability"`
	Matches       []struct {
		Score    text   `json:"score"`
		Datasets []text `json:"datasets"`
	} `json:"matches"`
}

type idwiseScreening struct {
	ImagePath text              `json:"image_path"`
	Matches   []idwiseFaceMatch `json:"face_match_results"`
}

// idwiseFaceMatch is an object in the vendor's sample and a string in the vendor's text.
type idwiseFaceMatch struct {
	IsMatched text `json:"is_matched"`
	Score     text `json:"score"` // 0..100
	Images    []struct {
		Path   text `json:"image_path"`
		Source text `json:"image_source"`
	} `json:"images"`

	word string // what stood there if it was a string
}

// UnmarshalJSON takes either form and leaves out members that are of another kind.
func (m *idwiseFaceMatch) UnmarshalJSON(raw []byte) error {
	*m = idwiseFaceMatch{}
	if raw[0] != '{' {
		var word text
		err := word.UnmarshalJSON(raw)
		m.word = string(word)
		return err
	}
	type plain idwiseFaceMatch
	return decode(raw, (*plain)(m))
}

func (j *idwiseJourney) observe() kycbridge.Observation {
	o := kycbridge.Observation{
		EventName:         idwiseGetResult,
		FlowID:            string(j.FlowID),
		ExternalReference: externalReference(string(cmp.Or(j.ReferenceNumber, j.ReferenceNo))),
		References:        map[string]string{},
		ProviderStatus: withoutReview(statusOf(map[string]text{
			"system_decision": j.SystemDecision,
			"manual_decision": j.ManualDecision,
			"final_decision":  j.FinalDecision,
		})),
	}
	set(o.References, "journey_id", string(j.JourneyID))
	set(o.References, "applicant_id", string(j.Applicant.ApplicantID))
	if j.SystemDecision == "" && j.ManualDecision == "" {
		o.Effect, o.Status = kycbridge.EffectProgress, kycbridge.StatusInProgress
	} else {
		idwiseDecide(&o, j.SystemDecision, j.ManualDecision)
	}
	if o.Effect == kycbridge.EffectReopen {
		o.RequiredActions = j.actions()
	}
	session := kycbridge.Session{
		StartedAt: kycbridge.Instant(instant(string(j.StartTime))),
		EndedAt:   kycbridge.Instant(instant(string(j.EndTime))),
	}
	if session != (kycbridge.Session{}) {
		o.Session = &session
	}
	j.ruleChecks(&o)
	j.amlCheck(&o)
	j.documentChecks(&o)
	j.liveness(&o)
	j.otherChecks(&o)
	o.Checks = distinct(o.Checks)
	j.documents(&o)
	o.Documents = atMost(o.Documents)
	o.ExtractedClaims = j.claims(o.Documents)
	o.Media = j.media()
	return o
}

// actions lists what a reviewer has to have asked for again: a result does not repeat the request, but
// the review call demands a word on every failed step (https://docs.idwise.com/reference/manual-review-journey).
func (j *idwiseJourney) actions() []kycbridge.RequiredAction {
	var actions []kycbridge.RequiredAction
	ask := func(action, step string) {
		actions = append(actions, kycbridge.RequiredAction{Action: action, ProviderStep: step, Reasons: []string{reasonResubmit}})
	}
	for _, id := range sorted(j.Documents) {
		if fold(string(j.Documents[id].HasPassedRules)) == "false" {
			ask("resubmit_document", clip(id, maxCode))
		}
	}
	if j.Selfie != nil && idwiseSelfie[fold(string(j.Selfie.Status))] == kycbridge.ResultFailed {
		ask("resubmit_selfie", "")
	}
	if actions == nil {
		ask(actionResubmit, "")
	}
	return actions
}

// sorted gives the keys of m in order, so that the same body always gives the same lists.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// field finds the value of the first of labels, folded. Variants of another calendar or script
// have labels of their own (Birth Date Hijri, First Name Native) and so are never taken.
func (d *idwiseDocument) field(labels ...string) string {
	for _, want := range labels {
		for _, label := range sorted(d.Extracted) {
			field := d.Extracted[label]
			if fold(label) == want && field.Value != "" && fold(string(field.Type)) != "image" {
				return string(field.Value)
			}
		}
	}
	return ""
}

func (j *idwiseJourney) documents(o *kycbridge.Observation) {
	for _, id := range sorted(j.Documents) {
		d := j.Documents[id]
		if d.DocumentType == "" {
			continue // a step of the flow that has not been taken yet
		}
		country := alpha3(string(d.IssuingCountryCode))
		doc := newDocument(string(d.DocumentType), country, d.field("documentnumber", "passportnumber", "idnumber"))
		doc.DocumentID = id
		doc.DateOfIssuance = wholeDate(d.field("issuedate", "dateofissue", "issuancedate"))
		doc.DateOfExpiry = wholeDate(d.field("expirydate", "dateofexpiry", "expirationdate"))
		if country != "" {
			doc.Issuer = &kycbridge.Issuer{CountryCode: country}
		}
		o.Documents = append(o.Documents, doc)
	}
}

// claims are those of the documents, the first step's before the next one's, and over them the
// applicant's, which stand for the journey as a whole.
func (j *idwiseJourney) claims(documents []kycbridge.Document) kycbridge.Claims {
	claims := kycbridge.Claims{}
	for _, id := range slices.Backward(sorted(j.Documents)) {
		d := j.Documents[id]
		setNames(claims, d.field("fullname", "name"), d.field("firstname", "givenname", "givennames"),
			d.field("middlename"), d.field("lastname", "surname", "familyname"))
		setClaim(claims, "birthdate", date(d.field("birthdate", "dateofbirth")))
		setClaim(claims, "gender", gender(d.field("sex", "gender")))
		setClaim(claims, "personal_number", d.field("personalnumber"))
		setNationality(claims, d.field("nationality", "nationalitycode"))
		if formatted := clip(d.field("address", "fulladdress"), maxClaim); formatted != "" {
			setAddress(claims, map[string]string{"formatted": formatted})
		}
	}
	setClaim(claims, "name", string(j.Applicant.FullName))
	setClaim(claims, "birthdate", date(string(j.Applicant.BirthDate)))
	setClaim(claims, "personal_number", string(j.Applicant.PersonalNumber))
	// The personal number on an Aadhaar card is the Aadhaar number.
	number, _ := claims["personal_number"].(string)
	if slices.ContainsFunc(documents, func(d kycbridge.Document) bool { return d.Type == aadhaarCard }) {
		setClaim(claims, "personal_number", lastFour(number))
	}
	return orNil(claims)
}

// idwiseImages are the members of a document's images, in both of the vendor's spellings.
var idwiseImages = []struct{ member, kind string }{
	{"input_image_path", "document_front"},
	{"front_image_path", "document_front"},
	{"back_side_image_path", "document_back"},
	{"back_image_path", "document_back"},
	{"front_side_cropped_image_path", "document_front_cropped"},
	{"front_cropped_image_path", "document_front_cropped"},
	{"back_side_cropped_image_path", "document_back_cropped"},
	{"back_cropped_image_path", "document_back_cropped"},
}

// idwiseSources are the words for where a compared image comes from, folded.
var idwiseSources = map[string]string{
	"selfie":          "selfie",
	"document":        "document_portrait",
	"additionalface":  "additional_face",
	"additionalfaces": "additional_face",
}

// media lists each image once, under the first of its places in the body.
func (j *idwiseJourney) media() []kycbridge.Media {
	var media gallery
	if j.Selfie != nil {
		media.add("selfie", string(j.Selfie.ImagePath), "selfie.image_path")
	}
	for _, id := range sorted(j.Documents) {
		d := j.Documents[id]
		at := "documents." + clip(id, maxCode)
		for _, image := range idwiseImages {
			media.add(image.kind, string(d.Images[image.member]), at+".images."+image.member)
		}
		if d.FaceMatch != nil {
			media.compared(d.FaceMatch, at+".face_match_result")
		}
	}
	for _, id := range sorted(j.Screening) {
		at := "screening_checks." + clip(id, maxCode)
		media.add("additional_face", string(j.Screening[id].ImagePath), at+".image_path")
		for i := range j.Screening[id].Matches {
			media.compared(&j.Screening[id].Matches[i], at+".face_match_results."+strconv.Itoa(i))
		}
	}
	media.add("portrait", string(j.Applicant.ProfileImagePath), "applicant.profile_image_path")
	return media
}

// gallery collects media without naming one reference twice.
type gallery []kycbridge.Media

// add keeps the place in the body only for an address: an opaque path opens nothing.
func (g *gallery) add(kind, ref, field string) {
	if ref = mediaRef(ref, field); ref == "" || len(*g) >= most || slices.ContainsFunc(*g, func(m kycbridge.Media) bool { return m.ProviderRef == ref }) {
		return
	}
	m := kycbridge.Media{Kind: kind, ProviderRef: ref}
	if strings.Contains(ref, "://") {
		m.Field = field
	}
	*g = append(*g, m)
}

func (g *gallery) compared(m *idwiseFaceMatch, at string) {
	for i, image := range m.Images {
		kind := cmp.Or(idwiseSources[fold(string(image.Source))], "face")
		g.add(kind, string(image.Path), at+".images."+strconv.Itoa(i))
	}
}
