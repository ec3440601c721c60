package kycbridge

import (
	"testing"

	"kycbridge/event"
)

// answered is o as an API answer that was requested minute minutes after noon, and that states the provider's time
// since minutes after noon: that of the check, not that of the decision.
func answered(minute, since int, o Observation) Fact {
	f := looked(minute, o)
	f.OccurredAt = at(since, o).OccurredAt
	return f
}

// heardAt is o as a callback with the provider's time minute minutes after noon, received at another minute.
func heardAt(minute, received int, o Observation) Fact {
	f := at(minute, o)
	f.ReceivedAt = fact(received, o).ReceivedAt
	return f
}

// TestAnswerThatDoesNotApprove: an answer of the API states what holds when it is requested. An approval from before
// the request does not remain beside an answer that rejects, whichever of the two is processed first.
func TestAnswerThatDoesNotApprove(t *testing.T) {
	bySomebody := func(o event.Outcome) Observation { return verdict(o, event.StageSystem, event.ActorUnspecified) }
	refused := bySomebody(event.OutcomeRejected)
	checkRule(t, map[string]ruleCase{
		"the check ended before the approval": {
			[]Fact{heardAt(30, 31, approved()), answered(60, 10, refused)},
			"completed completed", "completed/rejected",
		},
		"a person's approval": {
			[]Fact{heardAt(30, 31, byHuman(event.OutcomeApproved)), answered(60, 10, refused)},
			"completed completed", "completed/rejected",
		},
		"requested a moment after the approval was received": {
			[]Fact{heardAt(30, 31, approved()), answered(32, 10, refused)},
			"completed completed", "completed/rejected",
		},
		"the provider's clock is ahead": {
			[]Fact{heardAt(34, 31, approved()), answered(32, 10, refused)},
			"completed completed", "completed/rejected",
		},
		"without a time": {
			[]Fact{heardAt(30, 31, approved()), looked(32, refused)},
			"completed completed", "completed/rejected",
		},
		"an approval that was fetched before": {
			[]Fact{answered(31, 30, approved()), answered(60, 10, refused)},
			"completed completed", "completed/rejected",
		},
		"the approval arrives later": {
			[]Fact{answered(60, 10, refused), heardAt(30, 70, approved())},
			"completed old", "completed/rejected",
		},
		"also one from a moment before the request": {
			[]Fact{answered(60, 10, refused), heardAt(59, 70, approved())},
			"completed old", "completed/rejected",
		},
		"an approval from after the request counts": {
			[]Fact{answered(60, 10, refused), heardAt(61, 70, approved())},
			"completed completed", "completed/approved",
		},
		"and is not revoked by an answer that was requested before it": {
			[]Fact{heardAt(61, 62, approved()), answered(60, 10, refused)},
			"completed old", "completed/approved",
		},
		"a rejection after the check of a fetched approval": {
			[]Fact{heardAt(30, 31, refused), answered(60, 10, approved())},
			"completed old", "completed/rejected",
		},
		"a fetched approval of a check that ended after the rejection": {
			[]Fact{heardAt(30, 31, refused), answered(60, 40, approved())},
			"completed completed", "completed/approved",
		},
		"under review again": {
			[]Fact{heardAt(30, 31, approved()), looked(32, reopened())},
			"completed updated", "processing/none",
		},
		"not finished, minutes after the approval": {
			[]Fact{heardAt(30, 31, approved()), looked(40, unfinished())},
			"completed updated", "unknown/none system.contradiction",
		},
		"not finished, a moment after the approval: the answer may be outdated": {
			[]Fact{heardAt(30, 31, approved()), looked(32, unfinished())},
			"completed updated", "completed/approved",
		},
		"not finished, then the approval": {
			[]Fact{looked(32, unfinished()), heardAt(31, 33, approved())},
			"updated completed", "completed/approved",
		},
		"not finished, then an approval from long before": {
			[]Fact{looked(40, unfinished()), heardAt(30, 50, approved())},
			"updated updated", "unknown/none system.contradiction",
		},
		"under review, requested before the approval": {
			[]Fact{heardAt(30, 31, approved()), looked(29, reopened())},
			"completed old", "completed/approved",
		},
	})
}

// unfinished is an identification that the applicant has not finished.
func unfinished() Observation {
	o := progress(event.StatusInProgress)
	o.Mentions, o.ProviderStatus = event.OutcomeNone, map[string]any{"kyc_status": "Unfinished"}
	return o
}

// reopened is an identification that the provider checks again.
func reopened() Observation { return Observation{Effect: EffectReopen, Status: event.StatusProcessing} }
