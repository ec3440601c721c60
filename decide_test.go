package kycbridge

import (
	"testing"

	"kycbridge/event"
)

func TestTheCurrentVerdictIsAFact(t *testing.T) {
	checkRule(t, map[string]ruleCase{
		"an older approval, and no log": {
			[]Fact{at(10, rejected()), at(5, approved())},
			"completed old", "completed/rejected",
		},
		"a newer approval": {
			[]Fact{at(10, rejected()), at(15, approved())},
			"completed completed", "completed/approved",
		},
		"an older resubmission": {
			[]Fact{at(10, byHuman(event.OutcomeApproved)), at(5, resubmit())},
			"completed old", "completed/approved",
		},
		"an older rejection after progress": {
			[]Fact{at(10, approved()), at(20, progress(event.StatusProcessing)), at(5, rejected())},
			"completed unchanged old", "completed/approved",
		},
		"a rejection between the verdict and newer progress": {
			[]Fact{at(10, approved()), at(20, progressWithFacts()), at(15, rejected())},
			"completed updated completed", "completed/rejected",
		},
		"an approval of before a request that was answered": {
			[]Fact{at(10, resubmit()), at(20, submitted(event.StatusProcessing)), at(15, approved())},
			"updated updated old", "processing/none",
		},
		"at one instant the one that does not approve": {
			[]Fact{at(10, approved()), at(10, rejected()), at(10, byHuman(event.OutcomeApproved))},
			"completed completed completed", "completed/approved",
		},
		"a person's older word counts more than a machine's": {
			[]Fact{at(10, approved()), at(5, byHuman(event.OutcomeRejected)), at(10, approved())},
			"completed completed unchanged", "completed/rejected",
		},
		"an older request does not open what has ended": {
			[]Fact{at(10, ended(event.StatusAbandoned)), at(5, resubmit())},
			"closed old", "abandoned/none",
		},
	})
}

func TestDoubt(t *testing.T) {
	checkRule(t, map[string]ruleCase{
		"about a person's approval is not settled by a machine's": {
			[]Fact{at(10, byHuman(event.OutcomeApproved)), at(20, doubtBy("", "")), at(30, approved())},
			"completed updated unchanged", "unknown/none system.unmapped_status",
		},
		"takes back an approval": {
			[]Fact{at(1, approved()), at(2, contradiction())},
			"completed updated", "unknown/none system.contradiction",
		},
		"of a body that was read after the approval had come": {
			[]Fact{fact(60, approved()), looked(61, contradiction())},
			"completed updated", "unknown/none system.contradiction",
		},
		"of a look before the approval gives way to it": {
			[]Fact{looked(60, contradiction()), at(59, approved())},
			"updated completed", "completed/approved",
		},
		"leaves a rejection": {
			[]Fact{at(1, rejected()), at(2, contradiction())},
			"completed unchanged", "completed/rejected",
		},
		"leaves an end": {
			[]Fact{at(1, ended(event.StatusAbandoned)), at(2, contradiction())},
			"closed unchanged", "abandoned/none",
		},
		"leaves a resubmission request": {
			[]Fact{at(1, resubmit()), at(2, contradiction())},
			"updated unchanged", "requires_input/resubmit",
		},
		"ends a review": {
			[]Fact{at(1, bySystem(event.OutcomeReview)), at(2, contradiction())},
			"updated updated", "unknown/none system.contradiction",
		},
		"is not hidden by progress": {
			[]Fact{at(1, contradiction()), at(2, progress(event.StatusProcessing))},
			"updated unchanged", "unknown/none system.contradiction",
		},
		"older than the approval is old": {
			[]Fact{at(5, approved()), at(2, contradiction())},
			"completed old", "completed/approved",
		},
		"is not settled by the approval it took back": {
			[]Fact{at(5, approved()), at(6, contradiction()), at(4, approved())},
			"completed updated old", "unknown/none system.contradiction",
		},
	})
}

func TestDoubtsWithoutATime(t *testing.T) {
	earlier := contradiction()
	earlier.ExternalReference = "ref-1"
	checkRule(t, map[string]ruleCase{
		"then one with a time, then an approval that was received between them": {
			[]Fact{undated(40, contradiction()), heardAt(5, 41, earlier), heardAt(30, 35, approved())},
			"updated updated updated", "unknown/none system.contradiction",
		},
		"then one with a time, and an approval that was received afterwards": {
			[]Fact{undated(20, contradiction()), heardAt(5, 21, earlier), heardAt(30, 35, approved())},
			"updated updated completed", "completed/approved",
		},
	})
}

