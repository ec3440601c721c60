package idwise

import (
	"errors"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

var errUnknownKind = errors.New("read body: neither webhook, journey summary nor journey result")

// Map maps webhooks, journey summaries and journey results. With s.Confirm a webhook about a decision is only
// a trigger, because Finished Journey repeats the system's decision even after a person has overruled it.
// Without s.Confirm the webhook's own decisions count and are marked as unconfirmed.
func Map(body document.Object, p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	switch kindOf(body, p.Via) {
	case schemaWebhook:
		return newHook(body).observe(s), nil
	case schemaSummary:
		return summary(body), nil
	case schemaResult:
		o := result{body}.observe(p.ReceivedAt)
		if isOwnCheck(p.Trigger) {
			o.Product = productSpotCheck
		}
		if p.Via == event.ViaCallback {
			unfetched(&o, s)
		}
		return o, nil
	}
	return kycbridge.Observation{}, errUnknownKind
}

// unfetched treats a decision that was posted to kycbridge, and not fetched, as a callback's: it is only a
// trigger, or it is marked as unconfirmed.
func unfetched(o *kycbridge.Observation, s kycbridge.Settings) {
	switch {
	case s.Confirm:
		values.Fetch(o)
	case o.Effect.Decisive():
		o.StatusDetail = event.DetailUnconfirmed
	}
}

// summary maps the answer of Get Journey Summary: progress, no decision. is_completed means that nothing can
// be submitted any more, not that anything was passed (https://docs.idwise.com/reference/get-journey-summary).
// It is false while a resubmission is requested, so only true shows that the applicant has submitted again.
func summary(body document.Object) kycbridge.Observation {
	o := kycbridge.Observation{
		Effect:            kycbridge.EffectProgress,
		Status:            event.StatusInProgress,
		EventName:         getSummary,
		ExternalReference: externalReference(body, "reference_no", "reference_number"),
		References:        map[string]string{},
		ProviderStatus:    values.StatusFrom(body.Object("result"), "interim_rule_assessment"),
	}
	setID(o.References, "journey_id", body["journey_id"])
	completed, told := body.Bool("is_completed")
	if told {
		o.ProviderStatus["is_completed"] = completed
	}
	if completed {
		o.Status, o.StatusDetail, o.Submission = event.StatusProcessing, event.DetailStepsSubmitted, true
	}
	return o
}

// externalReference returns the caller's own reference, under the first of these spellings that the body
// contains.
func externalReference(o document.Object, spellings ...string) string {
	for _, name := range spellings {
		if reference := values.ScalarText(o[name]); reference != "" {
			return values.ExternalReference(reference)
		}
	}
	return ""
}

// setID sets an id, which is text or a number, in the form that an event contains.
func setID(references map[string]string, name string, id any) {
	values.Set(references, name, values.Clip(values.ScalarText(id), values.MaxID))
}
