package idwise

import (
	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// hook is a webhook. No payload carries a time or a sequence number, and the vendor documents none.
type hook struct {
	document.Object // its body member
	event           string
	exact           string // event as the vendor spells it
	decisions
}

func newHook(root document.Object) hook {
	w := hook{Object: root.Object("body")}
	w.event, _ = root["event"].(string)
	w.exact = exactName(w.event)
	w.decisions = decisions{
		system: wordOf(w.Object["systemDecision"]), manual: wordOf(w.Object["manualDecision"]),
		final: wordOf(w.Object["finalDecision"]), review: wordOf(w.Object["manualReviewDecision"]),
	}
	return w
}

// events says what each webhook does; its keys are the vendor's exact names
// (https://docs.idwise.com/docs/webhooks-overview; Step Submitted: https://developers.idwise.com/step-webhooks.html).
// A name that is not in it does nothing.
var events = map[string]func(hook, kycbridge.Settings, *kycbridge.Observation){
	"Finished Step":                 hook.stepDone,
	"Step Submitted":                hook.stepDone,
	"Finished User Steps":           hook.stepsDone,
	"Finished Journey":              hook.decided,
	manuallyReviewed:                hook.decided,
	"Updated Journey":               hook.decided,
	"AML Monitor Update":            hook.decided,
	"Finished Spot Check":           hook.decided,
	"Finished Ongoing Check":        hook.decided,
	"Verification Update Required":  hook.updateRequired,
	"KYC Renewal Deadline Exceeded": hook.renewalOverdue,
}

// Words of the canonical event that the webhooks lead to.
const (
	manuallyReviewed = "Manually Reviewed"
	productSpotCheck = "spot_check"
	reasonResubmit   = "review.resubmission_requested"
	reasonDue        = "review.renewal_due"
	reasonOverdue    = "review.renewal_overdue"
	actionRenew      = "renew"
	actionResubmit   = "resubmit_other"
)

// triggerRenewal is the one trigger whose string the vendor published, folded; renewalKeep is the setting
// that lets an approval outlive its renewal date.
const (
	triggerRenewal = "kycrenewal"
	renewalKeep    = "keep"
)

func (w hook) observe(s kycbridge.Settings) kycbridge.Observation {
	o := kycbridge.Observation{
		EventName:         values.Clip(w.event, values.MaxName),
		EventID:           values.Clip(values.ScalarText(w.Object["eventId"]), values.MaxID),
		ExternalReference: externalReference(w.Object, "referenceNo"),
		References:        map[string]string{},
		ProviderStatus:    w.status(),
	}
	setID(o.References, "journey_id", w.Object["journeyId"])
	setID(o.References, "spot_check_journey_id", w.Object["spotCheckJourneyId"])
	setID(o.References, "ongoing_check_id", w.Object["ongoingCheckId"])
	if isOwnCheck(w.exact) {
		o.Product = productSpotCheck
	}
	observe, known := events[w.exact]
	switch {
	case known:
		observe(w, s, &o)
	case s.Confirm:
		values.Fetch(&o) // whatever happened, the result tells
	default:
		o.Effect, o.Ignored = kycbridge.EffectNone, values.IgnoredType
	}
	if o.Product != "" {
		o.Trigger = w.exact // a result does not say that it is a spot check's
	}
	return o
}

// statusNames are the names of the decision fields in provider.status: those of a result, so that both
// tell one fact alike.
var statusNames = [...]struct{ member, name string }{
	{"systemDecision", "system_decision"},
	{"manualDecision", "manual_decision"},
	{"finalDecision", "final_decision"},
	{"previousSystemDecision", "previous_system_decision"},
	{"manualReviewDecision", "manual_review_decision"},
	{"action", "action"},
	{"trigger", "trigger"},
}

func (w hook) status() map[string]any {
	status := map[string]any{}
	for _, field := range statusNames {
		values.SetScalar(status, field.name, w.Object[field.member])
	}
	return withoutReview(status)
}

// stepDone: the applicant has handed in a step.
func (w hook) stepDone(_ kycbridge.Settings, o *kycbridge.Observation) {
	o.Effect, o.Status, o.Submission = kycbridge.EffectProgress, event.StatusInProgress, true
}

// stepsDone: the systemDecision of this event is a snapshot while processing runs
// (https://docs.idwise.com/docs/finished-user-steps-webhook). It is recorded under a name of its own
// so that, coming late, it does not stand in for the real one.
func (w hook) stepsDone(_ kycbridge.Settings, o *kycbridge.Observation) {
	o.Effect, o.Submission = kycbridge.EffectProgress, true
	o.Status, o.StatusDetail = event.StatusProcessing, event.DetailStepsSubmitted
	if interim, ok := o.ProviderStatus["system_decision"]; ok {
		delete(o.ProviderStatus, "system_decision")
		o.ProviderStatus["interim_system_decision"] = interim
	}
}

// decided covers every event after which the decisions may be others than before.
func (w hook) decided(s kycbridge.Settings, o *kycbridge.Observation) {
	switch {
	case s.Confirm:
		values.Fetch(o)
		return
	case !w.stated():
		o.Effect, o.Ignored = kycbridge.EffectNone, values.IgnoredUndecided
		return
	}
	w.decide(o)
	if w.exact == manuallyReviewed && !w.manual.given && o.Effect != kycbridge.EffectDoubt {
		// Somebody decided and the body does not say what: the machine's word does not stand in for it.
		values.Doubt(o, w.event, event.StageManualReview, event.ActorHuman)
	}
	if o.Effect == kycbridge.EffectReopen {
		w.resubmit(o)
	}
	unfetched(o, s)
}

// updateRequired tells what no result tells, so it counts whether or not results are fetched
// (https://docs.idwise.com/docs/verification-update-required-webhook). Before a renewal the approval
// stands until the deadline; any other trigger takes it back, whatever the words of the decisions are, as
// long as they do not contradict each other.
func (w hook) updateRequired(s kycbridge.Settings, o *kycbridge.Observation) {
	isRenewal := values.Fold(w.Text("trigger")) == triggerRenewal
	if !isRenewal && w.final.folded == wordResubmit {
		w.final = word{} // it repeats what the event says
	}
	switch {
	case isRenewal && w.doubt(o), w.contradict(o):
		unfetched(o, s)
	case isRenewal:
		o.Effect, o.Status, o.StatusDetail = kycbridge.EffectNote, event.StatusRequiresInput, event.DetailRenewalDue
		o.Reasons = w.reasons(reasonDue)
		o.RequiredActions = w.actions(actionRenew, reasonDue)
	default:
		o.Effect, o.Status = kycbridge.EffectReopen, event.StatusRequiresInput
		o.Decision = event.Decision{
			Outcome: event.OutcomeResubmit, Stage: event.StageManualReview, ActorType: event.ActorHuman,
		}
		o.Decisions = w.chain()
		w.resubmit(o)
	}
}

// renewalOverdue: the renewal date went by (https://docs.idwise.com/docs/kyc-renewal-deadline-exceeded-webhook).
// Whether the approval then ends is the operator's to say; unless told to keep it, it ends.
func (w hook) renewalOverdue(s kycbridge.Settings, o *kycbridge.Observation) {
	o.Effect, o.Status = kycbridge.EffectReopen, event.StatusExpired
	if own(s).RenewalOverdue == renewalKeep {
		o.Effect, o.Status = kycbridge.EffectNote, event.StatusRequiresInput
	}
	o.StatusDetail = event.DetailRenewalOverdue
	o.Reasons = w.reasons(reasonOverdue)
	o.RequiredActions = w.actions(actionRenew, reasonOverdue)
}

// resubmit adds what has to be handed in again; a step is named by its id only, so its kind is not known.
func (w hook) resubmit(o *kycbridge.Observation) {
	o.Reasons = w.reasons(reasonResubmit)
	o.RequiredActions = w.actions(actionResubmit, reasonResubmit)
}

// steps are the steps that the applicant has to take again.
func (w hook) steps() []document.Object { return values.AtMost(w.Objects("requiredSteps")) }

// reasons gives code once for each of the tenant's own codes, at least once. Theirs is free text, and
// nothing but a provider_code.
func (w hook) reasons(code string) []event.Reason {
	var reasons []event.Reason
	seen := map[string]bool{}
	for _, step := range w.steps() {
		own := values.Clip(step.Text("reasonCode"), values.MaxCode)
		if own != "" && !seen[own] {
			seen[own] = true
			reasons = append(reasons, event.Reason{Code: code, ProviderCode: own})
		}
	}
	if reasons == nil {
		reasons = []event.Reason{{Code: code}}
	}
	return reasons
}

// actions asks for action in each required step, or once where no step is named.
func (w hook) actions(action, code string) []event.RequiredAction {
	var actions []event.RequiredAction
	for _, step := range w.steps() {
		actions = append(actions, event.RequiredAction{
			Action:       action,
			ProviderStep: values.Clip(step.Text("stepId"), values.MaxCode),
			Reasons:      []string{code},
			Deadline:     event.Instant(step.Time("renewalDeadline")),
		})
	}
	if actions == nil {
		actions = []event.RequiredAction{{Action: action, Reasons: []string{code}}}
	}
	return actions
}
