package kycbridge

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"kycbridge/document"
	"kycbridge/event"
)

// stored are the payloads of one verification and its events, in memory, as the Normalizer sees them.
type stored struct {
	inMemoryHistory
	facts map[string]Observation
}

// newStored maps each payload to the observation that its body names.
func newStored(account *Account) (*stored, *Normalizer) {
	s := &stored{facts: map[string]Observation{}}
	own := *account
	own.Provider.Read = document.Decode
	own.Provider.Map = func(_ document.Object, p Payload, _ Settings) (Observation, error) {
		return s.facts[p.ID], nil
	}
	accounts := Accounts{{"ondato", "acme"}: &own}
	return s, &Normalizer{Accounts: accounts, Events: s, Log: s, Mapping: "test", MaxAttempts: 9,
		Now: func() time.Time { return noon }}
}

func (s *stored) payload(name string, o Observation) Payload {
	s.facts[name] = o
	p := Payload{
		Seq: uint64(len(s.payloads) + 1),
		ID:  name, Provider: "ondato", Account: "acme", VerificationID: event.VerificationID("ondato", "acme", "i"),
		Via: event.ViaCallback, ReceivedAt: noon.Add(time.Hour), Digest: Digest([]byte(name)), Body: []byte("{}"),
	}
	s.payloads = append(s.payloads, p)
	return p
}

// saysAt is o as a message that was written minute minutes after noon.
func saysAt(minute int, o Observation) Observation {
	o.OccurredAt, o.EventName = noon.Add(time.Duration(minute)*time.Minute), "test"
	o.References = map[string]string{"idv_id": "i"}
	return o
}

// TestContestedBeforeTheApprovalWasProcessed: a payload that would revoke an approval was processed before it, by
// another worker, and had changed nothing then.
func TestContestedBeforeTheApprovalWasProcessed(t *testing.T) {
	untimed := contradiction()
	untimed.Untimed, untimed.EventName = true, "test"
	cases := map[string][]Observation{ // the approval is the second one, and is processed last
		"a doubt without a time": {saysAt(5, contradiction()), saysAt(30, approved()), untimed},
		"a note": {
			saysAt(5, mentions(event.OutcomeRejected)), saysAt(6, approved()), saysAt(7, mentions(event.OutcomeRejected)),
		},
	}
	for name, facts := range cases {
		t.Run(name, func(t *testing.T) {
			s, n := newStored(testAccount)
			for i, o := range facts {
				s.payload(fmt.Sprint("p", i), o)
				s.payloads[i].ReceivedAt = noon.Add(time.Duration(60+i) * time.Minute)
			}
			for _, i := range []int{0, 2, 1} {
				if _, err := n.Process(t.Context(), s.payloads[i]); err != nil {
					t.Fatal(err)
				}
			}
			if got := ends(s.state.Data); got != "unknown/none system.contradiction" {
				t.Errorf("ended as %s", got)
			}
		})
	}
}

// TestStoredFactsWithoutEventsCount: a doubt that changed nothing, or a late note, left no event; an
// earlier approval that arrives even later is in doubt.
func TestStoredFactsWithoutEventsCount(t *testing.T) {
	cases := map[string]struct {
		facts []Observation
		ends  string
	}{
		"a note that came late": {
			[]Observation{saysAt(9, progress(event.StatusProcessing)), saysAt(5, mentions(event.OutcomeRejected)),
				saysAt(1, approved())},
			"unknown/none system.contradiction",
		},
		"a doubt that left a rejection": {
			[]Observation{saysAt(1, rejected()), saysAt(9, contradiction()), saysAt(5, approved())},
			"unknown/none system.contradiction",
		},
		"a doubt that the approval settled": {
			[]Observation{saysAt(1, rejected()), saysAt(5, contradiction()), saysAt(9, approved())},
			"completed/approved",
		},
		"a repeated verdict": {
			[]Observation{saysAt(1, rejected()), saysAt(9, rejected()), saysAt(5, approved())},
			"completed/rejected",
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s, n := newStored(testAccount)
			for i, o := range tc.facts {
				if _, err := n.Process(t.Context(), s.payload(fmt.Sprint("p", i), o)); err != nil {
					t.Fatal(err)
				}
			}
			last, err := s.Last(context.Background(), Key{}, true)
			if got := ends(last.Data); err != nil || got != tc.ends {
				t.Errorf("ended as %s, want %s, %v", got, tc.ends, err)
			}
		})
	}
}

