package ondato

import (
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

const suspended = "suspended"

// sessions are the IDV statuses.
// Source: https://ondato.atlassian.net/wiki/x/7ILWi
var sessions = map[string]meaning{
	"pending":    {kycbridge.EffectProgress, event.StatusCreated, ""},
	"inprogress": {kycbridge.EffectProgress, event.StatusInProgress, ""},
	"suspended":  {kycbridge.EffectProgress, event.StatusInProgress, suspended},
	"completed":  {kycbridge.EffectProgress, event.StatusProcessing, event.DetailStepsSubmitted},
	"aborted":    {kycbridge.EffectEnd, event.StatusAbandoned, ""},
	"expired":    {kycbridge.EffectEnd, event.StatusExpired, ""},
}

// fetchedSession maps the answer to a GET of an IDV.
func fetchedSession(r document.Object, p kycbridge.Payload) kycbridge.Observation {
	o := session(r, p, sessions[values.Fold(word(r, "status"))])
	o.EventName = getIDV
	o.OccurredAt = r.Time("modifiedUtc")
	return o
}

// session maps an identity verification whose status has the meaning m; m is zero if the status is not known.
// The result is never a verdict.
func session(r document.Object, p kycbridge.Payload, m meaning) kycbridge.Observation {
	o := facts(r)
	status := word(r, "status")
	o.FlowID, o.FlowVersion = boundedID(r, "setup", "id"), boundedID(r, "setup", "versionId")
	values.Set(o.References, "idv_id", boundedID(r, "id"))
	values.Set(o.References, "kyc_identification_id", boundedID(r, "step", "kycIdentification", "id"))
	values.SetScalar(o.ProviderStatus, "idv_status", status)
	values.SetScalar(o.ProviderStatus, "idv_status_reason", r["statusReason"])
	values.SetScalar(o.ProviderStatus, "idv_kyc_is_success", r.Value("step", "kycIdentification", "isSuccess"))
	o.Session = applicant(r, p, m)
	if m.status == "" {
		values.Unmapped(&o, status)
		o.Mentions = outcomes[values.Fold(status)] // no documented status of an IDV
		return o
	}
	o.Effect, o.Status, o.StatusDetail = m.effect, m.status, m.detail
	switch {
	case m.status == event.StatusAbandoned:
		o.Reasons = []event.Reason{{Code: "session.aborted_by_user", ProviderCode: values.Clip(status, values.MaxCode)}}
	case m.detail == suspended:
		o.RequiredActions = []event.RequiredAction{{Action: "resume"}}
	}
	return o
}

// consented maps the event of the applicant's consent. The event itself counts as the consent, unless the body
// states that consent was not given. The status of an ended session contradicts the event.
func consented(r document.Object, p kycbridge.Payload, at time.Time) kycbridge.Observation {
	var o kycbridge.Observation
	status := word(r, "status")
	switch m := sessions[values.Fold(status)]; {
	case m.effect == kycbridge.EffectEnd:
		o = session(r, p, meaning{})
		contradict(&o, "Consented", status, false)
	case m.status != "":
		o = session(r, p, sessions["inprogress"])
	default:
		o = session(r, p, m)
	}
	if o.Session == nil {
		o.Session = &event.Session{}
	}
	sent := event.Instant(credible(at, p.ReceivedAt))
	switch given := o.Session.Consent; {
	case given == nil:
		o.Session.Consent = &event.Consent{Given: true, At: sent}
	case given.Given && given.At == "":
		given.At = sent
	}
	return o
}

// applicant returns the applicant's part of an IDV. The time of the last modification is the end of the session
// if the status is final, and the time of submission if it is Completed.
func applicant(r document.Object, p kycbridge.Payload, m meaning) *event.Session {
	s := event.Session{CreatedAt: instant(p, r, "createdUtc")}
	switch {
	case m.status.Closed():
		s.EndedAt = instant(p, r, "modifiedUtc")
	case m.status == event.StatusProcessing:
		s.SubmittedAt = instant(p, r, "modifiedUtc")
	}
	if given, ok := r.Bool("step", "consent", "isConsented"); ok {
		s.Consent = &event.Consent{Given: given}
		if given { // the time beside a refusal belongs to an earlier consent
			s.Consent.At = instant(p, r, "step", "consent", "consentedUtc")
		}
	}
	if s == (event.Session{}) {
		return nil
	}
	return &s
}
