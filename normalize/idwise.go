package normalize

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kycbridge"
)

// The schemas of IDWise bodies, and the names that fetched ones go by in an event.
const (
	idwiseWebhook = "webhook"
	idwiseSummary = "summary"
	idwiseResult  = "result"

	idwiseGetSummary = "get-journey-summary"
	idwiseGetResult  = "get-journey-result"
)

// IdentifyIDWise finds what an IDWise body says about itself. A webhook is known by its event, a
// journey summary by its steps and a journey result by its decision, as the vendor publishes no
// other mark (https://docs.idwise.com/docs/webhook-specifications,
// https://docs.idwise.com/reference/get-journey-summary, https://docs.idwise.com/docs/journey-result).
func IdentifyIDWise(doc any) kycbridge.Identity {
	root, _ := doc.(map[string]any)
	id := kycbridge.Identity{Schema: idwiseSchema(root), Document: doc}
	switch id.Schema {
	case idwiseSummary:
		id.Event, id.Reference, id.Missing = idwiseGetSummary, scalarText(root["journey_id"]), "/journey_id"
	case idwiseResult:
		id.Event, id.Reference, id.Missing = idwiseGetResult, scalarText(root["journey_id"]), "/journey_id"
	default:
		// What is none of the three is taken for a webhook, whose schema then says what it lacks.
		id.Schema = idwiseWebhook
		event, _ := root["event"].(string)
		body, _ := root["body"].(map[string]any)
		member := "journeyId"
		if own := idwiseOwnReference[idwiseEvent(event)]; own != "" {
			member = own
		}
		id.Event, id.EventID = clip(event, maxName), scalarText(body["eventId"])
		id.Reference, id.Missing = scalarText(body[member]), "/body/"+member
	}
	if id.Reference != "" {
		id.Missing = ""
	}
	return id
}

// idwiseOwnReference names the member that identifies a check which is a verification of its own
// (https://docs.idwise.com/docs/finished-spot-check-webhook,
// https://docs.idwise.com/docs/ongoing-verification-webhook-specification). The journeyId beside an
// ongoingCheckId is that of the first verification and must not be used.
var idwiseOwnReference = map[string]string{
	"Finished Spot Check":    "spotCheckJourneyId",
	"Finished Ongoing Check": "ongoingCheckId",
}

// idwiseSchema tells the kinds of body apart; "" is none of them.
func idwiseSchema(root map[string]any) string {
	has := func(key string) bool { _, ok := root[key]; return ok }
	if _, ok := root["event"].(string); ok {
		return idwiseWebhook
	}
	switch {
	case has("step_summaries"):
		return idwiseSummary
	case has("system_decision"), has("journey_id") && (has("model_version") || has("documents")):
		return idwiseResult
	}
	return ""
}

// IDWise maps webhooks, journey summaries and journey results. With s.Confirm a webhook about a
// decision is only a trigger, because Finished Journey repeats the system's decision after a person
// has overruled it; without it the webhook's own decisions count and are marked as unconfirmed.
func IDWise(p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	var root map[string]any
	if err := decode(p.Body, &root); err != nil {
		return kycbridge.Observation{}, err
	}
	switch idwiseSchema(root) {
	case idwiseWebhook:
		var w idwiseHook
		if err := decode(p.Body, &w); err != nil {
			return kycbridge.Observation{}, err
		}
		return w.observe(s), nil
	case idwiseSummary:
		var j idwiseJourneySummary
		if err := decode(p.Body, &j); err != nil {
			return kycbridge.Observation{}, err
		}
		return j.observe(), nil
	case idwiseResult:
		var j idwiseJourney
		if err := decode(p.Body, &j); err != nil {
			return kycbridge.Observation{}, err
		}
		return j.observe(), nil
	}
	return kycbridge.Observation{}, errors.New("read body: neither webhook, journey summary nor journey result")
}

// idwiseHook is a webhook. No payload carries a time or a sequence number.
type idwiseHook struct {
	Event string         `json:"event"`
	Body  idwiseHookBody `json:"body"`
}

