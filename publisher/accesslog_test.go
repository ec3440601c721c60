package publisher

import (
	"fmt"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/test/wait"
)

// allAccesses are the records that a query selects.
func allAccesses(t *testing.T, s *Store, q kycbridge.AccessQuery) (ids []string) {
	t.Helper()
	must(t, s.Accesses(t.Context(), q, func(a kycbridge.Access) error {
		ids = append(ids, a.ID)
		return nil
	}))
	return ids
}

// TestAccesses: records are selected by name, verification and time, survive a restart, and foreign messages
// are skipped.
func TestAccesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, store, bus := start(t, dir)
	now := time.Now().UTC()
	access := func(id, by, verification string, age time.Duration) kycbridge.Access {
		return kycbridge.Access{ID: id, By: by, VerificationID: verification, Operation: "state", Result: "200",
			Time: now.Add(-age)}
	}
	must(t, store.StoreAccess(t.Context(), access("1", "alice", "v1", time.Second)))
	must(t, store.StoreAccess(t.Context(), access("2", "bob", "v1", 0)))
	if !store.NoteAccess(access("3", "alice", "v2", 0)) {
		t.Fatal("not taken")
	}
	if _, err := store.js.Publish(t.Context(), "kyc.access.foreign", []byte("{}")); err != nil {
		t.Fatal(err)
	}
	if err := store.StoreAccess(t.Context(), kycbridge.Access{ID: "4", Operation: "a.b"}); err == nil {
		t.Error("an operation with a dot is stored")
	}
	store.Close() // stores the records that wait
	bus.Close()
	server.Close()
	_, store, _ = start(t, dir)
	for _, c := range []struct {
		name string
		q    kycbridge.AccessQuery
		want string
	}{
		{"all", kycbridge.AccessQuery{}, "1 2 3"},
		{"by alice", kycbridge.AccessQuery{By: "alice"}, "1 3"},
		{"about v1", kycbridge.AccessQuery{VerificationID: "v1"}, "1 2"},
		{"since", kycbridge.AccessQuery{Since: now}, "2 3"},
		{"until", kycbridge.AccessQuery{Until: now}, "1"},
	} {
		ids := map[string]bool{}
		for _, id := range allAccesses(t, store, c.q) {
			ids[id] = true
		}
		got := ""
		for _, id := range []string{"1", "2", "3", "4"} {
			if ids[id] {
				got += " " + id
			}
		}
		if got != " "+c.want {
			t.Errorf("%s:%s", c.name, got)
		}
	}
}

// TestAccessesWait: while the stream accepts nothing, a limited number of records waits and the rest is
// counted; the waiting records are stored afterwards, or dropped when the process ends.
func TestAccessesWait(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	stream, err := store.js.Stream(t.Context(), store.names.access())
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	full := config
	full.MaxBytes = 1
	if _, err := store.js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	access := func(n int) kycbridge.Access {
		return kycbridge.Access{ID: fmt.Sprint(n), By: "alice", Operation: "state", Result: "200", Time: time.Now()}
	}
	if err := store.StoreAccess(t.Context(), access(0)); err == nil {
		t.Error("a record is said to be stored")
	}
	refused := 0
	const more = 100
	for n := range accessWaiting + accessAtOnce + more {
		if !store.NoteAccess(access(n)) {
			refused++
		}
	}
	if refused < more || int64(refused) != store.AccessesDropped() {
		t.Errorf("%d were refused, %d are counted", refused, store.AccessesDropped())
	}
	if _, err := store.js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	want := accessWaiting + accessAtOnce + more - refused
	wait.For(t, 30*time.Second, "the records that waited", func() bool {
		return len(allAccesses(t, store, kycbridge.AccessQuery{})) == want
	})
	if _, err := store.js.UpdateStream(t.Context(), full); err != nil {
		t.Fatal(err)
	}
	store.NoteAccess(access(0))
	began := time.Now()
	store.Close()
	if took := time.Since(began); took > accessDrain+10*time.Second*wait.Slowdown ||
		store.AccessesDropped() != int64(refused)+1 {
		t.Errorf("closed after %s, %d dropped", took, store.AccessesDropped())
	}
}
