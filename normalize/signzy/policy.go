package signzy

import (
	"slices"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// measure is what a threshold of a policy is compared with.
type measure struct {
	of    func(document.Object) (float64, bool)
	check string // the check that it belongs to
	code  string // why it was not met
}

// measures are the keys of an account's policy. All values are from 0 to 1. A min is met by an equal or
// higher one, a max by an equal or lower one. Any key turns the policy on.
var measures = map[string]measure{
	"min_face_match": {func(j document.Object) (float64, bool) {
		return values.Percent(j.Text("selfieAnalysis", faceMatch, "matchPercentage"))
	}, "face_match", manualReview},
	"min_liveness": {func(j document.Object) (float64, bool) {
		return ratio(j.Object("selfieAnalysis", passiveLiveliness), "score")
	}, "liveness", manualReview},
	"min_name_match":            compares("fullNameMatch"),
	"min_date_of_birth_match":   compares("dateOfBirthMatch"),
	"min_document_number_match": compares("documentNumberMatch"),
	"min_address_match":         compares("addressMatch"),
	"max_fraud_score":           {fraudScore, "ip_risk", manualReview},
	"min_liveness_consent":      {livenessConsent, "", "session.consent_declined"},
}

func compares(member string) measure {
	return measure{func(j document.Object) (float64, bool) {
		return values.Percent(j.Text("matchPercentage", member))
	}, "match_percentage", manualReview}
}

// livenessConsent is the consent of the selfie page: 1 if it was given, else 0.
func livenessConsent(j document.Object) (float64, bool) {
	a := answerAt(j.Object("capturedData"), "livenessConsent")
	if a.passed() {
		return 1, true
	}
	return 0, a.failed()
}

// PolicyKeys lists the thresholds that an account may set, in alphabetical order; each is a number from
// 0 to 1. min_* bound face match, liveness, the comparisons with the caller's data and the consent of the
// selfie page from below, max_fraud_score bounds the risk of the network address from above. Setting any
// of them lets COMPLETED journeys be approved, rejected or sent to review at stage "policy".
func PolicyKeys() []string { return values.Sorted(measures) }

// Overlookable lists the types of checks that an operator may tell a policy to pass over: none of those
// that show who the person is.
func Overlookable() []string {
	return []string{
		event.CheckDocumentRecognition, event.CheckImageQuality, event.CheckMRZ, event.CheckBarcode,
		event.CheckChip, event.CheckDataExtraction, event.CheckDataConsistency, event.CheckDataMatch,
		event.CheckAML, event.CheckGeolocation, event.CheckIPRisk,
	}
}

// decide turns the evidence into the account's own verdict. There is one rule: it approves only if
// nothing in the body speaks against the person, everything that an approval needs is there, and every
// threshold is met. Evidence that refutes the person rejects; all else is for a human to review.
func decide(o *kycbridge.Observation, j document.Object, e *evidence, s kycbridge.Settings) {
	d := event.Decision{
		Outcome:   event.OutcomeReview,
		Stage:     event.StagePolicy,
		ActorType: event.ActorSystem,
		DecidedAt: event.Instant(j.Time("completedAt")),
	}
	expired(o.Documents, e, later(o.OccurredAt, j.Time("completedAt")))
	lacking(j, e)
	unmet(j, e, own(s).Policy)
	left := e.left(own(s).Overlook)
	switch {
	case refuted(j):
		d.Outcome, d.Final = event.OutcomeRejected, true
	case len(left) == 0:
		d.Outcome, d.Final = event.OutcomeApproved, true
	default:
		o.Status = event.StatusInReview
		o.Reasons = reviewReasons(o.Reasons, left)
	}
	o.Decision = d
	o.Decisions = []event.DecisionStep{{
		Stage: d.Stage, Outcome: d.Outcome, ActorType: d.ActorType,
		ProviderValue: values.Clip(j.Text("currentStatus"), values.MaxCode), DecidedAt: d.DecidedAt,
	}}
}

// left are the objections that the operator has not told us to overlook.
func (e *evidence) left(overlook []string) []event.Reason {
	var left []event.Reason
	for _, o := range e.against {
		if !slices.Contains(overlook, o.kind) || !slices.Contains(Overlookable(), o.kind) {
			left = append(left, o.reason)
		}
	}
	return left
}

// reviewReasons say first that somebody has to look, then why.
func reviewReasons(told, left []event.Reason) []event.Reason {
	reasons := []event.Reason{{Code: manualReview}}
	if i := slices.IndexFunc(left, func(r event.Reason) bool { return r.Code == manualReview }); i >= 0 {
		reasons[0] = left[i]
	}
	for _, reason := range slices.Concat(told, left) {
		reasons = withReason(reasons, reason)
	}
	return reasons
}

// refuted reports whether some evidence is clearly negative. A face match that failed at no percent at
// all does not count: that is also what stands where nothing was compared (observed).
func refuted(j document.Object) bool {
	score, measured := measures["min_face_match"].of(j)
	first := j.Object("documentIntelligence")
	return answerAt(first.Object("completeStatus"), "overallStatus").failed() || answerAt(first, "idExpired").passed() ||
		liveAnswer(j).failed() || faceAnswer(j).failed() && (!measured || score > 0)
}

// lacking holds against the person what every approval needs and the body does not show: the document as
// a whole, that it has not expired, liveness, the face match, and a journey at its end. A failed one of
// them is an objection already.
func lacking(j document.Object, e *evidence) {
	first := j.Object("documentIntelligence")
	overall := answerAt(first.Object("completeStatus"), "overallStatus")
	for _, need := range [...]struct {
		met         bool
		kind, check string
	}{
		{overall.passed(), event.CheckDocumentAuthenticity, "complete_status"},
		{answerAt(first, "idExpired").failed(), event.CheckDocumentExpiry, "expiry"},
		{liveAnswer(j).passed(), event.CheckLiveness, "liveness"},
		{faceAnswer(j).passed(), event.CheckFaceMatch, "face_match"},
	} {
		if !need.met {
			e.object(need.kind, event.Reason{Code: manualReview, CheckID: need.check})
		}
	}
	if values.Fold(j.Text("step")) != complete {
		e.unexplained("", "step")
	}
}

// unmet holds against the person every threshold that is not met. A key that is not known, a threshold
// outside 0 to 1 and a value that was not measured are never met.
func unmet(j document.Object, e *evidence, policy map[string]float64) {
	for _, key := range values.Sorted(policy) {
		m, known := measures[key]
		bound := policy[key]
		if !known || !within(bound) {
			e.unexplained("", "policy")
			continue
		}
		value, measured := m.of(j)
		if !measured || strings.HasPrefix(key, "max_") && value > bound || strings.HasPrefix(key, "min_") && value < bound {
			e.object("", event.Reason{Code: m.code, CheckID: m.check})
		}
	}
}

// expired holds against the person a date of expiry that had passed when the journey ended, whatever the
// provider made of it.
func expired(documents []event.Document, e *evidence, at time.Time) {
	day := at.UTC().Format(time.DateOnly)
	for _, doc := range documents {
		if doc.DateOfExpiry != "" && !at.IsZero() && doc.DateOfExpiry < day {
			e.object(event.CheckDocumentExpiry, event.Reason{Code: "document.expired", ProviderCode: "extractedFields"})
		}
	}
}
