package publisher

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"kycbridge"
)

// remembering is an indexer whose store and bus remember what they store, as in the process of an embedded server.
func remembering(t testing.TB, store *Store, bus *Bus) *Indexer {
	t.Helper()
	store.recent.remember()
	bus.recent.remember()
	return NewIndexer(store, bus)
}

// TestIndexOfRememberedIDs: the index is the same whether the ids are remembered or read back from the streams, also
// with gaps in what is remembered.
func TestIndexOfRememberedIDs(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	x := remembering(t, store, bus)
	must(t, x.CatchUp(t.Context(), nil))
	var keys []kycbridge.Key
	for n := range 30 {
		keys = append(keys, indexed(t, store, bus, n, fmt.Sprintf("case-%08d", n)))
	}
	bus.recent.forget(map[string]bool{keys[7].VerificationID: true, keys[8].VerificationID: true})
	store.recent.forget(map[string]bool{keys[20].VerificationID: true})
	must(t, x.CatchUp(t.Context(), nil))
	answers := func() (all []string) {
		for n := range keys {
			for _, id := range []string{fmt.Sprintf("case-%08d", n), fmt.Sprintf("idv-%08d-abcdefgh", n),
				fmt.Sprintf("event-%08d-0123456789", n), keys[n].VerificationID} {
				all = append(all, id+": "+strings.Join(standingFor(t, store, id, false), ", "))
			}
		}
		return all
	}
	remembered := answers()
	store.recent.clear()
	bus.recent.clear()
	must(t, x.Rebuild(t.Context(), nil))
	for i, read := range answers() {
		if remembered[i] != read || !strings.Contains(read, keys[i/4].VerificationID) {
			t.Errorf("remembered: %s; read back: %s", remembered[i], read)
		}
	}
}

// TestRememberedIDsAreErased: a verification that another process erases between two rounds of the indexer is not
// indexed from what is remembered of it.
func TestRememberedIDsAreErased(t *testing.T) {
	t.Parallel()
	for _, other := range []bool{false, true} {
		t.Run(fmt.Sprint("the other process indexes: ", other), func(t *testing.T) {
			server, store, bus := start(t, t.TempDir())
			x := remembering(t, store, bus)
			must(t, x.CatchUp(t.Context(), nil))
			k := indexed(t, store, bus, 1, "case-one")
			otherStore, otherBus := openStreams(t, server)
			eraseAll(t, otherStore, otherBus, k)
			if other {
				// It has indexed nothing yet but the erasure.
				m, err := otherStore.readManifest(t.Context())
				must(t, err)
				c := otherStore.changeIndex(t.Context(), m, nil)
				c.At.Tombstones, err = otherStore.newest(t.Context(), testNames.tombstones())
				must(t, err)
				_, err = otherStore.commitIndex(t.Context(), m, c, false)
				must(t, err)
			}
			must(t, x.CatchUp(t.Context(), nil))
			for _, id := range []string{"case-one", "idv-00000001-abcdefgh", k.VerificationID} {
				if got := standingFor(t, store, id, false); len(got) > 0 {
					t.Errorf("%s: %v", id, got)
				}
			}
			if known, ok := bus.recent.at(1); ok {
				t.Errorf("still remembered: %+v", known)
			}
		})
	}
}

// TestReleasedCaches: after the caches of an indexer are released, nothing is held, and what is stored then is
// remembered and indexed as before.
func TestReleasedCaches(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	x := remembering(t, store, bus)
	for n := range 4 {
		k := indexed(t, store, bus, n, fmt.Sprintf("case-%08d", n))
		if n%2 == 0 {
			x.release() // before it is indexed
		}
		must(t, x.CatchUp(t.Context(), nil))
		if got := standingFor(t, store, fmt.Sprintf("case-%08d", n), false); len(got) != 1 || !strings.Contains(got[0],
			k.VerificationID) {
			t.Errorf("%d: found %v", n, got)
		}
		if x.worked.IsZero() {
			t.Error("an indexer that has worked would not be released")
		}
		if x.release(); bus.recent.slots != nil || store.recent.slots != nil || x.known.Len() > 0 || !x.worked.IsZero() {
			t.Error("something is still held")
		}
	}
}

// TestSentBeforeAnErasure: a message whose acknowledgement arrives after an erasure may be of the erased verification.
func TestSentBeforeAnErasure(t *testing.T) {
	t.Parallel()
	var r recentIDs
	r.remember()
	sent := r.forgotten()
	r.forget(map[string]bool{"a": true})
	r.add(sent, 1, indexedIDs{verification: "a"})
	r.add(r.forgotten(), 2, indexedIDs{verification: "b"})
	if _, ok := r.at(1); ok {
		t.Error("remembered after the erasure")
	}
	if _, ok := r.at(2); !ok {
		t.Error("nothing is remembered any more")
	}
}

// TestLongIDsAreNotRemembered: ids come from providers, and must not fill the memory.
func TestLongIDsAreNotRemembered(t *testing.T) {
	t.Parallel()
	var r recentIDs
	r.add(0, 1, indexedIDs{verification: "a"})
	if _, ok := r.at(1); ok {
		t.Error("remembered without an indexer")
	}
	r.remember()
	r.add(0, 1, indexedIDs{verification: "a", external: "short"})
	r.add(0, 1+recentMessages, indexedIDs{verification: "b", external: strings.Repeat("long", recentLength)})
	for _, seq := range []uint64{1, 1 + recentMessages} {
		if ids, ok := r.at(seq); ok {
			t.Errorf("%d: %+v", seq, ids)
		}
	}
}

// eraseAll erases a verification as the archive does, without the erasure of its index entries.
func eraseAll(t *testing.T, store *Store, bus *Bus, k kycbridge.Key) {
	t.Helper()
	must(t, store.WriteTombstone(t.Context(), kycbridge.Tombstone{Provider: k.Provider, Account: k.Account,
		VerificationID: k.VerificationID, At: time.Now()}))
	if n, err := bus.EraseEvents(t.Context(), k); n != 1 || err != nil {
		t.Errorf("%d events erased: %v", n, err)
	}
	must(t, store.Erase(t.Context(), kycbridge.ShelfPayloads, 1, false))
}

// TestIndexKeepsUp: a round of the indexer takes half a second of a full load, so that it does not fall behind until
// it has to read messages back.
func TestIndexKeepsUp(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	x := remembering(t, store, bus)
	must(t, x.CatchUp(t.Context(), nil))
	const stored, callers = 3072, 64
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for n := caller; n < stored; n += callers {
				indexed(t, store, bus, n, fmt.Sprintf("case-%08d", n))
			}
		})
	}
	all.Wait()
	if _, err := x.round(t.Context()); err != nil || x.left > 0 {
		t.Errorf("after a round %d of %d events are left, %v", x.left, stored, err)
	}
}
