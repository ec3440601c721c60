package kycbridge

import (
	"context"
	"fmt"
	"testing"
	"time"

	"kycbridge/event"
)

// TestVerdictsOfAHigherStage: a machine's verdict does not settle what a person decided, and a request for
// resubmission ends when the applicant has answered it.
func TestVerdictsOfAHigherStage(t *testing.T) {
	unknownByPerson := doubtBy(event.StageManualReview, event.ActorHuman)
	checkRule(t, map[string]ruleCase{
		"a machine's approval ends no doubt about a person's word": {
			[]Fact{at(10, unknownByPerson), at(20, approved())},
			"updated updated", "unknown/none system.unmapped_status",
		},
		"whichever comes first": {
			[]Fact{at(20, approved()), at(10, unknownByPerson)},
			"completed updated", "unknown/none system.unmapped_status",
		},
		"nor if another doubt comes between": {
			[]Fact{at(10, unknownByPerson), at(15, contradiction()), at(20, approved())},
			"updated updated updated", "unknown/none system.contradiction",
		},
		"a person's next word does": {
			[]Fact{at(10, unknownByPerson), at(20, byHuman(event.OutcomeApproved))},
			"updated completed", "completed/approved",
		},
		"a person's rejection between request and answer counts, though it comes later": {
			[]Fact{at(5, resubmit()), at(20, submitted(event.StatusProcessing)), at(10, byHuman(event.OutcomeRejected))},
			"updated updated completed", "completed/rejected",
		},
		"also against a machine's approval": {
			[]Fact{
				at(5, resubmit()), at(20, submitted(event.StatusProcessing)), at(30, approved()),
				at(10, byHuman(event.OutcomeRejected)),
			},
			"updated updated completed completed", "completed/rejected",
		},
		"a person's approval of before the request does not": {
			[]Fact{
				at(5, resubmit()), at(20, submitted(event.StatusProcessing)), at(30, rejected()),
				at(2, byHuman(event.OutcomeApproved)),
			},
			"updated updated completed old", "completed/rejected",
		},
	})
}

// TestAnOverruledVerdictOutdatesOlderOnes: a person's older verdict outranks a machine's newer one, and
// verdicts older than the machine's remain outdated, even if its payload is no longer in the log.
func TestAnOverruledVerdictOutdatesOlderOnes(t *testing.T) {
	bySomebody := func(o event.Outcome) Observation { return verdict(o, event.StageSystem, event.ActorUnspecified) }
	news := rejected()
	news.ProviderStatus = map[string]any{"score": "2"} // otherwise it would make no event
	checkRule(t, map[string]ruleCase{
		"replaced by the person's": {
			[]Fact{at(18, rejected()), at(5, byHuman(event.OutcomeRejected)), at(11, bySomebody(event.OutcomeApproved))},
			"completed completed old", "completed/rejected",
		},
		"came after the person's": {
			[]Fact{at(5, byHuman(event.OutcomeApproved)), at(18, news), at(11, bySomebody(event.OutcomeRejected))},
			"completed updated old", "completed/approved",
		},
		"what is newer than both counts": {
			[]Fact{at(18, approved()), at(5, byHuman(event.OutcomeApproved)), at(20, bySomebody(event.OutcomeRejected))},
			"completed completed completed", "completed/rejected",
		},
		"so does a person's next word": {
			[]Fact{at(18, approved()), at(5, byHuman(event.OutcomeApproved)), at(11, byHuman(event.OutcomeRejected))},
			"completed completed completed", "completed/rejected",
		},
	})
}

// TestAnEndKeepsAnUntimedReview: two verdicts led to the review, so an end neither adds anything nor
// enables the next untimed approval.
func TestAnEndKeepsAnUntimedReview(t *testing.T) {
	checkRule(t, map[string]ruleCase{
		"an end": {
			[]Fact{at(10, approved()), undated(60, rejected()), at(20, ended(event.StatusAbandoned))},
			"completed updated unchanged", "in_review/review system.untimed",
		},
		"and the next approval": {
			[]Fact{
				at(10, approved()), undated(60, rejected()), at(20, ended(event.StatusAbandoned)), undated(61, approved()),
			},
			"completed updated unchanged unchanged", "in_review/review system.untimed",
		},
		"an end without a time": {
			[]Fact{undated(60, approved()), undated(61, rejected()), undated(62, ended(event.StatusAbandoned))},
			"completed updated unchanged", "in_review/review system.untimed",
		},
	})
}

