package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

// silent is a key service that does not answer.
type silent struct{ Master }

var errNoAnswer = errors.New("the key service does not answer")

func (silent) Unwrap(context.Context, string, []byte) ([]byte, error) { return nil, errNoAnswer }

func (silent) Wrap(context.Context, []byte) (string, []byte, error) { return "", nil, errNoAnswer }

// badServices are key services under which no key can be destroyed.
func badServices(right Master) map[string]Master {
	return map[string]Master{"a wrong one": wrong{right}, "a silent one": silent{right}}
}

// asAfterRestart makes a store use a master key, with no key in memory.
func asAfterRestart(store *Store, m Master) {
	store.SealWith(m)
	store.sealer.pages.cache.Purge()
}

// victimAndOther stores a payload of two persons in the log, and one of each in quarantine that nothing but its body
// identifies.
func victimAndOther(t *testing.T, store *Store) (victim kycbridge.Payload) {
	t.Helper()
	for _, ref := range []string{"other", "victim"} {
		victim = payload(ref, "", `{"ref":"`+ref+`"}`)
		_, err := store.Append(t.Context(), victim)
		must(t, err)
		unidentified := victim
		unidentified.VerificationID, unidentified.Reference = "", ""
		must(t, store.Quarantine(t.Context(), unidentified, kycbridge.QuarantineUnidentified, nil))
	}
	return victim
}

// TestPurgeWithABadKeyService: a purge while the key service is wrong or silent erases what it can, and reports the key
// that it could not destroy and the payloads that it could not read. When the service is right, a second purge finishes
// it: the key is destroyed, although no message names it any more.
func TestPurgeWithABadKeyService(t *testing.T) {
	t.Parallel()
	right := masterOf(t, masterKeys(t, "m"))
	for name, bad := range badServices(right) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, store, bus := start(t, t.TempDir())
			seal(t, store, right)
			tool := purgeTool(t, store, bus)
			victim := victimAndOther(t, store)
			verification := key(victim)
			key := kept(t, store, kycbridge.KeptQuery{VerificationID: victim.VerificationID})[0].Key
			page, _, _, _ := parseKeyName(key)

			asAfterRestart(store, bad)
			for range 2 {
				out, err := tool.Purge(t.Context(), victim.VerificationID, false)
				var left *kycbridge.UnfinishedError
				if !errors.As(err, &left) || left.KeysLeft != 1 || left.Unread != 2 || out.KeysLeft != 1 ||
					len(left.Pages) != 2 || !slices.Contains(left.Pages, "payloads/"+page) ||
					!strings.Contains(err.Error(), "keys_left: 1") || !strings.Contains(err.Error(), "unread: 2") {
					t.Fatalf("the purge: %+v, %v", out, err)
				}
			}
			if n := len(kept(t, store, kycbridge.KeptQuery{VerificationID: victim.VerificationID, HeadersOnly: true})); n != 0 {
				t.Errorf("%d messages in the log are left", n)
			}
			tombstone, err := store.Tombstone(t.Context(), verification)
			if err != nil || tombstone == nil || !tombstone.Unfinished || tombstone.Payloads != 1 {
				t.Errorf("the tombstone of an unfinished purge: %+v, %v", tombstone, err)
			}

			asAfterRestart(store, right)
			if left, err := store.sealer.pages.key(t.Context(), kycbridge.ShelfPayloads, key); err != nil || left == nil {
				t.Fatalf("the key is not there any more: %v", err)
			}
			out, err := tool.Purge(t.Context(), victim.VerificationID, false)
			if err != nil || out.Any() || out.Quarantined != 1 {
				t.Errorf("the second purge: %+v, %v", out, err)
			}
			store.sealer.pages.cache.Purge()
			if left, err := store.sealer.pages.key(t.Context(), kycbridge.ShelfPayloads, key); err != nil || left != nil {
				t.Errorf("the key survives: %v", err)
			}
			for shelf, n := range map[kycbridge.Shelf]int{kycbridge.ShelfPayloads: 1, kycbridge.ShelfQuarantine: 1} {
				if all := kept(t, store, kycbridge.KeptQuery{Shelf: shelf}); len(all) != n || !whole(all[0].Payload) {
					t.Errorf("%s holds %+v, want the payload of the other person", shelf, all)
				}
			}
			tombstone, err = store.Tombstone(t.Context(), verification)
			if err != nil || tombstone.Unfinished || tombstone.Payloads != 1 || tombstone.Quarantined != 1 {
				t.Errorf("the tombstone: %+v, %v", tombstone, err)
			}
		})
	}
}

