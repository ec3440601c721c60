package publisher

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/wait"
)

// person is a synthetic person whose data occur nowhere else.
type person struct {
	n    int
	name string
	key  kycbridge.Key
}

func (p person) seeds() map[string]string {
	return map[string]string{
		"name": p.name, "number": fmt.Sprintf("SEEDNUMBER%04d7731", p.n), "reference": p.reference(),
		"refused": fmt.Sprintf("SEEDREFUSED%04d", p.n), "credential": fmt.Sprintf("SEEDSECRET%04d", p.n),
		"agent": fmt.Sprintf("SEEDAGENT%04d", p.n), "url": fmt.Sprintf("SEEDURL%04d", p.n),
		"event": fmt.Sprintf("SEEDEVENT%04d", p.n),
	}
}
func (p person) reference() string { return fmt.Sprintf("SEEDREFERENCE%04d", p.n) }

// persons stores every kind of message for n persons, concurrently, so that batches are staged.
func persons(t *testing.T, store *Store, bus *Bus, n int) []person {
	t.Helper()
	all := make([]person, n)
	var running sync.WaitGroup
	for i := range all {
		p := person{n: i, name: fmt.Sprintf("SEEDNAME%04d Testa", i)}
		p.key = kycbridge.Key{Provider: "ondato", Account: "acme",
			VerificationID: event.VerificationID("ondato", "acme", p.reference())}
		all[i] = p
		running.Go(func() {
			if err := p.store(store, bus); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	return all
}

func (p person) store(store *Store, bus *Bus) error {
	ctx, seeds := context.Background(), p.seeds()
	stored := func(event, body string) kycbridge.Payload {
		out := payload(p.reference(), event, body)
		out.Reference, out.Header = p.reference(), map[string]string{"User-Agent": seeds["agent"]}
		return out
	}
	for i := range 3 {
		if _, err := store.Append(ctx,
			stored("", fmt.Sprintf(`{"n":%d,"name":%q,"number":%q,"pad":%q}`, i, p.name, seeds["number"],
				strings.Repeat("x", 3000)))); err != nil {
			return err
		}
	}
	if err := store.Quarantine(ctx, stored("", fmt.Sprintf(`{"bad":1,"name":%q}`, p.name)), kycbridge.QuarantineSchema,
		nil); err != nil {
		return err
	}
	refused := stored("", fmt.Sprintf(`{"name":%q}`, seeds["refused"]))
	refused.VerificationID, refused.Reference = "", ""
	store.Refuse(ctx, refused, kycbridge.Request{Header: http.Header{"Authorization": {seeds["credential"]}},
		Query: url.Values{"token": {seeds["credential"]}}}, "no credential was sent")
	for i := range 2 {
		e, _ := eventOf(stored("", "{}"), i+1)
		e.Data.Provider.References = map[string]string{"ondato": p.reference()}
		e.Data.ExtractedClaims = event.Claims{"name": p.name, "event": seeds["event"]}
		body, err := json.Marshal(e)
		if err != nil {
			return err
		}
		last, err := bus.Last(ctx, p.key, false)
		if err != nil {
			return err
		}
		if err := bus.Publish(ctx, p.key, sealed(event.KindUpdated, e, body), last.Seq); err != nil {
			return err
		}
	}
	w := kycbridge.Watch{Provider: "ondato", Account: "acme", Reference: p.reference(), Since: time.Now(),
		Deadline: time.Now().Add(time.Hour)}
	a := kycbridge.AccountKey{Provider: "ondato", Account: "acme"}
	start := fmt.Sprint("start-", p.n)
	_, err := store.Reserve(ctx, a, start, "fingerprint")
	return errors.Join(err, store.Schedule(ctx, w, time.Now().Add(time.Hour)), store.Trigger(ctx, w),
		store.Complete(ctx, a, start, "fingerprint",
			kycbridge.StartReceipt{VerificationID: p.key.VerificationID, Reference: p.reference(),
				URL: "https://kyc.example.com/" + seeds["url"]}))
}

// erase erases a person in the same order as the erasing command.
func (p person) erase(t *testing.T, store *Store, bus *Bus) kycbridge.Tombstone {
	t.Helper()
	tombstone := kycbridge.Tombstone{Provider: "ondato", Account: "acme", VerificationID: p.key.VerificationID,
		At: time.Now().UTC().Truncate(time.Second)}
	each := func(q kycbridge.KeptQuery, n *int) {
		for _, k := range kept(t, store, q) {
			if k.Shelf == kycbridge.ShelfRefused && !bytes.Contains(k.Body, []byte(p.seeds()["refused"])) {
				continue
			}
			must(t, store.Erase(t.Context(), k.Shelf, k.Seq, true))
			*n++
		}
	}
	id := p.key.VerificationID
	each(kycbridge.KeptQuery{VerificationID: id}, &tombstone.Payloads)
	each(kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine, VerificationID: id}, &tombstone.Quarantined)
	each(kycbridge.KeptQuery{Shelf: kycbridge.ShelfRefused}, &tombstone.Refused)
	var err error
	tombstone.Watches, err = store.EraseWatches(t.Context(), p.key)
	must(t, err)
	tombstone.Events, err = bus.EraseEvents(t.Context(), p.key)
	must(t, err)
	return tombstone
}

// found lists the files below the folders that contain a word.
func found(t *testing.T, word string, dirs ...string) (files []string) {
	t.Helper()
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil // removed meanwhile
			}
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			body, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if bytes.Contains(body, []byte(word)) {
				rel, _ := filepath.Rel(dir, path)
				files = append(files, rel)
			}
			return err
		})
		must(t, err)
	}
	return files
}

