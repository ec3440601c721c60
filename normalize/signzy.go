package normalize

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
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
	confirm(&o, p, s)
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