// TestRetentionWithABadKeyService: what cannot be decrypted and may be held is kept, everything else that is old is
// removed, and its key is destroyed as soon as the key service is right.
func TestRetentionWithABadKeyService(t *testing.T) {
	t.Parallel()
	right := masterOf(t, masterKeys(t, "m"))
	for name, bad := range badServices(right) {
		for what, remove := range map[string]func(*archive.Archive) error{
			"retention": func(tool *archive.Archive) error {
				_, err := tool.Retain(t.Context(), false, true)
				return err
			},
			"purge --older-than": func(tool *archive.Archive) error {
				_, err := tool.PurgeOld(t.Context(), archive.Filter{}, tool.Now(), false, nil)
				return err
			},
		} {
			t.Run(what+" with "+name, func(t *testing.T) {
				t.Parallel()
				_, store, bus := start(t, t.TempDir())
				seal(t, store, right)
				tool := purgeTool(t, store, bus)
				tool.Ageing, tool.Retention = store, kycbridge.Retention{Payloads: time.Hour, Quarantine: time.Hour}
				tool.DispositionLog = processedAll{store}
				tool.Now = func() time.Time { return time.Now().Add(2 * time.Hour) }
				victim := victimAndOther(t, store)
				must(t, store.PutHold(t.Context(), kycbridge.Hold{Provider: victim.Provider, Account: victim.Account,
					VerificationID: victim.VerificationID, Since: time.Now()}))
				key := kept(t, store, kycbridge.KeptQuery{})[0].Key

				asAfterRestart(store, bad)
				err := remove(tool)
				var left *kycbridge.UnfinishedError
				if !errors.As(err, &left) || left.KeysLeft != 1 || left.Unread != 2 {
					t.Errorf("it says: %v", err)
				}
				asAfterRestart(store, right)
				count := func(shelf kycbridge.Shelf) int { return len(kept(t, store, kycbridge.KeptQuery{Shelf: shelf})) }
				if p, q := count(kycbridge.ShelfPayloads), count(kycbridge.ShelfQuarantine); p != 1 || q != 2 {
					t.Errorf("%d payloads and %d quarantined ones are left, want the held one, and all that may be held", p, q)
				}
				must(t, remove(tool))
				if p, q := count(kycbridge.ShelfPayloads), count(kycbridge.ShelfQuarantine); p != 1 || q != 1 {
					t.Errorf("%d payloads and %d quarantined ones are left, want the held ones", p, q)
				}
				store.sealer.pages.cache.Purge()
				if left, err := store.sealer.pages.key(t.Context(), kycbridge.ShelfPayloads, key); err != nil || left != nil {
					t.Errorf("the key survives: %v", err)
				}
			})
		}
	}
}

// processedAll says that every payload is processed.
type processedAll struct{ *Store }

func (processedAll) Position(context.Context) (kycbridge.Position, error) {
	return kycbridge.Position{Floor: 1 << 40}, nil
}

// failsAfter is a shelf that fails after some erasures.
type failsAfter struct {
	*Store
	left int
}

func (f *failsAfter) Erase(ctx context.Context, shelf kycbridge.Shelf, seq uint64, secure bool) error {
	if f.left--; f.left < 0 {
		return errKilled
	}
	return f.Store.Erase(ctx, shelf, seq, secure)
}

// TestPurgeThatFailsMidway: a purge that fails in its middle says what it has erased, and that it must be repeated.
// The repeated purge adds its numbers to those of the first one.
func TestPurgeThatFailsMidway(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	tool := purgeTool(t, store, bus)
	victim := payload("victim", "e0", `{"ref":"victim"}`)
	for _, id := range []string{"e0", "e1", "e2"} {
		_, err := store.Append(t.Context(), payload("victim", id, `{"ref":"victim"}`))
		must(t, err)
	}
	tool.ShelfWriter = &failsAfter{store, 2}
	out, err := tool.Purge(t.Context(), victim.VerificationID, false)
	var unfinished *kycbridge.UnfinishedError
	if !errors.As(err, &unfinished) || !errors.Is(err, errKilled) || unfinished.Erased.Payloads != 2 || out.Payloads != 2 {
		t.Errorf("it says: %v, erased %+v", err, out)
	}
	tool.ShelfWriter = store
	out, err = tool.Purge(t.Context(), victim.VerificationID, false)
	must(t, err)
	tombstone, err := store.Tombstone(t.Context(), key(victim))
	must(t, err)
	if out.Payloads != 1 || tombstone.Unfinished || tombstone.Payloads != 3 {
		t.Errorf("the second purge has erased %+v, and the tombstone says %+v", out, tombstone)
	}
}

