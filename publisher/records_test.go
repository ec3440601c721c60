package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/internal/archive"
)

// TestNothingIsErasedAfterALossOfRecords: holds or tombstones are gone. No erasure begins and nothing is imported, also
// after a restart and before anything has looked for the loss, until an operator accepts it. A later loss is noticed
// again.
func TestNothingIsErasedAfterALossOfRecords(t *testing.T) {
	t.Parallel()
	for _, name := range []string{testNames.holds(), testNames.tombstones()} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			e, store, bus := openAt(t, dir, zap.NewNop())
			_, err := store.Append(t.Context(), payload("idv-1", "e1", "{}"))
			must(t, err)
			for range 2 {
				putRecords(t, store)
				wantErasable(t, store, true)
				must(t, store.js.DeleteStream(t.Context(), name))
				closeAt(e, store, bus)
				e, store, bus = openAt(t, dir, zap.NewNop())
				wantErasable(t, store, false)
				must(t, store.PutHold(t.Context(), kycbridge.Hold{Provider: "ondato", Account: "acme", VerificationID: "w"}))
				_, err := store.Repair(t.Context())
				must(t, err)
				closeAt(e, store, bus)
				e, store, bus = openAt(t, dir, zap.NewNop())
				wantErasable(t, store, false)
				lost, err := store.LostRecords(t.Context())
				if err != nil || len(lost) != 1 || lost[0].Stream != name || lost[0].Reached == 0 || lost[0].Last != 0 {
					t.Fatalf("lost %v, %v", lost, err)
				}
				must(t, store.AcceptLostRecords(t.Context(), lost))
				wantErasable(t, store, true)
			}
			closeAt(e, store, bus)
		})
	}
}

// TestRecordsOfAnOlderCopyAreLost: the stream of holds is replaced by a copy from before a hold. A copy that lacks
// claims only is no loss.
func TestRecordsOfAnOlderCopyAreLost(t *testing.T) {
	t.Parallel()
	dir, copied := t.TempDir(), t.TempDir()
	e, store, bus := openAt(t, dir, zap.NewNop())
	putRecords(t, store)
	replace := func(change func()) {
		t.Helper()
		closeAt(e, store, bus)
		must(t, os.CopyFS(copied, os.DirFS(dir)))
		e, store, bus = openAt(t, dir, zap.NewNop())
		change()
		closeAt(e, store, bus)
		stream := "/jetstream/" + ownAccount + "/streams/" + testNames.holds()
		must(t, os.RemoveAll(dir+stream))
		must(t, os.CopyFS(dir+stream, os.DirFS(copied+stream)))
		must(t, os.RemoveAll(copied))
		e, store, bus = openAt(t, dir, zap.NewNop())
	}
	defer func() { closeAt(e, store, bus) }()
	replace(func() { wantErasable(t, store, true) })
	wantErasable(t, store, true)
	replace(func() { putRecords(t, store) })
	wantErasable(t, store, false)
}

// TestDamagedRecordsAreLost: a hold, or a tombstone, in the middle of its stream is damaged, or the stream is cut off
// before it. The end of the stream does not show it, only the check of the files notices it.
func TestDamagedRecordsAreLost(t *testing.T) {
	t.Parallel()
	ways := map[string]func(raw []byte, at int) []byte{
		"overwritten": func(raw []byte, at int) []byte {
			copy(raw[at-20:], "damaged damaged damaged damaged")
			return raw
		},
		"cut off": func(raw []byte, at int) []byte {
			for _, span := range recordSpans(raw) {
				if span.from < at && at < span.to {
					return raw[:span.from]
				}
			}
			return nil
		},
	}
	for stream, mark := range map[string]string{testNames.holds(): `"held`, testNames.tombstones(): `"erased`} {
		for way, damage := range ways {
			for n := range 3 {
				t.Run(fmt.Sprint(stream, way, n), func(t *testing.T) {
					damagedRecords(t, stream, func(raw []byte) []byte {
						return damage(raw, bytes.Index(raw, fmt.Append(nil, mark, n)))
					})
				})
			}
		}
	}
}

func damagedRecords(t *testing.T, stream string, damage func(raw []byte) []byte) {
	t.Helper()
	dir := t.TempDir()
	e, store, bus := openAt(t, dir, zap.NewNop())
	for i := range 3 {
		must(t, store.PutHold(t.Context(), kycbridge.Hold{Provider: "ondato", Account: "acme",
			VerificationID: fmt.Sprint("held", i)}))
		must(t, store.WriteTombstone(t.Context(), kycbridge.Tombstone{Provider: "ondato", Account: "acme",
			VerificationID: fmt.Sprint("erased", i)}))
	}
	closeAt(e, store, bus)
	file := dir + "/jetstream/" + ownAccount + "/streams/" + stream + "/msgs/1.blk"
	raw, err := os.ReadFile(file)
	must(t, err)
	must(t, os.WriteFile(file, damage(raw), 0o600))
	e, store, bus = openAt(t, dir, zap.NewNop()) // a start that fails for another reason
	closeAt(e, store, bus)
	for range 2 {
		e, store, bus = openAt(t, dir, zap.NewNop())
		must(t, store.RecordDamaged(t.Context(), e.DamagedRecords(testNames)))
		must(t, e.ForgetDamagedRecords())
		wantErasable(t, store, false)
		closeAt(e, store, bus)
	}
	e, store, bus = openAt(t, dir, zap.NewNop())
	defer func() { closeAt(e, store, bus) }()
	lost, err := store.LostRecords(t.Context())
	if err != nil || len(lost) != 1 || lost[0].Stream != stream || lost[0].Last >= lost[0].Reached {
		t.Fatalf("lost %v, %v", lost, err)
	}
	must(t, store.AcceptLostRecords(t.Context(), lost))
	wantErasable(t, store, true)
}

