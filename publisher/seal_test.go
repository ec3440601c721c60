package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nats-io/nats.go/jetstream"

	"kycbridge"
	"kycbridge/internal/keys"
)

// masterKeys are new master keys with these ids.
func masterKeys(t testing.TB, ids ...string) string {
	t.Helper()
	var lines []string
	for _, id := range ids {
		line, err := keys.Generate(id)
		must(t, err)
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func masterOf(t testing.TB, text string) *keys.Master {
	t.Helper()
	m, err := keys.NewMaster(text, nil)
	must(t, err)
	return m
}

// seal makes a store use a master key that it must accept.
func seal(t testing.TB, s *Store, m Master) {
	t.Helper()
	s.SealWith(m)
	must(t, s.CheckMaster(t.Context(), m))
}

var shelves = []kycbridge.Shelf{kycbridge.ShelfPayloads, kycbridge.ShelfQuarantine, kycbridge.ShelfRefused}

// TestKeysOfAStartingCluster: a server that does not answer yet is asked again, and is no reason to look for another
// master key.
func TestKeysOfAStartingCluster(t *testing.T) {
	t.Parallel()
	server, first, _ := start(t, t.TempDir())
	m := masterOf(t, masterKeys(t, "2026-11"))
	seal(t, first, m)
	shelved(t, first)
	for _, what := range []string{"STREAM.INFO.KYC_KEYS", "CONSUMER.CREATE.KYC_KEYS", "DIRECT.GET.KYC_KEYS"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			var lose atomic.Int32
			store := forgettingStore(t, server, what, &lose)
			lose.Store(1)
			if err := store.CheckMaster(t.Context(), m); err != nil || lose.Load() > 0 {
				t.Errorf("a request was lost: %v, %d times more", err, lose.Load())
			}
			err := store.CheckMaster(t.Context(), masterOf(t, masterKeys(t, "2027-01")))
			if _, isOther := errors.AsType[*MasterError](err); !isOther {
				t.Errorf("with another master key: %v", err)
			}
		})
	}
}

func TestBodiesAreSealed(t *testing.T) {
	t.Parallel()
	dir, text := t.TempDir(), masterKeys(t, "2026-11")
	server, store, bus := start(t, dir)
	seal(t, store, masterOf(t, text))
	want := shelved(t, store)
	stop := func() { bus.Close(); store.Close(); server.Close() }
	stop()
	if files := found(t, `{"a": `, dir); len(files) > 0 {
		t.Errorf("bodies stand in %v", files)
	}

	server, store, bus = start(t, dir)
	for name, bad := range map[string]Master{
		"no master key": nil, "another master key": masterOf(t, masterKeys(t, "2027-01")),
		"another key with the same id": masterOf(t, masterKeys(t, "2026-11")),
	} {
		if err := store.CheckMaster(t.Context(), bad); err == nil || !strings.Contains(err.Error(), "2026-11") {
			t.Errorf("with %s the store opens: %v", name, err)
		}
	}
	seal(t, store, masterOf(t, masterKeys(t, "2027-01")+"\n"+text))
	for _, shelf := range shelves {
		all := kept(t, store, kycbridge.KeptQuery{Shelf: shelf})
		if len(all) != 1 || all[0].Key == "" {
			t.Fatalf("%s holds %+v", shelf, all)
		}
		one, err := store.KeptAt(t.Context(), shelf, 1)
		must(t, err)
		all[0].Key, one.Key = "", ""
		for _, got := range []kycbridge.Kept{all[0], one} {
			if diff := cmp.Diff(want[shelf], got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", shelf, diff)
			}
		}
	}
	again := want[kycbridge.ShelfPayloads].Payload
	if stored, err := store.Append(t.Context(), again); err != nil || !stored.Duplicate {
		t.Errorf("a repetition is %+v, %v", stored, err)
	}
	stop()
}

