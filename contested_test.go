package kycbridge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kycbridge/document"
	"kycbridge/event"
)

// TestStoredContradictionsAreNotLost: a stored payload that revokes an approval in the order of the log does so if the
// payloads are processed in another order, if a worker is stopped before it has processed the following ones, and if
// the payload has been removed meanwhile. An order has a word for each step: "1" processes the second fact, "stop1" by
// a worker that is stopped after it has published, "again1" delivers it again, "remove1" removes its payload, and after
// "store4" only the first four are stored.
func TestStoredContradictionsAreNotLost(t *testing.T) {
	created := func(n int, f Fact) Fact {
		f.Attempt.CreatedAt = noon.Add(time.Duration(n) * time.Second)
		return f
	}
	said := func(minute int, o Observation) Fact { return heardAt(minute, minute, o) }
	makers := crossed(event.OutcomeReview, "", event.OutcomeApproved)
	makers.Decisions = append([]event.DecisionStep{{Stage: event.StageMaker, Outcome: event.OutcomeRejected,
		ActorType: event.ActorHuman}},
		makers.Decisions...)
	repeated := byHuman(event.OutcomeApproved)
	repeated.Repeats = true
	again := repeated
	again.ProviderStatus = map[string]any{"final_decision": "again"}
	refused := mentions(event.OutcomeRejected)
	refused.ProviderStatus = map[string]any{"idv_status": "Rejected"}
	session := progress(event.StatusInProgress) // fetched because of a checker's rejection by callback
	session.Cross, session.Mentions = Cross{Callback: event.OutcomeRejected}, event.OutcomeRejected
	cases := map[string]struct {
		facts []Fact
		order string
	}{
		"the API's rejection, asked for before the callback's approval was received, and processed before it": {
			[]Fact{looked(60, progress(event.StatusInProgress)),
				callbackAt(70, crossed(event.OutcomeApproved, event.OutcomeApproved, "")),
				looked(65, crossed(event.OutcomeRejected, "", event.OutcomeRejected))},
			"0 2 1",
		},
		"the maker's rejection in a session that was asked for before the checker's approval": {
			[]Fact{looked(60, progress(event.StatusInProgress)),
				callbackAt(70, crossed(event.OutcomeApproved, event.OutcomeApproved, "")), looked(65, makers)},
			"0 2 1",
		},
		"a checker's rejection by callback in a session that goes on, processed after the API's approval": {
			[]Fact{looked(60, session), looked(65, crossed(event.OutcomeApproved, "", event.OutcomeApproved))},
			"1 0",
		},
		"a maker's newest rejection, beside a checker's old one whose replacement is removed": {
			[]Fact{looked(60, crossed(event.OutcomeRejected, "", event.OutcomeRejected)),
				looked(61, crossed(event.OutcomeApproved, "", event.OutcomeApproved)),
				callbackAt(62, maker(event.OutcomeRejected)), callbackAt(63, maker(event.OutcomeApproved)),
				callbackAt(64, maker(event.OutcomeRejected))},
			"store4 0 1 2 3 store5 remove1 4",
		},
		"a denial of the session, which made an event while an older attempt was known": {
			[]Fact{created(2, said(60, of("2", approved()))), created(1, said(70, of("1", approved()))),
				said(80, refused)},
			"1 2 0",
		},
		"the same, and the worker is stopped": {
			[]Fact{created(2, said(60, of("2", approved()))), created(1, said(70, of("1", rejected()))),
				said(80, refused)},
			"1 2 stop0 again0",
		},
		"the same denial, removed": {
			[]Fact{created(1, said(60, of("1", rejected()))), said(80, refused),
				created(2, heardAt(70, 90, of("2", approved())))},
			"0 1 remove1 2",
		},
		"a newer rejection of the attempt, which had no time of creation": {
			[]Fact{created(1, said(60, of("1", contradiction()))), created(2, said(70, of("2", approved()))),
				said(80, of("2", rejected()))},
			"2 0 1",
		},
		"a note about a newer attempt, of which an older rejection brings the approval": {
			[]Fact{created(1, said(50, of("1", approved()))), created(2, said(70, of("2", approved()))),
				created(2, heardAt(60, 75, of("2", rejected()))), created(2, said(80, of("2", mentions(event.OutcomeRejected))))},
			"0 3 2 1",
		},
		"a doubt about an attempt that was seen last, before progress of the one that was approved": {
			[]Fact{created(1, said(60, of("1", approved()))), created(1, said(70, of("1", progress(event.StatusInProgress)))),
				said(80, of("2", contradiction()))},
			"2 1 0",
		},
		"a request for resubmission, processed before the approval that it revokes": {
			[]Fact{looked(60, byHuman(event.OutcomeApproved)), callbackAt(70, resubmit()), looked(80, repeated)},
			"1 0 2",
		},
		"the same in the order of the log: the answer was asked for before the request was received": {
			[]Fact{callbackAt(70, resubmit()), looked(69, repeated), looked(80, again)},
			"0 1 2",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, n := newStored(withLooks())
			for i, f := range tc.facts {
				o := f.Observation
				o.EventName, o.OccurredAt = "test", f.OccurredAt
				if o.References == nil {
					o.References = map[string]string{"idv_id": "i"}
				}
				s.payload(fmt.Sprint("p", i), o)
				s.payloads[i].Via, s.payloads[i].ReceivedAt = f.Via, f.ReceivedAt
			}
			all := slices.Clone(s.payloads)
			for word := range strings.FieldsSeq(tc.order) {
				do := strings.TrimRight(word, "0123456789")
				i, err := strconv.Atoi(word[len(do):])
				if err != nil {
					t.Fatal(err)
				}
				n.Events, n.Log = s, s
				switch do {
				case "store":
					s.payloads = slices.Clone(all[:i])
				case "remove":
					s.payloads = slices.DeleteFunc(s.payloads, func(p Payload) bool { return p.ID == all[i].ID })
				case "stop":
					log := &stoppedAfter{stored: s}
					n.Events, n.Log = log, log
					if _, _, err := n.Work(t.Context(), all[i], 1); err == nil {
						t.Fatal("the worker was not stopped")
					}
				default:
					attempt := map[string]int{"": 1, "again": 2}[do]
					if _, _, err := n.Work(t.Context(), all[i], attempt); err != nil {
						t.Fatal(err)
					}
				}
			}
			if got := ends(s.state.Data); strings.Contains(got, "approved") {
				t.Errorf("ended as %s", got)
			}
		})
	}
}