func TestErasedBytesAreGone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, store, bus := start(t, dir)
	const people = 50
	all := persons(t, store, bus, people)
	eventually(t, "the refused ones are kept",
		func() bool { return len(kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfRefused})) == people })
	gone := all[17]
	for what, seed := range gone.seeds() {
		if len(found(t, seed, dir)) == 0 {
			t.Fatalf("the search does not find the %s before it is erased", what)
		}
	}
	// A timer that replaces another leaves the bytes of the old one in the block, which no deletion
	// reaches (decision 25). They stay among the timers, and contain no name and no number.
	polled := payload("polled-session-4c2e", "polled", "{}")
	w := kycbridge.Watch{Provider: "ondato", Account: "acme", Reference: "polled-session-4c2e",
		Deadline: time.Now().Add(time.Hour)}
	for range 2 {
		must(t, store.Schedule(t.Context(), w, time.Now().Add(time.Hour)))
	}
	if n, err := store.EraseWatches(t.Context(),
		kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: polled.VerificationID}); err != nil || n != 1 {
		t.Fatalf("erased %d watches: %v", n, err)
	}
	for _, file := range found(t, w.Reference, dir) {
		if !strings.Contains(file, "KYC_POLLS") {
			t.Errorf("the reference of a timer that was replaced stands in %s", file)
		}
		t.Logf("the reference of a timer that was replaced stands in %s", file)
	}

	tombstone := gone.erase(t, store, bus)
	want := tombstone
	want.Payloads, want.Quarantined, want.Refused, want.Events, want.Watches = 3, 1, 1, 2, 3
	if diff := cmp.Diff(want, tombstone); diff != "" {
		t.Errorf("erased (-want +got):\n%s", diff)
	}
	look := func(when string) {
		t.Helper()
		for what, seed := range gone.seeds() {
			if files := found(t, seed, dir); len(files) > 0 {
				t.Errorf("%s: the %s is left in %v", when, what, files)
			}
		}
		t.Logf("%s: the verification id stands in %v", when, found(t, gone.key.VerificationID, dir))
	}
	look("while the server runs")
	othersAreWhole(t, store, bus, all, gone)
	// Messages that are stored after the erased ones are written to the same files.
	later := payload("later", "later", "{}")
	_, err := store.Append(t.Context(), later)
	must(t, err)
	look("after more was stored")
	bus.Close()
	store.Close()
	server.Close()
	look("after the server has stopped")
	_, store, bus = start(t, dir)
	look("after a restart")
	othersAreWhole(t, store, bus, all, gone)
	if again := gone.erase(t, store, bus); again.Payloads+again.Quarantined+again.Refused+again.Events+again.Watches != 0 {
		t.Errorf("after a restart there was left %+v", again)
	}
}

