package signzy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/values"
)

var errShape = errors.New("no journeyId")

// Map maps a One Touch KYC journey, which brings evidence and no verdict: COMPLETED says that everything
// was captured. A verdict comes only from the account's own thresholds (see PolicyKeys).
func Map(doc document.Object, p kycbridge.Payload, s kycbridge.Settings) (kycbridge.Observation, error) {
	j, _ := find(doc)
	if j == nil {
		return kycbridge.Observation{}, fmt.Errorf("signzy: %w", errShape)
	}
	reports, dates := reportsOf(j), values.NewDates(p.ReceivedAt)
	o := facts(j, reports, dates)
	o.EventName = callback
	if p.Via.Asked() {
		o.EventName = getJourney
	}
	if !j.Has("currentStatus") && j.Text("journeyUrl") != "" {
		created(&o, j)
		return o, nil
	}
	e := evidenceOf(j, reports, own(s).Policy)
	o.Checks, o.Risk = values.Distinct(dates.Unread.AddTo(e.checks)), e.risk
	if o.Checks == nil && examined(j) {
		o.Checks = []event.Check{}
	}
	apply(&o, j, e, s)
	values.Confirm(&o, p, s)
	return o, nil
}

// examined reports whether a journey speaks of checks at all.
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

// created is the answer to our own create call. The address in it is the applicant's alone.
func created(o *kycbridge.Observation, j document.Object) {
	o.EventName = createJourney
	o.Effect, o.Status, o.StatusDetail = kycbridge.EffectProgress, event.StatusCreated, event.DetailLinkSent
	o.OccurredAt = j.Time("createdAt")
	o.Untimed = o.OccurredAt.IsZero()
}

// The statuses and steps that were ever seen.
const (
	completed       = "completed"
	complete        = "complete"
	terminated      = "terminated"
	retriesExceeded = "retriesexceeded"
)

// ended reports whether a folded step, or the text for it, says that a journey was completed.
func ended(s string) bool { return s == complete || s == "journeycompleted" }

// apply states what currentStatus means. For any other word than the two that were seen the operator may
// have said what it means. Status, step and the text for the step are words for one end: where they name
// different ends, none is believed, and neither is an end with a step that nobody has seen. An unknown word
// is one for the end too if the journey has ended; else it is a sign of progress.
func apply(o *kycbridge.Observation, j document.Object, e *evidence, s kycbridge.Settings) {
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
		decide(o, j, e, s)
	case word == terminated:
		o.Effect, o.Status = kycbridge.EffectEnd, event.StatusFailed
		o.Reasons = append([]event.Reason{termination(j.Text("step"))}, e.reasons...)
	case isOver && !byOperator:
		values.Doubt(o, raw, event.StageSystem, event.ActorSystem)
	case !byOperator:
		values.Unmapped(o, raw)
	default:
		o.Effect, o.Status = kycbridge.EffectProgress, status
		if status.Closed() {
			o.Effect, o.Reasons = kycbridge.EffectEnd, e.reasons
		}
	}
}

// hasEnded reports whether the provider states an end of the journey, in whatever form.
func hasEnded(j document.Object) bool {
	at := j.Value("completedAt")
	return at != nil && at != ""
}

// termination is why a journey was ended by the provider. The only step seen there is RETRIES_EXCEEDED;
// another one is not guessed at.
func termination(step string) event.Reason {
	step = values.Clip(step, values.MaxCode)
	if f := values.Fold(step); f == "" || f == retriesExceeded {
		return event.Reason{Code: "session.attempts_exceeded", ProviderCode: step}
	}
	return event.Reason{Code: event.ReasonUnmappedStatus, ProviderCode: step}
}

// operatorStatus looks a status up in the operator's words: as it stands, else without regard to case
// and separators. A word for a verdict is refused, whatever the configuration says.
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
