package publisher

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/internal/archive"
	"kycbridge/internal/poll"
	"kycbridge/test/wait"
)

// purgeTool is the tool over a store, with an account whose bodies name their verification and whose provider answers
// with such a body.
func purgeTool(t *testing.T, store *Store, bus *Bus) *archive.Archive {
	t.Helper()
	bus.RecordErasures(store)
	account := &kycbridge.Account{Name: "acme", Environment: event.EnvironmentTest, Profile: event.ProfileFull}
	account.Provider = kycbridge.Provider{Name: "ondato", Read: document.Decode,
		Identify: func(doc document.Object, _ event.Via) kycbridge.Identity {
			return kycbridge.Identity{Reference: doc.Text("ref")}
		},
		Validate: func(string, document.Object) []kycbridge.FieldError { return nil },
		Map: func(document.Object, kycbridge.Payload, kycbridge.Settings) (kycbridge.Observation, error) {
			return kycbridge.Observation{Effect: kycbridge.EffectNone}, nil
		}}
	account.API.Fetch = func(_ context.Context, q kycbridge.Query) ([]kycbridge.Fetched, error) {
		return []kycbridge.Fetched{{Part: "kyc", Body: fmt.Appendf(nil, `{"ref":%q}`, q.Reference)}}, nil
	}
	return &archive.Archive{Accounts: kycbridge.Accounts{{Provider: "ondato", Account: "acme"}: account},
		Intake:  &kycbridge.Intake{Log: store, Quarantine: store, Refusals: store},
		Shelves: store, ShelfWriter: store, Watches: store, DispositionLog: store, Tombstones: store, Holds: store,
		Claims: store, Records: store, Barrier: store, Events: bus, Bus: bus, Unindex: store, Now: time.Now}
}

// TestReadmitBesidePurge: a replay of the quarantine reads many payloads at once and admits them at a limited rate. One
// that is purged meanwhile is not stored again from its memory.
func TestReadmitBesidePurge(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	var victim kycbridge.Payload
	for i := range 4 {
		ref := fmt.Sprint("person-", i)
		victim = payload(ref, "", fmt.Sprintf(`{"ref":%q}`, ref))
		must(t, store.Quarantine(t.Context(), victim, kycbridge.QuarantineSchema, nil)) // the schema has been corrected since
	}
	var purge sync.Once
	_, err := tool.Replay(t.Context(), archive.ReplayOptions{Filter: archive.Filter{Status: archive.StatusQuarantined}},
		func(archive.Replayed) error {
			purge.Do(func() {
				_, err := tool.Purge(t.Context(), victim.VerificationID, false)
				must(t, err)
			})
			return nil
		})
	must(t, err)
	for _, k := range kept(t, store, kycbridge.KeptQuery{VerificationID: victim.VerificationID}) {
		t.Errorf("stored again after it was purged: %s", k.Body)
	}
	if n := len(kept(t, store, kycbridge.KeptQuery{})); n != 3 {
		t.Errorf("%d admitted, want 3", n)
	}
}

// TestReadmitWithoutTheBody: while a replay admits a refused payload, its key is destroyed before it is removed. A
// replay that reads it then, or after the first was interrupted, does not admit it as an empty payload.
func TestReadmitWithoutTheBody(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	seal(t, store, masterOf(t, masterKeys(t, "m")))
	shelved(t, store)
	tool := purgeTool(t, store, bus)
	account := tool.Accounts[kycbridge.AccountKey{Provider: "ondato", Account: "acme"}]
	account.Provider.Verify = func(kycbridge.Credentials, kycbridge.Request) (string, error) { return "basic", nil }
	refused := kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfRefused})
	must(t, store.DestroyKeys(t.Context(), kycbridge.ShelfRefused, []string{refused[0].Key}))
	_, err := tool.Replay(t.Context(), archive.ReplayOptions{Filter: archive.Filter{Status: archive.StatusRefused}},
		func(r archive.Replayed) error {
			if r.Result != archive.ResultStillRefused || r.Reason != archive.Altered {
				t.Errorf("%s: %s", r.Result, r.Reason)
			}
			return nil
		})
	must(t, err)
	for shelf, want := range map[kycbridge.Shelf]int{kycbridge.ShelfPayloads: 1, kycbridge.ShelfQuarantine: 1,
		kycbridge.ShelfRefused: 1} {
		if all := kept(t, store, kycbridge.KeptQuery{Shelf: shelf}); len(all) != want {
			t.Errorf("%d payloads in %s, want %d", len(all), shelf, want)
		}
	}
}

