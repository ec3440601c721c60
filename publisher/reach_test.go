package publisher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
)

// TestLogRestoredFromAnOlderCopy: payloads that were stored and never processed leave no trace except the
// recorded end of the log. A store that finds the log shorter reports it once, and records the missing
// sequences.
func TestLogRestoredFromAnOlderCopy(t *testing.T) {
	t.Parallel()
	dir, copied := t.TempDir(), t.TempDir()
	take := func(store *Store, from, to int) {
		t.Helper()
		for i := from; i <= to; i++ {
			if _, err := store.Append(t.Context(), payload(fmt.Sprint("idv-", i), fmt.Sprint("e", i), `{}`)); err != nil {
				t.Fatal(err)
			}
		}
	}
	expectRepair := func(store *Store, want ...Shorter) {
		t.Helper()
		m, err := store.Repair(t.Context())
		if err != nil || len(m.Shorter) != len(want) || len(want) == 1 && m.Shorter[0] != want[0] {
			t.Fatalf("%+v, %v, want %+v", m, err, want)
		}
	}
	e, store, bus := openAt(t, dir, zap.NewNop())
	take(store, 1, 5)
	closeAt(e, store, bus)
	must(t, os.CopyFS(copied, os.DirFS(dir)))

	e, store, bus = openAt(t, dir, zap.NewNop())
	take(store, 6, 9)
	expectRepair(store)
	closeAt(e, store, bus)
	log := "/jetstream/" + ownAccount + "/streams/" + testNames.payloads()
	must(t, os.RemoveAll(dir+log))
	must(t, os.CopyFS(dir+log, os.DirFS(copied+log)))

	e, store, bus = openAt(t, dir, zap.NewNop())
	defer func() { closeAt(e, store, bus) }()
	expectRepair(store, Shorter{Stream: testNames.payloads(), Reached: 9, Last: 5})
	expectRepair(store)
	gone := map[uint64]bool{}
	must(t, store.Dispositions(t.Context(), time.Time{}, func(d kycbridge.Disposition) error {
		gone[d.Seq] = d.Why == kycbridge.DispositionDamaged && d.Mark == kycbridge.MarkUnknown
		return nil
	}))
	if len(gone) != 4 || !gone[6] || !gone[9] {
		t.Errorf("recorded as missing: %v", gone)
	}
	take(store, 10, 12)
	expectRepair(store)
}

// TestEmptiedStreamsAreNoticed: a stream is gone and is created again empty. The loss of holds, quarantined payloads or
// records of accesses is found once, by the record of how far their streams had reached.
func TestEmptiedStreamsAreNoticed(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	seal(t, store, masterOf(t, masterKeys(t, "m")))
	shelved(t, store)
	must(t, store.PutHold(t.Context(), kycbridge.Hold{Provider: "ondato", Account: "acme", VerificationID: "v"}))
	must(t, store.StoreAccess(t.Context(), kycbridge.Access{Operation: "hold", By: "alice"}))
	for range 2 {
		repaired, err := store.Repair(t.Context())
		must(t, err)
		if !repaired.Empty() {
			t.Fatalf("repaired %+v although nothing is lost", repaired)
		}
	}
	for _, name := range []string{testNames.holds(), testNames.quarantine(), testNames.access()} {
		must(t, store.js.DeleteStream(t.Context(), name))
		repaired, err := store.Repair(t.Context())
		must(t, err)
		if len(repaired.Shorter) != 1 || repaired.Shorter[0].Stream != name || repaired.Shorter[0].Last != 0 {
			t.Errorf("%s is gone: found %+v", name, repaired.Shorter)
		}
		if repaired, err = store.Repair(t.Context()); err != nil || len(repaired.Shorter) > 0 {
			t.Errorf("%s: found again: %+v, %v", name, repaired.Shorter, err)
		}
	}
}

// withoutWrites is a disk that may not have what the server counts in its streams.
type withoutWrites struct{ disk }

func (withoutWrites) keeps(context.Context, string) error { return errors.New("nothing is written") }

// TestALossIsHandledWhenTheDiskHasTheEnd: a stream has lost messages, and the disk may not have the end that the server
// names. Recorded as its end, it would look like another loss after the next start.
func TestALossIsHandledWhenTheDiskHasTheEnd(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	bus.RecordErasures(store)
	seal(t, store, masterOf(t, masterKeys(t, "m")))
	shelved(t, store)
	p := payload("idv", "e1", `{}`)
	first, body := eventOf(p, 1)
	must(t, bus.Publish(t.Context(), key(p), sealed(event.KindUpdated, first, body), 0))
	must(t, store.PutHold(t.Context(), kycbridge.Hold{Provider: "ondato", Account: "acme", VerificationID: "v"}))
	must(t, store.StoreAccess(t.Context(), kycbridge.Access{Operation: "hold", By: "alice"}))
	repair := func() (lost []Shorter) {
		log, err := store.Repair(t.Context())
		must(t, err)
		events, err := bus.Repair(t.Context())
		must(t, err)
		return append(log.Shorter, events.Shorter...)
	}
	repair()
	reached := func(name string) uint64 {
		records, subject := store.tombstones, testNames.reachOf(name)
		if g, ok := store.guarded()[name]; ok {
			records, subject = g.witness, g.reach
		}
		last, err := store.reachIn(t.Context(), records, subject)
		must(t, err)
		return last
	}
	writes := store.disk
	for _, name := range []string{testNames.payloads(), testNames.quarantine(), testNames.access(), testNames.holds(),
		testNames.events()} {
		before := reached(name)
		must(t, store.js.DeleteStream(t.Context(), name))
		store.disk, bus.disk = withoutWrites{writes}, withoutWrites{writes}
		repair()
		if after := reached(name); after != before || before == 0 {
			t.Errorf("%s: %d is recorded as its end, before %d", name, after, before)
		}
		store.disk, bus.disk = writes, writes
		if lost := repair(); len(lost) != 1 || lost[0].Stream != name {
			t.Errorf("%s: later found %+v", name, lost)
		}
		if lost := repair(); len(lost) > 0 {
			t.Errorf("%s: found again %+v", name, lost)
		}
	}
}

