package kycbridge

import (
	"testing"

	"kycbridge/event"
)

// TestAnswerByPoll: one poll requests the summary, which shows that the applicant has submitted again, and the result
// of the journey. Both have the time of the request, and the result counts.
func TestAnswerByPoll(t *testing.T) {
	requested := callbackAt(10, resubmit())
	complete := looked(20, submitted(event.StatusProcessing))
	result := func(minute int, o Observation) Fact {
		f := looked(minute, repeating(o))
		f.Payload.ID += "result"
		return f
	}
	checkRule(t, map[string]ruleCase{
		"a machine approves": {
			[]Fact{requested, complete, result(20, approved())}, "updated updated completed", "completed/approved",
		},
		"a machine rejects": {
			[]Fact{requested, complete, result(20, rejected())}, "updated updated completed", "completed/rejected",
		},
		"a person approves": {
			[]Fact{requested, complete, result(20, byHuman(event.OutcomeApproved))},
			"updated updated completed", "completed/approved",
		},
		"what was requested before the answer does not count": {
			[]Fact{requested, complete, result(19, approved())}, "updated updated old", "processing/none",
		},
	})
}
