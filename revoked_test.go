package kycbridge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"kycbridge/event"
)

// ending is o as the answer of a provider that repeats its current decision, of a session that ended minute minutes
// after noon.
func ending(minute int, o Observation) Observation {
	end := noon.Add(time.Duration(minute) * time.Minute)
	o.Repeats, o.Session = true, &event.Session{StartedAt: event.Instant(noon), EndedAt: event.Instant(end)}
	return o
}

// repeating is such an answer that does not state when the session ended.
func repeating(o Observation) Observation {
	o.Repeats = true
	return o
}

// TestRevokedApproval: an approval that a reopening has revoked does not return because the provider is asked again.
func TestRevokedApproval(t *testing.T) {
	byPerson := byHuman(event.OutcomeApproved)
	gone, back := "expired/none review.renewal_overdue", "completed/approved"
	checkRule(t, map[string]ruleCase{
		"a machine's": {
			[]Fact{looked(3, ending(2, approved())), callbackAt(10, overdue()), looked(20, ending(2, approved()))},
			"completed closed old", gone,
		},
		"a person's": {
			[]Fact{looked(3, ending(2, byPerson)), callbackAt(10, overdue()), looked(20, ending(2, byPerson))},
			"completed closed old", gone,
		},
		"a person's, of which only the machine's remains": {
			[]Fact{looked(3, ending(2, byPerson)), callbackAt(10, overdue()), looked(20, ending(2, approved()))},
			"completed closed old", gone,
		},
		"one that was never received": {
			[]Fact{callbackAt(5, renewalDue()), callbackAt(10, overdue()), looked(20, ending(2, byPerson))},
			"updated closed old", gone,
		},
		"without a time of its end": {
			[]Fact{looked(3, repeating(approved())), callbackAt(10, overdue()), looked(20, repeating(approved()))},
			"completed closed old", gone,
		},
		"after the second reopening too": {
			[]Fact{
				looked(3, ending(2, approved())), callbackAt(10, resubmit()), callbackAt(11, overdue()),
				looked(20, ending(2, approved())),
			},
			"completed updated closed old", gone,
		},
		"in doubt": {
			[]Fact{
				looked(3, ending(2, byPerson)), callbackAt(5, doubtBy(event.StageManualReview, event.ActorHuman)),
				callbackAt(10, overdue()), looked(20, ending(2, byPerson)),
			},
			"completed updated closed old", gone,
		},
		"a request that nobody has answered": {
			[]Fact{looked(3, ending(2, byPerson)), callbackAt(10, resubmit()), looked(20, ending(2, byPerson))},
			"completed updated old", "requires_input/resubmit",
		},
		"a request that was answered": {
			[]Fact{
				looked(3, ending(2, byPerson)), callbackAt(10, resubmit()), callbackAt(15, submitted(event.StatusProcessing)),
				looked(20, ending(2, byPerson)),
			},
			"completed updated updated completed", back,
		},
		"the session has ended again": {
			[]Fact{looked(3, ending(2, approved())), callbackAt(10, overdue()), looked(20, ending(19, approved()))},
			"completed closed completed", back,
		},
		"the session ended again shortly before the deadline": {
			[]Fact{looked(3, ending(2, approved())), callbackAt(10, overdue()), looked(20, ending(9, approved()))},
			"completed closed completed", back,
		},
		"one that was never received, ended before the deadline": {
			[]Fact{callbackAt(10, overdue()), looked(20, ending(9, approved()))},
			"closed old", gone,
		},
		"a person approves what only a machine had approved": {
			[]Fact{looked(3, ending(2, approved())), callbackAt(10, overdue()), looked(20, ending(2, byPerson))},
			"completed closed completed", back,
		},
		"a webhook announces a new decision": {
			[]Fact{looked(3, ending(2, approved())), callbackAt(10, overdue()), callbackAt(20, approved())},
			"completed closed completed", back,
		},
		"a rejection counts": {
			[]Fact{
				looked(3, ending(2, byHuman(event.OutcomeRejected))), callbackAt(10, resubmit()),
				looked(20, ending(2, byHuman(event.OutcomeRejected))),
			},
			"completed updated completed", "completed/rejected",
		},
	})
}