// TestUntimedVerdictsInEitherOrder: two verdicts without a trusted time that arrive at the same moment can
// be stored in another order than they were received. If they differ, the result is a review in both
// orders: an approval must not count only because the rejection was received a moment earlier.
func TestUntimedVerdictsInEitherOrder(t *testing.T) {
	bySomebody := func(o event.Outcome) Observation { return verdict(o, event.StageSystem, event.ActorUnspecified) }
	resubmitBySystem := resubmit()
	resubmitBySystem.Decision.Stage, resubmitBySystem.Decision.ActorType = event.StageSystem, event.ActorSystem
	checkRule(t, map[string]ruleCase{
		"an approval, then a rejection received before it": {
			[]Fact{undated(61, approved()), undated(60, rejected())},
			"completed updated", "in_review/review system.untimed",
		},
		"a rejection, then an approval received before it": {
			[]Fact{undated(61, rejected()), undated(60, approved())},
			"completed updated", "in_review/review system.untimed",
		},
		"nobody says who decided": {
			[]Fact{undated(61, approved()), undated(60, bySomebody(event.OutcomeRejected))},
			"completed updated", "in_review/review system.untimed",
		},
		"a request for resubmission received before the approval": {
			[]Fact{undated(61, approved()), undated(60, resubmitBySystem)},
			"completed updated", "in_review/review system.untimed",
		},
		"a doubt received before the approval": {
			[]Fact{undated(61, approved()), undated(60, contradiction())},
			"completed updated", "unknown/none system.contradiction",
		},
		"the same outcome": {
			[]Fact{undated(61, approved()), undated(60, approved())},
			"completed old", "completed/approved",
		},
		"a machine's, beside a person's": {
			[]Fact{undated(61, byHuman(event.OutcomeApproved)), undated(60, rejected())},
			"completed old", "completed/approved",
		},
		"before a verdict with a time": {
			[]Fact{at(10, approved()), undated(59, rejected())},
			"completed old", "completed/approved",
		},
		"before a reopening that the current verdict followed": {
			[]Fact{
				at(10, rejected()), lateAt(70, Observation{Effect: EffectReopen, Status: event.StatusProcessing}),
				undated(130, approved()), undated(61, rejected()),
			},
			"completed updated completed old", "completed/approved",
		},
	})
}

// TestArrivalOrderDoesNotMatter: stored payloads count as if they had arrived in order.
func TestArrivalOrderDoesNotMatter(t *testing.T) {
	awaiting := Observation{Effect: EffectReopen, Status: event.StatusProcessing}
	cases := map[string]struct {
		facts []Observation
		ends  string
	}{
		"a reopening of a newer attempt, then its older approval": {
			[]Observation{datedAt(1, of("1", approved())), datedAt(9, of("2", awaiting)), datedAt(5, of("2", approved()))},
			"processing/none",
		},
		"a reopening of a newer attempt, then an older doubt about it": {
			[]Observation{datedAt(1, of("1", approved())), datedAt(9, of("2", awaiting)), datedAt(5, of("2", contradiction()))},
			"processing/none",
		},
		"a denial of a newer attempt, then its older approval": {
			[]Observation{
				datedAt(1, of("1", approved())), datedAt(9, of("2", mentions(event.OutcomeRejected))),
				datedAt(5, of("2", approved())),
			},
			"unknown/none system.contradiction",
		},
		"a look that changed nothing, then an older approval": {
			[]Observation{datedAt(1, progress(event.StatusProcessing)), datedAt(9, awaiting), datedAt(5, approved())},
			"processing/none",
		},
		"a note between an approval and its repetition": {
			[]Observation{datedAt(1, approved()), datedAt(9, approved()), datedAt(5, mentions(event.OutcomeRejected))},
			"completed/approved",
		},
		"a doubt that a machine's word had settled, then a person's older approval": {
			[]Observation{datedAt(5, contradiction()), datedAt(9, approved()), datedAt(1, byHuman(event.OutcomeApproved))},
			"unknown/none system.contradiction",
		},
		"a doubt between a request and its answer, then a machine's approval": {
			[]Observation{
				datedAt(1, resubmit()), datedAt(3, doubtBy(event.StageManualReview, event.ActorHuman)),
				datedAt(5, submitted(event.StatusProcessing)),
				datedAt(9, approved()),
			},
			"unknown/none system.unmapped_status",
		},
		"a doubt of before a person's repeated approval and a machine's review": {
			[]Observation{
				datedAt(1, byHuman(event.OutcomeApproved)), datedAt(9, bySystem(event.OutcomeReview)),
				datedAt(7, byHuman(event.OutcomeApproved)),
				datedAt(5, contradiction()),
			},
			"completed/approved",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, n := newStored(withLooks())
			for i, o := range tc.facts {
				if _, err := n.Process(t.Context(), s.payload(fmt.Sprint("p", i), o)); err != nil {
					t.Fatal(err)
				}
			}
			last, err := s.Last(t.Context(), Key{}, true)
			if got := ends(last.Data); err != nil || got != tc.ends {
				t.Errorf("ended as %s, want %s, %v", got, tc.ends, err)
			}
		})
	}
}

