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
	agrees []string // the folded statuses that it may contain; "" is a missing status
}

// identificationEvents are the webhooks that report the state of a KYC identification. Updated is not among
// them, because it reports only facts. Expired occurs only in pre-release documentation.
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

// statuses are the statuses of a KYC identification with their meaning in a fetched one. The provider reopens
// a rejected identification by setting it to Awaiting, so a fetched Awaiting revokes the verdict. Webhooks with
// Awaiting count only as progress, because they may arrive late.
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

// attemptPrefix is the prefix of the names of what belongs to one KYC identification. An IDV may have several
// of them.
const attemptPrefix = "kyc_"

// identificationFacts returns what a KYC identification contains regardless of its status: document, claims and
// checks. Its setup differs from that of the IDV; it becomes a reference and not the flow id, so that the flow
// id does not alternate between messages about the two resources.
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

// identification maps the KYC identification of a webhook with the event e, if the status of the identification
// agrees with e: a body that contradicts itself is not accepted.
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

// fetchedIdentification maps the answer to a GET of a KYC identification. The time of a verdict is its time of
// completion; the provider sends no time for the status of an open identification.
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
	case !p.Via.Asked():
		m.effect = kycbridge.EffectProgress // only a requested body revokes a verdict; a webhook comes in an envelope
	case m.effect == kycbridge.EffectProgress:
		o.Mentions = event.OutcomeNone // Unfinished: nothing is approved
	}
	apply(&o, r, m, p, s)
	return o
}

// updated maps KycIdentification.Updated: data were edited, the verdict stays. Its status counts only if
// nothing else is known; if a verdict is known, the lifecycle compares the two.
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

// apply sets effect and status according to m.
func apply(o *kycbridge.Observation, r document.Object, m meaning, p kycbridge.Payload, s kycbridge.Settings) {
	o.Effect, o.Status, o.StatusDetail = m.effect, m.status, m.detail
	switch {
	case m.effect == kycbridge.EffectVerdict:
		decide(o, r, p)
	case m.detail == event.DetailStepsSubmitted && own(s).ManualReview:
		o.Status = event.StatusInReview
	}
}

// decide sets the verdict of a KYC identification. The reason of an approval states whether a person or the
// system gave it. On a rejection, such a reason is left over from an earlier approval; using it could mark a
// person's rejection as an automatic one, which a later automatic verdict may overwrite.
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
