package idwise

import (
	"slices"

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
		final: wordOf(w.Object["finalDecision"]),
	}
	for _, path := range reviewPaths {
		if said := wordOf(w.Value(path...)); said.given {
			w.reviews = append(w.reviews, said)
		}
	}
	return w
}

// reviewPaths are the places of the reviewer's decision in an updated journey, beside manualDecision. The vendor's
// guide to reviews has the first (https://docs.idwise.com/docs/manual-review-process-in-idwise-studio); an integrator
// reads the second.
var reviewPaths = [...][]string{{"manualReviewDecision"}, {"manualReviewDetails", "journeyReviewDecision"}}

// events maps the vendor's exact webhook names to their handlers
// (https://docs.idwise.com/docs/webhooks-overview; Step Submitted:
// https://developers.idwise.com/step-webhooks.html). An unknown name triggers a fetch with s.Confirm, else it
// has no effect.
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

// announced are the webhooks that are sent because of a decision. The others about decisions are sent for any change
// of the journey, and repeat the current decision.
var announced = map[string]bool{
	"Finished Journey": true, manuallyReviewed: true, "Finished Spot Check": true, "Finished Ongoing Check": true,
}

// The name of one webhook, and values of the canonical events that webhooks lead to.
const (
	manuallyReviewed = "Manually Reviewed"
	productSpotCheck = "spot_check"
	reasonResubmit   = "review.resubmission_requested"
	reasonDue        = "review.renewal_due"
	reasonOverdue    = "review.renewal_overdue"
	actionRenew      = "renew"
	actionResubmit   = "resubmit_other"
)

// triggerRenewal is the only trigger whose value the vendor published, folded; actionReview is the action of an
// updated journey that a reviewer has decided, folded; renewalKeep is the setting that keeps an approval after its
// renewal date.
const (
	triggerRenewal = "kycrenewal"
	actionReview   = "manualreview"
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
		values.Fetch(&o) // whatever the event is, the result contains the outcome
	default:
		o.Effect, o.Ignored = kycbridge.EffectNone, values.IgnoredType
	}
	if o.Product != "" {
		o.Trigger = w.exact // a result does not state that it belongs to a spot check
	}
	return o
}

// statusNames are the names of the decision fields in provider.status. They equal those of a result, so that
// both report the same fact under one name.
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
	values.SetScalar(status, "journey_review_decision", w.Value("manualReviewDetails", "journeyReviewDecision"))
	return withoutReview(status)
}

// stepDone handles a submitted step.
func (w hook) stepDone(_ kycbridge.Settings, o *kycbridge.Observation) {
	o.Effect, o.Status, o.Submission = kycbridge.EffectProgress, event.StatusInProgress, true
}

// stepsDone records the systemDecision of this event under a name of its own: it is a snapshot taken during
// processing (https://docs.idwise.com/docs/finished-user-steps-webhook), and must not replace the real
// decision if it arrives late.
func (w hook) stepsDone(_ kycbridge.Settings, o *kycbridge.Observation) {
	o.Effect, o.Submission = kycbridge.EffectProgress, true
	o.Status, o.StatusDetail = event.StatusProcessing, event.DetailStepsSubmitted
	if interim, ok := o.ProviderStatus["system_decision"]; ok {
		delete(o.ProviderStatus, "system_decision")
		o.ProviderStatus["interim_system_decision"] = interim
	}
}

// decided handles every event after which the decisions may have changed.
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
	o.Repeats = !announced[w.exact]
	if w.unsaid() && o.Effect != kycbridge.EffectDoubt {
		// A reviewer decided, and the body does not contain the decision: the system's does not replace it.
		values.Doubt(o, w.event, event.StageManualReview, event.ActorHuman)
	}
	if o.Effect == kycbridge.EffectReopen {
		w.resubmit(o)
	}
	unfetched(o, s)
}

// unsaid reports whether a body is about a reviewer's decision and does not contain it. In an updated journey the
// decision may have another name, or in older wording be a final decision of its own, such as Approved.
func (w hook) unsaid() bool {
	switch {
	case w.manual.given:
		return false
	case w.exact == manuallyReviewed:
		return true
	}
	reviewed := slices.ContainsFunc(w.reviews, word.reviews)
	isOwn := w.final.given && w.final.folded != w.system.folded
	return values.Fold(w.Text("action")) == actionReview && !reviewed && !isOwn
}

// updateRequired handles an event whose content no result contains, so it counts whether or not results are
// fetched (https://docs.idwise.com/docs/verification-update-required-webhook). Before a renewal the approval
// remains valid until the deadline. Any other trigger revokes it, whatever the decisions are, as long as they
// do not contradict each other.
func (w hook) updateRequired(s kycbridge.Settings, o *kycbridge.Observation) {
	isRenewal := values.Fold(w.Text("trigger")) == triggerRenewal
	if repeats := func(said word) bool { return said.folded == wordResubmit }; !isRenewal {
		w.reviews = slices.DeleteFunc(w.reviews, repeats)
		if repeats(w.final) { // the meaning of the event
			w.final = word{}
		}
	}
	switch {
	case isRenewal && (w.doubt(o) || w.rejects(o)), w.contradict(o):
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

// rejects makes o a doubt if the decisions reject the person, and reports whether it did: a notice about the renewal of
// an approval contradicts them.
func (w hook) rejects(o *kycbridge.Observation) bool {
	d, rows, by := w.effective()
	if rows[d.folded].outcome != event.OutcomeRejected {
		return false
	}
	values.Contradiction(o, w.event+"/"+d.raw, by.Stage, by.ActorType)
	return true
}

// renewalOverdue handles a renewal date that has passed
// (https://docs.idwise.com/docs/kyc-renewal-deadline-exceeded-webhook). The operator configures whether the
// approval then ends; by default it ends.
func (w hook) renewalOverdue(s kycbridge.Settings, o *kycbridge.Observation) {
	o.Effect, o.Status = kycbridge.EffectReopen, event.StatusExpired
	if own(s).RenewalOverdue == renewalKeep {
		if w.doubt(o) || w.rejects(o) {
			unfetched(o, s)
			return
		}
		o.Effect, o.Status = kycbridge.EffectNote, event.StatusRequiresInput
	}
	o.StatusDetail = event.DetailRenewalOverdue
	o.Reasons = w.reasons(reasonOverdue)
	o.RequiredActions = w.actions(actionRenew, reasonOverdue)
}

// resubmit adds the steps that the applicant must submit again; a step has only an id, so its kind is not
// known.
func (w hook) resubmit(o *kycbridge.Observation) {
	o.Reasons = w.reasons(reasonResubmit)
	o.RequiredActions = w.actions(actionResubmit, reasonResubmit)
}

// steps returns the steps that the applicant must take again.
func (w hook) steps() []document.Object { return values.AtMost(w.Objects("requiredSteps")) }

// reasons returns code once for each of the tenant's own reason codes, and at least once. The tenant's codes
// are free text and are used only as provider_code.
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

// actions requests action for each required step, or once if the body names no step.
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
