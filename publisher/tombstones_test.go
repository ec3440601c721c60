package publisher

import (
	"errors"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// TestErasedVerificationsAreKnown: a callback of a verification that another process has erased is a repetition, or
// goes on from the erased revision, as soon as the bar lets it in. While the tombstones cannot be read, callbacks are
// stored.
func TestErasedVerificationsAreKnown(t *testing.T) {
	t.Parallel()
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

// TestErasedAfterAFailedRead: the tombstones could not be read for a moment. A verification that is erased right
// afterwards is known as soon as its bar has ended.
func TestErasedAfterAFailedRead(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	other, _ := openStreams(t, server)
	put := func(id string) kycbridge.Stored {
		t.Helper()
		p := payload("idv-1", id, "{}")
		p.Via = event.ViaCallback
		stored, err := store.Append(t.Context(), p)
		must(t, err)
		return stored
	}
	put("e0") // now the process knows that there is no tombstone
	must(t, other.js.DeleteStream(t.Context(), testNames.tombstones()))
	time.Sleep(erasedDelay)
	put("e1")
	_, err := other.createMissing(t.Context(), other.wanted())
	must(t, err)
	erased := payload("idv-1", "e2", "{}")
	tombstone := kycbridge.Tombstone{Provider: erased.Provider, Account: erased.Account,
		VerificationID: erased.VerificationID, At: time.Now()}
	tombstone.Marks = tombstone.Marks.Add(erased)
	must(t, other.WriteTombstone(t.Context(), tombstone))
	time.Sleep(barLast)
	if !put("e2").Duplicate {
		t.Error("an erased callback is stored again")
	}
}

// TestErasedFromQuarantine: a process that never had a callback that was erased from quarantine stores it neither there
// nor in the log, where it has another id. An answer that was requested before the erasure is kept out of both when the
// bar has ended, and one that is requested later is stored.
func TestErasedFromQuarantine(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	other, _ := openStreams(t, server)
	logged, asked := payload("idv-1", "e1", "{}"), payload("idv-1", "", `{"asked":1}`)
	logged.Via, asked.Via, asked.ReceivedAt = event.ViaCallback, event.ViaFetch, time.Now()
	quarantined := logged
	quarantined.ID = kycbridge.PayloadID(logged.Provider, logged.Account, "", logged.Digest)
	tombstone := kycbridge.Tombstone{Provider: logged.Provider, Account: logged.Account,
		VerificationID: logged.VerificationID, At: time.Now().Add(time.Millisecond)}
	tombstone.Marks = tombstone.Marks.Add(quarantined)
	must(t, other.WriteTombstone(t.Context(), tombstone))
	time.Sleep(erasedDelay)

	stored, err := store.Append(t.Context(), logged)
	if err != nil || !stored.Duplicate {
		t.Errorf("the callback is stored in the log: %+v, %v", stored, err)
	}
	must(t, store.Quarantine(t.Context(), quarantined, kycbridge.QuarantineSchema, nil))
	count := func(want int) {
		t.Helper()
		for _, shelf := range []kycbridge.Shelf{kycbridge.ShelfPayloads, kycbridge.ShelfQuarantine} {
			if n := len(kept(t, store, kycbridge.KeptQuery{Shelf: shelf})); n != want {
				t.Errorf("%s: %d messages, want %d", shelf, n, want)
			}
		}
	}
	count(0)
	if _, err := store.Append(t.Context(), asked); !errors.Is(err, kycbridge.ErrErased) {
		t.Errorf("an answer to a request before the erasure is stored in the log, %v", err)
	}
	if err := store.Quarantine(t.Context(), asked, kycbridge.QuarantineSchema, nil); !errors.Is(err, kycbridge.ErrErased) {
		t.Errorf("an answer to a request before the erasure is quarantined, %v", err)
	}
	count(0)
	asked.ReceivedAt = time.Now()
	_, err = store.Append(t.Context(), asked)
	must(t, err)
	must(t, store.Quarantine(t.Context(), asked, kycbridge.QuarantineSchema, nil))
	count(1)
}

// TestErasedVerificationsAreRecent: the set is read again when it is too old by any clock.
func TestErasedVerificationsAreRecent(t *testing.T) {
	t.Parallel()
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
