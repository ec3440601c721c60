package publisher

import (
	"testing"

	"go.uber.org/zap"

	"kycbridge"
)

// TestDuplicatesAreConfirmed: a server whose disk fails knows the ids of payloads that it could not flush,
// and stores nothing more. A process that does not know of any message stored after such a payload does
// not report the payload as stored.
func TestDuplicatesAreConfirmed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, store, bus := openAt(t, dir, zap.NewNop())
	p := payload("idv", "e1", `{}`)
	_, err := store.Append(t.Context(), p)
	must(t, err)
	closeAt(e, store, bus)
	e, store, bus = openAt(t, dir, zap.NewNop())
	defer func() { closeAt(e, store, bus) }()
	limit := func(messages int64) {
		t.Helper()
		stream, err := store.js.Stream(t.Context(), testNames.payloads())
		must(t, err)
		config := stream.CachedInfo().Config
		config.MaxMsgs = messages
		_, err = store.js.UpdateStream(t.Context(), config)
		must(t, err)
	}
	limit(1) // it stores nothing more, like a server whose disk fails
	if stored, err := store.Append(t.Context(), p); err == nil {
		t.Errorf("a repetition is answered %+v by a log that takes nothing", stored)
	}
	limit(-1)
	for range 2 {
		if stored, err := store.Append(t.Context(), p); err != nil || !stored.Duplicate {
			t.Errorf("a repetition: %+v, %v", stored, err)
		}
	}
	if end, err := store.newest(t.Context(), testNames.payloads()); err != nil || end != 2 {
		t.Errorf("the log ends at %d, %v: one message confirms all before it", end, err)
	}
}

// TestQuarantinedDuplicatesAreConfirmed is the same for quarantined payloads: the one that confirms takes the place of
// the unconfirmed one.
func TestQuarantinedDuplicatesAreConfirmed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, store, bus := openAt(t, dir, zap.NewNop())
	p := payload("idv", "e1", `{}`)
	must(t, store.Quarantine(t.Context(), p, kycbridge.QuarantineUnmapped, nil))
	closeAt(e, store, bus)
	e, store, bus = openAt(t, dir, zap.NewNop())
	defer func() { closeAt(e, store, bus) }()
	limit := func(messages int64) {
		t.Helper()
		stream, err := store.js.Stream(t.Context(), testNames.quarantine())
		must(t, err)
		config := stream.CachedInfo().Config
		config.MaxMsgs = messages
		_, err = store.js.UpdateStream(t.Context(), config)
		must(t, err)
	}
	limit(1)
	if err := store.Quarantine(t.Context(), p, kycbridge.QuarantineUnmapped, nil); err == nil {
		t.Error("a repetition is answered as stored by a quarantine that takes nothing")
	}
	limit(-1)
	for range 3 {
		must(t, store.Quarantine(t.Context(), p, kycbridge.QuarantineUnmapped, nil))
	}
	var listed []uint64
	must(t, store.Kept(t.Context(), kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine}, func(k kycbridge.Kept) error {
		listed = append(listed, k.Seq)
		return nil
	}))
	if len(listed) != 1 || listed[0] != 2 {
		t.Errorf("the quarantine lists %v, want the second message alone", listed)
	}
}
