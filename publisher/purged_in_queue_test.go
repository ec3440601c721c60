package publisher

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/internal/archive"
	"kycbridge/test/wait"
)

// purgedInQueue has a payload wait in the queue of a worker, behind one that is held, while its verification is purged.
// Afterwards the worker processes it from memory.
func purgedInQueue(t *testing.T, victimEvent string) *Store {
	t.Helper()
	_, store, bus := start(t, t.TempDir())
	bus.RecordErasures(store)
	account := &kycbridge.Account{Name: "acme", Environment: event.EnvironmentTest, Profile: event.ProfileFull}
	account.Provider = kycbridge.Provider{Name: "ondato", Read: document.Decode,
		Identify: func(document.Object, event.Via) kycbridge.Identity {
			return kycbridge.Identity{Reference: "victim", EventID: ""}
		},
		Validate: func(string, document.Object) []kycbridge.FieldError { return nil },
		Map: func(_ document.Object, p kycbridge.Payload, _ kycbridge.Settings) (kycbridge.Observation, error) {
			switch p.Event {
			case "trigger":
				return kycbridge.Observation{Effect: kycbridge.EffectFetch, EventName: "trigger"}, nil
			case "unmappable":
				panic("no")
			}
			return kycbridge.Observation{Effect: kycbridge.EffectNone, EventName: "nothing"}, nil
		}}
	account.API.Fetch = func(context.Context, kycbridge.Query) ([]kycbridge.Fetched, error) {
		return nil, nil
	}
	accounts := kycbridge.Accounts{{Provider: "ondato", Account: "acme"}: account}
	intake := &kycbridge.Intake{Log: store, Quarantine: store, Refusals: store}
	n := &kycbridge.Normalizer{Accounts: accounts, Events: NewPredicting(bus), Log: store, Quarantine: store,
		Triggers: store, Mapping: "1", TypePrefix: "io.kycbridge", SourcePrefix: "/kycbridge", MaxAttempts: 1,
		RevisionOf: bus.RevisionOf, Now: time.Now}
	tool := &archive.Archive{Accounts: accounts, Intake: intake, Shelves: store, ShelfWriter: store, Watches: store,
		Tombstones: store, Holds: store, Claims: store, Barrier: store, Events: bus, Bus: bus, Unindex: store, Now: time.Now}

	blocker, victim := payload("blocker", "e1", `{}`), payload("victim", "e2", `{"name":"Erased Person"}`)
	blocker.Event, victim.Event = "blocker", victimEvent
	victim.Reference = "victim"
	for _, p := range []kycbridge.Payload{blocker, victim} {
		_, err := store.Append(t.Context(), p)
		must(t, err)
	}
	var down, tried atomic.Bool
	down.Store(true)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		_ = store.Consume(ctx, ConsumeOptions{Workers: 1, Exclusive: true, Hold: func() bool { return true },
			Log: zap.NewNop(),
			Work: func(ctx context.Context, p kycbridge.Payload, attempt int) (kycbridge.Disposition, time.Duration) {
				if p.Event == "blocker" && down.Load() { // the bus is away: the worker holds it
					tried.Store(true)
					return kycbridge.Disposition{}, 3 * time.Second
				}
				done, retry, err := n.Work(ctx, p, attempt)
				if err != nil {
					t.Logf("worked on %s: %v", p.Event, err)
				}
				return done.Disposition(), retry
			}})
		close(ended)
	}()
	t.Cleanup(func() { stop(); <-ended })
	wait.For(t, 10*time.Second, "the first attempt", tried.Load)
	down.Store(false) // the bus is back; the worker tries again three seconds after its last attempt
	_, err := tool.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	if left := kept(t, store, kycbridge.KeptQuery{VerificationID: victim.VerificationID}); len(left) != 0 {
		t.Fatal("not purged")
	}
	wait.For(t, 20*time.Second, "the backlog", func() bool {
		backlog, err := store.Backlog(t.Context())
		return err == nil && backlog == 0
	})
	return store
}

// TestPurgedInQueue: a payload that a worker holds while it is purged requests no result and is not quarantined.
func TestPurgedInQueue(t *testing.T) {
	t.Run("a trigger", func(t *testing.T) {
		t.Parallel()
		must(t, purgedInQueue(t, "trigger").Watches(t.Context(), func(w kycbridge.Watch, isDue bool) error {
			t.Errorf("after the purge a watch is stored: %s, due %v", w.Reference, isDue)
			return nil
		}))
	})
	t.Run("one that cannot be mapped", func(t *testing.T) {
		t.Parallel()
		for _, k := range kept(t, purgedInQueue(t, "unmappable"), kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine}) {
			t.Errorf("quarantined after the purge: %s", k.Body)
		}
	})
}

// slowToWrap is a key service that answers after next is called, when a key of the quarantine is made.
type slowToWrap struct {
	Master
	next func()
}

func (s slowToWrap) Wrap(ctx context.Context, key []byte) (string, []byte, error) {
	s.next()
	return s.Master.Wrap(ctx, key)
}

// TestPurgedBeforeItsKey: a payload that cannot be mapped waits for a key of the quarantine, and its verification is
// purged meanwhile. It is not stored in quarantine, and neither is an answer that was requested before the purge.
func TestPurgedBeforeItsKey(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]func(*testing.T, *Store) kycbridge.Payload{
		"from the log": func(t *testing.T, store *Store) kycbridge.Payload {
			p := payload("victim", "", `{"ref":"victim"}`)
			_, err := store.Append(t.Context(), p)
			must(t, err)
			p.Seq = 1
			return p
		},
		"an answer": func(t *testing.T, store *Store) kycbridge.Payload {
			stored := payload("victim", "", `{"ref":"victim"}`)
			_, err := store.Append(t.Context(), stored)
			must(t, err)
			p := payload("victim", "", `{"ref":"victim","n":2}`)
			p.Via, p.ReceivedAt = event.ViaFetch, time.Now()
			return p
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, store, bus := start(t, t.TempDir())
			right := masterOf(t, masterKeys(t, "m"))
			seal(t, store, right)
			tool := purgeTool(t, store, bus)
			victim := of(t, store)
			var purge sync.Once
			store.SealWith(slowToWrap{right, func() {
				purge.Do(func() {
					store.SealWith(right)
					if _, err := tool.Purge(t.Context(), victim.VerificationID, false); err != nil {
						t.Error(err)
					}
				})
			}})
			err := store.Quarantine(t.Context(), victim, kycbridge.QuarantineUnmapped, nil)
			if !errors.Is(err, kycbridge.ErrErased) {
				t.Errorf("it is quarantined: %v", err)
			}
			for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine}) {
				t.Errorf("quarantined after the purge: %s", k.Body)
			}
		})
	}
}
