package kycbridge

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"kycbridge/document"
	"kycbridge/event"
)

// TestProcessingOrderApprovesNobody: stored payloads that several workers process in any order do not lead to an
// approval if they lead to a rejection, a review or a doubt in the order of the log. (Without one of those, an older
// attempt may be approved in one order only: its approval is current until a newer attempt has a result.)
func TestProcessingOrderApprovesNobody(t *testing.T) {
	for seed := range uint64(20000) {
		r := rand.New(rand.NewPCG(seed, 3))
		facts := make([]Fact, 2+r.IntN(4))
		order := make([]int, len(facts))
		for n := range facts {
			facts[n] = storedFact(r, n, seed)
			order[n] = n
		}
		account := testAccount
		if seed%8 < 4 {
			account = withLooks()
		}
		inOrder := processed(t, account, facts, order)
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		got := processed(t, account, facts, order)
		if got.Decision.Outcome == event.OutcomeApproved && isRefused(inOrder) {
			t.Errorf("seed %d: approved if processed in the order %v, %s in the order of the log\n%s", seed, order,
				ends(inOrder), written(facts))
		}
	}
}

// storedFact creates the nth fact of a history. What kycbridge adds itself is left out; so is an approval or a note
// without a time, of which only the receipt is known, which is not the order of the log either.
func storedFact(r *rand.Rand, n int, seed uint64) Fact {
	switch {
	case seed%5 == 0:
		return sourceFact(r, n)
	case seed%7 == 0:
		return repeatedFact(r, n)
	}
	isLeftOut := func(f Fact) bool { return f.Notice || f.untimed() && (f.approves() || f.denies()) }
	f := randomFact(r, n, seed%2 == 0, seed%4 < 2)
	for isLeftOut(f) {
		f = randomFact(r, n, seed%2 == 0, seed%4 < 2)
	}
	if r.IntN(8) == 0 {
		f.Via = event.ViaFetch // with the time of the check
	}
	if a := &f.Attempt; a.ID != "" {
		a.CreatedAt = noon.Add(time.Duration(a.ID[len(a.ID)-1]) * time.Second)
	}
	return f
}

// sourceFact creates a fact of a provider that states a checker's verdict in callbacks and in its API, both without a
// time.
func sourceFact(r *rand.Rand, n int) Fact {
	said := []event.Outcome{event.OutcomeApproved, event.OutcomeApproved, event.OutcomeRejected}[r.IntN(3)]
	kinds := []func() Fact{
		func() Fact { return callbackAt(60+n, crossed(said, said, "")) },
		func() Fact { return looked(60+n, crossed(said, "", said)) },
		func() Fact { return looked(60+n, progress(event.StatusInReview)) },
		func() Fact { return callbackAt(60+n, doubtBy(event.StageChecker, event.ActorHuman)) },
		func() Fact { return looked(60+n, ended(event.StatusAbandoned)) },
	}
	f := kinds[r.IntN(len(kinds))]()
	if r.IntN(2) == 0 {
		f.ProviderStatus = map[string]any{"status": fmt.Sprint("word ", n)}
	}
	return f
}

// repeatedFact creates a fact of a provider that repeats its decision whenever it is asked, and that may ask for a
// resubmission or a renewal.
func repeatedFact(r *rand.Rand, n int) Fact {
	m := 5 + 3*n
	kinds := []func() Fact{
		func() Fact { return looked(m, ending(2, approved())) },
		func() Fact { return looked(m, ending(2, byHuman(event.OutcomeApproved))) },
		func() Fact { return looked(m, ending(m-1, approved())) },
		func() Fact { return looked(m, ending(2, byHuman(event.OutcomeRejected))) },
		func() Fact { return looked(m, ending(2, rejected())) },
		func() Fact { return callbackAt(m, resubmit()) },
		func() Fact { return callbackAt(m, overdue()) },
		func() Fact { return callbackAt(m, renewalDue()) },
		func() Fact { return callbackAt(m, submitted(event.StatusProcessing)) },
		func() Fact { return callbackAt(m, doubtBy(event.StageManualReview, event.ActorHuman)) },
		func() Fact { return callbackAt(m, byHuman(event.OutcomeApproved)) },
		func() Fact { return callbackAt(m, progress(event.StatusInProgress)) },
	}
	return kinds[r.IntN(len(kinds))]()
}

// isRefused reports whether a verification has a result that is not an approval.
func isRefused(d *Revision) bool {
	return d.Status == event.StatusUnknown || d.Decision.Outcome == event.OutcomeRejected ||
		d.Decision.Outcome == event.OutcomeReview
}

// processed is the state after the payloads of facts, which are all stored, have been processed in an order.
func processed(t *testing.T, account *Account, facts []Fact, order []int) *Revision {
	t.Helper()
	return processedWith(t, nil, account, facts, order)
}