// TestDamageBehindTheKnownEnd: after a power failure a claim, which was never made durable, is missing. No record is
// lost.
func TestDamageBehindTheKnownEnd(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	putRecords(t, store)
	end, err := store.newest(t.Context(), testNames.holds())
	must(t, err)
	must(t, store.RecordDamaged(t.Context(), map[string]kycbridge.Range{testNames.holds(): {end + 1, end + 1}}))
	wantErasable(t, store, true)
}

// TestRecordsOfAnEarlierVersionAreGuarded: an earlier version has not recorded how far the tombstones had come.
func TestRecordsOfAnEarlierVersionAreGuarded(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	putRecords(t, store)
	for _, g := range store.guarded() {
		must(t, g.witness.Purge(t.Context(), jetstream.WithPurgeSubject(g.reach)))
	}
	_, err := store.Repair(t.Context())
	must(t, err)
	must(t, store.js.DeleteStream(t.Context(), testNames.tombstones()))
	_, err = store.Repair(t.Context())
	must(t, err)
	wantErasable(t, store, false)
}

// TestRecordsAreNotWrittenForEver: the ends of the two streams are recorded in each other, which must come to rest.
func TestRecordsAreNotWrittenForEver(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	putRecords(t, store)
	ends := func() (all [2]uint64) {
		t.Helper()
		_, err := store.Repair(t.Context())
		must(t, err)
		for i, name := range []string{testNames.holds(), testNames.tombstones()} {
			all[i], err = store.newest(t.Context(), name)
			must(t, err)
		}
		return all
	}
	ends()
	if before, after := ends(), ends(); before != after {
		t.Errorf("the streams grow from %v to %v, although nothing happens", before, after)
	}
}

// TestRecordsAtTheSameTime: of records that are stored at the same time the last one is the known end.
func TestRecordsAtTheSameTime(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	other, _ := openStreams(t, server)
	g := store.guarded()[testNames.tombstones()]
	for round := range 60 {
		var running sync.WaitGroup
		for n := range 16 {
			running.Go(func() {
				err := []*Store{store, other}[n%2].WriteTombstone(t.Context(), kycbridge.Tombstone{Provider: "ondato",
					Account: "acme", VerificationID: fmt.Sprint(round, "-", n)})
				if err != nil {
					t.Error(err)
				}
			})
		}
		running.Wait()
		reached, err := store.reachIn(t.Context(), g.witness, g.reach)
		must(t, err)
		if end, err := store.newest(t.Context(), g.name); err != nil || reached != end {
			t.Fatalf("round %d: the stream ends at %d, %v, and %d is known", round, end, err, reached)
		}
	}
}

// putRecords stores a hold and a tombstone.
func putRecords(t *testing.T, store *Store) {
	t.Helper()
	must(t, store.PutHold(t.Context(), kycbridge.Hold{Provider: "ondato", Account: "acme", VerificationID: "v"}))
	must(t, store.WriteTombstone(t.Context(), kycbridge.Tombstone{Provider: "ondato", Account: "acme",
		VerificationID: "u"}))
}

// wantErasable tries every kind of erasure, and an import.
func wantErasable(t *testing.T, store *Store, want bool) {
	t.Helper()
	ctx := t.Context()
	tool := &archive.Archive{Records: store, Claims: store, Holds: store, Shelves: store, DispositionLog: store,
		Now: time.Now}
	claim := func(_ []kycbridge.Hold, end func(), err error) error {
		if err == nil {
			end()
		}
		return err
	}
	k := key(payload("idv-1", "e1", "{}"))
	attempts := map[string]func(context.Context) error{
		"the erasure of one verification": func(ctx context.Context) error {
			end, err := store.ClaimOne(ctx, k, time.Now())
			return claim(nil, end, err)
		},
		"the retention": func(ctx context.Context) error { return claim(store.ClaimAny(ctx)) },
		"purge by age": func(ctx context.Context) error {
			_, err := tool.PurgeOld(ctx, archive.Filter{}, time.Unix(1, 0), true, nil)
			return err
		},
		"import": func(ctx context.Context) error {
			_, err := tool.Import(ctx, strings.NewReader(""), false, nil)
			if err != nil && strings.Contains(err.Error(), "contains no payload") { // which is checked after the records
				return nil
			}
			return err
		},
	}
	for what, try := range attempts {
		if err := try(ctx); want && err != nil || !want && !errors.Is(err, kycbridge.ErrRecordsLost) {
			t.Errorf("%s: %v, want it allowed: %t", what, err, want)
		}
	}
}