// othersAreWhole reads all persons through the API.
func othersAreWhole(t *testing.T, store *Store, bus *Bus, all []person, gone person) {
	t.Helper()
	counts := map[string]int{}
	for _, shelf := range []kycbridge.Shelf{kycbridge.ShelfPayloads, kycbridge.ShelfQuarantine, kycbridge.ShelfRefused} {
		for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: shelf}) {
			if !whole(k.Payload) || k.VerificationID == gone.key.VerificationID {
				t.Errorf("%s %d is not whole, or the erased one's", shelf, k.Seq)
			}
			counts[string(shelf)]++
		}
	}
	must(t, store.Watches(t.Context(), func(w kycbridge.Watch, _ bool) error { counts["watches"]++; return nil }))
	for _, p := range all {
		must(t, bus.Revisions(t.Context(), p.key, func(s kycbridge.State) error {
			if s.Data.ExtractedClaims["name"] != p.name {
				t.Errorf("event of %s says %v", p.name, s.Data.ExtractedClaims)
			}
			counts["events"]++
			return nil
		}))
		receipt, err := store.Reserve(t.Context(), kycbridge.AccountKey{Provider: "ondato", Account: "acme"},
			fmt.Sprint("start-", p.n), "fingerprint")
		if p.n == gone.n {
			must(t, store.Release(t.Context(), kycbridge.AccountKey{Provider: "ondato", Account: "acme"},
				fmt.Sprint("start-", p.n)))
		} else if err == nil && receipt != nil {
			counts["receipts"]++
		}
	}
	last, err := bus.Last(t.Context(), gone.key, false)
	if err != nil || last.Data != nil {
		t.Errorf("the bus remembers %+v, %v", last, err)
	}
	n := len(all) - 1
	want := map[string]int{"payloads": 3 * n, "quarantine": n, "refused": n, "watches": 2 * n, "events": 2 * n,
		"receipts": n}
	counts["payloads"] -= len(kept(t, store,
		kycbridge.KeptQuery{VerificationID: event.VerificationID("ondato", "acme", "later")}))
	if diff := cmp.Diff(want, counts); diff != "" {
		t.Errorf("what is left of the others (-want +got):\n%s", diff)
	}
}

func TestEraseOfMissingPayloadIsNoError(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	for _, shelf := range []kycbridge.Shelf{"", kycbridge.ShelfPayloads, kycbridge.ShelfQuarantine,
		kycbridge.ShelfRefused} {
		for _, seq := range []uint64{0, 1, 1 << 40} {
			must(t, store.Erase(t.Context(), shelf, seq, true))
			must(t, store.Erase(t.Context(), shelf, seq, false))
		}
	}
	if err := store.Erase(t.Context(), "cellar", 1, true); err == nil {
		t.Error("a shelf that is none")
	}
	k := watch("nobody").Key()
	if n, err := store.EraseWatches(t.Context(), k); n != 0 || err != nil {
		t.Error(n, err)
	}
	if n, err := bus.EraseEvents(t.Context(), k); n != 0 || err != nil {
		t.Error(n, err)
	}
	// The erased payload is in the middle, and is erased several times.
	for i := range 3 {
		_, err := store.Append(t.Context(), payload("idv-1", fmt.Sprint("e", i), "{}"))
		must(t, err)
	}
	for range 2 {
		must(t, store.Erase(t.Context(), "", 2, true))
	}
	if got := kept(t, store, kycbridge.KeptQuery{}); len(got) != 2 {
		t.Errorf("%d left, want 2", len(got))
	}
}