type idwiseHookBody struct {
	EventID                text         `json:"eventId"`
	JourneyID              text         `json:"journeyId"`
	SpotCheckJourneyID     text         `json:"spotCheckJourneyId"`
	OngoingCheckID         text         `json:"ongoingCheckId"`
	ReferenceNo            text         `json:"referenceNo"`
	SystemDecision         text         `json:"systemDecision"`
	ManualDecision         text         `json:"manualDecision"`
	FinalDecision          text         `json:"finalDecision"`
	PreviousSystemDecision text         `json:"previousSystemDecision"`
	ManualReviewDecision   text         `json:"manualReviewDecision"`
	Action                 text         `json:"action"`
	Trigger                text         `json:"trigger"`
	RequiredSteps          []idwiseStep `json:"requiredSteps"`
}

type idwiseStep struct {
	StepID          text `json:"stepId"`
	ReasonCode      text `json:"reasonCode"` // free text of the tenant: nothing but a provider_code
	RenewalDeadline text `json:"renewalDeadline"`
}

// idwiseEvents says what each webhook does; its keys are the vendor's exact names
// (https://docs.idwise.com/docs/webhooks-overview; Step Submitted: https://developers.idwise.com/step-webhooks.html).
// A name that is not in it does nothing.
var idwiseEvents = map[string]func(*idwiseHook, kycbridge.Settings, *kycbridge.Observation){
	"Finished Step":                 (*idwiseHook).stepDone,
	"Step Submitted":                (*idwiseHook).stepDone,
	"Finished User Steps":           (*idwiseHook).stepsDone,
	"Finished Journey":              (*idwiseHook).decided,
	"Manually Reviewed":             (*idwiseHook).decided,
	"Updated Journey":               (*idwiseHook).decided,
	"AML Monitor Update":            (*idwiseHook).decided,
	"Finished Spot Check":           (*idwiseHook).decided,
	"Finished Ongoing Check":        (*idwiseHook).decided,
	"Verification Update Required":  (*idwiseHook).updateRequired,
	"KYC Renewal Deadline Exceeded": (*idwiseHook).renewalOverdue,
}

// idwiseNames leads from a folded event name to the exact one: the vendor's own pages do not spell
// all of them alike.
var idwiseNames = map[string]string{
	"finishedstep":               "Finished Step",
	"stepsubmitted":              "Step Submitted",
	"finishedusersteps":          "Finished User Steps",
	"finishedjourney":            "Finished Journey",
	"manuallyreviewed":           "Manually Reviewed",
	"updatedjourney":             "Updated Journey",
	"amlmonitorupdate":           "AML Monitor Update",
	"finishedspotcheck":          "Finished Spot Check",
	"finishedongoingcheck":       "Finished Ongoing Check",
	"verificationupdaterequired": "Verification Update Required",
	"kycrenewaldeadlineexceeded": "KYC Renewal Deadline Exceeded",
}

// idwiseEvent returns the vendor's exact name of an event, or name itself if it is not known.
func idwiseEvent(name string) string {
	if exact, ok := idwiseNames[fold(name)]; ok {
		return exact
	}
	return name
}

// Words of the canonical event that the webhooks lead to.
const (
	productSpotCheck = "spot_check"
	reasonResubmit   = "review.resubmission_requested"
	reasonDue        = "review.renewal_due"
	reasonOverdue    = "review.renewal_overdue"
	actionRenew      = "renew"
	actionResubmit   = "resubmit_other"
)

// idwiseRenewal is the one trigger whose string the vendor published, folded; renewalKeep is the
// setting that lets an approval outlive its renewal date.
const (
	idwiseRenewal = "kycrenewal"
	renewalKeep   = "keep"
)

func (w *idwiseHook) observe(s kycbridge.Settings) kycbridge.Observation {
	b := &w.Body
	o := kycbridge.Observation{
		EventName:         clip(w.Event, maxName),
		EventID:           string(b.EventID),
		ExternalReference: externalReference(string(b.ReferenceNo)),
		References:        map[string]string{},
		ProviderStatus:    b.status(),
	}
	set(o.References, "journey_id", string(b.JourneyID))
	set(o.References, "spot_check_journey_id", string(b.SpotCheckJourneyID))
	set(o.References, "ongoing_check_id", string(b.OngoingCheckID))
	event := idwiseEvent(w.Event)
	if idwiseOwnReference[event] != "" {
		o.Product = productSpotCheck
	}
	observe, known := idwiseEvents[event]
	switch {
	case known:
		observe(w, s, &o)
	case s.Confirm:
		fetch(&o) // whatever happened, the result tells
	default:
		o.Effect, o.Ignored = kycbridge.EffectNone, ignoredType
	}
	return o
}

