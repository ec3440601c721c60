package kycbridge

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"kycbridge/event"
)

// randomFact creates the nth fact of a history, of any kind from the provider or from kycbridge. With
// numbered attempts, all facts except those of the session belong to one. Machines decide only if facts
// arrive in chronological order: a person's older verdict ranks higher, so that two orders have two
// results.
func randomFact(r *rand.Rand, n int, numbered, ordered bool) Fact {
	kinds := []func() Observation{
		func() Observation { return progress(event.StatusInProgress) },
		func() Observation { return progress(event.StatusProcessing) },
		func() Observation { return submitted(event.StatusInProgress) },
		func() Observation { return ended(event.StatusAbandoned) },
		func() Observation { return byHuman(event.OutcomeApproved) },
		func() Observation { return byHuman(event.OutcomeRejected) },
		func() Observation { return doubtBy(event.StageManualReview, event.ActorHuman) },
		func() Observation { return resubmit() },
		func() Observation { return mentions(event.OutcomeApproved) },
		func() Observation { return mentions(event.OutcomeRejected) },
		func() Observation { return mentions(event.OutcomeNone) },
	}
	if ordered {
		kinds = append(kinds,
			func() Observation { return bySystem(event.OutcomeApproved) },
			func() Observation { return bySystem(event.OutcomeRejected) },
			func() Observation { return bySystem(event.OutcomeReview) })
	}
	o := kinds[r.IntN(len(kinds))]()
	o.ProviderStatus = map[string]any{"status": fmt.Sprint("word ", n)}
	if r.IntN(2) == 0 {
		o.Documents = []event.Document{{DocumentID: "d", Type: "passport", DocumentNumber: fmt.Sprint("X", n)}}
	}
	f := fact(60+n, o)
	f.OccurredAt = noon.Add(time.Duration(r.IntN(60))*time.Minute + time.Duration(n)*time.Second)
	if ordered {
		f.OccurredAt = noon.Add(time.Duration(n) * time.Minute)
	}
	if numbered && o.Effect != EffectProgress && o.Effect != EffectEnd {
		f.Attempt = Attempt{ID: fmt.Sprint("attempt ", r.IntN(3)), CreatedAt: noon}
	}
	switch r.IntN(8) {
	case 0:
		if !ordered {
			f.OccurredAt, f.Untimed = time.Time{}, true
		}
	case 1:
		f.OccurredAt, f.Via = time.Time{}, event.ViaFetch
	}
	if r.IntN(10) == 0 {
		f = notice(60+n, []NoticeKind{NoticeWatched, NoticeDeadline}[r.IntN(2)])
	}
	f.Payload.ID = fmt.Sprint("p", n)
	return f
}

// written formats a history for messages.
func written(facts []Fact) string {
	var b strings.Builder
	for _, f := range facts {
		fmt.Fprintf(&b, "%s effect %d %s %s at %s untimed %v via %s notice %v attempt %q mentions %q documents %d\n",
			f.Payload.ID, f.Effect, f.Status,
			f.Decision.Outcome, f.OccurredAt.Format("15:04"), f.untimed(), f.Via, f.Notice, f.Attempt.ID, f.Mentions,
			len(f.Documents))
	}
	return b.String()
}

// TestRedeliveryChangesNothing: a payload that made an event makes none when it is processed again,
// whatever happened since.
func TestRedeliveryChangesNothing(t *testing.T) {
	for seed := range uint64(20000) {
		r := rand.New(rand.NewPCG(seed, 1))
		var last *Revision
		var facts, applied []Fact
		for n := range 8 {
			f := randomFact(r, n, seed%2 == 0, seed%4 < 2)
			facts = append(facts, f)
			if next, _, noEvent := Next(last, f); noEvent == "" {
				last = &next
				applied = append(applied, f)
			}
			again := applied[r.IntN(len(applied))]
			if after, _, noEvent := Next(last, again); noEvent == "" {
				t.Fatalf("seed %d: %s again\n%s%v\nmemory %s", seed, again.Payload.ID, written(facts),
					event.Differences(last.Published(), after.Published()), last.Memory.Encode())
			}
		}
	}
}

// TestTheNewestVerdictWinsInAnyOrder: within one attempt, the arrival order of dated facts does not affect
// the decision, and no log is needed for that.
func TestTheNewestVerdictWinsInAnyOrder(t *testing.T) {
	kinds := []func() Observation{
		func() Observation { return progress(event.StatusProcessing) },
		func() Observation { return byHuman(event.OutcomeApproved) },
		func() Observation { return byHuman(event.OutcomeRejected) },
		func() Observation { return resubmit() },
		func() Observation { return overdue() },
		func() Observation { return doubtBy(event.StageManualReview, event.ActorHuman) },
		func() Observation { return byHuman(event.OutcomeReview) },
	}
	for seed := range uint64(20000) {
		r := rand.New(rand.NewPCG(seed, 2))
		facts := make([]Fact, 2+r.IntN(4))
		for n := range facts {
			facts[n] = fact(n, kinds[r.IntN(len(kinds))]())
			facts[n].ProviderStatus = map[string]any{"status": fmt.Sprint("word ", n)}
		}
		inOrder := decisionOf(facts)
		shuffled := slices.Clone(facts)
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		if got := decisionOf(shuffled); got != inOrder {
			t.Fatalf("seed %d: %s in order, %s in this one:\n%s", seed, inOrder, got, written(shuffled))
		}
	}
}

// decisionOf is the decision after facts in the given order.
func decisionOf(facts []Fact) string {
	var last *Revision
	for _, f := range facts {
		if next, _, noEvent := Next(last, f); noEvent == "" {
			last = &next
		}
	}
	return fmt.Sprint(last.Status.Terminal(), " ", last.Decision.Outcome, " ", last.Decision.Final)
}
