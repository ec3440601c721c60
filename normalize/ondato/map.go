package ondato

import (
	"errors"
	"fmt"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// meaning is the meaning of one status or event type of the provider.
type meaning struct {
	effect kycbridge.Effect
	status event.Status
	detail string
}

var errNoReference = errors.New("names no identity verification")

// Map maps a webhook, or the answer to a GET of an IDV or a KYC identification. Only the KYC
// identification decides about the person; the IDV's Completed only means that the applicant reached the end
// of the flow.
// Source: https://ondato.atlassian.net/wiki/x/7ILWi (IDV statuses) and the vendor's Webhooks page.
func Map(body document.Object, p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	var o kycbridge.Observation
	switch {
	case isEnvelope(body):
		o = webhook(body, p, s)
	case idOf(body, "identityVerificationId") != "":
		o = fetchedIdentification(body, p, s)
	default:
		o = fetchedSession(body, p)
	}
	if p.Via == event.ViaCallback {
		o.Untimed = o.OccurredAt.IsZero()
	}
	values.Confirm(&o, p, s)
	if o.Effect != kycbridge.EffectNone && o.References["idv_id"] == "" {
		return kycbridge.Observation{}, fmt.Errorf("ondato: %w", errNoReference)
	}
	return o, nil
}

// webhook maps an event by its type. Types are compared folded, like all enumeration values of this provider:
// its wiki, its API and its SDK spell them in three ways.
func webhook(body document.Object, p kycbridge.Payload, s kycbridge.Settings) kycbridge.Observation {
	var o kycbridge.Observation
	kind, r, at := values.Fold(word(body, "type")), body.Object("payload"), body.Time("createdUtc")
	switch e, decides := identificationEvents[kind]; {
	case decides:
		o = identification(r, e, p, s)
	case kind == "kycidentification.updated":
		o = updated(r, p, s)
	case kind == "identityverification.consented", kind == "idv.consented":
		o = consented(r, p, at)
	case kind == "identityverification.statuschanged", kind == "idv.statuschanged":
		o = session(r, p, sessions[values.Fold(word(r, "status"))])
	default:
		o = kycbridge.Observation{Effect: kycbridge.EffectNone, Ignored: values.IgnoredType}
	}
	if o.References != nil && o.References["application_id"] == "" {
		values.Set(o.References, "application_id", boundedID(body, "applicationId"))
	}
	o.EventName = values.Clip(word(body, "type"), values.MaxName)
	o.EventID = values.Clip(values.ScalarText(body["id"]), values.MaxID)
	o.OccurredAt = at
	return o
}

// facts returns what every resource contains regardless of its status.
func facts(r document.Object) kycbridge.Observation {
	o := kycbridge.Observation{
		ExternalReference: values.ExternalReference(values.ScalarText(r["externalReferenceId"])),
		References:        map[string]string{},
		ProviderStatus:    map[string]any{},
		Decision:          event.Decision{Outcome: event.OutcomeNone},
	}
	values.Set(o.References, "application_id", boundedID(r, "applicationId"))
	return o
}

// instant reads a time of a resource in p and formats it for an event; "" if it cannot be read or cannot be true.
func instant(p kycbridge.Payload, r document.Object, path ...string) string {
	return event.Instant(credible(r.Time(path...), p.ReceivedAt))
}

// contradict makes o report that the type of a message and the status in it contradict each other. If the type
// is a verdict, the effect is doubt. If it is progress, the status decides nothing; one that rejects revokes an
// older approval.
func contradict(o *kycbridge.Observation, kind, status string, isVerdict bool) {
	values.Contradiction(o, kind+"/"+status, event.StageSystem, event.ActorUnspecified)
	if !isVerdict {
		o.Effect, o.Decision = kycbridge.EffectProgress, event.Decision{Outcome: event.OutcomeNone}
		o.Mentions = outcomes[values.Fold(status)]
	}
}

// credible returns t, or the zero time if t cannot be the time of a fact that was received at received.
func credible(t, received time.Time) time.Time {
	if t.Year() < earliestYear || !received.IsZero() && t.After(received.Add(clockSlack)) {
		return time.Time{}
	}
	return t
}

// A time before earliestYear is an unset field; a time more than clockSlack after the receipt is wrong.
const (
	earliestYear = 2000
	clockSlack   = 5 * time.Minute
)
