package signzy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

var errShape = errors.New("no journeyId")

// Map maps a One Touch KYC journey, which contains evidence and no verdict: COMPLETED means only that
// everything was captured. A verdict comes only from the account's own thresholds (see PolicyKeys).
func Map(doc document.Object, p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	j, _ := find(doc)
	if j == nil {
		if a, ok := applicationOf(doc); ok && !p.Via.Asked() {
			return mapApplication(doc, a, s)
		}
		return kycbridge.Observation{}, fmt.Errorf("signzy: %w", errShape)
	}
	reports, dates := reportsOf(j), values.NewDates(p.ReceivedAt)
	o := facts(j, reports, dates)
	o.Test = isOfTest(doc)
	o.EventName = callback
	if p.Via.Asked() {
		o.EventName = getJourney
	}
	if !j.Has("currentStatus") && j.Text("journeyUrl") != "" {
		created(&o, j)
		mixed(&o, doc, s)
		return o, nil
	}
	e := evidenceOf(j, reports, own(s).Policy)
	o.Checks, o.Risk = values.Distinct(dates.Unread.AddTo(e.checks)), e.risk
	if o.Checks == nil && examined(j) {
		o.Checks = []event.Check{}
	}
	apply(&o, j, e, s, p.ReceivedAt)
	if raw := contrary(doc); raw != "" {
		values.Contradiction(&o, raw, event.StageSystem, event.ActorSystem)
	}
	values.Confirm(&o, p, s)
	mixed(&o, doc, s)
	return o, nil
}

// mixed makes o a doubt if the body of a journey also contains an application of the back office, at an account that
// reads those: it is not known whether the two are of one person, and which of them is newer. A fetched result could
// not decide it, because it lacks the application, so this doubt is published with confirm: true as well.
func mixed(o *kycbridge.Observation, doc document.Object, s kycbridge.Settings) {
	if own(s).BackOffice && namesApplication(doc) {
		o.Ignored = ""
		values.Contradiction(o, "journeyId/merchantData", event.StageManualReview, event.ActorHuman)
	}
}

// examined reports whether a journey contains any data about checks.
func examined(j document.Object) bool {
	for _, part := range [...]string{
		"documentIntelligence", "selfieAnalysis", "matchPercentage", "ipAddresses", "externalApiResponses",
	} {
		if j.Has(part) {
			return true
		}
	}
	return false
}

// created maps the answer to kycbridge's own create call. The journeyUrl in it is for the applicant only.
func created(o *kycbridge.Observation, j document.Object) {
	o.EventName = createJourney
	o.Effect, o.Status, o.StatusDetail = kycbridge.EffectProgress, event.StatusCreated, event.DetailLinkSent
	o.OccurredAt = j.Time("createdAt")
	o.Untimed = o.OccurredAt.IsZero()
}

// The observed statuses and steps.
const (
	completed       = "completed"
	complete        = "complete"
	terminated      = "terminated"
	retriesExceeded = "retriesexceeded"
)

// ended reports whether a folded step, or the text for it, means that a journey was completed.
func ended(s string) bool { return s == complete || s == "journeycompleted" }

// apply maps currentStatus. For a status other than the two observed ones, the operator may have configured a
// meaning. Status, step and the text for the step all describe the same end: if they name different ends, the
// result is a contradiction; COMPLETED with an unknown step is a doubt. An unknown status is a doubt if the
// journey has ended, else it counts as progress.
func apply(o *kycbridge.Observation, j document.Object, e *evidence, s kycbridge.Settings, received time.Time) {
	raw, step := j.Text("currentStatus"), values.Fold(j.Text("step"))
	status, byOperator := operatorStatus(raw, own(s).FlowStatuses)
	word, said := values.Fold(raw), []string{step, values.Fold(j.Text("message"))}
	isOver := word == completed || word == terminated || byOperator && status.Closed() || !byOperator && hasEnded(j)
	occurred(o, j, isOver)
	switch {
	case word == completed && slices.Contains(said, retriesExceeded),
		word == terminated && slices.ContainsFunc(said, ended):
		values.Contradiction(o, raw+" "+j.Text("step"), event.StageSystem, event.ActorSystem)
	case word == completed && step != "" && step != complete:
		values.Doubt(o, raw+" "+j.Text("step"), event.StageSystem, event.ActorSystem)
	case word == completed:
		o.Effect, o.Status, o.Reasons = kycbridge.EffectVerdict, event.StatusCompleted, e.reasons
		if len(own(s).Policy) == 0 {
			o.StatusDetail = event.DetailNoProviderVerdict
			return
		}
		decide(o, j, e, s, received)
	case word == terminated:
		o.Effect, o.Status = kycbridge.EffectEnd, event.StatusFailed
		o.Reasons = append([]event.Reason{termination(j.Text("step"))}, e.reasons...)
		o.Mentions = event.OutcomeNone // a journey has one end: one that failed was not completed
	case isOver && !byOperator:
		values.Doubt(o, raw, event.StageSystem, event.ActorSystem)
	case !byOperator:
		values.Unmapped(o, raw)
		o.Mentions = event.OutcomeNone // whatever it means, it is no approval
	default:
		o.Effect, o.Status = kycbridge.EffectProgress, status
		if status.Closed() {
			o.Effect, o.Reasons, o.Mentions = kycbridge.EffectEnd, e.reasons, event.OutcomeNone
		}
	}
}

// hasEnded reports whether the provider states an end time of the journey, in any form.
func hasEnded(j document.Object) bool {
	at := j.Value("completedAt")
	return at != nil && at != ""
}

// termination returns why the provider ended a journey. The only step observed in this case is
// RETRIES_EXCEEDED; any other step is reported as unmapped.
func termination(step string) event.Reason {
	step = values.Clip(step, values.MaxCode)
	if f := values.Fold(step); f == "" || f == retriesExceeded {
		return event.Reason{Code: "session.attempts_exceeded", ProviderCode: step}
	}
	return event.Reason{Code: event.ReasonUnmappedStatus, ProviderCode: step}
}

// operatorStatus looks a status up in the operator's configuration: first exactly, then without regard to case
// and separators. A configured status that would be a verdict is refused.
func operatorStatus(raw string, words map[string]string) (event.Status, bool) {
	word, ok := words[raw]
	if !ok {
		for _, key := range slices.Sorted(maps.Keys(words)) {
			if values.Fold(key) == values.Fold(raw) {
				word, ok = words[key], true
				break
			}
		}
	}
	switch status := event.Status(word); status {
	case event.StatusCreated, event.StatusInProgress, event.StatusProcessing, event.StatusInReview,
		event.StatusRequiresInput, event.StatusExpired, event.StatusAbandoned, event.StatusCanceled,
		event.StatusFailed:
		return status, ok && strings.TrimSpace(raw) != ""
	}
	return "", false
}
