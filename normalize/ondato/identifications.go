package ondato

import (
	"slices"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// kycEvent is a webhook about a KYC identification.
type kycEvent struct {
	meaning
	name   string
	agrees []string // the folded statuses that it may carry; "" is none
}

// identificationEvents are the webhooks that say where a KYC identification is. Updated is not among
// them, because it tells facts. Expired stands in pre-release documentation only.
// Source: https://ondato.atlassian.net/wiki/spaces/PUB/pages/2296184995/Webhooks
var identificationEvents = map[string]kycEvent{
	"kycidentification.created": {
		meaning{kycbridge.EffectProgress, event.StatusInProgress, ""}, "Created", []string{"", "unfinished", "awaiting"},
	},
	"kycidentification.processed": {
		meaning{kycbridge.EffectProgress, event.StatusProcessing, event.DetailStepsSubmitted}, "Processed",
		[]string{"", "awaiting"},
	},
	"kycidentification.approved": {
		meaning{kycbridge.EffectVerdict, event.StatusCompleted, ""}, "Approved", []string{"approved"},
	},
	"kycidentification.rejected": {
		meaning{kycbridge.EffectVerdict, event.StatusCompleted, ""}, "Rejected", []string{"rejected"},
	},
	"kycidentification.expired": {
		meaning{kycbridge.EffectEnd, event.StatusExpired, ""}, "Expired",
		[]string{"", "unfinished", "awaiting", "expired"},
	},
}

// statuses are the statuses of a KYC identification, as they count where it was fetched. Awaiting after
// a rejection is the provider's way to reopen one, so a fetched Awaiting takes back what was decided;
// the webhooks that carry it are signs of progress, because they may come late.
var statuses = map[string]meaning{
	"unfinished": {kycbridge.EffectProgress, event.StatusInProgress, ""},
	"awaiting":   {kycbridge.EffectReopen, event.StatusProcessing, event.DetailStepsSubmitted},
	"approved":   {kycbridge.EffectVerdict, event.StatusCompleted, ""},
	"rejected":   {kycbridge.EffectVerdict, event.StatusCompleted, ""},
}

// outcomes are the verdicts among the statuses.
var outcomes = map[string]event.Outcome{
	"approved": event.OutcomeApproved,
	"rejected": event.OutcomeRejected,
}

// attemptPrefix begins the names of what belongs to one KYC identification, of which an IDV may have
// several.
const attemptPrefix = "kyc_"

// identificationFacts are what a KYC identification says whatever its status: document, claims and
// checks. Its setup is not the IDV's; it goes to the references, so that the flow does not change its
// name with every other message.
func identificationFacts(r document.Object, p kycbridge.Payload) kycbridge.Observation {
	o := facts(r)
	o.Attempt = kycbridge.Attempt{
		ID: boundedID(r, "id"), CreatedAt: credible(r.Time("createdUtc"), p.ReceivedAt), Prefix: attemptPrefix,
	}
	values.Set(o.References, "idv_id", boundedID(r, "identityVerificationId"))
	values.Set(o.References, "kyc_identification_id", boundedID(r, "id"))
	values.Set(o.References, "kyc_setup_id", boundedID(r, "setup", "id"))
	values.SetScalar(o.ProviderStatus, "kyc_status", r["status"])
	values.SetScalar(o.ProviderStatus, "kyc_status_reason", r["statusReason"])
	values.SetScalar(o.ProviderStatus, "kyc_is_cross_checked", r["isCrossChecked"])
	dates := values.NewDates(p.ReceivedAt)
	addDocument(&o, r.Object("document"), dates)
	o.Checks = dates.Unread.AddTo(checks(r, len(o.Documents) > 0))
	o.Media = media(r)
	return o
}

// identification maps a KYC identification of which a webhook tells this event, if its own status
// agrees: a body that contradicts itself is not believed.
func identification(r document.Object, e kycEvent, p kycbridge.Payload, s kycbridge.Settings) kycbridge.Observation {
	o := identificationFacts(r, p)
	raw := word(r, "status")
	status := values.Fold(raw)
	switch _, known := statuses[status]; {
	case slices.Contains(e.agrees, status):
		apply(&o, r, e.meaning, p, s)
	case known:
		contradict(&o, e.name, raw, e.effect == kycbridge.EffectVerdict)
	case e.effect == kycbridge.EffectVerdict:
		values.Doubt(&o, raw, event.StageSystem, event.ActorUnspecified)
	default:
		values.Unmapped(&o, raw)
	}
	return o
}

// fetchedIdentification maps the answer to a GET of a KYC identification. It happened when it was
// completed; of an open one the provider does not say since when it is so.
func fetchedIdentification(r document.Object, p kycbridge.Payload, s kycbridge.Settings) kycbridge.Observation {
	o := identificationFacts(r, p)
	o.EventName = getKYC
	m, known := statuses[values.Fold(word(r, "status"))]
	switch {
	case !known:
		values.Doubt(&o, word(r, "status"), event.StageSystem, event.ActorUnspecified)
		return o
	case m.effect == kycbridge.EffectVerdict:
		o.OccurredAt = r.Time("completedUtc")
	case m.effect == kycbridge.EffectReopen && !p.Via.Asked():
		m.effect = kycbridge.EffectProgress // only what we asked for takes back a verdict; a webhook comes in an envelope
	}
	apply(&o, r, m, p, s)
	return o
}

// updated maps KycIdentification.Updated: data were edited, the verdict stays. Its status counts only
// where nothing else is known; where a verdict stands, the lifecycle compares the two.
func updated(r document.Object, p kycbridge.Payload, s kycbridge.Settings) kycbridge.Observation {
	o := identificationFacts(r, p)
	raw := word(r, "status")
	status := values.Fold(raw)
	m, known := statuses[status]
	if !known {
		values.Unmapped(&o, raw)
		o.Effect = kycbridge.EffectNote
		return o
	}
	if m.effect == kycbridge.EffectVerdict {
		m = statuses["awaiting"]
	}
	o.Mentions = event.OutcomeNone
	if outcome, decided := outcomes[status]; decided {
		o.Mentions = outcome
	}
	m.effect = kycbridge.EffectNote
	apply(&o, r, m, p, s)
	return o
}

// apply sets effect and status as m says.
func apply(o *kycbridge.Observation, r document.Object, m meaning, p kycbridge.Payload, s kycbridge.Settings) {
	o.Effect, o.Status, o.StatusDetail = m.effect, m.status, m.detail
	switch {
	case m.effect == kycbridge.EffectVerdict:
		decide(o, r, p)
	case m.detail == event.DetailStepsSubmitted && own(s).ManualReview:
		o.Status = event.StatusInReview
	}
}

// decide states the verdict of a KYC identification. The reason of an approval names who gave it; on a
// rejection the same words are leftovers of an earlier approval, and believing them could make a
// person's rejection yield as a machine's.
func decide(o *kycbridge.Observation, r document.Object, p kycbridge.Payload) {
	raw := word(r, "status")
	d := event.Decision{
		Outcome: outcomes[values.Fold(raw)], Final: true,
		Stage: event.StageSystem, ActorType: event.ActorUnspecified, DecidedAt: instant(p, r, "completedUtc"),
	}
	switch reason := word(r, "statusReason"); {
	case d.Outcome == event.OutcomeRejected && reason != "":
		o.Reasons = []event.Reason{reasonOf(reason, o.Checks)}
	case d.Outcome == event.OutcomeApproved && values.Fold(reason) == byMachine:
		d.ActorType = event.ActorSystem
	case d.Outcome == event.OutcomeApproved && values.Fold(reason) == byPerson:
		d.Stage, d.ActorType = event.StageManualReview, event.ActorHuman
	}
	o.Decision = d
	o.Decisions = []event.DecisionStep{{
		Stage: d.Stage, Outcome: d.Outcome, ActorType: d.ActorType,
		ProviderValue: values.Clip(raw, values.MaxCode), DecidedAt: d.DecidedAt,
	}}
}
