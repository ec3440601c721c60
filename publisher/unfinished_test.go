package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

// killed is a shelf whose process is killed after it has destroyed keys.
type killed struct{ *Store }

var errKilled = errors.New("killed")

func (killed) Erase(context.Context, kycbridge.Shelf, uint64, bool) error { return errKilled }

// TestUnfinishedErasures: a purge is killed between destroying keys and removing the messages. The verification of a
// quarantined payload cannot be read any more, so no purge finds it again. The next round of the retention removes it,
// in the log and in quarantine, and nothing else: not a payload that has only lost its key, nor one whose sequence
// alone was recorded.
func TestUnfinishedErasures(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	seal(t, store, masterOf(t, masterKeys(t, "m")))
	victim := event.VerificationID("ondato", "acme", "victim")
	for i, ref := range []string{"victim", "other", "recorded", "keyless"} {
		p := payload(ref, "", fmt.Sprintf(`{"ref":%q,"n":%d}`, ref, i))
		_, err := store.Append(t.Context(), p)
		must(t, err)
		p.VerificationID, p.Reference = "", ""
		must(t, store.Quarantine(t.Context(), p, kycbridge.QuarantineUnidentified, nil))
	}
	tool := purgeTool(t, store, bus)
	tool.Ageing, tool.ShelfWriter = store, killed{store}
	for {
		// Which shelf comes first is not determined; each attempt destroys the keys of one.
		if _, err := tool.Purge(t.Context(), victim, false); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
		if len(unreadable(t, store, "")) == 1 && len(unreadable(t, store, kycbridge.ShelfQuarantine)) == 1 {
			break
		}
	}
	shelves := []kycbridge.Shelf{kycbridge.ShelfPayloads, kycbridge.ShelfQuarantine}
	for _, shelf := range shelves {
		must(t, store.Erasing(t.Context(), shelf, []uint64{3}))
		must(t, store.DestroyKeys(t.Context(), shelf, []string{kept(t, store, kycbridge.KeptQuery{Shelf: shelf})[3].Key}))
	}
	tool.ShelfWriter = store
	for range 2 {
		_, err := tool.Retain(t.Context(), false, true)
		must(t, err)
		for _, shelf := range shelves {
			var left []uint64
			for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: shelf}) {
				left = append(left, k.Seq)
			}
			if !slices.Equal(left, []uint64{2, 3, 4}) {
				t.Errorf("%s: %v are left, want all but the first", shelf, left)
			}
		}
	}
}

// TestUnfinishedErasureUnderAHold: a hold that was placed after the interruption keeps what is left.
func TestUnfinishedErasureUnderAHold(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	seal(t, store, masterOf(t, masterKeys(t, "m")))
	p := payload("victim", "e1", "{}")
	_, err := store.Append(t.Context(), p)
	must(t, err)
	tool := purgeTool(t, store, bus)
	tool.Ageing, tool.ShelfWriter = store, killed{store}
	if _, err := tool.Purge(t.Context(), p.VerificationID, false); !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	tool.ShelfWriter = store
	h := kycbridge.Hold{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID, Since: time.Now()}
	for _, want := range []int{1, 0} {
		if want == 0 {
			h.Released = time.Now()
		}
		must(t, store.PutHold(t.Context(), h))
		_, err = tool.Retain(t.Context(), false, true)
		must(t, err)
		if left := unreadable(t, store, ""); len(left) != want {
			t.Errorf("held %t: %d messages are left, want %d", want == 1, len(left), want)
		}
	}
}

// TestReportNamesUnfinishedErasures: until the rest is removed, the report says what it is, and does not call it
// altered.
func TestReportNamesUnfinishedErasures(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	seal(t, store, masterOf(t, masterKeys(t, "m")))
	_, err := store.Append(t.Context(), payload("victim", "e1", "{}"))
	must(t, err)
	tool := purgeTool(t, store, bus)
	tool.Ageing, tool.Streams, tool.Erasures = store, []archive.Streams{store, bus}, store
	tool.Restored = func() time.Time { return time.Time{} }
	name := kept(t, store, kycbridge.KeptQuery{})[0].Key
	must(t, store.DestroyKeys(t.Context(), kycbridge.ShelfPayloads, []string{name}))
	why := func() string {
		t.Helper()
		r, err := tool.Account(t.Context(), archive.Filter{}, nil)
		must(t, err)
		if len(r.Missing) != 1 {
			t.Fatalf("missing: %+v", r.Missing)
		}
		return r.Missing[0].Why
	}
	if got := why(); got != "its body cannot be decrypted: its key is gone from the stream of keys, or its body was "+
		"altered" {
		t.Errorf("without its key: %s", got)
	}
	must(t, store.Erasing(t.Context(), "", []uint64{1}))
	if got := why(); got != "its erasure was interrupted after its key was destroyed: the service removes it after its "+
		"next start, and once a day" {
		t.Errorf("unfinished: %s", got)
	}
}

// unreadable are the messages of a shelf without a body.
func unreadable(t *testing.T, store *Store, shelf kycbridge.Shelf) (all []kycbridge.Kept) {
	t.Helper()
	for _, k := range kept(t, store, kycbridge.KeptQuery{Shelf: shelf}) {
		if len(k.Body) == 0 {
			all = append(all, k)
		}
	}
	return all
}