// datedAt is o with the provider's time, minute minutes after noon.
func datedAt(minute int, o Observation) Observation {
	o.OccurredAt, o.EventName = noon.Add(time.Duration(minute)*time.Minute), "test"
	if o.References == nil {
		o.References = map[string]string{"idv_id": "i"}
	}
	return o
}

// withLooks is the account of the tests with a provider that can be polled.
func withLooks() *Account {
	a := *testAccount
	a.API.Fetch = func(context.Context, Query) ([]Fetched, error) { return nil, nil }
	return &a
}

// TestALateFactRevokesOurEnd: a late fact revokes an end that kycbridge has set, even if a newer stored
// fact suppresses the verdict of the late fact.
func TestALateFactRevokesOurEnd(t *testing.T) {
	s, n := newStored(withLooks())
	awaiting := Observation{Effect: EffectReopen, Status: event.StatusProcessing}
	end, err := Notice{Notice: NoticeDeadline, Reference: "i", At: noon.Add(time.Hour)}.Payload(withLooks(),
		event.ViaDeadline)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Payload{s.payload("look", datedAt(9, awaiting)), end, s.payload("late", datedAt(5, approved()))} {
		if _, err := n.Process(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if got := ends(s.state.Data); got != "processing/none" {
		t.Errorf("ended as %s", got)
	}
}

// TestAStoredDoubtStillCounts: a fact that is processed while a doubt is stored takes it into account; the
// doubt still revokes the approval when it is processed itself.
func TestAStoredDoubtStillCounts(t *testing.T) {
	s, n := newStored(withLooks())
	machine := approved()
	machine.ExternalReference = "ref-1" // makes an event, though the verdict is outranked
	for _, p := range []Payload{
		s.payload("person", datedAt(1, byHuman(event.OutcomeApproved))), s.payload("machine", datedAt(2, machine)),
		s.payload("doubt", datedAt(3, contradiction())),
	} { // at this point all are stored
		if _, err := n.Process(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if got := ends(s.state.Data); got != "unknown/none system.contradiction" {
		t.Errorf("ended as %s", got)
	}
}

// TestAnOverruledVerdictSettlesNoDoubt: a verdict that a person has overruled settles no doubt, even if
// the doubt arrives after the person's approval.
func TestAnOverruledVerdictSettlesNoDoubt(t *testing.T) {
	news := byHuman(event.OutcomeApproved)
	news.ProviderStatus = map[string]any{"score": "2"} // otherwise it would make no event
	checkRule(t, map[string]ruleCase{
		"after it": {
			[]Fact{at(50, approved()), at(25, news), at(35, contradiction())},
			"completed completed updated", "unknown/none system.contradiction",
		},
	})
}
