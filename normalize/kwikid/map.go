package kwikid

import (
	"strings"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// Map maps answers of get_details and webhooks. Every callback counts as a webhook, even in the form of an
// answer: only a body that kycbridge requested is known to be KwikID's own data about the session.
func Map(body document.Object, p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	if !asked(p.Via) {
		return webhook(body, s), nil
	}
	d := session{body.Object("session_data")}
	o := d.observe(p.ReceivedAt, s)
	addChecker(&o, labels[values.Fold(p.Trigger)], p.TriggeredAt)
	if o.Decision.Outcome == event.OutcomeApproved && disputed(map[string]any(body), searchDepth, session.refuses) {
		values.Contradiction(&o, d.Text("session_status"), o.Decision.Stage, event.ActorHuman)
		o.Cross.API = ""
	}
	return o, nil
}

// row is the meaning of a session_status that is not a verdict.
type row struct {
	effect kycbridge.Effect
	status event.Status
	detail string
	reason string
	action string
}

// rows are the statuses that are not verdicts, mapped by the vendor's remarks
// (https://doc.app.getkwikid.com/docs/VideoFlow/API_Integrations). Three of the vendor's statuses end in
// rejected; only kyc_result_rejected is a verdict. kyc_request_rejected is a call that an agent did not take,
// kyc_rejected is a link that a newer link replaced: neither is a result about the person.
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

// The statuses with a verdict, the status of a booked call, and the action required of an applicant who has
// to repeat the call.
const (
	statusApproved  = "kyc_result_approved"
	statusRejected  = "kyc_result_rejected"
	statusScheduled = "vkyc_requested"
	actionRejoin    = "rejoin_call"
)

// observe maps a session that was fetched at received.
func (d session) observe(received time.Time, s kycbridge.Settings) kycbridge.Observation {
	dates := values.NewDates(received)
	claims, unsure := d.claims(dates, s)
	o := kycbridge.Observation{
		EventName:         getDetails,
		ExternalReference: values.ExternalReference(d.Text("user_id")),
		ReferenceIsPhone:  event.SamePhone(d.Text("phone_number"), d.Text("user_id")),
		References:        map[string]string{},
		ProviderStatus:    values.StatusFrom(d.Object, "session_status", "audit_result", "audit_lock"),
		Documents:         d.documents(),
		ExtractedClaims:   claims,
		Media:             d.media(),
		Session:           d.times(),
	}
	values.Set(o.References, "session_id", LowerUUID(values.Clip(d.Text("session_id"), values.MaxID)))
	values.Set(o.References, "link_id", values.Clip(d.said("link_id"), values.MaxID))
	status := d.Text("session_status")
	known, isRow := rows[status]
	switch {
	case isRow:
		known.apply(&o)
		// A call that is booked, assigned to an agent or in progress fulfils a request to repeat the call.
		o.Submission = status == statusScheduled || known.detail == "agent_assigned" || known.detail == "call_in_progress"
	case status == statusApproved, status == statusRejected:
		d.judge(&o, s)
	case unreadable(d.Value("session_status")), strings.HasPrefix(values.Fold(status), "kycresult"):
		values.Doubt(&o, status, event.StageMaker, event.ActorHuman) // a result, in a word that is not known
	default:
		values.Unmapped(&o, status)
		o.Mentions = event.OutcomeNone // whatever it means, it is no approval
	}
	switch a, said := d.audit(), d.feedback(); {
	case len(o.Decisions) > 0 || o.Effect.Decisive():
	case a.rejects() && endsWithoutVerdict(o):
		values.Contradiction(&o, strings.TrimSpace(status+" "+a.raw), event.StageChecker, event.ActorHuman)
	case a.rejects(), said.rejects():
		o.Mentions = event.OutcomeRejected
	case a.isOpen(), said.repeats():
		o.Mentions = event.OutcomeNone
	}
	o.Checks = append(append(o.Checks, d.checks(o.Documents)...), unsure...)
	o.Checks = dates.Unread.AddTo(values.Distinct(o.Checks))
	return o
}

// endsWithoutVerdict reports whether a session has ended without a maker's verdict, or has a status that is not known.
// Beside a checker's rejection that is not believed: an approval that stands would remain.
func endsWithoutVerdict(o kycbridge.Observation) bool {
	return len(o.Decisions) == 0 && (o.Effect == kycbridge.EffectEnd || o.Status == event.StatusUnknown) &&
		o.Effect != kycbridge.EffectDoubt
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

// decide applies one reviewer's verdict. If a checker reviews every verdict (a setting of the account), a
// maker's verdict is only a step of the decision chain and not yet the decision.
func decide(o *kycbridge.Observation, step event.DecisionStep, s kycbridge.Settings) {
	o.Decisions = append(o.Decisions, step)
	if own(s).Checker && step.Stage == event.StageMaker {
		o.Effect, o.Status, o.StatusDetail = kycbridge.EffectProgress, event.StatusInReview, event.DetailAwaitingSecondReview
		if step.Outcome == event.OutcomeRejected {
			o.Mentions = step.Outcome
		}
		return
	}
	o.Effect, o.Status, o.StatusDetail = kycbridge.EffectVerdict, event.StatusCompleted, ""
	o.Decision = event.Decision{Outcome: step.Outcome, Final: true, Stage: step.Stage, ActorType: step.ActorType}
}

// addChecker adds the checker's verdict from a webhook to the session that was fetched because of that
// webhook. If the session contains a checker's verdict too, the two must agree, or neither is accepted. If it
// contains none, the webhook's verdict is added to the maker's verdict. A checker's approval is accepted only
// after a maker's approval, because the vendor does not describe a checker who overrules a maker's rejection. A
// checker's rejection of a session that ended without a verdict is a doubt, so that no approval remains.
func addChecker(o *kycbridge.Observation, l label, at time.Time) {
	if l.stage != event.StageChecker {
		return
	}
	o.Cross.Callback = l.outcome
	switch {
	case o.Cross.API != "" && o.Cross.API != l.outcome:
		values.Contradiction(o, l.name, event.StageChecker, event.ActorHuman)
		return
	case l.outcome == event.OutcomeRejected && endsWithoutVerdict(*o):
		values.Contradiction(o, l.name, event.StageChecker, event.ActorHuman)
		return
	case l.outcome == event.OutcomeRejected && len(o.Decisions) == 0 && !o.Effect.Decisive():
		o.Mentions = l.outcome
		return
	case o.Cross.API != "" || len(o.Decisions) != 1 || o.Status == event.StatusRequiresInput:
		return
	case l.outcome == event.OutcomeApproved && o.Decisions[0].Outcome != event.OutcomeApproved:
		return
	case l.outcome == event.OutcomeApproved && o.Decision.Outcome == event.OutcomeNone,
		l.outcome == event.OutcomeApproved && o.Effect == kycbridge.EffectReopen:
		return // the session is still locked for the checker, or is to be visited again
	}
	step := event.DecisionStep{Stage: l.stage, Outcome: l.outcome, ActorType: event.ActorHuman, ProviderValue: l.name}
	o.Effect, o.Status, o.StatusDetail = kycbridge.EffectVerdict, event.StatusCompleted, event.DetailUnconfirmed
	o.OccurredAt = at // the verdict is as old as the callback, not as the fetch that followed it
	o.Decision = event.Decision{Outcome: l.outcome, Final: true, Stage: l.stage, ActorType: event.ActorHuman}
	o.Decisions = append(o.Decisions, step)
	if l.reason != "" {
		o.Reasons = []event.Reason{{Code: l.reason}}
	}
}