func TestNotesThatMentionAnOutcome(t *testing.T) {
	earlier := mentions(event.OutcomeNone)
	earlier.ExternalReference = "ref-1"
	checkRule(t, map[string]ruleCase{
		"the one that stands": {
			[]Fact{at(1, approved()), at(2, mentions(event.OutcomeApproved))},
			"completed unchanged", "completed/approved",
		},
		"another one": {
			[]Fact{at(1, approved()), at(2, mentions(event.OutcomeRejected))},
			"completed updated", "unknown/none system.contradiction",
		},
		"none": {
			[]Fact{at(1, approved()), at(2, mentions(event.OutcomeNone))},
			"completed updated", "unknown/none system.contradiction",
		},
		"against a rejection": {
			[]Fact{at(1, rejected()), at(2, mentions(event.OutcomeApproved))},
			"completed unchanged", "completed/rejected",
		},
		"of before the verdict": {
			[]Fact{at(5, approved()), at(2, mentions(event.OutcomeNone))},
			"completed old", "completed/approved",
		},
		"of after the verdict that comes later": {
			[]Fact{at(5, mentions(event.OutcomeRejected)), at(2, approved())},
			"updated updated", "unknown/none system.contradiction",
		},
		"of before the verdict that comes later": {
			[]Fact{at(2, mentions(event.OutcomeNone)), at(5, approved())},
			"updated completed", "completed/approved",
		},
		"brings no verdict": {
			[]Fact{at(1, progress(event.StatusProcessing)), at(2, mentions(event.OutcomeApproved))},
			"updated unchanged", "processing/none",
		},
		"without a time, and then one of before the approval": {
			[]Fact{
				heardAt(10, 11, approved()), undated(40, mentions(event.OutcomeRejected)),
				heardAt(5, 41, earlier), heardAt(30, 35, byHuman(event.OutcomeApproved)),
			},
			"completed updated old updated", "unknown/none system.contradiction",
		},
		"without a time, then one with a time, then an approval that was received between them": {
			[]Fact{
				undated(40, mentions(event.OutcomeRejected)), heardAt(5, 41, earlier),
				heardAt(30, 35, approved()),
			},
			"updated updated updated", "unknown/none system.contradiction",
		},
		"without a time, and an approval that was received afterwards": {
			[]Fact{
				undated(20, mentions(event.OutcomeRejected)), heardAt(5, 21, earlier),
				heardAt(30, 35, approved()),
			},
			"updated updated completed", "completed/approved",
		},
		"in an unknown word, as the first message": {
			[]Fact{at(1, unknownNote())},
			"updated", "unknown/none system.unmapped_status",
		},
		"in an unknown word, later": {
			[]Fact{at(1, approved()), at(2, unknownNote())},
			"completed updated", "completed/approved",
		},
	})
}

func TestConflictingVerdictSources(t *testing.T) {
	checkRule(t, map[string]ruleCase{
		"that agree": {
			[]Fact{
				callbackAt(1, crossed(event.OutcomeApproved, event.OutcomeApproved, "")),
				looked(2, crossed(event.OutcomeApproved, "", event.OutcomeApproved)),
			},
			"completed unchanged", "completed/approved",
		},
		"that differ, the callback's first": {
			[]Fact{
				callbackAt(1, crossed(event.OutcomeApproved, event.OutcomeApproved, "")),
				looked(2, crossed(event.OutcomeRejected, "", event.OutcomeRejected)),
			},
			"completed updated", "unknown/none system.contradiction",
		},
		"that differ, the API's first": {
			[]Fact{
				looked(1, crossed(event.OutcomeApproved, "", event.OutcomeApproved)),
				callbackAt(2, crossed(event.OutcomeRejected, event.OutcomeRejected, "")),
			},
			"completed updated", "unknown/none system.contradiction",
		},
		"that differ in one payload": {
			[]Fact{looked(1, crossed(event.OutcomeRejected, event.OutcomeApproved, event.OutcomeRejected))},
			"updated", "unknown/none system.contradiction",
		},
		"stay in doubt while one of them is only repeated": {
			[]Fact{
				callbackAt(1, crossed(event.OutcomeRejected, event.OutcomeRejected, "")),
				looked(2, crossed(event.OutcomeApproved, "", event.OutcomeApproved)),
				looked(3, crossed(event.OutcomeApproved, "", event.OutcomeApproved)),
			},
			"completed unchanged unchanged", "completed/rejected",
		},
		"that differ, the callback's first, but it is processed last": {
			[]Fact{
				looked(2, crossed(event.OutcomeApproved, "", event.OutcomeApproved)),
				callbackAt(1, crossed(event.OutcomeRejected, event.OutcomeRejected, "")),
			},
			"completed updated", "unknown/none system.contradiction",
		},
		"that have come to agree": {
			[]Fact{
				callbackAt(1, crossed(event.OutcomeApproved, event.OutcomeApproved, "")),
				looked(2, crossed(event.OutcomeRejected, "", event.OutcomeRejected)),
				looked(3, crossed(event.OutcomeRejected, "", event.OutcomeRejected)),
				callbackAt(4, crossed(event.OutcomeRejected, event.OutcomeRejected, "")),
			},
			"completed updated unchanged completed", "completed/rejected",
		},
	})
}
