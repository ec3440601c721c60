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

// measure is the value that a threshold of a policy is compared with.
type measure struct {
	of    func(document.Object) (float64, bool)
	check string // the id of the check that contains the value
	code  string // the reason if the threshold is not met
}

// measures maps the keys of an account's policy to their values. All values are from 0 to 1. A min is met by
// an equal or higher value, a max by an equal or lower one. Any key turns the policy on.
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
	"max_fraud_score":           {everyFraudScore, "ip_risk", manualReview},
	"min_liveness_consent":      {livenessConsent, "", "session.consent_declined"},
}

func compares(member string) measure {
	return measure{func(j document.Object) (float64, bool) {
		return values.Percent(j.Text("matchPercentage", member))
	}, "match_percentage", manualReview}
}

// livenessConsent returns the consent of the selfie page: 1 if it was given, else 0.
func livenessConsent(j document.Object) (float64, bool) {
	a := answerAt(j.Object("capturedData"), "livenessConsent")
	if a.passed() {
		return 1, true
	}
	return 0, a.failed()
}

// PolicyKeys lists the thresholds that an account may set, in alphabetical order. Each is a number in the
// range 0 to 1: min_* are lower bounds for face match, liveness, the comparisons with the caller's data and
// the consent of the selfie page; max_fraud_score is an upper bound for the risk of the IP address. If any of
// them is set, COMPLETED journeys are approved, rejected or sent to review at stage "policy".
func PolicyKeys() []string { return values.Sorted(measures) }

// Overlookable lists the types of checks that an operator may tell a policy to overlook. It contains no check
// that establishes who the person is.
func Overlookable() []string {
	return []string{
		event.CheckDocumentRecognition, event.CheckImageQuality, event.CheckMRZ, event.CheckBarcode,
		event.CheckChip, event.CheckDataExtraction, event.CheckDataConsistency, event.CheckDataMatch,
		event.CheckAML, event.CheckGeolocation, event.CheckIPRisk,
	}
}