// stoppedAfter is the store of a worker that is stopped after it has published.
type stoppedAfter struct {
	*stored
	published bool
}

func (s *stoppedAfter) Publish(ctx context.Context, k Key, e Outgoing, after uint64) error {
	s.published = true
	return s.stored.Publish(ctx, k, e, after)
}

func (s *stoppedAfter) History(ctx context.Context, k Key, each func(Payload) error) error {
	if s.published {
		return errors.New("stopped")
	}
	return s.stored.History(ctx, k, each)
}

// TestALabelThatIsPassedOnIsNoNews: the outcome in a callback has the time of that callback, also if it is passed along
// with a request that was made after a newer callback.
func TestALabelThatIsPassedOnIsNoNews(t *testing.T) {
	old := looked(65, crossed(event.OutcomeApproved, event.OutcomeApproved, event.OutcomeApproved))
	old.Cross.CallbackAt = fact(50, Observation{}).ReceivedAt
	last, kinds := run(t, looked(60, crossed(event.OutcomeRejected, event.OutcomeRejected, event.OutcomeRejected)), old)
	if got := ends(last); got != "completed/rejected" {
		t.Errorf("%s: %s", kinds, got)
	}
}

// TestCallbackTimeOfALabel: a fact has the time of the callback that its payload was requested for.
func TestCallbackTimeOfALabel(t *testing.T) {
	a := &Account{Provider: Provider{Map: func(document.Object, Payload, Settings) (Observation, error) {
		return crossed(event.OutcomeApproved, event.OutcomeApproved, ""), nil
	}}}
	f, err := (&Normalizer{}).fact(a, Payload{ReceivedAt: noon.Add(time.Hour), TriggeredAt: noon}, document.Object{})
	if err != nil || !f.cross().CallbackAt.Equal(noon) {
		t.Errorf("%v, %v", f.cross(), err)
	}
	f, err = (&Normalizer{}).fact(a, Payload{ReceivedAt: noon.Add(time.Hour)}, document.Object{})
	if err != nil || !f.cross().CallbackAt.Equal(noon.Add(time.Hour)) {
		t.Errorf("of a callback itself: %v, %v", f.cross(), err)
	}
}

// TestARejectionOfAnotherSourceStays: a checker's rejection by callback that changed nothing beside the API's, and
// of which only the payload remains, contradicts an answer that is no rejection any more.
func TestARejectionOfAnotherSourceStays(t *testing.T) {
	for _, outcome := range []event.Outcome{event.OutcomeApproved, event.OutcomeReview} {
		answer := looked(65, crossed(outcome, "", event.OutcomeApproved))
		answer.Known.Cross = Cross{Callback: event.OutcomeRejected, CallbackAt: noon}
		last, kinds := run(t, looked(60, crossed(event.OutcomeRejected, "", event.OutcomeRejected)), answer)
		if got := ends(last); got != "completed/rejected" {
			t.Errorf("%s, %s: %s", outcome, kinds, got)
		}
	}
}
