package normalize

import (
	"maps"
	"slices"
	"strings"

	"kycbridge"
)

// signzyMeasures are the keys of an account's policy with what each is compared with.
//
//   - min_face_match: faceMatch.matchPercentage
//   - min_liveness: passiveLiveliness.score
//   - min_name_match, min_date_of_birth_match, min_document_number_match, min_address_match: the
//     members of matchPercentage
//   - max_fraud_score: the highest fraudScore of ipAddresses
//
// All are from 0 to 1. A min is met by an equal or higher measure, a max by an equal or lower one.
// Any key turns the policy on, and then the evidence of decide is always required too.
var signzyMeasures = map[string]func(*signzyJourney) (float64, bool){
	"min_face_match":            func(j *signzyJourney) (float64, bool) { return percent(string(j.Selfie.FaceMatch.MatchPercentage)) },
	"min_liveness":              func(j *signzyJourney) (float64, bool) { return ratio(j.Selfie.Liveness.Score) },
	"min_name_match":            func(j *signzyJourney) (float64, bool) { return percent(string(j.Match.FullName)) },
	"min_date_of_birth_match":   func(j *signzyJourney) (float64, bool) { return percent(string(j.Match.DateOfBirth)) },
	"min_document_number_match": func(j *signzyJourney) (float64, bool) { return percent(string(j.Match.DocumentNumber)) },
	"min_address_match":         func(j *signzyJourney) (float64, bool) { return percent(string(j.Match.Address)) },
	"max_fraud_score":           (*signzyJourney).fraudScore,
}

// SignzyPolicyKeys lists the thresholds that an account may set, in alphabetical order; each is a
// number from 0 to 1. min_* bound face match, liveness and the comparisons with the caller's data
// from below, max_fraud_score bounds the risk of the network address from above. Setting any of them
// lets COMPLETED journeys be approved, rejected or sent to review at stage "policy".
func SignzyPolicyKeys() []string { return slices.Sorted(maps.Keys(signzyMeasures)) }

// decide turns the evidence into the account's own verdict: rejected on evidence that speaks
// clearly against the person, approved if everything asked for is there and good enough, and review
// in every other case.
func (j *signzyJourney) decide(o *kycbridge.Observation, policy map[string]float64) {
	d := kycbridge.Decision{
		Outcome:   kycbridge.OutcomeReview,
		Stage:     kycbridge.StagePolicy,
		ActorType: kycbridge.ActorSystem,
		DecidedAt: kycbridge.Instant(instant(string(j.CompletedAt))),
	}
	switch {
	case j.refuted():
		d.Outcome, d.Final = kycbridge.OutcomeRejected, true
	case j.proven() && j.meets(policy):
		d.Outcome, d.Final = kycbridge.OutcomeApproved, true
	default:
		o.Status = kycbridge.StatusInReview
		o.Reasons = append([]kycbridge.Reason{{Code: "review.manual_review_required"}}, o.Reasons...)
	}
	o.Decision = d
	o.Decisions = []kycbridge.DecisionStep{{
		Stage: d.Stage, Outcome: d.Outcome, ActorType: d.ActorType,
		ProviderValue: clip(string(j.CurrentStatus), maxCode), DecidedAt: d.DecidedAt,
	}}
}

// refuted reports whether some evidence is clearly negative.
func (j *signzyJourney) refuted() bool {
	overall, _ := triState(j.Document.CompleteStatus.OverallStatus)
	expired, _ := triState(j.Document.IDExpired)
	live, _ := j.liveness()
	face, _ := j.faceMatch()
	return overall == kycbridge.ResultFailed || expired == kycbridge.ResultPassed ||
		live == kycbridge.ResultFailed || face == kycbridge.ResultFailed
}

// proven reports whether the evidence that every approval needs is there and positive. A journey at
// an unknown step, or one whose document checks contradict their own summary, is not taken for it.
func (j *signzyJourney) proven() bool {
	overall, _ := triState(j.Document.CompleteStatus.OverallStatus)
	expired, _ := triState(j.Document.IDExpired)
	live, _ := j.liveness()
	face, _ := j.faceMatch()
	optical := &j.Document.CompleteStatus.Optical
	for _, value := range [...]text{optical.DocType, optical.Expiry, optical.Security} {
		if result, _ := triState(value); result == kycbridge.ResultFailed {
			return false
		}
	}
	step := fold(string(j.Step))
	return overall == kycbridge.ResultPassed && expired == kycbridge.ResultFailed &&
		live == kycbridge.ResultPassed && face == kycbridge.ResultPassed &&
		!j.Document.FieldErrors.some && (step == "" || step == "complete")
}

// meets reports whether every threshold is met. A key that is not known, a threshold outside 0 to 1
// and a value that was not measured are never met.
func (j *signzyJourney) meets(policy map[string]float64) bool {
	for key, bound := range policy {
		measure, known := signzyMeasures[key]
		if !known || !(bound >= 0 && bound <= 1) { // false for NaN too
			return false
		}
		value, measured := measure(j)
		if !measured {
			return false
		}
		if strings.HasPrefix(key, "max_") && value > bound || strings.HasPrefix(key, "min_") && value < bound {
			return false
		}
	}
	return true
}