// decide turns the evidence into the account's own verdict. It approves only if the body contains no
// objection, everything that an approval needs is present, and every threshold is met. Evidence that refutes
// the person leads to a rejection; everything else goes to a human for review.
func decide(o *kycbridge.Observation, j document.Object, e *evidence, s kycbridge.Settings, received time.Time) {
	d := event.Decision{
		Outcome:   event.OutcomeReview,
		Stage:     event.StagePolicy,
		ActorType: event.ActorSystem,
		DecidedAt: event.Instant(j.Time("completedAt")),
	}
	at := endOf(o, j, received)
	expired(reportsOf(j), e, at)
	lacking(j, e, o.Documents, at)
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

// endOf returns when a journey ended, to compare it with dates of expiry. Without a plausible time it is when the body
// was received, which is not earlier.
func endOf(o *kycbridge.Observation, j document.Object, received time.Time) time.Time {
	if at := later(o.OccurredAt, j.Time("completedAt")); at.Year() >= earliestYear {
		return at
	}
	return received
}

// left returns the reasons of the objections that the operator has not configured to be overlooked.
func (e *evidence) left(overlook []string) []event.Reason {
	var left []event.Reason
	for _, o := range e.against {
		if !slices.Contains(overlook, o.kind) || !slices.Contains(Overlookable(), o.kind) {
			left = append(left, o.reason)
		}
	}
	return left
}

// reviewReasons lists first that a manual review is required, then why.
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

// refuted reports whether some evidence is clearly negative. A failed face match with 0 percent does not
// count: the provider also reports it if no faces were compared (observed).
func refuted(j document.Object) bool {
	score, measured := measures["min_face_match"].of(j)
	first := j.Object("documentIntelligence")
	return answerAt(first.Object("completeStatus"), "overallStatus").failed() || answerAt(first, "idExpired").passed() ||
		liveAnswer(j).failed() || faceAnswer(j).failed() && (!measured || score > 0)
}

// refusals are parts of words that name another end than a completed journey, or another result than a passed one. The
// texts beside a result are not documented, and those of completed journeys differ (observed), so only these are
// objections. "not recognized" was observed beside a failed document.
var refusals = [...]string{
	"reject", "declin", "denied", "fail", "terminat", "expir", "cancel", "abort", "abandon", "unsuccess", "incomplete",
	"notcomplete", "exceed", "notrecogni", "invalid", "notvalid",
}

// lacking adds an objection for each item that an approval needs and the body does not contain: the document
// as a whole, that it has not expired, liveness, the face match, and a journey at its end. A failed item also
// has the objection of its check. That the document has not expired needs the provider's answer or a date that was
// read: idExpired is "False" even if nothing was read (observed).
func lacking(j document.Object, e *evidence, documents []event.Document, at time.Time) {
	first := j.Object("documentIntelligence")
	overall := answerAt(first.Object("completeStatus"), "overallStatus")
	optical := answerAt(first.Object("completeStatus", "detailsOptical"), "expiry")
	for _, need := range [...]struct {
		met         bool
		kind, check string
	}{
		{overall.passed(), event.CheckDocumentAuthenticity, "complete_status"},
		{optical.passed() || len(first.Object("extractedFields")) > 0 && unexpired(documents, at), event.CheckDocumentExpiry, "expiry"},
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
	if some(j["message"], refuses) {
		e.unexplained("", "message")
	}
	for _, r := range reportsOf(j) {
		if some(r.body.Object("completeStatus")["message"], refuses) {
			e.unexplained("", "completeStatus.message")
		}
	}
}

// refuses reports whether a value is a text that contains one of refusals.
func refuses(v any) bool {
	text := values.Fold(withoutData(document.Text(v)))
	return slices.ContainsFunc(refusals[:], func(word string) bool { return strings.Contains(text, word) })
}

// The letters of base64, in both alphabets of it, and the longest run of them that may be words.
const (
	upper, lower, digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz", "0123456789"
	dataLetters          = upper + lower + digits + "+/=_-"
	longestWords         = 60
)

// withoutData returns a text without images and keys, in which a word of four letters occurs by chance: in every tenth
// image of 100 kB. They are long runs of the letters of base64, in both cases and with digits.
func withoutData(text string) string {
	if len(text) <= longestWords {
		return text
	}
	var words strings.Builder
	for text != "" {
		rest := strings.TrimLeft(text, dataLetters)
		run := text[:len(text)-len(rest)]
		isData := len(run) > longestWords && strings.ContainsAny(run, upper) && strings.ContainsAny(run, lower) &&
			strings.ContainsAny(run, digits)
		if !isData {
			words.WriteString(run)
		}
		next := strings.IndexAny(rest, dataLetters)
		if next < 0 {
			next = len(rest)
		}
		words.WriteString(rest[:next])
		text = rest[next:]
	}
	return words.String()
}

// unmet adds an objection for every threshold that is not met. An unknown key, a threshold outside 0 to 1 and
// a value that was not measured count as not met.
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

// unexpired reports whether the first document that was read has a date of expiry that had not passed when the journey
// ended.
func unexpired(documents []event.Document, at time.Time) bool {
	return len(documents) > 0 && !at.IsZero() && documents[0].DateOfExpiry >= at.UTC().Format(time.DateOnly)
}

// expired adds an objection for each document that had expired when the journey ended, whatever the provider
// reported about it, and for each one with which no time can be compared. A document with several dates of expiry has
// expired on the first of them.
func expired(reports []report, e *evidence, at time.Time) {
	day := at.UTC().Format(time.DateOnly)
	for _, r := range reports {
		days := r.expiries()
		switch {
		case len(days) == 0:
		case at.IsZero():
			e.unexplained(event.CheckDocumentExpiry, "completedAt")
		case slices.Min(days) < day:
			e.object(event.CheckDocumentExpiry, event.Reason{Code: "document.expired", ProviderCode: "extractedFields"})
		}
	}
}
