package publisher

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// indexed is one verification with an event that names an external reference and a reference.
func indexed(t testing.TB, store *Store, bus *Bus, n int, external string) kycbridge.Key {
	t.Helper()
	reference := fmt.Sprintf("idv-%08d-abcdefgh", n)
	p := payload(reference, fmt.Sprintf("event-%08d-0123456789", n), fmt.Sprintf(`{"n":%d}`, n))
	p.Reference = reference
	if _, err := store.Append(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	publishIDs(t, bus, key(p), external, reference)
	return key(p)
}

func publishIDs(t testing.TB, bus *Bus, k kycbridge.Key, external, reference string) {
	t.Helper()
	t.Helper()
	e := &event.Event{ID: event.ID(k.VerificationID, 1),
		Data: event.Data{VerificationID: k.VerificationID, Revision: 1, Account: k.Account,
			ExternalReference: external, Provider: event.ProviderData{Name: k.Provider,
				References: map[string]string{"idv_id": reference}}}}
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	if err := bus.Publish(t.Context(), k, sealed(event.KindUpdated, e, body), 0); err != nil {
		t.Fatal(err)
	}
}

// standingFor are the verifications that the index returns for an id or its prefix.
func standingFor(t testing.TB, store *Store, text string, beginning bool) (ids []string) {
	t.Helper()
	found, err := store.Indexed(t.Context(), text, beginning)
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	for _, e := range found {
		ids = append(ids, string(e.Kind)+" "+e.VerificationID)
	}
	slices.Sort(ids)
	return ids
}

func TestIndexFindsIDsAndPrefixes(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	var keys []kycbridge.Key
	for n := range 20 {
		keys = append(keys, indexed(t, store, bus, n, fmt.Sprintf("%04d-case@example.com", n)))
	}
	x := NewIndexer(store, bus)
	if lag, err := x.Lag(t.Context()); err != nil || lag.Events != 20 || lag.Payloads != 20 {
		t.Errorf("before: behind by %+v, %v", lag, err)
	}
	must(t, x.CatchUp(t.Context(), nil))
	if lag, err := x.Lag(t.Context()); err != nil || lag.Total() != 0 {
		t.Errorf("after: behind by %+v, %v", lag, err)
	}
	ours := keys[7].VerificationID
	for _, c := range []struct {
		text      string
		beginning bool
		want      string
	}{
		{"0007-case@example.com", false, "external_reference " + ours},
		{"0007-CASE@Example.com", false, "external_reference " + ours},
		{"idv-00000007-abcdefgh", false, "reference " + ours},
		{"event-00000007-0123456789", false, "payload " + ours},
		{"0007-cas", true, "external_reference " + ours},
		{"0007-case@exampl", true, "external_reference " + ours},
		{"event-00000007-0", true, "payload " + ours},
		{ours[:8], true, "verification " + ours},
		{ours[:12], true, "verification " + ours},
		{ours, true, "verification " + ours},
	} {
		if got := standingFor(t, store, c.text, c.beginning); !slices.Contains(got, c.want) {
			t.Errorf("%q: %v, want %s among them", c.text, got, c.want)
		}
	}
	if got := standingFor(t, store, "nothing-like-it", false); got != nil {
		t.Errorf("an unknown id is found: %v", got)
	}

	// Later ids are found as well, by an indexer that has no state.
	late := indexed(t, store, bus, 77, "late-case")
	must(t, NewIndexer(store, bus).CatchUp(t.Context(), nil))
	if got := standingFor(t, store, "late-case", false); !slices.Equal(got,
		[]string{"external_reference " + late.VerificationID}) {
		t.Errorf("the late one: %v", got)
	}
	must(t, x.Rebuild(t.Context(), nil))
	if got := standingFor(t, store, "late-case", false); len(got) != 1 {
		t.Errorf("after the rebuild: %v", got)
	}
}

func TestIndexReportsAmbiguousPrefixes(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	for n := range indexMost + 1 {
		indexed(t, store, bus, n, fmt.Sprintf("case-2026-%04d", n))
	}
	must(t, NewIndexer(store, bus).CatchUp(t.Context(), nil))
	if _, err := store.Indexed(t.Context(), "case-2026", true); !errors.Is(err, kycbridge.ErrAmbiguous) {
		t.Errorf("got %v, want ErrAmbiguous", err)
	}
	if got := standingFor(t, store, "case-2026-0007", false); len(got) != 1 {
		t.Errorf("the whole id: %v", got)
	}
}

// TestIndexedByOneProcessAtATime: a process that lost the race for the position drops its batch and
// continues from the position of the other.
func TestIndexedByOneProcessAtATime(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	indexed(t, store, bus, 1, "case-one")
	one, other := NewIndexer(store, bus), NewIndexer(store, bus)
	m, err := store.readManifest(t.Context())
	must(t, err)
	must(t, one.CatchUp(t.Context(), nil))
	if _, err := other.write(t.Context(), m, 0, false); !errors.Is(err, errIndexChanged) {
		t.Errorf("the second to write the position: %v", err)
	}
	indexed(t, store, bus, 2, "case-two")
	must(t, other.CatchUp(t.Context(), nil))
	must(t, one.CatchUp(t.Context(), nil))
	if got := standingFor(t, store, "case-two", false); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

// TestIdleIndexersReadNoTombstoneAgain: the stream of tombstones has other records too, which follow the last change of
// the index. They do not make idle processes read it again and again. What another process indexes of a verification
// that was erased before is found all the same.
func TestIdleIndexersReadNoTombstoneAgain(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	indexed(t, store, bus, 1, "case-one")
	all := []*Indexer{NewIndexer(store, bus), NewIndexer(store, bus)}
	rounds := func() {
		for range 10 {
			for _, x := range all {
				_, err := x.round(t.Context())
				must(t, err)
			}
		}
	}
	rounds()
	record := func(account string) { // that is no tombstone
		must(t, store.ShareRetention(t.Context(), []kycbridge.AccountKey{{Provider: "ondato", Account: account}},
			kycbridge.DefaultRetention()))
		rounds()
	}
	record("acme")
	info, err := store.tombstones.Info(t.Context())
	must(t, err)
	if n := info.State.Consumers; n > 2*len(all) {
		t.Errorf("the stream was read %d times", n)
	}

	before, err := store.newest(t.Context(), testNames.tombstones())
	must(t, err)
	erased := key(payload("idv-00000002-abcdefgh", "", "{}"))
	must(t, store.WriteTombstone(t.Context(), kycbridge.Tombstone{Provider: erased.Provider, Account: erased.Account,
		VerificationID: erased.VerificationID}))
	rounds()
	record("other")
	publishIDs(t, bus, erased, "case-two", "idv-00000002-abcdefgh") // read before the erasure, and indexed after it
	m, err := store.readManifest(t.Context())
	must(t, err)
	_, err = all[1].write(t.Context(), m, before, false)
	must(t, err)
	if got := standingFor(t, store, "case-two", false); len(got) != 1 {
		t.Fatalf("it is not in the index: %v", got)
	}
	rounds()
	if got := standingFor(t, store, "case-two", false); len(got) != 0 {
		t.Errorf("an erased verification stays in the index: %v", got)
	}
}

// TestIndexHoldsNoID: the index contains no personal id, and its entries of a verification are erased with
// it, also by an indexer that had read the events before.
func TestIndexHoldsNoID(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, store, bus := start(t, dir)
	const external = "testa.sample@example.com"
	k := indexed(t, store, bus, 1, external)
	indexed(t, store, bus, 2, "case-two")
	x := NewIndexer(store, bus)
	must(t, x.CatchUp(t.Context(), nil))
	o, _ := ownerOf(k.VerificationID)
	for _, text := range []string{external, external[:8], "idv-00000001", "event-00000001", k.VerificationID,
		string(o[:])} {
		if inIndex(t, dir, text) {
			t.Errorf("%q is in a file of the index", text)
		}
	}
	before, err := store.readManifest(t.Context())
	must(t, err)
	if !inIndex(t, dir, string(before.secret[:])) {
		t.Fatal("the search does not find the key of the index before the erasure")
	}
	if n, err := store.Unindex(t.Context(), k); err != nil || n != 4 {
		t.Errorf("erased %d entries: %v; want our id, external reference, reference and payload", n, err)
	}
	if got := standingFor(t, store, external, false); got != nil {
		t.Errorf("found after it was erased: %v", got)
	}
	if inIndex(t, dir, string(before.secret[:])) {
		t.Error("the key of what was erased is left in a file of the index")
	}

	// The indexer has read the events before the erasure, and writes their entries afterwards.
	must(t, NewIndexer(store, bus).Rebuild(t.Context(), nil))
	must(t, store.WriteTombstone(t.Context(),
		kycbridge.Tombstone{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID, At: time.Now()}))
	_, err = bus.EraseEvents(t.Context(), k)
	must(t, err)
	if got := standingFor(t, store, external, false); got == nil {
		t.Error("what is written late is not found before the next round")
	}
	must(t, x.CatchUp(t.Context(), nil))
	if got := standingFor(t, store, external, false); got != nil {
		t.Errorf("what was written late is still found: %v", got)
	}
}

// inIndex reports whether a file of the index contains bytes.
func inIndex(t *testing.T, dir, text string) bool {
	t.Helper()
	return slices.ContainsFunc(found(t, text, dir), func(file string) bool { return strings.Contains(file, "KYC_INDEX") })
}
