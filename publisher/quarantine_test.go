package publisher

import (
	"testing"

	"kycbridge"
)

// TestQuarantinedAgain: a payload that was removed from quarantine and arrives again is stored again, although the
// server still knows its id. One that is there is not stored twice.
func TestQuarantinedAgain(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	p := payload("idv-1", "e1", "{}")
	there := func() []kycbridge.Kept {
		t.Helper()
		return kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine})
	}
	for round := range 3 {
		for range 2 {
			must(t, store.Quarantine(t.Context(), p, kycbridge.QuarantineSchema, nil))
		}
		found := there()
		if len(found) != 1 || found[0].ID != p.ID {
			t.Fatalf("round %d: %d in quarantine: %+v", round, len(found), found)
		}
		must(t, store.Erase(t.Context(), kycbridge.ShelfQuarantine, found[0].Seq, true))
	}
}
