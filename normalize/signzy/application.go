package signzy

import (
	"fmt"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

// Reasons and actions of the back office.
const (
	resubmissionRequested = "review.resubmission_requested"
	abandonedSession      = "session.abandoned"
	actionResubmit        = "resubmit_other"
)

// officeRow is the meaning of a status of the back office.
type officeRow struct {
	name    string // the name of the callback
	effect  kycbridge.Effect
	status  event.Status
	outcome event.Outcome
}

// The statuses of the back office.
var (
	officeNew      = &officeRow{"new", kycbridge.EffectNote, event.StatusCreated, event.OutcomeNone}
	officePending  = &officeRow{"pending", kycbridge.EffectProgress, event.StatusInReview, event.OutcomeNone}
	officeAccepted = &officeRow{"accepted", kycbridge.EffectVerdict, event.StatusCompleted, event.OutcomeApproved}
	officeRejected = &officeRow{"rejected", kycbridge.EffectVerdict, event.StatusCompleted, event.OutcomeRejected}
	officeDraft    = &officeRow{"draft", kycbridge.EffectReopen, event.StatusRequiresInput, event.OutcomeResubmit}
	officeDropOff  = &officeRow{"dropoff", kycbridge.EffectEnd, event.StatusAbandoned, event.OutcomeNone}
)

// officeRows are the statuses by folded word.
//
// Documented: New, the value of a new application, and pending
// (https://docs.signzy.com/vkyc/data-level-callbacks, https://docs.signzy.com/generic-onboarding/callbacks); accept
// (https://docs.signzy.com/generic-onboarding/callback-api-partner); rejected, accepted, pending and dropout of a
// sibling product (https://docs.signzy.com/investor-onboarding-io/investor-completes-onboarding); draft
// (https://docs.signzy.com/vkyc/pull-merchant-api). The pages name the events Pending, Accept, Reject, Draft (redo) and
// DropOff, and the moves to Accepted, Rejected and Drafted.
// Assumed: that the status is one of these words, in any case.
var officeRows = map[string]*officeRow{
	"new":      officeNew,
	"pending":  officePending,
	"accept":   officeAccepted,
	"accepted": officeAccepted,
	"reject":   officeRejected,
	"rejected": officeRejected,
	"draft":    officeDraft,
	"drafted":  officeDraft,
	"redo":     officeDraft,
	"dropoff":  officeDropOff,
	"dropout":  officeDropOff,
}

// mapApplication maps a callback of the back office. Its decisions are those of a person there, and nothing that could
// be fetched confirms them (see apply). The login addresses are credentials of the applicant, and everything else in
// the body is what the applicant or the operator of the flow entered: neither is read.
func mapApplication(doc document.Object, a application, s kycbridge.Settings) (kycbridge.Observation, error) {
	if !own(s).BackOffice {
		return kycbridge.Observation{}, fmt.Errorf("signzy: %w", errShape)
	}
	o := kycbridge.Observation{
		EventName: backOfficeCallback,
		Product:   backOffice,
		FlowID:    values.Clip(a.Text("flowId"), values.MaxID),
		Test:      isOfTest(doc),
		References: map[string]string{
			"merchant_id": values.Clip(a.reference(), values.MaxID),
		},
		ProviderStatus: values.StatusFrom(a.Object, "status", "subStatus", "eventStatus", "decisionEngineResult"),
		Session: &event.Session{
			CreatedAt:   event.Instant(a.Time("onboardingStartDate")),
			SubmittedAt: event.Instant(a.Time("initialSubmissionDate")),
		},
		ExtractedClaims: a.claims(),
	}
	values.Set(o.References, "application_id", values.Clip(a.Text("applicationId"), values.MaxID))
	values.Set(o.References, "signzy_app_id", values.Clip(a.Text("signzyAppId"), values.MaxID))
	a.apply(&o, s)
	if raw := a.contrary(doc); raw != "" {
		values.Contradiction(&o, raw, event.StageManualReview, event.ActorHuman)
		o.RequiredActions = nil
		a.acted(&o)
	}
	return o, nil
}

// claims returns what the application states about the person. A phone number without a country code is left out: the
// body does not name the country.
func (a application) claims() event.Claims {
	text := func(member string) string { return values.ScalarText(a.Object[member]) }
	claims := event.Claims{}
	values.SetClaim(claims, "name", text("name"))
	values.SetClaim(claims, "email", text("email"))
	values.SetClaim(claims, "phone_number", values.PhoneNumber(text("mobile"), ""))
	return values.OrNil(claims)
}

// apply maps the status. An unknown one may be a decision, so it is a doubt.
//
// With confirm: true a person's verdict counts only if it is fetched, and kycbridge fetches none from the back office:
// the application stays in review. With confirm: false it counts, and is marked as unconfirmed like that of every other
// callback without a fetched result (docs/decisions/0007). A request to the applicant counts in both cases, as the
// requests of other providers do.
func (a application) apply(o *kycbridge.Observation, s kycbridge.Settings) {
	raw := document.Text(a.Object["status"])
	row, known := officeRows[values.Fold(raw)]
	if !known {
		a.acted(o)
		values.Doubt(o, raw, event.StageManualReview, event.ActorHuman)
		return
	}
	o.Effect, o.Status = row.effect, row.status
	switch row {
	case officeNew:
		o.OccurredAt = a.Time("onboardingStartDate")
	case officePending:
		a.pending(o)
	case officeDropOff:
		o.Reasons = []event.Reason{{Code: abandonedSession}}
	default:
		a.acted(o)
		a.decide(o, row, raw)
		switch {
		case row == officeDraft:
			o.Reasons = []event.Reason{{Code: resubmissionRequested}}
			o.RequiredActions = []event.RequiredAction{{Action: actionResubmit, Reasons: []string{resubmissionRequested}}}
		case s.Confirm:
			o.Status, o.StatusDetail = event.StatusInReview, event.DetailUnconfirmed
			o.Decision.Outcome, o.Decision.Final = event.OutcomeReview, false
			o.Reasons = []event.Reason{{Code: manualReview}}
		default:
			o.StatusDetail = event.DetailUnconfirmed
		}
	}
}

// decide sets the decision of a person at the back office.
func (a application) decide(o *kycbridge.Observation, row *officeRow, raw string) {
	at := event.Instant(o.OccurredAt)
	o.Decision = event.Decision{
		Outcome: row.outcome, Final: row.status == event.StatusCompleted, Stage: event.StageManualReview,
		ActorType: event.ActorHuman, DecidedAt: at,
	}
	o.Decisions = []event.DecisionStep{{
		Stage: event.StageManualReview, Outcome: row.outcome, ActorType: event.ActorHuman,
		ProviderValue: values.Clip(raw, values.MaxCode), DecidedAt: at,
	}}
}

// acted sets when a person at the back office decided. Only one page shows actionTime, so a decision may have no time:
// it counts where nothing is decided, and opens a review beside a decision that differs from it.
func (a application) acted(o *kycbridge.Observation) {
	o.OccurredAt = a.Time("actionTime")
	o.Untimed = o.OccurredAt.IsZero()
}

// pending sets what a pending application means: it was submitted, which ends a request for resubmission and never a
// verdict. If a person's action is the newest of its times, it was moved back to the reviewers: then it also
// contradicts an older approval. In the documentation, an application that was just submitted has none of these times;
// it is ordered by when it was received.
func (a application) pending(o *kycbridge.Observation) {
	o.Submission = true
	o.OccurredAt = later(a.Time("initialSubmissionDate"), a.Time("onboardingEndDate"))
	if acted := a.Time("actionTime"); acted.After(o.OccurredAt) {
		o.OccurredAt, o.Mentions = acted, event.OutcomeNone
	}
}

// contrary returns values of a callback that disagree: two statuses of different meaning, wherever a status may be, or
// an acceptance of a deleted application or of one that contains a journeyId. The result is "" if all agree.
func (a application) contrary(doc document.Object) string {
	first, given := "", false
	for _, v := range statuses(doc) {
		raw := document.Text(v)
		switch {
		case v == nil || v == "":
		case !given:
			first, given = raw, true
		case !sameStatus(first, raw):
			return first + "/" + raw
		}
	}
	raw := document.Text(a.Object["status"])
	if officeRows[values.Fold(raw)] != officeAccepted {
		return ""
	}
	if deleted := answerAt(a.Object, "isDeleted"); a.Has("isDeleted") && !deleted.failed() {
		return raw + "/isDeleted"
	}
	if a.Has("journeyId") {
		return raw + "/journeyId"
	}
	return ""
}

// statuses returns every value of a status in a callback of the back office: beside merchantData, in it, and in its
// basicDetails.
func statuses(doc document.Object) (found []any) {
	for _, path := range places {
		part := doc.Object(path...)
		data := part.Object("merchantData")
		found = append(found, part["status"], data["status"], data.Object("basicDetails")["status"])
	}
	return found
}

// sameStatus reports whether two statuses have one meaning.
func sameStatus(a, b string) bool {
	x, y := values.Fold(a), values.Fold(b)
	row, known := officeRows[x]
	return x == y || known && row == officeRows[y]
}