// TestAnIDIsUsedAgainAfterItsPayloadWasErased: the server's memory of an erased payload's id blocks no
// other body, however often that happens; a repetition of an erased payload is refused.
func TestAnIDIsUsedAgainAfterItsPayloadWasErased(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	put := func(body string, via event.Via) kycbridge.Stored {
		t.Helper()
		p := payload("idv-1", "e1", body)
		p.Via = via
		if via.Asked() {
			p.ReceivedAt = time.Now() // it was requested after the last erasure
		}
		stored, err := store.Append(t.Context(), p)
		must(t, err)
		return stored
	}
	one := payload("idv-1", "e1", `{"n":1}`)
	tombstone := kycbridge.Tombstone{Provider: one.Provider, Account: one.Account, VerificationID: one.VerificationID,
		At: time.Now()}
	for n := range 4 {
		body := fmt.Sprintf(`{"n":%d}`, n)
		if put(body, event.ViaCallback).Duplicate {
			t.Fatalf("body %d is taken for an erased one", n)
		}
		if again := put(body, event.ViaCallback); !again.Duplicate || again.Digest != kycbridge.Digest([]byte(body)) {
			t.Errorf("body %d repeated: %+v", n, again)
		}
		there := kept(t, store, kycbridge.KeptQuery{})
		if len(there) != 1 || there[0].ID != one.ID {
			t.Fatalf("%d payloads, the first of id %q, want one of %q", len(there), there[0].ID, one.ID)
		}
		tombstone.Marks = tombstone.Marks.Add(there[0].Payload)
		must(t, store.WriteTombstone(t.Context(), tombstone))
		must(t, store.Erase(t.Context(), "", there[0].Seq, true))
		if again := put(body, event.ViaCallback); !again.Duplicate || len(kept(t, store, kycbridge.KeptQuery{})) != 0 {
			t.Errorf("body %d repeated after it was erased: %+v", n, again)
		}
	}
	if put(`{"n":1}`, event.ViaFetch).Duplicate {
		t.Error("a body that was fetched since is taken for the erased one")
	}
}

// TestOnlyRecordedErasuresCount: a payload that the log has delivered and does not find counts as erased
// only if its erasure is recorded and the log extends beyond it. Servers of a cluster lag, files lose
// messages and sequences are assigned again; none of these may cost an event.
func TestOnlyRecordedErasuresCount(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	put := func(n string) kycbridge.Payload {
		t.Helper()
		p := payload("idv-"+n, "e"+n, "{}")
		_, err := store.Append(t.Context(), p)
		must(t, err)
		there := kept(t, store, kycbridge.KeptQuery{VerificationID: p.VerificationID})
		p.Seq = there[len(there)-1].Seq
		return p
	}
	there, lost, erased := put("1"), put("2"), put("3")
	must(t, store.payloadLog.DeleteMsg(t.Context(), lost.Seq)) // without a record of the erasure
	must(t, store.Erase(t.Context(), "", erased.Seq, true))
	stillStored := put("4")
	must(t, store.recordErasing(t.Context(), store.names.payloads(), stillStored.Seq)) // but it is still stored
	another := there
	another.ID = "ondato.acme.another" // its sequence was assigned again
	for about, c := range map[string]struct {
		p    kycbridge.Payload
		want bool
	}{
		"stored": {there, false}, "lost": {lost, false}, "erased": {erased, true},
		"announced and still there": {stillStored, false}, "another at its sequence": {another, false},
	} {
		if got, err := store.WasErased(t.Context(), c.p); got != c.want || err != nil {
			t.Errorf("%s: %v, %v, want %v", about, got, err, c.want)
		}
	}
	unapplied := there
	unapplied.Seq = 100 // delivered by another server, and not yet applied by this one
	must(t, store.recordErasing(t.Context(), store.names.payloads(), unapplied.Seq))
	if got, err := store.WasErased(t.Context(), unapplied); got || err == nil {
		t.Errorf("beyond the end of the log: %v, %v, want an error", got, err)
	}
}

// TestABarBlocksAppends: while a verification is erased, a payload of it waits and one of another does
// not; a bar whose process was killed expires by itself, and none is left in the log.
func TestABarBlocksAppends(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	p := payload("idv-1", "e1", "{}")
	k := kycbridge.Key{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID}
	stored := func(p kycbridge.Payload, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := store.Append(ctx, p)
		return err
	}
	lift, err := store.Bar(t.Context(), k)
	must(t, err)
	if err := stored(p, barTTL+time.Second); err == nil {
		t.Error("it was stored while the bar stood")
	}
	must(t, stored(payload("idv-2", "e2", "{}"), time.Second))
	lift()
	must(t, stored(p, publishTimeout))
	must(t, store.putBar(t.Context(), k, barTTL)) // and it is not renewed
	must(t, stored(payload("idv-1", "e3", "{}"), publishTimeout))
	stream, err := store.js.Stream(t.Context(), store.names.payloads())
	must(t, err)
	if n := stream.CachedInfo().State.Msgs; n != 3 {
		t.Errorf("%d messages in the log, want 3 payloads", n)
	}
}