// status names the decision fields like those of a result, so that both tell one fact alike.
func (b *idwiseHookBody) status() map[string]any {
	return withoutReview(statusOf(map[string]text{
		"system_decision":          b.SystemDecision,
		"manual_decision":          b.ManualDecision,
		"final_decision":           b.FinalDecision,
		"previous_system_decision": b.PreviousSystemDecision,
		"manual_review_decision":   b.ManualReviewDecision,
		"action":                   b.Action,
		"trigger":                  b.Trigger,
	}))
}

// withoutReview says null for a manual decision where the provider does: a body that states the
// final decision and no manual one must clear what an earlier body said.
func withoutReview(status map[string]any) map[string]any {
	if _, stated := status["final_decision"]; stated {
		if _, reviewed := status["manual_decision"]; !reviewed {
			status["manual_decision"] = nil
		}
	}
	return status
}

func (w *idwiseHook) stepDone(_ kycbridge.Settings, o *kycbridge.Observation) {
	o.Effect, o.Status = kycbridge.EffectProgress, kycbridge.StatusInProgress
}

// stepsDone: the systemDecision of this event is a snapshot while processing runs
// (https://docs.idwise.com/docs/finished-user-steps-webhook). It is recorded under a name of its own
// so that, coming late, it does not stand in for the real one.
func (w *idwiseHook) stepsDone(_ kycbridge.Settings, o *kycbridge.Observation) {
	o.Effect, o.Status, o.StatusDetail = kycbridge.EffectProgress, kycbridge.StatusProcessing, kycbridge.DetailStepsSubmitted
	if interim, ok := o.ProviderStatus["system_decision"]; ok {
		delete(o.ProviderStatus, "system_decision")
		o.ProviderStatus["interim_system_decision"] = interim
	}
}

// decided covers every event after which the decisions may be others than before.
func (w *idwiseHook) decided(s kycbridge.Settings, o *kycbridge.Observation) {
	switch {
	case s.Confirm:
		fetch(o)
		return
	case w.Body.SystemDecision == "" && w.Body.ManualDecision == "":
		o.Effect, o.Ignored = kycbridge.EffectNone, ignoredUndecided
		return
	}
	idwiseDecide(o, w.Body.SystemDecision, w.Body.ManualDecision)
	if o.Effect.Decisive() {
		o.StatusDetail = kycbridge.DetailUnconfirmed
	}
	if o.Effect == kycbridge.EffectReopen {
		w.Body.resubmit(o)
	}
}

// updateRequired tells what no result tells, so it counts whether or not results are fetched
// (https://docs.idwise.com/docs/verification-update-required-webhook). Before a renewal the approval
// stands until the deadline; any other trigger takes it back.
func (w *idwiseHook) updateRequired(_ kycbridge.Settings, o *kycbridge.Observation) {
	b := &w.Body
	o.Status = kycbridge.StatusRequiresInput
	if fold(string(b.Trigger)) == idwiseRenewal {
		o.Effect, o.StatusDetail = kycbridge.EffectNote, kycbridge.DetailRenewalDue
		o.Reasons = b.reasons(reasonDue)
		o.RequiredActions = b.actions(actionRenew, reasonDue)
		return
	}
	o.Effect = kycbridge.EffectReopen
	o.Decision = kycbridge.Decision{
		Outcome: kycbridge.OutcomeResubmit, Stage: kycbridge.StageManualReview, ActorType: kycbridge.ActorHuman,
	}
	o.Decisions = idwiseChain(b.SystemDecision, b.ManualDecision)
	b.resubmit(o)
}

// renewalOverdue: the renewal date went by (https://docs.idwise.com/docs/kyc-renewal-deadline-exceeded-webhook).
// Whether the approval then ends is the operator's to say; unless told to keep it, it ends.
func (w *idwiseHook) renewalOverdue(s kycbridge.Settings, o *kycbridge.Observation) {
	o.Effect, o.Status = kycbridge.EffectReopen, kycbridge.StatusExpired
	if s.RenewalOverdue == renewalKeep {
		o.Effect, o.Status = kycbridge.EffectNote, kycbridge.StatusRequiresInput
	}
	o.StatusDetail = kycbridge.DetailRenewalOverdue
	o.Reasons = w.Body.reasons(reasonOverdue)
	o.RequiredActions = w.Body.actions(actionRenew, reasonOverdue)
}

