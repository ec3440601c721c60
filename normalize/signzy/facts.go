package signzy

import (
	"slices"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// facts returns what a journey contains for any status. processingConfig is not read: it holds the secret of
// the callback in clear text. Of userInfo only the caller's reference is read: the rest came from the caller
// and proves nothing.
func facts(j document.Object, reports []report, dates *values.Dates) kycbridge.Observation {
	o := kycbridge.Observation{
		FlowID:         values.Clip(j.Text("flow", "flowId"), values.MaxID),
		FlowVersion:    values.Clip(j.Text("flow", "version"), values.MaxID),
		References:     map[string]string{},
		ProviderStatus: values.StatusFrom(j, "currentStatus", "step", "message"),
		Decision:       event.Decision{Outcome: event.OutcomeNone},
		Session:        session(j),
		Media:          media(j, reports),
		Extensions:     attempts(j),
	}
	external := j.Text("userInfo", "externalReferenceId")
	if external == "" {
		external = j.Text("userId")
	}
	o.ExternalReference = values.ExternalReference(external)
	o.ReferenceIsPhone = event.SamePhone(j.Text("userInfo", "phoneNumber"), o.ExternalReference)
	values.Set(o.References, "journey_id", values.Clip(reference(j), values.MaxID))
	values.Set(o.References, "database_id", values.Clip(j.Text("_id"), values.MaxID))
	values.Set(o.References, "client_id", values.Clip(j.Text("clientId"), values.MaxID))
	addDocuments(&o, j, reports, dates)
	return o
}

// isOfTest reports whether a body marks its journey as a test, in the journey or around it.
func isOfTest(doc document.Object) bool {
	return slices.ContainsFunc(places[:], func(path []string) bool {
		part := doc.Object(path...)
		return isTest(part) || isTest(part.Object("flow"))
	})
}

// isTest reports whether a flow is marked as a test. A mark that cannot be read counts as a test, so that
// sandbox traffic is never taken for live traffic.
func isTest(flow document.Object) bool {
	switch v := flow["test"].(type) {
	case nil:
		return false
	case map[string]any, []any:
		return true
	default:
		text := document.Text(v)
		return !values.IsBlank(text) && text != "0"
	}
}

// earliestYear is the first plausible year of a journey.
const earliestYear = 2000

// occurred sets when a journey reached its current state. The provider writes updatedAt just before the last
// save and completedAt during it (observed); a later change moves updatedAt. If an ended journey has no
// readable completedAt, or an implausibly early one, the time is left empty.
func occurred(o *kycbridge.Observation, j document.Object, ended bool) {
	updated, over := j.Time("updatedAt"), j.Time("completedAt")
	if !ended || over.Year() >= earliestYear {
		o.OccurredAt = later(updated, over)
	}
	o.Untimed = o.OccurredAt.IsZero()
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// session returns the applicant's visit. The consent of the selfie page is ignored: it is false even in
// journeys that succeeded (observed). The country is the one that the applicant chose.
func session(j document.Object) *event.Session {
	s := event.Session{
		Channel:   "web",
		CreatedAt: event.Instant(j.Time("createdAt")),
		StartedAt: event.Instant(j.Time("startedAt")),
		EndedAt:   event.Instant(j.Time("completedAt")),
		Country:   values.Alpha2(j.Text("capturedData", "country")),
	}
	if s.Country != "" {
		s.CountrySource = "declared"
	}
	switch given := answerAt(j.Object("capturedData"), "consent"); {
	case given.passed():
		s.Consent = &event.Consent{Given: true}
	case given.failed():
		s.Consent = &event.Consent{}
	}
	return &s
}

// attempts returns how often the applicant tried each part.
func attempts(j document.Object) map[string]any {
	const most = 1_000_000
	extensions := map[string]any{}
	for _, part := range [...]struct{ member, name string }{
		{"documentIntelligence", "document_attempts"},
		{"selfieAnalysis", "selfie_attempts"},
	} {
		if n, ok := j.Number(part.member, "attempts"); ok && n >= 0 && n <= most && n == float64(int(n)) {
			extensions[part.name] = int(n)
		}
	}
	if len(extensions) == 0 {
		return nil
	}
	return extensions
}
