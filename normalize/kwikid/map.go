package kwikid

import (
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// Map maps answers of get_details and webhooks. Whatever arrives as a callback counts as a webhook,
// even in the form of an answer: only what we asked for is known to be KwikID's word on the session.
func Map(body document.Object, p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	if !asked(p.Via) {
		return webhook(body, s), nil
	}
	d := session{body.Object("session_data")}
	o := d.observe(p.ReceivedAt, s)
	addChecker(&o, labels[values.Fold(p.Trigger)], p.TriggeredAt)
	return o, nil
}

// row is what a session_status that is no verdict means.
type row struct {
	effect kycbridge.Effect
	status event.Status
	detail string
	reason string
	action string
}

// rows are the statuses with the vendor's remarks
// (https://doc.app.getkwikid.com/docs/VideoFlow/API_Integrations). Three of them end in rejected:
// kyc_request_rejected is a call that an agent did not take, kyc_rejected a link that a newer one
// replaced, and neither says anything about the person.
var rows = map[string]row{
	"waiting":              {kycbridge.EffectProgress, event.StatusCreated, event.DetailLinkSent, "", ""},
	statusScheduled:        {kycbridge.EffectProgress, event.StatusInProgress, "call_scheduled", "", ""},
	"agent_alloted":        {kycbridge.EffectProgress, event.StatusInProgress, "agent_assigned", "", ""},
	"kyc_request_accepted": {kycbridge.EffectProgress, event.StatusInProgress, "call_in_progress", "", ""},
	"kyc_request_rejected": {kycbridge.EffectProgress, event.StatusRequiresInput, "", "session.declined_by_agent",
		actionRejoin},
	"kyc_rejected":    {kycbridge.EffectEnd, event.StatusCanceled, "", "session.superseded", ""},
	"session_expired": {kycbridge.EffectEnd, event.StatusExpired, "", reasonSessionExpired, ""},
	"user_abandoned":  {kycbridge.EffectEnd, event.StatusAbandoned, "", "session.abandoned", ""},
}

// The statuses that carry a verdict, the one of a booked call, and what an applicant has to do again.
const (
	statusApproved  = "kyc_result_approved"
	statusRejected  = "kyc_result_rejected"
	statusScheduled = "vkyc_requested"
	actionRejoin    = "rejoin_call"
)

// observe maps a session that was asked for at received.
func (d session) observe(received time.Time, s kycbridge.Settings) kycbridge.Observation {
	dates := values.NewDates(received)
	claims, unsure := d.claims(dates, s)
	o := kycbridge.Observation{
		EventName:         getDetails,
		ExternalReference: values.ExternalReference(d.Text("user_id")),
		References:        map[string]string{},
		ProviderStatus:    values.StatusFrom(d.Object, "session_status", "audit_result", "audit_lock"),
		Documents:         d.documents(),
		ExtractedClaims:   claims,
		Media:             d.media(),
		Session:           d.times(),
	}
	values.Set(o.References, "session_id", LowerUUID(values.Clip(d.Text("session_id"), values.MaxID)))
	values.Set(o.References, "link_id", values.Clip(d.Text("link_id"), values.MaxID))
	status := d.Text("session_status")
	known, isRow := rows[status]
	switch {
	case isRow:
		known.apply(&o)
		// A call that goes on answers a request to repeat it.
		o.Submission = status == statusScheduled || known.detail == "agent_assigned" || known.detail == "call_in_progress"
	case status == statusApproved, status == statusRejected:
		d.judge(&o, s)
	default:
		values.Unmapped(&o, status)
	}
	o.Checks = append(append(o.Checks, d.checks(o.Documents)...), unsure...)
	o.Checks = dates.Unread.AddTo(values.Distinct(o.Checks))
	return o
}

func (r row) apply(o *kycbridge.Observation) {
	o.Effect, o.Status, o.StatusDetail = r.effect, r.status, r.detail
	var codes []string
	if r.reason != "" {
		codes = []string{r.reason}
		o.Reasons = []event.Reason{{Code: r.reason}}
	}
	if r.action != "" {
		o.RequiredActions = []event.RequiredAction{{Action: r.action, Reasons: codes}}
	}
}

// decide applies one reviewer's verdict. Where a checker looks at it again (the account says so), a
// maker's verdict is a link of the chain and no decision yet.
func decide(o *kycbridge.Observation, step event.DecisionStep, s kycbridge.Settings) {
	o.Decisions = append(o.Decisions, step)
	if own(s).Checker && step.Stage == event.StageMaker {
		o.Effect, o.Status, o.StatusDetail = kycbridge.EffectProgress, event.StatusInReview, event.DetailAwaitingSecondReview
		return
	}
	o.Effect, o.Status, o.StatusDetail = kycbridge.EffectVerdict, event.StatusCompleted, ""
	o.Decision = event.Decision{Outcome: step.Outcome, Final: true, Stage: step.Stage, ActorType: step.ActorType}
}

// addChecker adds the checker's word of a webhook to the session that was asked for because of it.
// Where the session holds a checker's word too, the two must agree, or neither is believed. Where it
// holds none, the webhook's word stands beside a maker's verdict; an approval stands only on an
// approval, because a maker's rejection that a checker overrules is nothing the vendor describes.
func addChecker(o *kycbridge.Observation, l label, at time.Time) {
	if l.stage != event.StageChecker {
		return
	}
	o.Cross.Callback = l.outcome
	switch {
	case o.Cross.API != "" && o.Cross.API != l.outcome:
		values.Contradiction(o, l.name, event.StageChecker, event.ActorHuman)
		return
	case o.Cross.API != "" || len(o.Decisions) != 1 || o.Status == event.StatusRequiresInput:
		return
	case l.outcome == event.OutcomeApproved && o.Decisions[0].Outcome != event.OutcomeApproved:
		return
	case l.outcome == event.OutcomeApproved && o.Decision.Outcome == event.OutcomeNone:
		return // the session says that the checker still has it
	}
	step := event.DecisionStep{Stage: l.stage, Outcome: l.outcome, ActorType: event.ActorHuman, ProviderValue: l.name}
	o.Effect, o.Status, o.StatusDetail = kycbridge.EffectVerdict, event.StatusCompleted, event.DetailUnconfirmed
	o.OccurredAt = at // it is as old as the callback, not as the look that followed it
	o.Decision = event.Decision{Outcome: l.outcome, Final: true, Stage: l.stage, ActorType: event.ActorHuman}
	o.Decisions = append(o.Decisions, step)
	if l.reason != "" {
		o.Reasons = []event.Reason{{Code: l.reason}}
	}
}