// TestDestroyedKeysEndCopies erases a person and reads a copy of the files from before with the keys as they are now.
func TestDestroyedKeysEndCopies(t *testing.T) {
	t.Parallel()
	dir, text := t.TempDir(), masterKeys(t, "m")
	server, store, bus := start(t, dir)
	seal(t, store, masterOf(t, text))
	all := persons(t, store, bus, 20)
	eventually(t, "the refused ones are kept",
		func() bool {
			return len(kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfRefused})) == len(all)
		})
	stop := func() { bus.Close(); store.Close(); server.Close() }
	stop()
	copied := t.TempDir()
	must(t, os.CopyFS(filepath.Join(copied, "jetstream"), os.DirFS(filepath.Join(dir, "jetstream"))))
	server, store, bus = start(t, dir)
	seal(t, store, masterOf(t, text))
	gone := all[7]
	gone.erase(t, store, bus)
	othersAreWhole(t, store, bus, all, gone)
	stop()
	if files := found(t, gone.seeds()["number"], dir); len(files) > 0 {
		t.Errorf("the erased number stands in %v", files)
	}

	pages := filepath.Join("jetstream", ownAccount, "streams", testNames.keyPages())
	must(t, os.RemoveAll(filepath.Join(copied, pages)))
	must(t, os.CopyFS(filepath.Join(copied, pages), os.DirFS(filepath.Join(dir, pages))))
	_, store, _ = start(t, copied)
	seal(t, store, masterOf(t, text))
	readable := map[kycbridge.Shelf]int{}
	for _, shelf := range shelves {
		for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: shelf}) {
			if !whole(k.Payload) {
				continue
			}
			readable[shelf]++
			for what, seed := range gone.seeds() {
				if bytes.Contains(k.Body, []byte(seed)) {
					t.Errorf("the copy yields the %s of the erased person", what)
				}
			}
		}
	}
	want := map[kycbridge.Shelf]int{kycbridge.ShelfPayloads: 57, kycbridge.ShelfQuarantine: 19, kycbridge.ShelfRefused: 19}
	if diff := cmp.Diff(want, readable); diff != "" {
		t.Errorf("readable in the copy (-want +got):\n%s", diff)
	}
}

func TestRotateKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	older, newer := masterKeys(t, "older"), masterKeys(t, "newer")
	_, store, bus := start(t, dir)
	seal(t, store, masterOf(t, older))
	persons(t, store, bus, 20)
	seal(t, store, masterOf(t, newer+"\n"+older))

	dry, err := store.RotateKeys(t.Context(), true, nil)
	must(t, err)
	short, cancel := context.WithCancel(t.Context())
	_, err = store.RotateKeys(short, false, func(int, int) { cancel() })
	if err == nil {
		t.Error("an interrupted rotation reports no error")
	}
	if _, err := store.RotateKeys(t.Context(), false, nil); err != nil {
		t.Fatal(err)
	}
	if dry.Rotated == 0 || dry.Rotated != dry.Pages || dry.Master != "newer" {
		t.Errorf("the dry run says %+v", dry)
	}
	held, err := store.MasterKeys(t.Context())
	must(t, err)
	if len(held) != 1 || held[0].ID != "newer" || held[0].Pages != dry.Pages {
		t.Errorf("after the rotation there are %+v", held)
	}
	if files := found(t, "Kyc-Master: older", dir); len(files) > 0 {
		t.Errorf("pages under the old master key stand in %v", files)
	}
	seal(t, store, masterOf(t, newer))
	store.sealer.pages.cache.Purge()
	for _, shelf := range shelves {
		for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: shelf}) {
			if !whole(k.Payload) {
				t.Errorf("%s %d cannot be read after the rotation", shelf, k.Seq)
			}
		}
	}
	if again, err := store.RotateKeys(t.Context(), false, nil); err != nil || again.Rotated != 0 {
		t.Errorf("a second rotation: %+v, %v", again, err)
	}
}

// failing is a key service that can be switched off.
type failing struct {
	Master
	off atomic.Bool
}

func (f *failing) Wrap(ctx context.Context, key []byte) (string, []byte, error) {
	if f.off.Load() {
		return "", nil, errors.New("the key service is sealed")
	}
	return f.Master.Wrap(ctx, key)
}