// TestPurgeBesideADamagedPage: a page of keys is damaged on the disk. Purges of persons whose payloads are not under it
// finish, an id that nothing has is unknown, and the page is named where something cannot be known.
func TestPurgeBesideADamagedPage(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	seal(t, store, masterOf(t, masterKeys(t, "m")))
	tool := purgeTool(t, store, bus)
	named := payload("named", "", `{"ref":"named"}`)
	must(t, store.Quarantine(t.Context(), named, kycbridge.QuarantineSchema, nil)) // its header names the verification
	p, _, _, _ := parseKeyName(kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine})[0].Key)
	subject := testNames.keyPage(kycbridge.ShelfQuarantine, p)
	damage := func() {
		raw, err := store.sealer.pages.stream.GetLastMsgForSubject(t.Context(), subject)
		must(t, err)
		_, err = store.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte("damaged"),
			Header: nats.Header{headerMaster: raw.Header[headerMaster]}})
		must(t, err)
		store.sealer.pages.cache.Purge()
	}
	nobody := event.VerificationID("ondato", "acme", "nobody")
	damage()
	if _, err := tool.Purge(t.Context(), nobody, false); !errors.Is(err, kycbridge.ErrNotFound) {
		t.Errorf("an id that nothing has: %v", err)
	}
	other := payload("other", "", `{"ref":"other"}`)
	_, err := store.Append(t.Context(), other)
	must(t, err)
	_, err = tool.Purge(t.Context(), other.VerificationID, false)
	must(t, err)

	_, err = tool.Purge(t.Context(), named.VerificationID, false)
	var unfinished *kycbridge.UnfinishedError
	if !errors.As(err, &unfinished) || !slices.Equal(unfinished.Pages, []string{"quarantine/" + p}) {
		t.Errorf("a purge of a payload under it: %v", err)
	}
	_, err = tool.Purge(t.Context(), other.VerificationID, false)
	must(t, err) // the key that the other purge has left is none of its own

	unidentified := named
	unidentified.ID, unidentified.VerificationID, unidentified.Reference = "ondato.acme.x", "", ""
	must(t, store.Quarantine(t.Context(), unidentified, kycbridge.QuarantineUnidentified, nil))
	damage()
	if _, err := tool.Purge(t.Context(), nobody, false); !errors.As(err, &unfinished) || unfinished.Unread != 1 ||
		!slices.Equal(unfinished.Pages, []string{"quarantine/" + p}) {
		t.Errorf("an id that something unreadable may have: %v", err)
	}
}

// counting is a key service that counts what it is asked to unwrap.
type counting struct {
	Master
	n *atomic.Int64
}

func (c counting) Unwrap(ctx context.Context, id string, wrapped []byte) ([]byte, error) {
	c.n.Add(1)
	return c.Master.Unwrap(ctx, id, wrapped)
}

// TestABadKeyServiceIsNotAskedForEachBody: of many bodies under a page that does not open, one asks the key service: it
// may take ten seconds to fail. As soon as the service is right, the bodies are read.
func TestABadKeyServiceIsNotAskedForEachBody(t *testing.T) {
	t.Parallel()
	right := masterOf(t, masterKeys(t, "m"))
	for name, bad := range badServices(right) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, store, bus := start(t, t.TempDir())
			seal(t, store, right)
			for i := range 50 {
				p := payload("r", fmt.Sprint("e", i), fmt.Sprint(i))
				p.VerificationID = ""
				must(t, store.Quarantine(t.Context(), p, kycbridge.QuarantineSchema, nil))
			}
			pages, err := store.sealer.pages.keptPages(t.Context())
			must(t, err)
			var asked atomic.Int64
			asAfterRestart(store, counting{bad, &asked})
			tool := purgeTool(t, store, bus)
			_, err = tool.Purge(t.Context(), event.VerificationID("ondato", "acme", "nobody"), false)
			var left *kycbridge.UnfinishedError
			if !errors.As(err, &left) || left.Unread != 50 || asked.Load() > 2*int64(len(pages)) {
				t.Errorf("%d requests for %d pages: %v", asked.Load(), len(pages), err)
			}
			asAfterRestart(store, right)
			for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine}) {
				if !whole(k.Payload) {
					t.Errorf("%s is not read", k.ID)
				}
			}
		})
	}
}
