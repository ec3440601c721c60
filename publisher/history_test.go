package publisher

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"kycbridge"
)

// TestLongHistoriesAreCurrent: what is kept of a long history is complete, and contains nothing that was erased
// meanwhile.
func TestLongHistoriesAreCurrent(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	first := payload("idv-1", "e0", "{}")
	k := kycbridge.Key{Provider: first.Provider, Account: first.Account, VerificationID: first.VerificationID}
	stored := map[string]bool{}
	add := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			p := payload("idv-1", fmt.Sprint("e", i), fmt.Sprintf(`{"n":%d}`, i))
			_, err := store.Append(t.Context(), p)
			must(t, err)
			stored[p.ID] = true
		}
	}
	var sequences []uint64
	check := func(what string) {
		t.Helper()
		for range 2 { // read, then kept
			sequences = sequences[:0]
			must(t, store.History(t.Context(), k, func(p kycbridge.Payload) error {
				if !stored[p.ID] || len(p.Body) == 0 || len(sequences) > 0 && sequences[len(sequences)-1] >= p.Seq {
					t.Errorf("%s: %s at %d", what, p.ID, p.Seq)
				}
				sequences = append(sequences, p.Seq)
				return nil
			}))
			if len(sequences) != len(stored) {
				t.Errorf("%s: %d of %d payloads", what, len(sequences), len(stored))
			}
		}
	}
	erase := func(i int) {
		t.Helper()
		p := payload("idv-1", fmt.Sprint("e", i), fmt.Sprintf(`{"n":%d}`, i))
		must(t, store.Erase(t.Context(), kycbridge.ShelfPayloads, sequences[i], true))
		delete(stored, p.ID)
	}
	add(0, longHistory+2)
	check("long")
	if kept := store.histories.get(k); kept.messages != longHistory+2 {
		t.Errorf("%d messages are kept", kept.messages)
	}
	add(longHistory+2, longHistory+5)
	check("longer")
	erase(3)
	check("one erased")
	erase(0)
	add(longHistory+5, longHistory+6)
	check("one erased and one added")
	for i := len(sequences) - 1; i >= 0; i-- {
		must(t, store.Erase(t.Context(), kycbridge.ShelfPayloads, sequences[i], false))
	}
	clear(stored)
	check("all erased")
	add(1000, 1003)
	check("a new history")
}

// TestHistoriesTakeLittleMemory: long histories are kept up to a limit, and only those that were read lately.
func TestHistoriesTakeLittleMemory(t *testing.T) {
	t.Parallel()
	var h histories
	key := func(i int) kycbridge.Key { return kycbridge.Key{VerificationID: fmt.Sprint(i)} }
	h.put(key(0), history{messages: longHistory - 1, bytes: 10})
	h.put(key(1), history{messages: longHistory, bytes: historyBytes - 10})
	h.put(key(2), history{messages: longHistory, bytes: 11})
	if len(h.known) != 1 || h.get(key(1)).messages != longHistory {
		t.Errorf("%v", h.known)
	}
	old := h.known[key(1)]
	old.read = old.read.Add(-2 * historyAge)
	h.known[key(1)] = old
	h.forgetOld()
	h.put(key(2), history{messages: longHistory, bytes: 11})
	if len(h.known) != 1 || h.get(key(2)).bytes != 11 {
		t.Errorf("%v", h.known)
	}
}

// TestLongHistoryOfALogThatLostItsEnd: a log that has lost its end gives the sequences of lost payloads to others. What
// is kept then contains nothing that is lost, and lacks nothing that is stored.
func TestLongHistoryOfALogThatLostItsEnd(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	first := payload("idv-1", "e0", "{}")
	k := kycbridge.Key{Provider: first.Provider, Account: first.Account, VerificationID: first.VerificationID}
	add := func(what string) {
		t.Helper()
		for i := range longHistory + 1 {
			_, err := store.Append(t.Context(), payload("idv-1", fmt.Sprint(what, i), fmt.Sprintf(`{%q:%d}`, what, i)))
			must(t, err)
		}
	}
	check := func(what string) {
		t.Helper()
		found := 0
		must(t, store.History(t.Context(), k, func(p kycbridge.Payload) error {
			if found++; !strings.Contains(string(p.Body), what) {
				t.Errorf("%s: %s was returned at %d", what, p.Body, p.Seq)
			}
			return nil
		}))
		if found != longHistory+1 {
			t.Errorf("%s: %d payloads", what, found)
		}
	}
	add("lost")
	check("lost")
	must(t, store.js.DeleteStream(t.Context(), testNames.payloads()))
	_, err := store.createMissing(t.Context(), store.wanted())
	must(t, err)
	add("stored")
	check("stored")
}

// TestHistoriesOfSmallBodies: payloads with small bodies count as much as they take.
func TestHistoriesOfSmallBodies(t *testing.T) {
	t.Parallel()
	var of history
	for n := range 2 * historyBytes / historyLeast {
		of.add(kycbridge.Payload{Seq: uint64(n + 1), Body: []byte("{}")}, time.Now(), true)
	}
	if len(of.payloads) != 0 {
		t.Errorf("%d payloads are kept", len(of.payloads))
	}
}
