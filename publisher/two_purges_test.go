package publisher

import (
	"context"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// claimsAfter calls first before a claim.
type claimsAfter struct {
	*Store
	first func()
}

func (s claimsAfter) ClaimOne(ctx context.Context, k kycbridge.Key, now time.Time) (func(), error) {
	s.first()
	return s.Store.ClaimOne(ctx, k, now)
}

// TestTwoPurgesAtOnce: two people erase the same verification at the same time. The second purge has looked for an
// earlier one before the first one began, and finds nothing to erase. What the first one has erased remains known: how
// much it was, its repetitions, and the revision from which a new history goes on.
func TestTwoPurgesAtOnce(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	victim := payload("victim", "", `{"ref":"victim"}`)
	victim.Via = event.ViaCallback
	_, err := store.Append(t.Context(), victim)
	must(t, err)
	e, body := eventOf(victim, 3)
	must(t, bus.Publish(t.Context(), key(victim), sealed(event.KindUpdated, e, body), 0))
	second := *tool
	second.Claims = claimsAfter{store, func() {
		_, err := tool.Purge(t.Context(), victim.VerificationID, false)
		must(t, err)
	}}
	_, err = second.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	known, err := store.Tombstone(t.Context(), key(victim))
	must(t, err)
	if !known.Holds(victim) || known.Revision != 3 || known.Payloads != 1 || known.Events != 1 {
		t.Errorf("the tombstone is %+v", known)
	}
	again, err := store.Append(t.Context(), victim)
	if err != nil || !again.Duplicate {
		t.Errorf("the erased callback is stored again: %+v, %v", again, err)
	}
}

// TestTombstonesAtOnce: tombstones that two processes write at the same time keep what each has erased.
func TestTombstonesAtOnce(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	other, _ := openStreams(t, server)
	one, two := payload("idv-1", "e1", "1"), payload("idv-1", "e2", "2")
	of := func(p kycbridge.Payload, revision int) kycbridge.Tombstone {
		t := kycbridge.Tombstone{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID, Revision: revision}
		t.Marks = t.Marks.Add(p)
		return t
	}
	must(t, store.WriteTombstone(t.Context(), of(one, 7)))
	must(t, other.WriteTombstone(t.Context(), of(two, 2)))
	must(t, store.WriteTombstone(t.Context(), of(one, 7)))
	known, err := store.Tombstone(t.Context(), key(one))
	must(t, err)
	if !known.Holds(one) || !known.Holds(two) || known.Revision != 7 || len(known.Marks) != 32 {
		t.Errorf("the tombstone is %+v", known)
	}
}
