package publisher

import (
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// TestErasedVerificationsAreKnown: a callback of a verification that another process has erased is a repetition, or
// goes on from the erased revision, as soon as the bar lets it in. While the tombstones cannot be read, callbacks are
// stored.
func TestErasedVerificationsAreKnown(t *testing.T) {
	server, store, _ := start(t, t.TempDir())
	other, _ := openStreams(t, server)
	put := func(id, body string) kycbridge.Stored {
		t.Helper()
		p := payload("idv-1", id, body)
		p.Via = event.ViaCallback
		stored, err := store.Append(t.Context(), p)
		must(t, err)
		return stored
	}
	put("e0", "{}") // now the process knows that there is no tombstone
	erased := payload("idv-1", "e1", "{}")
	tombstone := kycbridge.Tombstone{Provider: erased.Provider, Account: erased.Account,
		VerificationID: erased.VerificationID, Revision: 4, At: time.Now()}
	tombstone.Marks = tombstone.Marks.Add(erased)
	must(t, other.WriteTombstone(t.Context(), tombstone))
	time.Sleep(erasedDelay)
	if !put("e1", "{}").Duplicate {
		t.Error("an erased callback is stored again")
	}
	if put("e2", "{}").Duplicate {
		t.Error("a new callback is taken for an erased one")
	}
	there := kept(t, store, kycbridge.KeptQuery{})
	if len(there) != 2 || there[0].Erased != 0 || there[1].Erased != 4 {
		t.Errorf("%d payloads, %+v", len(there), there)
	}

	must(t, store.js.DeleteStream(t.Context(), testNames.tombstones()))
	time.Sleep(erasedDelay)
	if _, err := store.Append(t.Context(), payload("idv-2", "e3", "{}")); err != nil {
		t.Errorf("a callback of another verification depends on the tombstones: %v", err)
	}
}

// TestErasedVerificationsAreRecent: the set is read again when it is too old by any clock.
func TestErasedVerificationsAreRecent(t *testing.T) {
	began := time.Now()
	for name, c := range map[string]struct {
		now  time.Time
		want bool
	}{
		"new":       {began, true},
		"outdated":  {began.Add(erasedDelay), false},
		"suspended": {began.Round(0).Add(erasedDelay), false},
		"set back":  {began.Round(0).Add(-time.Second), false},
	} {
		var e erasedVerifications
		e.read(7, began, nil)
		if has, recent := e.has("any", c.now); has || recent != c.want {
			t.Errorf("%s: contained %t, recent %t, want %t", name, has, recent, c.want)
		}
	}
	if has, recent := new(erasedVerifications).has("any", began); !has || recent {
		t.Error("before everything was read, any verification may have been erased")
	}
}
