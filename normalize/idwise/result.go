package idwise

import (
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// result is the answer of Get Journey Result, model version 3.0: the only body that contains the decision
// (https://docs.idwise.com/docs/journey-result; inner objects: https://developers.idwise.com). A member may
// have another type than documented; it is then treated as missing.
type result struct{ document.Object }

// observe maps a result that was received at the given time. A result contains when the journey began and
// ended, not when it was decided, so the observation has no time.
func (r result) observe(received time.Time) kycbridge.Observation {
	d := decisions{
		system: wordOf(r.Object["system_decision"]),
		manual: wordOf(r.Object["manual_decision"]),
		final:  wordOf(r.Object["final_decision"]),
	}
	o := kycbridge.Observation{
		EventName:         getResult,
		FlowID:            values.Clip(values.ScalarText(r.Object["flow_id"]), values.MaxID),
		ExternalReference: externalReference(r.Object, "reference_number", "reference_no"),
		References:        map[string]string{},
		ProviderStatus:    withoutReview(values.StatusFrom(r.Object, "system_decision", "manual_decision", "final_decision")),
		Session:           r.session(),
	}
	setID(o.References, "journey_id", r.Object["journey_id"])
	setID(o.References, "applicant_id", r.Value("applicant", "applicant_id"))
	d.decide(&o)
	o.Repeats = true
	cards := r.cards(received)
	if o.Effect == kycbridge.EffectReopen {
		o.RequiredActions = r.actions(cards)
	}
	r.facts(&o, cards, received)
	return o
}

// facts sets the groups of facts that the result contains. A group that is missing, or has another form than
// documented, stays nil, so the known facts are kept.
func (r result) facts(o *kycbridge.Observation, cards []card, received time.Time) {
	speaks := func(names ...string) bool {
		for _, name := range names {
			if r.Object.Object(name) != nil {
				return true
			}
		}
		return false
	}
	claims, unsure := r.claims(cards, received)
	if speaks("documents", "applicant") {
		o.Documents = values.AtMost(documents(cards))
		o.ExtractedClaims = guarded(claims, o.Documents)
	}
	if speaks("documents", "selfie", "applicant", "screening_checks") {
		o.Media = r.media(cards)
	}
	if speaks("rule_results", "aml", "documents", "selfie", "screening_checks", "device_intelligence") || len(unsure) > 0 {
		o.Checks = make([]event.Check, 0, 16)
		shown := values.AtMost(cards) // which are all that a rule can be linked to
		r.ruleChecks(o, shown)
		r.amlCheck(o, shown)
		documentChecks(o, cards)
		o.Checks = append(o.Checks, unsure...)
		r.liveness(o)
		r.otherChecks(o)
		o.Checks, o.Reasons = values.Distinct(o.Checks), values.Reasons(o.Reasons)
	}
}

// session returns when the journey began and ended. The times have no zone and are UTC.
func (r result) session() *event.Session {
	session := event.Session{
		StartedAt: event.Instant(r.Time("start_time")),
		EndedAt:   event.Instant(r.Time("end_time")),
	}
	if session == (event.Session{}) {
		return nil
	}
	return &session
}

// actions lists the steps that the reviewer must have requested again. A result does not repeat the request,
// but the review call requires a decision on every failed step
// (https://docs.idwise.com/reference/manual-review-journey).
func (r result) actions(cards []card) []event.RequiredAction {
	var actions []event.RequiredAction
	ask := func(action, step string) {
		actions = append(actions, event.RequiredAction{
			Action: action, ProviderStep: step, Reasons: []string{reasonResubmit},
		})
	}
	for _, c := range cards {
		if passed, told := c.Bool("has_passed_rules"); told && !passed {
			ask("resubmit_document", c.id)
		}
	}
	if selfieResults[values.Fold(r.Text("selfie", "status"))] == event.ResultFailed {
		ask("resubmit_selfie", "")
	}
	if actions == nil {
		ask(actionResubmit, "")
	}
	return values.AtMost(actions)
}
