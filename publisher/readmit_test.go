package publisher

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

// TestReadmitBesidePurge: a replay of the quarantine reads many payloads at once and admits them at a limited rate. One
// that is purged meanwhile is not stored again from its memory.
func TestReadmitBesidePurge(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	bus.RecordErasures(store)
	account := &kycbridge.Account{Name: "acme", Environment: event.EnvironmentTest, Profile: event.ProfileFull}
	account.Provider = kycbridge.Provider{Name: "ondato", Read: document.Decode,
		Identify: func(doc document.Object, _ event.Via) kycbridge.Identity {
			return kycbridge.Identity{Reference: doc.Text("ref")}
		},
		Validate: func(string, document.Object) []kycbridge.FieldError { return nil }}
	accounts := kycbridge.Accounts{{Provider: "ondato", Account: "acme"}: account}
	tool := &archive.Archive{Accounts: accounts, Intake: &kycbridge.Intake{Log: store, Quarantine: store, Refusals: store},
		Shelves: store, ShelfWriter: store, Watches: store, DispositionLog: store, Tombstones: store, Holds: store,
		Claims: store, Barrier: store, Events: bus, Bus: bus, Unindex: store, Now: time.Now}
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