// resubmit adds what has to be handed in again; a step is named by its id only, so its kind is not known.
func (b *idwiseHookBody) resubmit(o *kycbridge.Observation) {
	o.Reasons = b.reasons(reasonResubmit)
	o.RequiredActions = b.actions(actionResubmit, reasonResubmit)
}

// reasons gives code once for each of the tenant's own codes, at least once.
func (b *idwiseHookBody) reasons(code string) []kycbridge.Reason {
	var reasons []kycbridge.Reason
	seen := map[string]bool{}
	for _, step := range b.RequiredSteps {
		own := clip(string(step.ReasonCode), maxCode)
		if own != "" && !seen[own] {
			seen[own] = true
			reasons = append(reasons, kycbridge.Reason{Code: code, ProviderCode: own})
		}
	}
	if reasons == nil {
		reasons = []kycbridge.Reason{{Code: code}}
	}
	return reasons
}

// actions asks for action in each required step, or once where no step is named.
func (b *idwiseHookBody) actions(action, code string) []kycbridge.RequiredAction {
	var actions []kycbridge.RequiredAction
	for _, step := range b.RequiredSteps {
		actions = append(actions, kycbridge.RequiredAction{
			Action:       action,
			ProviderStep: clip(string(step.StepID), maxCode),
			Reasons:      []string{code},
			Deadline:     kycbridge.Instant(instant(string(step.RenewalDeadline))),
		})
	}
	if actions == nil {
		actions = []kycbridge.RequiredAction{{Action: action, Reasons: []string{code}}}
	}
	return actions
}

// idwiseRow is what one decision of IDWise means.
type idwiseRow struct {
	effect  kycbridge.Effect
	status  kycbridge.Status
	outcome kycbridge.Outcome
	final   bool
}

// idwiseSystem and idwiseManual are the decisions of the machine and of a reviewer, folded
// (https://docs.idwise.com/docs/journey-result, https://docs.idwise.com/reference/manual-review-journey).
// Rejected stands as a system decision in a newer sample of the vendor only.
var (
	idwiseSystem = map[string]idwiseRow{
		"complete":   {kycbridge.EffectVerdict, kycbridge.StatusCompleted, kycbridge.OutcomeApproved, true},
		"refer":      {kycbridge.EffectVerdict, kycbridge.StatusInReview, kycbridge.OutcomeReview, false},
		"rejected":   {kycbridge.EffectVerdict, kycbridge.StatusCompleted, kycbridge.OutcomeRejected, true},
		"incomplete": {kycbridge.EffectProgress, kycbridge.StatusInProgress, "", false},
	}
	idwiseManual = map[string]idwiseRow{
		"approved":              {kycbridge.EffectVerdict, kycbridge.StatusCompleted, kycbridge.OutcomeApproved, true},
		"rejected":              {kycbridge.EffectVerdict, kycbridge.StatusCompleted, kycbridge.OutcomeRejected, true},
		"resubmissionrequested": {kycbridge.EffectReopen, kycbridge.StatusRequiresInput, kycbridge.OutcomeResubmit, false},
	}
)

// idwiseDecide applies the effective decision: the reviewer's if there is one, else the system's.
// The vendor's finalDecision has meant different things over time and is never read here.
func idwiseDecide(o *kycbridge.Observation, system, manual text) {
	raw, rows := system, idwiseSystem
	decision := kycbridge.Decision{Stage: kycbridge.StageSystem, ActorType: kycbridge.ActorSystem}
	if manual != "" {
		raw, rows = manual, idwiseManual
		decision = kycbridge.Decision{Stage: kycbridge.StageManualReview, ActorType: kycbridge.ActorHuman}
	}
	row, known := rows[fold(string(raw))]
	if !known {
		unmapped(o, string(raw))
		return
	}
	o.Effect, o.Status = row.effect, row.status
	o.Decisions = idwiseChain(system, manual)
	if row.outcome != "" {
		decision.Outcome, decision.Final = row.outcome, row.final
		o.Decision = decision
	}
	if row.outcome == kycbridge.OutcomeResubmit {
		o.Reasons = append(o.Reasons, kycbridge.Reason{Code: reasonResubmit})
	}
}