// TestEachPayloadHasAKeyOfItsOwn stores many payloads at once, also while no page can be made for a while.
func TestEachPayloadHasAKeyOfItsOwn(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	service := &failing{Master: masterOf(t, masterKeys(t, "m"))}
	seal(t, store, service)
	const callers, each = 32, 100
	var refused, stored atomic.Int64
	var running sync.WaitGroup
	for c := range callers {
		running.Go(func() {
			for i := range each {
				service.off.Store(c == 0 && i%20 > 10)
				_, err := store.Append(t.Context(), payload(fmt.Sprint("r", c), "", fmt.Sprintf(`{"n":"%d-%d"}`, c, i)))
				switch {
				case err == nil:
					stored.Add(1)
				case errors.Is(err, ErrNoKey):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	running.Wait()
	names := map[string]bool{}
	for _, k := range kept(t, store, kycbridge.KeptQuery{}) {
		if !whole(k.Payload) {
			t.Errorf("payload %d is not whole", k.Seq)
		}
		names[k.Key] = true
	}
	if len(names) != int(stored.Load()) || stored.Load()+refused.Load() != callers*each {
		t.Errorf("%d keys for %d stored payloads, %d refused", len(names), stored.Load(), refused.Load())
	}
	t.Logf("%d stored, %d refused for lack of a key", stored.Load(), refused.Load())
}

// TestKeysEndWithTheirPayloads removes pages whose payloads have expired, and no other.
func TestKeysEndWithTheirPayloads(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	seal(t, store, masterOf(t, masterKeys(t, "m")))
	shelved(t, store)
	if n, err := store.SweepKeys(t.Context()); err != nil || n != 0 {
		t.Fatalf("swept %d, %v", n, err)
	}
	g := &store.sealer.pages
	old, err := g.make(t.Context(), kycbridge.ShelfPayloads, 16)
	must(t, err)
	must(t, g.rewrite(t.Context(), kycbridge.ShelfPayloads, old.id, func(p *page) bool {
		p.made = p.made.Add(-sweepSlack - time.Minute)
		return true
	}))
	if n, err := store.SweepKeys(t.Context()); err != nil || n != 1 {
		t.Errorf("swept %d, %v", n, err)
	}
	for _, shelf := range shelves {
		if all := kept(t, store, kycbridge.KeptQuery{Shelf: shelf}); len(all) != 1 || !whole(all[0].Payload) {
			t.Errorf("%s holds %+v", shelf, all)
		}
	}
}

// TestKeysOfEmptyShelvesEnd: nothing is left on the shelves, so every page that is old enough is removed. No younger
// one is: its keys may still be given out.
func TestKeysOfEmptyShelvesEnd(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	seal(t, store, masterOf(t, masterKeys(t, "m")))
	g := &store.sealer.pages
	for _, shelf := range shelves {
		for _, age := range []time.Duration{0, sweepSlack - time.Minute, sweepSlack + time.Minute} {
			p, err := g.make(t.Context(), shelf, 16)
			must(t, err)
			must(t, g.rewrite(t.Context(), shelf, p.id, func(p *page) bool {
				p.made = p.made.Add(-age)
				return true
			}))
		}
	}
	if n, err := store.SweepKeys(t.Context()); err != nil || n != len(shelves) {
		t.Errorf("swept %d, %v, want one of each shelf", n, err)
	}
}

// TestOldVersionsOfPagesAreErased: another process is killed after it has written a page without a destroyed key, and
// before it has overwritten the version with this key. The next sweep does, and the retention, which also removes the
// message, although this process still has the key in memory.
func TestOldVersionsOfPagesAreErased(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	seal(t, store, masterOf(t, masterKeys(t, "m")))
	tool := purgeTool(t, store, bus)
	tool.Ageing = store
	quarantined := func() []kycbridge.Kept { return kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine}) }
	retain := func() error { _, err := tool.Retain(t.Context(), false, true); return err }
	sweep := func() error { _, err := store.SweepKeys(t.Context()); return err }
	g := &store.sealer.pages
	for i, mend := range []func() error{retain, sweep} {
		must(t, store.Quarantine(t.Context(), payload("victim", "", fmt.Sprint(i)), kycbridge.QuarantineUnidentified, nil))
		one := quarantined()[0]
		id, _, slot, _ := parseKeyName(one.Key)
		page, raw, err := g.read(t.Context(), kycbridge.ShelfQuarantine, id)
		must(t, err)
		must(t, store.Erasing(t.Context(), kycbridge.ShelfQuarantine, []uint64{one.Seq}))
		page.destroy(slot)
		must(t, g.put(t.Context(), page, raw)) // killed here
		must(t, mend())
		if _, err := g.stream.GetMsg(t.Context(), raw.Sequence); !errors.Is(err, jetstream.ErrMsgNotFound) {
			t.Errorf("%d: the version of the page with the destroyed key is there, %v", i, err)
		}
		if n := len(quarantined()); n != i {
			t.Errorf("%d: %d messages are left, want %d", i, n, i)
		}
	}
}

// TestKeysInUseStay: the times of pages and payloads are wrong if the server's clock was. A page with the key of a
// stored payload is not removed, whatever its time.
func TestKeysInUseStay(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	seal(t, store, masterOf(t, masterKeys(t, "m")))
	shelved(t, store)
	g := &store.sealer.pages
	all, err := g.keptPages(t.Context())
	must(t, err)
	for _, p := range all {
		must(t, g.rewrite(t.Context(), p.shelf, p.id, func(p *page) bool {
			p.made = p.made.Add(-24 * time.Hour)
			return true
		}))
	}
	if n, err := store.SweepKeys(t.Context()); err != nil || n != 0 {
		t.Errorf("swept %d of %d, %v", n, len(all), err)
	}
	g.cache.Purge()
	for _, shelf := range shelves {
		if all := kept(t, store, kycbridge.KeptQuery{Shelf: shelf}); len(all) != 1 || !whole(all[0].Payload) {
			t.Errorf("%s holds %+v", shelf, all)
		}
	}
}

// TestMovedBodiesAreRefused puts the encrypted body of one payload into the message of another.
func TestMovedBodiesAreRefused(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	seal(t, store, masterOf(t, masterKeys(t, "m")))
	a, b := payload("a", "event-a", `{"a":1}`), payload("b", "event-b", `{"b":1}`)
	for _, p := range []kycbridge.Payload{a, b} {
		_, err := store.Append(t.Context(), p)
		must(t, err)
	}
	raw, err := store.payloadLog.GetMsg(t.Context(), 1)
	must(t, err)
	k := kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: b.VerificationID}
	moved := message(testNames.payload(k), b)
	moved.Header["Nats-Msg-Id"] = []string{b.ID + storedAgain + "7"}
	moved.Header[headerKey], moved.Data = raw.Header[headerKey], raw.Data
	_, err = store.js.PublishMsg(t.Context(), moved)
	must(t, err)
	all := kept(t, store, kycbridge.KeptQuery{})
	if len(all) != 3 || whole(all[2].Payload) || !whole(all[0].Payload) || !whole(all[1].Payload) {
		t.Errorf("the log holds %+v", all)
	}
}

func BenchmarkSeal(b *testing.B) {
	for _, size := range []int{1500, 12000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			_, store, _ := start(b, b.TempDir())
			seal(b, store, masterOf(b, masterKeys(b, "m")))
			p := payload("r", "event", strings.Repeat("x", size))
			b.ReportAllocs()
			for b.Loop() {
				m := message("s", p)
				must(b, store.seal(b.Context(), kycbridge.ShelfPayloads, m, p))
				q := payloadOf(testNames.payload(kycbridge.Key{Provider: "ondato", Account: "acme",
					VerificationID: p.VerificationID}), m.Header, m.Data)
				must(b, store.unseal(b.Context(), kycbridge.ShelfPayloads, m.Header.Get(headerKey), &q))
				if len(q.Body) != size {
					b.Fatal("not whole")
				}
			}
		})
	}
}