// tombstoneThen calls then after a tombstone is read.
type tombstoneThen struct {
	*Store
	then func()
}

func (s tombstoneThen) ErasedSince(ctx context.Context, k kycbridge.Key, since time.Time) (bool, error) {
	erased, err := s.Store.ErasedSince(ctx, k, since)
	s.then()
	return erased, err
}

// TestFetchedBesidePurge: a body that was requested before a purge, and is to be stored while the purge keeps payloads
// out of the log, is dropped: it is not stored afterwards, and nothing is polled again.
func TestFetchedBesidePurge(t *testing.T) {
	t.Parallel()
	store, tool, victim := withVictim(t)
	purged := make(chan error, 1)
	begin := func() {
		go func() {
			_, err := tool.Purge(context.Background(), victim.VerificationID, false)
			purged <- err
		}()
		wait.For(t, 10*time.Second, "payloads are kept out", func() bool {
			_, err := store.payloadLog.GetLastMsgForSubject(t.Context(), testNames.bar(key(victim)))
			return err == nil
		})
	}
	poller := &poll.Poller{Accounts: tool.Accounts, Intake: tool.Intake, Timers: store, History: store, Now: time.Now,
		Policy:     func(kycbridge.AccountKey) poll.Policy { return poll.Policy{Interval: time.Hour, Deadline: time.Hour} },
		Tombstones: tombstoneThen{store, sync.OnceFunc(begin)}, Log: zap.NewNop(),
		State:   func(context.Context, kycbridge.Key, bool) (*event.Data, error) { return nil, nil },
		Observe: func(kycbridge.AccountKey, string) {}}
	must(t, poller.Work(t.Context(), kycbridge.Watch{Provider: "ondato", Account: "acme", Reference: "victim",
		Since: time.Now(), Deadline: time.Now().Add(time.Hour), Asked: true}, false))
	must(t, <-purged)
	for _, k := range kept(t, store, kycbridge.KeptQuery{VerificationID: victim.VerificationID}) {
		t.Errorf("stored after the purge: %s %s", k.Via, k.Body)
	}
	must(t, store.Watches(t.Context(), func(w kycbridge.Watch, _ bool) error {
		t.Errorf("a timer of %s", w.Reference)
		return nil
	}))
}

// TestReadmittedBytesAreErased: payloads leave quarantine by a replay, and are purged later. Their bytes are in no
// file, also not in those of the quarantine, which still has messages of others.
func TestReadmittedBytesAreErased(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, store, bus := start(t, dir)
	tool := purgeTool(t, store, bus)
	victim := payload("victim", "", `{"ref":"victim","name":"Readmitted Sample"}`)
	for _, p := range []kycbridge.Payload{payload("a", "", `{"x":1}`), victim, payload("b", "", `{"x":2}`)} {
		must(t, store.Quarantine(t.Context(), p, kycbridge.QuarantineSchema, nil)) // only the victim's names a reference
	}
	sum, err := tool.Replay(t.Context(), archive.ReplayOptions{Filter: archive.Filter{ID: victim.ID,
		Status: archive.StatusQuarantined}}, func(archive.Replayed) error { return nil })
	must(t, err)
	if sum.Results[archive.ResultAdmitted] != 1 {
		t.Fatalf("the replay: %+v", sum)
	}
	out, err := tool.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	if out.Payloads != 1 || out.Quarantined != 0 {
		t.Errorf("erased: %+v", out)
	}
	if files := found(t, "Readmitted Sample", dir); len(files) > 0 {
		t.Errorf("after the purge the name stands in %v", files)
	}
}