// idwiseChain lists who decided what; what decides nothing (Incomplete) or is not known is no link.
func idwiseChain(system, manual text) []kycbridge.DecisionStep {
	var chain []kycbridge.DecisionStep
	if row := idwiseSystem[fold(string(system))]; row.outcome != "" {
		chain = append(chain, kycbridge.DecisionStep{
			Stage: kycbridge.StageSystem, Outcome: row.outcome, ActorType: kycbridge.ActorSystem, ProviderValue: string(system),
		})
	}
	if row := idwiseManual[fold(string(manual))]; row.outcome != "" {
		chain = append(chain, kycbridge.DecisionStep{
			Stage: kycbridge.StageManualReview, Outcome: row.outcome, ActorType: kycbridge.ActorHuman, ProviderValue: string(manual),
		})
	}
	return chain
}

// idwiseJourneySummary is the answer of Get Journey Summary: progress, no decision. is_completed says
// that nothing can be handed in any more, not that anything was passed
// (https://docs.idwise.com/reference/get-journey-summary).
type idwiseJourneySummary struct {
	JourneyID   text `json:"journey_id"`
	ReferenceNo text `json:"reference_no"`
	IsCompleted text `json:"is_completed"`
	Result      struct {
		InterimRuleAssessment text `json:"interim_rule_assessment"`
	} `json:"result"`
}

func (j *idwiseJourneySummary) observe() kycbridge.Observation {
	o := kycbridge.Observation{
		Effect:            kycbridge.EffectProgress,
		EventName:         idwiseGetSummary,
		ExternalReference: externalReference(string(j.ReferenceNo)),
		References:        map[string]string{},
		ProviderStatus:    statusOf(map[string]text{"interim_rule_assessment": j.Result.InterimRuleAssessment}),
		Status:            kycbridge.StatusInProgress,
	}
	set(o.References, "journey_id", string(j.JourneyID))
	completed := fold(string(j.IsCompleted)) == "true"
	if j.IsCompleted != "" {
		o.ProviderStatus["is_completed"] = completed
	}
	if completed {
		o.Status, o.StatusDetail = kycbridge.StatusProcessing, kycbridge.DetailStepsSubmitted
	}
	return o
}

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
	distinct(o.Checks)
	j.documents(&o)
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

// idwiseResults are the words for results of rules and checks, folded; any other word is undetermined.
var idwiseResults = map[string]kycbridge.Result{
	"passed":       kycbridge.ResultPassed,
	"failed":       kycbridge.ResultFailed,
	"undetermined": kycbridge.ResultUndetermined,
	"skipped":      kycbridge.ResultNotPerformed,
	"disabled":     kycbridge.ResultNotPerformed,
	"notreadyyet":  kycbridge.ResultNotPerformed,
}

func idwiseCheckResult(word text) kycbridge.Result {
	return cmp.Or(idwiseResults[fold(string(word))], kycbridge.ResultUndetermined)
}

// idwiseKind is the check that a rule is and the reason that it gives when it fails.
type idwiseKind struct{ check, reason string }

// idwiseRules are the rules of journey flows (https://docs.idwise.com/docs/journey-result). A rule
// that is not here becomes a private check without a reason.
var idwiseRules = map[string]idwiseKind{
	"document_validation":    {kycbridge.CheckDocumentAuthenticity, "document.not_authentic"},
	"unrecognized_document":  {kycbridge.CheckDocumentRecognition, "document.not_recognized"},
	"proof_policy":           {kycbridge.CheckDocumentAccepted, "document.type_not_accepted"},
	"expired_document":       {kycbridge.CheckDocumentExpiry, "document.expired"},
	"same_subject":           {kycbridge.CheckDataConsistency, "data.inconsistent"},
	"no_duplicate_documents": {kycbridge.CheckDuplicate, "document.duplicate"},
	"no_duplicate_applicant": {kycbridge.CheckDuplicate, "risk.duplicate_applicant"},
	"under_age":              {kycbridge.CheckAge, "data.underage"},
	"approved_nationality":   {"x_idwise_approved_nationality", "data.nationality_not_accepted"},
}

// idwiseAMLRule has a check of its own: what it means stands in the aml object.
const idwiseAMLRule = "no_aml_records"

