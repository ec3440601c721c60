package publisher

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/poll"
)

// claimsAfter calls first before a claim.
type claimsAfter struct {
	*Store
	first func()
}

func (s claimsAfter) ClaimOne(ctx context.Context, k kycbridge.Key, now time.Time) (func(), error) {
	s.first()
	return s.Store.ClaimOne(ctx, k, now)
}

// TestTwoPurgesAtOnce: two people erase the same verification at the same time. The second purge has looked for an
// earlier one before the first one began, and finds nothing to erase. What the first one has erased remains known: how
// much it was, its repetitions, and the revision from which a new history goes on.
func TestTwoPurgesAtOnce(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	victim := payload("victim", "", `{"ref":"victim"}`)
	victim.Via = event.ViaCallback
	_, err := store.Append(t.Context(), victim)
	must(t, err)
	e, body := eventOf(victim, 3)
	must(t, bus.Publish(t.Context(), key(victim), sealed(event.KindUpdated, e, body), 0))
	second := *tool
	second.Claims = claimsAfter{store, func() {
		_, err := tool.Purge(t.Context(), victim.VerificationID, false)
		must(t, err)
	}}
	_, err = second.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	known, err := store.Tombstone(t.Context(), key(victim))
	must(t, err)
	if !known.Holds(victim) || known.Revision != 3 || known.Payloads != 1 || known.Events != 1 {
		t.Errorf("the tombstone is %+v", known)
	}
	again, err := store.Append(t.Context(), victim)
	if err != nil || !again.Duplicate {
		t.Errorf("the erased callback is stored again: %+v, %v", again, err)
	}
}

// TestTombstonesAtOnce: tombstones that two processes write at the same time keep what each has erased.
func TestTombstonesAtOnce(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	other, _ := openStreams(t, server)
	one, two := payload("idv-1", "e1", "1"), payload("idv-1", "e2", "2")
	of := func(p kycbridge.Payload, revision int) kycbridge.Tombstone {
		t := kycbridge.Tombstone{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID,
			Revision: revision}
		t.Marks = t.Marks.Add(p)
		return t
	}
	must(t, store.WriteTombstone(t.Context(), of(one, 7)))
	must(t, other.WriteTombstone(t.Context(), of(two, 2)))
	must(t, store.WriteTombstone(t.Context(), of(one, 7)))
	known, err := store.Tombstone(t.Context(), key(one))
	must(t, err)
	if !known.Holds(one) || !known.Holds(two) || known.Revision != 7 || len(known.Marks) != 32 {
		t.Errorf("the tombstone is %+v", known)
	}
}

// TestPurgeByAnotherClock: the command that erases runs on a machine whose clock is wrong by an hour. An answer that
// was requested before the erasure is kept out, and what is requested of the history after it is stored.
func TestPurgeByAnotherClock(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]time.Duration{"ahead": time.Hour, "behind": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store, tool, victim := withVictim(t)
			account := tool.Accounts[kycbridge.AccountKey{Provider: "ondato", Account: "acme"}]
			ingest := func(asked time.Time) (kycbridge.Receipt, error) {
				return tool.Intake.Ingest(t.Context(), account, kycbridge.Payload{Via: event.ViaFetch, Reference: "victim",
					ReceivedAt: asked, Part: "kyc", Body: []byte(`{"ref":"victim"}`)})
			}
			before := time.Now()
			purger := *tool
			purger.Now = func() time.Time { return time.Now().Add(wrong) }
			_, err := purger.Purge(t.Context(), victim.VerificationID, false)
			must(t, err)
			time.Sleep(erasedDelay)
			if r, err := ingest(before); err == nil {
				t.Errorf("an answer to a request before the erasure: %+v", r)
			}
			must(t, pollerOf(store, tool.Intake, tool.Accounts).Work(t.Context(), kycbridge.Watch{Provider: "ondato",
				Account: "acme", Reference: "victim", Since: time.Now(), Deadline: time.Now().Add(time.Hour), Asked: true}, false))
			if n := len(kept(t, store, kycbridge.KeptQuery{VerificationID: victim.VerificationID})); n != 1 {
				t.Errorf("%d payloads of the history after the erasure, want 1", n)
			}
			timer, err := store.Timer(t.Context(), key(victim))
			if err != nil || timer == nil {
				t.Errorf("the verification is not polled any more: %v", err)
			}
		})
	}
}

// pollerOf polls the verification of withVictim.
func pollerOf(store *Store, intake *kycbridge.Intake, accounts kycbridge.Accounts) *poll.Poller {
	return &poll.Poller{Accounts: accounts, Intake: intake, Timers: store, History: store, Now: time.Now,
		Policy:     func(kycbridge.AccountKey) poll.Policy { return poll.Policy{Interval: time.Hour, Deadline: time.Hour} },
		Tombstones: store, Log: zap.NewNop(),
		State:   func(context.Context, kycbridge.Key, bool) (*event.Data, error) { return nil, nil },
		Observe: func(kycbridge.AccountKey, string) {}}
}

// waitingThen closes reads when a poll has found no later deadline, and is about to record the end of a verification.
type waitingThen struct {
	*Store
	reads chan struct{}
}

func (s waitingThen) Waiting(ctx context.Context, k kycbridge.Key) (*kycbridge.Watch, error) {
	defer close(s.reads)
	return s.Store.Waiting(ctx, k)
}

// TestDeadlineBesidePurge: the deadline of a verification passes while it is erased. The notice of that waits until the
// purge has ended, and is dropped then: it would begin a new history of an erased verification.
func TestDeadlineBesidePurge(t *testing.T) {
	t.Parallel()
	store, tool, victim := withVictim(t)
	account := tool.Accounts[kycbridge.AccountKey{Provider: "ondato", Account: "acme"}]
	account.API.Fetch = func(context.Context, kycbridge.Query) ([]kycbridge.Fetched, error) {
		return nil, &kycbridge.ProviderError{Kind: kycbridge.ProviderPending}
	}
	timers, polled := waitingThen{store, make(chan struct{})}, make(chan error, 1)
	poller := pollerOf(store, tool.Intake, tool.Accounts)
	poller.Timers = timers
	purger := *tool
	purger.Watches = &watchesThen{store, 1, func() {
		go func() {
			polled <- poller.Work(context.Background(), kycbridge.Watch{Provider: "ondato", Account: "acme", Reference: "victim",
				Since: time.Now().Add(-time.Hour), Deadline: time.Now().Add(-time.Second)}, false)
		}()
		<-timers.reads
	}}
	_, err := purger.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	must(t, <-polled)
	for _, k := range kept(t, store, kycbridge.KeptQuery{VerificationID: victim.VerificationID}) {
		t.Errorf("stored after the purge: %s %s", k.Via, k.Body)
	}
}