// TestHeldFactsAppearWithTheVerdict: while an approval is current, the facts of a newer attempt are not
// visible; the attempt's verdict adds them.
func TestHeldFactsAppearWithTheVerdict(t *testing.T) {
	s, n := newStored(testAccount)
	for _, p := range []Payload{
		s.payload("approved", saysAt(1, person("OTHER", of("1", approved())))),
		s.payload("handed in", saysAt(2, person("SAMPLE", of("2", progress(event.StatusProcessing))))),
		s.payload("rejected", saysAt(3, of("2", rejected()))),
	} {
		if _, err := n.Process(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	last, err := s.Last(context.Background(), Key{}, true)
	d := last.Data
	if name := d.ExtractedClaims["given_name"]; err != nil || ends(d) != "completed/rejected" || name != "SAMPLE" {
		t.Errorf("%s %v %v, %v", ends(d), d.ExtractedClaims, d.Checks, err)
	}
}

// TestLaterStoredPayloadsWait: payloads that are already stored when an earlier one is processed change
// neither the events nor their order.
func TestLaterStoredPayloadsWait(t *testing.T) {
	facts := []Observation{
		saysAt(1, approved()), saysAt(3, rejected()), saysAt(4, progress(event.StatusProcessing)), saysAt(5, approved()),
		saysAt(2, rejected()), saysAt(7, contradiction()), saysAt(8, rejected()), saysAt(9, approved()),
	}
	withAPI := *testAccount
	withAPI.API.Fetch = func(context.Context, Query) ([]Fetched, error) { return nil, nil }
	for name, account := range map[string]*Account{"callbacks alone": testAccount, "with an API": &withAPI} {
		t.Run(name, func(t *testing.T) {
			var histories [2][]string
			for i, atOnce := range []bool{false, true} {
				s, n := newStored(account)
				for j, o := range facts {
					p := s.payload(fmt.Sprint("p", j), o)
					if !atOnce {
						work(t, n, p, 1)
					}
				}
				for _, p := range s.payloads {
					work(t, n, p, 1)
				}
				for _, e := range s.events {
					histories[i] = append(histories[i], ends(&Revision{Data: e.Data}))
				}
			}
			if !slices.Equal(histories[0], histories[1]) || len(histories[0]) < 5 {
				t.Errorf("one after another:\n%q\nall stored first:\n%q", histories[0], histories[1])
			}
		})
	}
}

// TestStoppedBeforeFollowingPayloads: a worker published the event of a verdict and was stopped; a newer
// verdict had been judged before it, without a change. The redelivery of the older one finds the newer.
func TestStoppedBeforeFollowingPayloads(t *testing.T) {
	s, n := newStored(testAccount)
	first := s.payload("rejected", saysAt(1, rejected()))
	older := s.payload("approved", saysAt(5, approved()))
	newer := s.payload("rejected again", saysAt(9, rejected()))
	work(t, n, first, 1)
	work(t, n, newer, 1) // changes nothing
	all := s.payloads
	s.payloads = all[:2] // the worker is stopped before it reads the following payloads
	work(t, n, older, 1)
	s.payloads = all
	work(t, n, older, 2)
	if got := ends(s.state.Data); got != "completed/rejected" {
		t.Errorf("ended as %s", got)
	}
}

// TestStoppedBeforeTheRecord: a worker published the event of a payload and was stopped before it recorded that. When
// the payload is delivered again, its disposition is that event, though it adds nothing now.
func TestStoppedBeforeTheRecord(t *testing.T) {
	s, n := newStored(testAccount)
	n.RevisionOf = s.revisionOf
	first, second := s.payload("a", saysAt(1, progress(event.StatusProcessing))), s.payload("b", saysAt(5, approved()))
	repeated := s.payload("c", saysAt(5, approved()))
	for _, p := range s.payloads {
		work(t, n, p, 1)
	}
	for p, want := range map[*Payload]Disposition{&first: {Revision: 1}, &second: {Revision: 2},
		&repeated: {Why: NoEventUnchanged}} {
		if got := work(t, n, *p, 2); got.Revision != want.Revision || got.Why != want.Why {
			t.Errorf("%s: revision %d, %q; want %d, %q", p.ID, got.Revision, got.Why, want.Revision, want.Why)
		}
	}
}

// TestProcessedTogether: the answer to the event of a payload is lost, so the payload is processed again, and the one
// that follows it too. When that one is processed itself, its disposition is the event that it has made.
func TestProcessedTogether(t *testing.T) {
	s, n := newStored(testAccount)
	n.RevisionOf = s.revisionOf
	first, second := s.payload("a", saysAt(1, progress(event.StatusProcessing))), s.payload("b", saysAt(5, approved()))
	n.Events = &losingOne{stored: s}
	if got := work(t, n, first, 1); got.Revision != 1 || len(s.events) != 2 {
		t.Errorf("the first: %+v, %d events", got, len(s.events))
	}
	if got := work(t, n, second, 1); got.Revision != 2 || got.Why != "" {
		t.Errorf("the second: revision %d, %q", got.Revision, got.Why)
	}
}

// losingOne loses the answer to the first event: it is stored, and refused when it is sent again.
type losingOne struct {
	*stored

	lost bool
}

func (l *losingOne) Publish(ctx context.Context, k Key, e Outgoing, after uint64) error {
	err := l.stored.Publish(ctx, k, e, after)
	if err == nil && !l.lost {
		l.lost, err = true, ErrConflict
	}
	return err
}

func (s *stored) revisionOf(_ context.Context, _ Key, payloadID string) (int, error) {
	for _, e := range s.events {
		if e.Data.Payload.ID == payloadID {
			return e.Data.Revision, nil
		}
	}
	return 0, nil
}

func work(t *testing.T, n *Normalizer, p Payload, attempt int) Disposition {
	t.Helper()
	done, _, err := n.Work(t.Context(), p, attempt)
	if err != nil {
		t.Fatal(err)
	}
	return done.Disposition()
}

// TestAnOverruledVerdictCountsAgain: a machine's approval yielded to a person's; a rejection from between
// the two arrives late and replaces the person's. The machine's is newer than the rejection, and counts,
// in live processing and in a replay.
func TestAnOverruledVerdictCountsAgain(t *testing.T) {
	s, n := newStored(testAccount)
	unspecified := verdict(event.OutcomeRejected, event.StageSystem, event.ActorUnspecified)
	for i, o := range []Observation{
		saysAt(1, byHuman(event.OutcomeApproved)), saysAt(9, bySystem(event.OutcomeApproved)), saysAt(5, unspecified),
	} {
		work(t, n, s.payload(fmt.Sprint("p", i), o), 1)
	}
	if d := s.state.Data; ends(d) != "completed/approved" || d.Decision.Stage != event.StageSystem {
		t.Errorf("ended as %s by %s", ends(d), d.Decision.Stage)
	}
}

// TestAReplayForgetsNoPayload: a payload with an event before a replay makes none after it.
func TestAReplayForgetsNoPayload(t *testing.T) {
	earlier, later := Memory{Applied: []string{"a", "b"}}, Memory{Applied: []string{"b", "c"}}
	later.mergeEarlier(earlier)
	if !slices.Equal(later.Applied, []string{"a", "b", "c"}) {
		t.Errorf("knows %q", later.Applied)
	}
}