// TestLostPagesAreStoredAgain: an operator deletes the stream of keys under a running process. What the
// process has stored before, and stores afterwards, can be decrypted by the next process.
func TestLostPagesAreStoredAgain(t *testing.T) {
	t.Parallel()
	dir, text := t.TempDir(), masterKeys(t, "m")
	server, store, bus := start(t, dir)
	seal(t, store, masterOf(t, text))
	for i := range 5 {
		if i == 2 {
			must(t, store.js.DeleteStream(t.Context(), testNames.keyPages()))
			repaired, err := store.Repair(t.Context())
			must(t, err)
			if len(repaired.Streams) != 1 {
				t.Errorf("created again: %v", repaired.Streams)
			}
		}
		_, err := store.Append(t.Context(), payload(fmt.Sprint("r", i), "", fmt.Sprintf(`{"n":%d}`, i)))
		must(t, err)
	}
	bus.Close()
	store.Close()
	server.Close()
	_, store, _ = start(t, dir)
	seal(t, store, masterOf(t, text))
	all := kept(t, store, kycbridge.KeptQuery{})
	for _, k := range all {
		if !whole(k.Payload) {
			t.Errorf("payload %d cannot be decrypted", k.Seq)
		}
	}
	if len(all) != 5 {
		t.Errorf("%d payloads", len(all))
	}
}