// TestAnsweredRenewal: a step that was submitted after an overdue renewal makes no event, because the verification has
// ended. The stored payload shows that the next approval is a new one. A repeated approval makes no later verdict old.
func TestAnsweredRenewal(t *testing.T) {
	ended := func(minute int, o Observation) Observation { return saysAt(minute, ending(2, o)) }
	begins := []Observation{
		ended(3, byHuman(event.OutcomeApproved)), saysAt(10, overdue()), ended(12, byHuman(event.OutcomeApproved)),
	}
	for name, tc := range map[string]struct {
		then []Observation
		ends string
	}{
		"nothing was submitted": {
			[]Observation{ended(20, approved())}, "expired/none review.renewal_overdue",
		},
		"a step was submitted": {
			[]Observation{saysAt(15, submitted(event.StatusProcessing)), ended(20, approved())}, "completed/approved",
		},
		"before the renewal was overdue": {
			[]Observation{saysAt(9, submitted(event.StatusProcessing)), ended(20, approved())},
			"expired/none review.renewal_overdue",
		},
		"a machine rejects": {
			[]Observation{ended(20, rejected())}, "completed/rejected",
		},
		"approved again, and rejected by a machine": {
			[]Observation{saysAt(15, submitted(event.StatusProcessing)), ended(20, approved()), ended(25, rejected())},
			"completed/rejected",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, n := newStored(testAccount)
			for i, o := range append(slices.Clone(begins), tc.then...) {
				work(t, n, s.payload(fmt.Sprint("p", i), o), 1)
			}
			if got := ends(s.state.Data); got != tc.ends {
				t.Errorf("ended as %s, want %s", got, tc.ends)
			}
		})
	}
}

// TestRepeatedApprovalInAnyOrder: stored payloads with an approval that the provider repeats lead to the same result in
// whichever order several workers process them.
func TestRepeatedApprovalInAnyOrder(t *testing.T) {
	yes, person := ending(2, approved()), ending(2, byHuman(event.OutcomeApproved))
	no := ending(2, byHuman(event.OutcomeRejected))
	for name, facts := range map[string][]Fact{
		"a request":                   {looked(3, yes), callbackAt(10, resubmit()), looked(20, yes)},
		"a person's, and a request":   {looked(3, person), callbackAt(10, resubmit()), looked(20, person)},
		"an overdue renewal":          {looked(3, person), callbackAt(10, overdue()), looked(20, person)},
		"a request, and a person":     {looked(3, yes), callbackAt(10, resubmit()), looked(20, person)},
		"one that was never received": {callbackAt(10, overdue()), looked(20, person)},
		"repeated twice":              {looked(3, yes), callbackAt(10, resubmit()), looked(20, yes), looked(21, yes)},
		"repeated before, too":        {looked(3, yes), looked(5, yes), callbackAt(10, resubmit()), looked(20, yes)},
		"two requests":                {looked(3, yes), callbackAt(10, resubmit()), callbackAt(11, overdue()), looked(20, yes)},
		"a request that was answered": {
			looked(3, yes), callbackAt(10, resubmit()), callbackAt(15, submitted(event.StatusProcessing)), looked(20, yes),
		},
		"a step before the request": {
			looked(3, yes), callbackAt(8, submitted(event.StatusProcessing)), callbackAt(10, resubmit()), looked(20, yes),
		},
		"a doubt": {
			looked(3, person), callbackAt(5, doubtBy(event.StageManualReview, event.ActorHuman)), callbackAt(10, overdue()),
			looked(20, person),
		},
		"a rejection that hid the renewal": {callbackAt(5, overdue()), looked(8, ending(2, rejected())), looked(11, person)},
		"a rejection after the approval":   {callbackAt(5, overdue()), looked(8, person), looked(11, ending(2, rejected()))},
		"a rejection":                      {looked(3, yes), callbackAt(10, resubmit()), looked(12, no), looked(20, yes)},
		"announced again":                  {looked(3, yes), callbackAt(10, resubmit()), callbackAt(15, approved()), looked(20, yes)},
		"the session has ended":            {looked(3, yes), callbackAt(10, overdue()), looked(20, ending(19, approved()))},
	} {
		for _, account := range []*Account{testAccount, withLooks()} {
			want := ends(processed(t, account, facts, []int{0, 1, 2, 3}[:len(facts)]))
			for _, order := range permutations(len(facts)) {
				if got := ends(processed(t, account, facts, order)); got != want {
					t.Errorf("%s: %s if processed in the order %v, %s in the order of the log", name, got, order, want)
				}
			}
		}
	}
}

// permutations are all orders of n things.
func permutations(n int) (all [][]int) {
	if n == 0 {
		return [][]int{{}}
	}
	for _, order := range permutations(n - 1) {
		for i := range n {
			all = append(all, slices.Insert(slices.Clone(order), i, n-1))
		}
	}
	return all
}
