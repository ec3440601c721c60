package publisher

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap/zaptest"

	"kycbridge"
)

// TestSequenceZeroIsNeverMissing: the server may count sequence 0, which does not exist, among the deleted
// sequences of a stream that was just created.
func TestSequenceZeroIsNeverMissing(t *testing.T) {
	t.Parallel()
	if got := deleted(jetstream.StreamState{Deleted: []uint64{0}}); len(got) != 0 {
		t.Errorf("%v of an empty stream are missing", got)
	}
	if got := deleted(jetstream.StreamState{Deleted: []uint64{3, 7}}); !slices.Equal(got, []uint64{3, 7}) {
		t.Errorf("%v are missing, want 3 and 7", got)
	}
}

// TestShutdownDuringStartIsNoError: a process that is stopped before its consumers are created has not
// failed.
func TestShutdownDuringStartIsNoError(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	account := kycbridge.AccountKey{Provider: "kwikid", Account: "acme"}
	log := zaptest.NewLogger(t)
	for name, consume := range map[string]func() error{
		"payloads": func() error { return store.Consume(ctx, ConsumeOptions{Workers: 1, Log: log}) },
		"due":      func() error { return store.ConsumeDue(ctx, PollOptions{Account: account, Workers: 1, Log: log}) },
		"watches":  func() error { return store.ConsumeWatches(ctx, WatchOptions{Log: log}) },
	} {
		if err := consume(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestErasuresAreKnownInTime: an erasure by this process is known at once, one by another process after
// kycbridge.ErasureDelay at most, although a process reads the record of erasures once for all of its workers.
func TestErasuresAreKnownInTime(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	other, _ := openStreams(t, server)
	put := func(id string) kycbridge.Payload {
		t.Helper()
		p := payload("idv-"+id, id, "{}")
		_, err := store.Append(t.Context(), p)
		must(t, err)
		p.Seq, err = store.newest(t.Context(), testNames.payloads())
		must(t, err)
		return p
	}
	erased := func(p kycbridge.Payload) bool {
		t.Helper()
		was, err := store.WasErased(t.Context(), p)
		must(t, err)
		return was
	}
	own, foreign := put("own"), put("foreign")
	if erased(own) || erased(foreign) {
		t.Fatal("a stored payload counts as erased")
	}
	must(t, store.Erase(t.Context(), "", own.Seq, true))
	if !erased(own) {
		t.Error("an erasure by this process is not known at once")
	}
	must(t, other.Erase(t.Context(), "", foreign.Seq, true))
	time.Sleep(kycbridge.ErasureDelay)
	if !erased(foreign) {
		t.Error("an erasure by another process is not known after the delay")
	}
}

// TestErasuresAreReadOnce: while a record is recent nobody reads it; once it is half as old as it may be one caller
// does, and after its whole age all do. The age is that of the wall clock, which a suspended machine does not stop.
func TestErasuresAreReadOnce(t *testing.T) {
	t.Parallel()
	const subject = "a"
	began := time.Now()
	for name, c := range map[string]struct {
		now    time.Time
		recent []bool // for one caller after the other
	}{
		"new":       {began, []bool{true, true, true}},
		"half":      {began.Add(kycbridge.ErasureDelay / 2), []bool{false, true, true}},
		"outdated":  {began.Add(kycbridge.ErasureDelay), []bool{false, false, false}},
		"suspended": {began.Round(0).Add(kycbridge.ErasureDelay), []bool{false, false, false}},
		"set back":  {began.Round(0).Add(-time.Second), []bool{false, false, false}},
	} {
		var e erasures
		e.put(subject, erasedRanges{}, began, nil)
		for i, want := range c.recent {
			if _, got := e.get(subject, c.now); got != want {
				t.Errorf("%s: caller %d may use the record: %t, want %t", name, i, got, want)
			}
		}
		if _, got := e.get("b", c.now); got {
			t.Errorf("%s: the record of another subject is used", name)
		}
	}
	var e erasures
	e.forget()
	e.put(subject, erasedRanges{}, began, nil)
	if _, got := e.get(subject, began); got {
		t.Error("a record that was read while an erasure was recorded is used")
	}
}