// TestANewHistoryAfterAnErasure: the first revision has the id of the erased one, and is stored at once.
func TestANewHistoryAfterAnErasure(t *testing.T) {
	t.Parallel()
	_, _, bus := start(t, t.TempDir())
	p := payload("idv-1", "e1", "{}")
	k := kycbridge.Key{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID}
	publish := func() error {
		e, body := eventOf(p, 1)
		return bus.Publish(t.Context(), k, sealed(event.KindUpdated, e, body), 0)
	}
	must(t, publish())
	_, err := bus.EraseEvents(t.Context(), k)
	must(t, err)
	began := time.Now()
	for err = publish(); errors.Is(err, kycbridge.ErrConflict) && time.Since(began) < 10*time.Second; err = publish() {
	}
	if took := time.Since(began); err != nil || took > 5*time.Second*wait.Slowdown {
		t.Errorf("published after %v: %v", took, err)
	}
}

func TestTombstones(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, store, bus := start(t, dir)
	var want []kycbridge.Tombstone
	for i := range 3 {
		tombstone := kycbridge.Tombstone{Provider: "ondato", Account: "acme",
			VerificationID: watch(fmt.Sprint(i)).Key().VerificationID, At: time.Now().UTC().Truncate(time.Second), Payloads: i}
		must(t, store.WriteTombstone(t.Context(), tombstone))
		tombstone.Events = 7
		must(t, store.WriteTombstone(t.Context(), tombstone))
		want = append(want, tombstone)
	}
	bus.Close()
	store.Close()
	server.Close()
	_, store, _ = start(t, dir)
	var got []kycbridge.Tombstone
	must(t, store.Tombstones(t.Context(),
		func(tombstone kycbridge.Tombstone) error { got = append(got, tombstone); return nil }))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	one, err := store.Tombstone(t.Context(),
		kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: want[1].VerificationID})
	if err != nil || one == nil || *one != want[1] {
		t.Errorf("tombstone: %+v, %v", one, err)
	}
	if none, err := store.Tombstone(t.Context(), watch("alive").Key()); none != nil || err != nil {
		t.Errorf("no tombstone: %+v, %v", none, err)
	}
	if err := store.WriteTombstone(t.Context(), kycbridge.Tombstone{Provider: "ondato", Account: "*"}); err == nil {
		t.Error("a tombstone for all")
	}
}

// TestNamesThatAreNone: no text in the place of a verification's name selects another verification, or ends the
// connection.
func TestNamesThatAreNone(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	good := watch("erased").Key()
	must(t, store.WriteTombstone(t.Context(), kycbridge.Tombstone{Provider: good.Provider, Account: good.Account,
		VerificationID: good.VerificationID, At: time.Now().UTC()}))
	for name, text := range map[string]string{"empty": "", "wildcard": "*", "all": ">", "two": "a.b", "space": "a b",
		"line": "a\r\nb", "long": strings.Repeat("a", 1<<16)} {
		for place, k := range map[string]kycbridge.Key{
			"provider":     {Provider: text, Account: good.Account, VerificationID: good.VerificationID},
			"account":      {Provider: good.Provider, Account: text, VerificationID: good.VerificationID},
			"verification": {Provider: good.Provider, Account: good.Account, VerificationID: text},
		} {
			if found, err := store.Tombstone(t.Context(), k); found != nil || !errors.Is(err, errUnnamed) {
				t.Errorf("%s as %s: tombstone %+v, %v", name, place, found, err)
			}
			if found, err := store.Hold(t.Context(), k); found != nil || !errors.Is(err, errUnnamed) {
				t.Errorf("%s as %s: hold %+v, %v", name, place, found, err)
			}
		}
	}
	if found, err := store.Tombstone(t.Context(), good); found == nil || err != nil {
		t.Errorf("afterwards: %+v, %v", found, err)
	}
}
