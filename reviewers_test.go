package kycbridge

import (
	"testing"

	"kycbridge/event"
)

// locked is a session that is locked for the checker.
func locked() Observation {
	o := maker(event.OutcomeNone)
	o.Status, o.StatusDetail, o.Decision.Final = event.StatusInReview, event.DetailAwaitingSecondReview, false
	o.Decisions[0].Outcome = event.OutcomeApproved
	return o
}

// makersStepOnly is a maker's verdict in an account in which a checker follows.
func makersStepOnly(outcome event.Outcome) Observation {
	o := progress(event.StatusInReview)
	o.Decisions = maker(outcome).Decisions
	if outcome == event.OutcomeRejected {
		o.Mentions = outcome
	}
	return o
}

// both is a checker's verdict in a session that contains the maker's too.
func both(makers, checkers event.Outcome) Observation {
	o := checker(checkers)
	o.Decisions = append(maker(makers).Decisions, o.Decisions...)
	return o
}

// TestMakerAfterTheChecker: a session that does not approve takes back a checker's approval that is older, wherever the
// approval comes from. A maker's approval does not change what a checker has rejected.
func TestMakerAfterTheChecker(t *testing.T) {
	const approved, rejected = event.OutcomeApproved, event.OutcomeRejected
	checkRule(t, map[string]ruleCase{
		"a session that rejects": {
			[]Fact{looked(10, both(approved, approved)), looked(20, maker(rejected))},
			"completed completed", "completed/rejected",
		},
		"a session that is locked": {
			[]Fact{looked(10, both(approved, approved)), looked(20, locked())},
			"completed updated", "in_review/none",
		},
		"the approval came by callback": {
			[]Fact{callbackAt(10, checker(approved)), looked(20, locked())},
			"completed updated", "in_review/none",
		},
		"a session that rejects, with a checker to follow": {
			[]Fact{looked(10, both(approved, approved)), looked(20, makersStepOnly(rejected))},
			"completed updated", "unknown/none system.contradiction",
		},
		"the session was requested before": {
			[]Fact{looked(20, both(approved, approved)), looked(10, locked())},
			"completed old", "completed/approved",
		},
		"the approval is processed after the lock that followed it": {
			[]Fact{looked(20, locked()), looked(10, both(approved, approved))},
			"updated old", "in_review/none",
		},
		"and after the rejection that followed it": {
			[]Fact{looked(20, maker(rejected)), looked(10, both(approved, approved))},
			"completed old", "completed/rejected",
		},
		"a checker's result ends the lock": {
			[]Fact{looked(20, locked()), looked(30, both(approved, approved))},
			"updated completed", "completed/approved",
		},
		"a lock leaves a rejection": {
			[]Fact{looked(10, both(approved, rejected)), looked(20, locked())},
			"completed unchanged", "completed/rejected",
		},
		"so does a maker's approval": {
			[]Fact{looked(10, both(approved, rejected)), looked(20, maker(approved))},
			"completed unchanged", "completed/rejected",
		},
	})
}

// TestCheckerAfterTheMaker: a checker's approval beside a maker's rejection is a review, in whichever order the two are
// processed. The maker's next verdict counts for the checker's next one.
func TestCheckerAfterTheMaker(t *testing.T) {
	const approved, rejected = event.OutcomeApproved, event.OutcomeRejected
	const review = "in_review/review review.manual_review_required"
	checkRule(t, map[string]ruleCase{
		"after the maker's rejection": {
			[]Fact{callbackAt(10, maker(rejected)), callbackAt(20, checker(approved))},
			"completed updated", review,
		},
		"with a checker to follow": {
			[]Fact{callbackAt(10, makersStepOnly(rejected)), callbackAt(20, checker(approved))},
			"updated updated", review,
		},
		"the maker's rejection is processed later": {
			[]Fact{callbackAt(20, checker(approved)), callbackAt(10, maker(rejected))},
			"completed updated", review,
		},
		"the same with a checker to follow": {
			[]Fact{callbackAt(20, checker(approved)), callbackAt(10, makersStepOnly(rejected))},
			"completed updated", review,
		},
		"the maker rejects after the approval": {
			[]Fact{callbackAt(10, checker(approved)), callbackAt(20, maker(rejected))},
			"completed completed", "completed/rejected",
		},
		"the checker approves once more": {
			[]Fact{callbackAt(10, maker(rejected)), callbackAt(20, checker(approved)), callbackAt(30, checker(approved))},
			"completed updated unchanged", review,
		},
		"the checker rejects": {
			[]Fact{callbackAt(10, maker(rejected)), callbackAt(20, checker(approved)), callbackAt(30, checker(rejected))},
			"completed updated completed", "completed/rejected",
		},
		"the maker approves, then the checker": {
			[]Fact{callbackAt(10, maker(rejected)), callbackAt(20, maker(approved)), callbackAt(30, checker(approved))},
			"completed completed completed", "completed/approved",
		},
		"the session contains both": {
			[]Fact{callbackAt(10, maker(rejected)), callbackAt(20, checker(approved)), looked(30, both(approved, approved))},
			"completed updated completed", "completed/approved",
		},
	})
}