func (j *idwiseJourney) ruleChecks(o *kycbridge.Observation) {
	for _, name := range sorted(j.Rules) {
		if name == idwiseAMLRule {
			continue
		}
		rule := j.Rules[name]
		kind, known := idwiseRules[name]
		if !known {
			kind.check = "x_idwise_" + cmp.Or(snake(name), "rule")
		}
		c := kycbridge.Check{
			CheckID:        "rule_results." + clip(name, maxCode),
			Type:           kind.check,
			Result:         idwiseCheckResult(rule.Result),
			Method:         checkMethod(kind.check),
			DocumentIDs:    j.documentsOf(rule),
			ProviderCheck:  clip(name, maxCode),
			ProviderResult: clip(string(rule.Result), maxCode),
		}
		if c.Result == kycbridge.ResultFailed && kind.reason != "" {
			because(o, &c, kind.reason, c.ProviderCheck)
		}
		o.Checks = append(o.Checks, c)
	}
}

// because notes why c did not pass, in the check and in the observation.
func because(o *kycbridge.Observation, c *kycbridge.Check, code, providerCode string) {
	c.Reasons = append(c.Reasons, code)
	o.Reasons = append(o.Reasons, kycbridge.Reason{Code: code, CheckID: c.CheckID, ProviderCode: clip(providerCode, maxCode)})
}