// processedWith is processed by a normalizer that keeps facts.
func processedWith(t *testing.T, recalled *Recalled, account *Account, facts []Fact, order []int) *Revision {
	t.Helper()
	s, n := newStored(account)
	n.Recalled = recalled
	for i, f := range facts {
		o := f.Observation
		o.EventName, o.References = "test", map[string]string{"idv_id": "i"}
		o.OccurredAt, o.Untimed, o.Attempt = f.OccurredAt, f.Untimed, f.Attempt
		s.payload(fmt.Sprint("p", i), o)
		s.payloads[i].Via, s.payloads[i].ReceivedAt = f.Via, f.ReceivedAt
	}
	for _, i := range order {
		if _, err := n.Process(t.Context(), s.payloads[i]); err != nil {
			t.Fatal(err)
		}
	}
	return s.state.Data
}

// TestRecalledFactsChangeNothing: long histories lead to the same events whether facts are kept or mapped each time.
func TestRecalledFactsChangeNothing(t *testing.T) {
	kept := 0
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 5))
		facts := make([]Fact, recalledFrom+2+r.IntN(20))
		order := make([]int, len(facts))
		for n := range facts {
			facts[n], order[n] = storedFact(r, n, seed), n
		}
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		account, recalled := testAccount, new(Recalled)
		if seed%8 < 4 {
			account = withLooks()
		}
		want, got := processed(t, account, facts, order), processedWith(t, recalled, account, facts, order)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("seed %d: %s with kept facts, %s without\n%s", seed, ends(got), ends(want), written(facts))
		}
		kept += len(recalled.facts)
	}
	if kept < 200 {
		t.Errorf("%d facts were kept: the test has lost its object", kept)
	}
}

// TestManyLateVerdicts: a payload behind several late ones is processed once, so the work for a verification with many
// verdicts grows with the square of their number at most. Its worker also processes other verifications.
func TestManyLateVerdicts(t *testing.T) {
	const verdicts = 60
	s, n := newStored(testAccount)
	provider := &n.Accounts.(Accounts)[AccountKey{"ondato", "acme"}].Provider
	maps, mapped := provider.Map, 0
	provider.Map = func(doc document.Object, p Payload, own Settings) (Observation, error) {
		mapped++
		return maps(doc, p, own)
	}
	for i := range verdicts {
		s.payload(fmt.Sprint("p", i), saysAt(i, []Observation{approved(), rejected()}[i%2]))
		s.payloads[i].ReceivedAt = noon.Add(time.Hour + time.Duration(i)*time.Minute)
	}
	for _, p := range s.payloads {
		if _, err := n.Process(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if d := s.state.Data; d.Revision != verdicts || d.Decision.Outcome != event.OutcomeRejected {
		t.Errorf("revision %d, %s", d.Revision, d.Decision.Outcome)
	}
	if mapped > verdicts*verdicts {
		t.Errorf("%d bodies mapped for %d payloads", mapped, verdicts)
	}
}

// TestOpenFactsBeforeOurEnd: a body that was received before the deadline and is processed after it, because its worker
// was paused, does not open the session again: nobody polls it any more. A result in such a body counts.
func TestOpenFactsBeforeOurEnd(t *testing.T) {
	cases := map[string]struct {
		of   Observation
		want event.Status
	}{
		"progress":  {progress(event.StatusProcessing), event.StatusExpired},
		"a review":  {byHuman(event.OutcomeReview), event.StatusExpired},
		"a request": {resubmit(), event.StatusExpired},
		"an end":    {ended(event.StatusAbandoned), event.StatusAbandoned},
		"a verdict": {byHuman(event.OutcomeApproved), event.StatusCompleted},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			first, body := fact(0, progress(event.StatusInProgress)), fact(1, c.of)
			later := fact(3, progress(event.StatusProcessing))
			end := notice(2, NoticeDeadline)
			for n, f := range []*Fact{&first, &body, &end, &later} {
				f.Payload.ID = fmt.Sprint("p", n)
				f.ProviderStatus = map[string]any{"status": fmt.Sprint("word ", n)}
			}
			for order, facts := range map[string][]Fact{"log": {first, body, end}, "late": {first, end, body}} {
				var last *Revision
				for _, f := range facts {
					if next, _, noEvent := Next(last, f); noEvent == "" {
						last = &next
					}
				}
				if last.Status != c.want {
					t.Errorf("%s: ended as %s", order, ends(last))
				}
				if next, _, _ := Next(last, later); c.want == event.StatusExpired && next.Status.Closed() {
					t.Errorf("%s: a later statement of the provider does not open it", order)
				}
			}
		})
	}
}
