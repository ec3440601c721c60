package normalize

import (
	"errors"

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
		o := j.observe()
		if idwiseOwnReference[p.Trigger] != "" {
			o.Product = productSpotCheck
		}
		if p.Via == kycbridge.ViaCallback {
			unfetched(&o, s)
		}
		return o, nil
	}
	return kycbridge.Observation{}, errors.New("read body: neither webhook, journey summary nor journey result")
}

// unfetched treats a result that was posted to us, not fetched, as what it is: a callback's word.
func unfetched(o *kycbridge.Observation, s kycbridge.Settings) {
	switch {
	case s.Confirm:
		fetch(o)
	case o.Effect.Decisive():
		o.StatusDetail = kycbridge.DetailUnconfirmed
	}
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
	if o.Product != "" {
		o.Trigger = event // a result does not say that it is a spot check's
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
		doubt(o, string(raw), decision.Stage, decision.ActorType)
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