// TestLostKeysAreNamed: the stream of keys is gone and was created again. The loss is noticed, also after a restart,
// and reading a body names it and what to do.
func TestLostKeysAreNamed(t *testing.T) {
	t.Parallel()
	dir, text := t.TempDir(), masterKeys(t, "m")
	e, store, bus := openAt(t, dir, zap.NewNop())
	seal(t, store, masterOf(t, text))
	shelved(t, store)
	_, err := store.Repair(t.Context())
	must(t, err)
	must(t, store.js.DeleteStream(t.Context(), testNames.keyPages()))
	closeAt(e, store, bus)
	e, store, bus = openAt(t, dir, zap.NewNop())
	defer func() { closeAt(e, store, bus) }()
	seal(t, store, masterOf(t, text))
	repaired, err := store.Repair(t.Context())
	must(t, err)
	if len(repaired.Shorter) != 1 || repaired.Shorter[0].Stream != testNames.keyPages() {
		t.Errorf("found %+v", repaired.Shorter)
	}
	err = store.Kept(t.Context(), kycbridge.KeptQuery{}, func(kycbridge.Kept) error { return nil })
	for _, want := range []string{"keys of stored bodies are gone", "KYC_KEYS ends at message 0", "from its backup"} {
		if !errors.Is(err, ErrNoKey) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// fillDisk writes until no byte is free, and returns what removes it.
func fillDisk(t *testing.T, dir string) (free func()) {
	t.Helper()
	var err error
	for n := 0; err == nil; n++ {
		err = os.WriteFile(fmt.Sprint(dir, "/filler", n), make([]byte, 4096), 0o600)
	}
	fillers, err := filepath.Glob(dir + "/filler*")
	must(t, err)
	return func() {
		for _, filler := range fillers {
			must(t, os.Remove(filler))
		}
	}
}

// TestAFullDiskLosesNothing: the first message of a stream finds a full disk, so it is not acknowledged. The server
// counts it until it is restarted, which must not look like a loss afterwards.
func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=24m"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	repair := func(store *Store, bus *Bus) []Shorter {
		t.Helper()
		log, err := store.Repair(t.Context())
		must(t, err)
		events, err := bus.Repair(t.Context())
		must(t, err)
		return append(log.Shorter, events.Shorter...)
	}
	e, store, bus := openAt(t, dir, zap.NewNop())
	bus.RecordErasures(store)
	free := fillDisk(t, dir)
	p := payload("idv", "e1", `{}`)
	short, cancel := context.WithTimeout(t.Context(), time.Second) // the server does not answer
	defer cancel()
	if _, err := store.Append(short, p); err == nil {
		t.Fatal("a payload was stored on a full disk")
	}
	first, body := eventOf(p, 1)
	short, cancel = context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := bus.Publish(short, key(p), sealed(event.KindUpdated, first, body), 0); err == nil {
		t.Fatal("an event was stored on a full disk")
	}
	free() // the server still writes nothing into these two streams
	repair(store, bus)
	free = fillDisk(t, dir) // so that it cannot store at its end what it had counted
	closeAt(e, store, bus)
	free()

	e, store, bus = openAt(t, dir, zap.NewNop())
	defer func() { closeAt(e, store, bus) }()
	bus.RecordErasures(store)
	if lost := repair(store, bus); len(lost) > 0 || bus.RestoredTime() != "" {
		t.Errorf("nothing that was acknowledged is lost: %+v, restored at %q", lost, bus.RestoredTime())
	}
}

// TestAStreamThatCannotBeOpenedStays: when the server starts, it removes the folder of a stream in which it cannot
// create a file, so it is not started.
func TestAStreamThatCannotBeOpenedStays(t *testing.T) {
	dir := t.TempDir()
	e, store, bus := openAt(t, dir, zap.NewNop())
	_, err := store.Append(t.Context(), payload("idv", "e1", `{}`))
	must(t, err)
	closeAt(e, store, bus)

	folder := filepath.Join(dir, "jetstream", ownAccount, "streams", testNames.payloads())
	was := folder + "-was"
	must(t, os.Rename(folder, was))
	must(t, os.Mkdir(folder, 0o700))
	if err := syscall.Mount("tmpfs", folder, "tmpfs", 0, "size=24m,nr_inodes=64"); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { must(t, syscall.Unmount(folder, syscall.MNT_DETACH)) })
	must(t, os.CopyFS(folder, os.DirFS(was)))
	must(t, os.RemoveAll(was))
	filler := filepath.Join(folder, "filler")
	must(t, os.Mkdir(filler, 0o700))
	for n := 0; os.WriteFile(filepath.Join(filler, strconv.Itoa(n)), nil, 0o600) == nil; {
		n++
	}
	e, err = StartEmbedded(EmbeddedOptions{Dir: dir, Names: testNames, MaxBody: testMaxBody})
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("without an inode: %v", err)
	}
	if err == nil {
		e.Close()
	}

	must(t, os.RemoveAll(filler))
	e, store, bus = openAt(t, dir, zap.NewNop())
	defer func() { closeAt(e, store, bus) }()
	if all := kept(t, store, kycbridge.KeptQuery{}); len(all) != 1 {
		t.Errorf("the log holds %+v", all)
	}
}
