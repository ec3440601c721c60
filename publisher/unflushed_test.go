package publisher

import (
	"testing"

	"go.uber.org/zap"
)

// TestDuplicatesAreConfirmed: a server whose disk fails knows the ids of payloads that it could not flush,
// and stores nothing more. A process that does not know of any message stored after such a payload does
// not report the payload as stored.
func TestDuplicatesAreConfirmed(t *testing.T) {
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