// documentsOf lists the documents of the journey that a rule looked at, each once.
func (j *idwiseJourney) documentsOf(rule idwiseRule) []string {
	var ids []string
	for _, detail := range rule.Details {
		id := string(detail.Reference.Instance)
		if _, ok := j.Documents[id]; ok && detail.Reference.Object == "documents" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// idwiseDatasets leads from the lists of AML matches, folded, to reasons. Every other list is a watch list.
var idwiseDatasets = map[string]string{
	"politicallyexposedperson": "aml.pep",
	"sanctions":                "aml.sanctions",
	"adversemedia":             "aml.adverse_media",
}

const reasonWatchlist = "aml.watchlist"

// amlCheck joins the rule and the search it rests on. A search that did not take place is not
// passed, whatever the rule says. A match's score tells how close the match is, so it is a detail and
// no score; names, aliases, addresses and notes of the listed stay out.
func (j *idwiseJourney) amlCheck(o *kycbridge.Observation) {
	rule, ruled := j.Rules[idwiseAMLRule]
	if !ruled && j.AML == nil {
		return
	}
	aml := idwiseAML{}
	if j.AML != nil {
		aml = *j.AML
	}
	c := kycbridge.Check{
		CheckID:        "aml",
		Type:           kycbridge.CheckAML,
		Result:         aml.result(rule, ruled),
		DocumentIDs:    j.documentsOf(rule),
		ProviderCheck:  idwiseAMLRule,
		ProviderResult: clip(string(cmp.Or(rule.Result, aml.Applicability)), maxCode),
	}
	lists := aml.details(&c)
	if c.Result == kycbridge.ResultFailed || c.Result == kycbridge.ResultWarning {
		for _, list := range lists {
			code := cmp.Or(idwiseDatasets[fold(list)], reasonWatchlist)
			if !slices.Contains(c.Reasons, code) {
				because(o, &c, code, list)
			}
		}
	}
	o.Checks = append(o.Checks, c)
}

// result is the rule's, if there is one and a search took place. Matches that no rule judged are a warning.
func (aml *idwiseAML) result(rule idwiseRule, ruled bool) kycbridge.Result {
	result := idwiseCheckResult(rule.Result)
	switch {
	case ruled && result == kycbridge.ResultFailed:
		return result
	case aml.Applicability != "" && fold(string(aml.Applicability)) != "applicable":
		return idwiseCheckResult(aml.Applicability)
	case ruled:
		return result
	case len(aml.Matches) > 0:
		return kycbridge.ResultWarning
	case aml.Applicability == "":
		return kycbridge.ResultUndetermined
	}
	return kycbridge.ResultPassed
}

// details writes what may be told of the matches into c and returns the lists they are on, each once.
func (aml *idwiseAML) details(c *kycbridge.Check) []string {
	if len(aml.Matches) == 0 {
		return nil
	}
	var lists []string
	var scores []float64
	for _, match := range aml.Matches {
		if score, ok := decimal(string(match.Score)); ok {
			scores = append(scores, score)
		}
		for _, list := range match.Datasets {
			if name := clip(string(list), maxCode); name != "" && !slices.Contains(lists, name) {
				lists = append(lists, name)
			}
		}
	}
	slices.Sort(lists)
	c.Details = map[string]any{"match_count": len(aml.Matches)}
	if scores != nil {
		c.Details["match_scores"] = scores
	}
	if lists != nil {
		c.Details["datasets"] = lists
	}
	return lists
}

func (j *idwiseJourney) documentChecks(o *kycbridge.Observation) {
	for _, id := range sorted(j.Documents) {
		doc := j.Documents[id]
		prefix := "documents." + clip(id, maxCode)
		if doc.Validation != nil {
			o.Checks = append(o.Checks, doc.Validation.checks(prefix, id)...)
		}
		if c, ok := doc.reading(prefix, id); ok {
			o.Checks = append(o.Checks, c)
		}
		if doc.FaceMatch != nil {
			if c, ok := doc.FaceMatch.check(); ok {
				c.CheckID, c.DocumentIDs = prefix+".face_match", []string{id}
				if c.Result == kycbridge.ResultFailed {
					because(o, &c, "face.mismatch", c.ProviderCheck)
				}
				o.Checks = append(o.Checks, c)
			}
		}
	}
}

// idwiseValidationKinds sorts the named checks of a document by a word of their name, folded; the
// names depend on the flow. What no word fits belongs to the document's authenticity.
var idwiseValidationKinds = []struct {
	word string
	kind idwiseKind
}{
	{"mrz", idwiseKind{kycbridge.CheckMRZ, "document.mrz_invalid"}},
	{"quality", idwiseKind{kycbridge.CheckImageQuality, "image.poor_quality"}},
	{"classification", idwiseKind{kycbridge.CheckDocumentRecognition, "document.not_recognized"}},
	{"", idwiseKind{kycbridge.CheckDocumentAuthenticity, "document.not_authentic"}},
}

func (v *idwiseValidation) checks(prefix, document string) []kycbridge.Check {
	var checks []kycbridge.Check
	add := func(id string, kind idwiseKind, name, word text) {
		c := kycbridge.Check{
			CheckID:        prefix + ".validation" + id,
			Type:           kind.check,
			Result:         idwiseCheckResult(word),
			Method:         checkMethod(kind.check),
			DocumentIDs:    []string{document},
			ProviderCheck:  clip(string(name), maxCode),
			ProviderResult: clip(string(word), maxCode),
		}
		if c.Result == kycbridge.ResultFailed {
			c.Reasons = []string{kind.reason}
		}
		checks = append(checks, c)
	}
	if v.Outcome != "" {
		add("", idwiseRules["document_validation"], "validation_outcome", v.Outcome)
	}
	for _, check := range v.Checks {
		id := "." + cmp.Or(snake(string(check.Name)), "check")
		folded := fold(string(check.Name))
		for _, row := range idwiseValidationKinds {
			if strings.Contains(folded, row.word) {
				add(id, row.kind, check.Name, check.Result)
				break
			}
		}
	}
	return checks
}

// idwiseAccuracy are the vendor's words for how well a field was read.
var idwiseAccuracy = map[string]kycbridge.Result{
	"high": kycbridge.ResultPassed,
	"low":  kycbridge.ResultWarning,
}

// reading tells how well each field was read, not what was read. There is no such check where no
// field has an accuracy.
func (d *idwiseDocument) reading(prefix, document string) (kycbridge.Check, bool) {
	c := kycbridge.Check{
		CheckID:       prefix + ".data_extraction",
		Type:          kycbridge.CheckDataExtraction,
		Result:        kycbridge.ResultPassed,
		DocumentIDs:   []string{document},
		ProviderCheck: "read_accuracy",
	}
	for _, label := range sorted(d.Extracted) {
		field := d.Extracted[label]
		if field.Accuracy == "" {
			continue
		}
		result := cmp.Or(idwiseAccuracy[fold(string(field.Accuracy))], kycbridge.ResultUndetermined)
		c.Fields = append(c.Fields, kycbridge.CheckField{Field: cmp.Or(fieldName(label), "other"), Result: result})
		if result != kycbridge.ResultPassed {
			c.Result = kycbridge.ResultWarning
		}
	}
	return c, c.Fields != nil
}

// check is a comparison of faces; none if nothing was compared.
func (m *idwiseFaceMatch) check() (kycbridge.Check, bool) {
	c := kycbridge.Check{
		Type: kycbridge.CheckFaceMatch, Result: kycbridge.ResultUndetermined,
		Method: checkMethod(kycbridge.CheckFaceMatch), ProviderCheck: "face_match_result",
	}
	if m.word != "" {
		c.Result, c.ProviderResult = idwiseCheckResult(text(m.word)), clip(m.word, maxCode)
		return c, true
	}
	switch fold(string(m.IsMatched)) {
	case "true":
		c.Result = kycbridge.ResultPassed
	case "false":
		c.Result = kycbridge.ResultFailed
	}
	if score, ok := decimal(string(m.Score)); ok && score <= 100 {
		c.Score = ptr(score / 100)
		c.ScoreRaw = &kycbridge.ScoreRaw{Value: score, Max: 100}
	}
	c.ProviderResult = clip(string(m.IsMatched), maxCode)
	return c, c.ProviderResult != "" || c.Score != nil
}

// idwiseSelfie are the words of selfie.status, folded. The vendor says to decide on it and not on
// is_live (https://developers.idwise.com).
var idwiseSelfie = map[string]kycbridge.Result{
	"complete":   kycbridge.ResultPassed,
	"refer":      kycbridge.ResultFailed,
	"notstarted": kycbridge.ResultNotPerformed,
}

const reasonNotLive = "face.not_live"

// idwiseLiveness are the liveness codes (https://docs.idwise.com/docs/journey-result).
var idwiseLiveness = map[string]string{
	"FACE_TOO_CLOSE":       "face.badly_positioned",
	"FACE_CLOSE_TO_BORDER": "face.badly_positioned",
	"FACE_CROPPED":         "face.badly_positioned",
	"FACE_TOO_SMALL":       "face.badly_positioned",
	"FACE_IS_OCCLUDED":     "face.occluded",
	"FACE_NOT_FOUND":       "face.not_found",
	"TOO_MANY_FACES":       "face.multiple",
}

func (j *idwiseJourney) liveness(o *kycbridge.Observation) {
	if j.Selfie == nil {
		return
	}
	c := kycbridge.Check{
		CheckID:        "selfie.liveness",
		Type:           kycbridge.CheckLiveness,
		Result:         cmp.Or(idwiseSelfie[fold(string(j.Selfie.Status))], kycbridge.ResultUndetermined),
		ProviderCheck:  "selfie",
		ProviderResult: clip(string(j.Selfie.Status), maxCode),
	}
	if c.Result == kycbridge.ResultFailed {
		code := idwiseLiveness[string(j.Selfie.Code)]
		if code == "" && fold(string(j.Selfie.IsLive)) == "false" {
			code = reasonNotLive
		}
		if code != "" {
			because(o, &c, code, string(j.Selfie.Code))
		}
	}
	o.Checks = append(o.Checks, c)
}

// otherChecks carries what the vendor documents by name only. Whether a match in a screening is good
// or bad depends on what was searched, and the content of device_intelligence is not published: both
// are told as undetermined.
func (j *idwiseJourney) otherChecks(o *kycbridge.Observation) {
	for _, id := range sorted(j.Screening) {
		for i, match := range j.Screening[id].Matches {
			c, ok := match.check()
			if !ok {
				continue
			}
			c.CheckID = "screening_checks." + clip(id, maxCode) + "." + strconv.Itoa(i)
			c.Type, c.Method, c.Result, c.Score = "x_idwise_screening", "", kycbridge.ResultUndetermined, nil
			c.ProviderCheck = clip(id, maxCode)
			o.Checks = append(o.Checks, c)
		}
	}
	if len(j.Device) > 0 {
		o.Checks = append(o.Checks, kycbridge.Check{
			CheckID: "device_intelligence", Type: kycbridge.CheckDeviceRisk, Result: kycbridge.ResultUndetermined,
			ProviderCheck: "device_intelligence",
		})
	}
}

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
	if ref == "" || slices.ContainsFunc(*g, func(m kycbridge.Media) bool { return m.ProviderRef == ref }) {
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