// TestLostPagesDoNotBringKeysBack: one process destroys keys, which another one has in memory. Then the stream of keys
// is lost, and the other process stores its pages again: with the keys that were not destroyed, and no others.
func TestLostPagesDoNotBringKeysBack(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	text := masterKeys(t, "m")
	seal(t, store, masterOf(t, text))
	repair := func() { _, err := store.Repair(t.Context()); must(t, err) }
	repair()
	var names []string
	for i := range 3 {
		must(t, store.Quarantine(t.Context(), payload("r", "", fmt.Sprint(i)), kycbridge.QuarantineSchema, nil))
	}
	for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine}) {
		names = append(names, k.Key)
	}
	removed, err := store.sealer.pages.make(t.Context(), kycbridge.ShelfPayloads, 1)
	must(t, err)
	repair()

	other, _ := openStreams(t, server) // such as the process of a command
	seal(t, other, masterOf(t, text))
	must(t, other.DestroyKeys(t.Context(), kycbridge.ShelfQuarantine, names[:1]))
	must(t, other.DestroyKeys(t.Context(), kycbridge.ShelfPayloads, []string{removed.keyName(0, removed.seq)}))
	repair()
	must(t, store.js.DeleteStream(t.Context(), testNames.keyPages()))
	repair()

	next, _ := openStreams(t, server)
	seal(t, next, masterOf(t, text))
	for i, name := range names {
		key, err := next.sealer.pages.key(t.Context(), kycbridge.ShelfQuarantine, name)
		if must(t, err); (key != nil) != (i > 0) {
			t.Errorf("key %d is there: %t", i, key != nil)
		}
	}
	if p, _, err := next.sealer.pages.read(t.Context(), kycbridge.ShelfPayloads, removed.id); p != nil || err != nil {
		t.Errorf("the page without keys is there again, %v", err)
	}
}

// TestRotationBesideAnOlderConfiguration: a process that does not have the new master key yet reads what it has stored,
// also after another process has rotated the keys.
func TestRotationBesideAnOlderConfiguration(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	older := masterKeys(t, "older")
	seal(t, store, masterOf(t, older))
	shelved(t, store)
	repair := func() { _, err := store.Repair(t.Context()); must(t, err) }
	repair()
	other, _ := openStreams(t, server)
	seal(t, other, masterOf(t, masterKeys(t, "newer")+"\n"+older))
	_, err := other.RotateKeys(t.Context(), false, nil)
	must(t, err)
	repair()
	for _, shelf := range shelves {
		if all := kept(t, store, kycbridge.KeptQuery{Shelf: shelf}); len(all) != 1 || !whole(all[0].Payload) {
			t.Errorf("%s holds %+v", shelf, all)
		}
	}
}

// wrong is a key service that answers with another key.
type wrong struct{ Master }

func (wrong) Unwrap(context.Context, string, []byte) ([]byte, error) { return keys.New(), nil }

// TestAWrongKeyServiceDestroysNothing: while a key service answers with another key, nothing can be decrypted. A
// rotation and an erasure meanwhile destroy no key of others, and everything is readable when the service is right.
func TestAWrongKeyServiceDestroysNothing(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	text := masterKeys(t, "older")
	seal(t, store, masterOf(t, text))
	shelved(t, store)
	gone := kept(t, store, kycbridge.KeptQuery{})[0].Key
	must(t, store.sealer.keep(t.Context()))
	store.SealWith(wrong{masterOf(t, masterKeys(t, "newer")+"\n"+text)})
	r, err := store.RotateKeys(t.Context(), false, nil)
	if !errors.Is(err, errAltered) || r.Rotated > 0 || r.Pages != len(shelves) {
		t.Errorf("the rotation: %+v, %v", r, err)
	}
	must(t, store.DestroyKeys(t.Context(), kycbridge.ShelfPayloads, []string{gone}))
	store.sealer.pages.cache.Purge() // as after a restart
	if all := kept(t, store, kycbridge.KeptQuery{}); len(all) != 1 || whole(all[0].Payload) {
		t.Errorf("with another key: %+v", all)
	}
	seal(t, store, masterOf(t, text))
	for _, shelf := range shelves {
		if all := kept(t, store, kycbridge.KeptQuery{Shelf: shelf}); len(all) != 1 || !whole(all[0].Payload) {
			t.Errorf("%s holds %+v", shelf, all)
		}
	}
}

// TestAWrongKeyServiceDecidesNothing: while a key service answers with another key, a payload is neither processed as
// damaged, nor left out of its history or of the log, nor stored a second time.
func TestAWrongKeyServiceDecidesNothing(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	right := masterOf(t, masterKeys(t, "m"))
	seal(t, store, right)
	p := payload("a", "event-a", `{"a":1}`)
	_, err := store.Append(t.Context(), p)
	must(t, err)
	raw, err := store.payloadLog.GetMsg(t.Context(), 1)
	must(t, err)
	k := kycbridge.Key{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID}
	for name, act := range map[string]func() error{
		"processing":   func() error { _, err := store.payload(t.Context(), raw.Subject, raw.Header, raw.Data); return err },
		"a repetition": func() error { _, err := store.Append(t.Context(), p); return err },
		"the history": func() error {
			return store.readHistory(t.Context(), k, 1, func(kycbridge.Payload, time.Time, bool) error { return nil })
		},
		"the tamper-evident log": func() error { _, err := store.saltOf(t.Context(), raw.Header); return err },
	} {
		store.SealWith(wrong{right})
		store.sealer.pages.cache.Purge() // as after a restart
		if err := act(); !errors.Is(err, errAltered) {
			t.Errorf("%s with another key: %v", name, err)
		}
		store.SealWith(right)
		if err := act(); err != nil {
			t.Errorf("%s with the right key: %v", name, err)
		}
	}
	if all := kept(t, store, kycbridge.KeptQuery{}); len(all) != 1 || !whole(all[0].Payload) {
		t.Errorf("the log holds %+v", all)
	}
}

// TestReusedSequencesOutliveAWrongKeyService: the recorded sequence of an erased message was assigned again after a
// restore. While its key cannot be read, the message there is no unfinished erasure, and what this process has in
// memory remains readable.
func TestReusedSequencesOutliveAWrongKeyService(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	right := masterOf(t, masterKeys(t, "m"))
	seal(t, store, right)
	for shelf, k := range shelved(t, store) {
		must(t, store.Erasing(t.Context(), shelf, []uint64{k.Seq})) // as if an earlier message had had this sequence
	}
	for name, master := range map[string]Master{"another key": wrong{right},
		"no such key": masterOf(t, masterKeys(t, "n"))} {
		store.SealWith(master)
		for _, shelf := range []kycbridge.Shelf{kycbridge.ShelfPayloads, kycbridge.ShelfQuarantine} {
			if left, err := store.Unfinished(t.Context(), shelf); err != nil || len(left) > 0 {
				t.Errorf("%s: %s: %d messages are to be erased, %v", name, shelf, len(left), err)
			}
			if all := kept(t, store, kycbridge.KeptQuery{Shelf: shelf}); len(all) != 1 || !whole(all[0].Payload) {
				t.Errorf("%s: %s holds %+v", name, shelf, all)
			}
		}
	}
}
