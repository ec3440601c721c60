package test

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/internal/archive"
	"kycbridge/test/wait"
)

var pagesFlag = flag.Int(
	"pages",
	1500,
	"how many verifications of two payloads TestPagesFromTheNewestEnd reads in pages",
)

// TestPagesFromTheNewestEnd: pages from the newest end contain the same as reading everything, each entry
// once, newest first, regardless of erasures, and each page is fast. With -pages 500000 that is a million
// payloads.
func TestPagesFromTheNewestEnd(t *testing.T) {
	t.Parallel()
	verifications := *pagesFlag
	if wait.Race {
		verifications /= 10
	}
	s := newStore(t, "{bearer: [b]}")
	s.ingest(verifications, func(n int) [][]byte {
		return [][]byte{
			kycHook(n, 0, "Created", "Unfinished", ""),
			kycHook(n, 1, "Approved", "Approved", "AutomaticallyIdentified"),
		}
	})
	a := s.app.Archive()
	for n := 0; n < verifications; n += max(1, verifications/10) {
		if _, err := a.Purge(t.Context(), idOf(n), false); err != nil {
			t.Fatal(err)
		}
	}
	var want []uint64
	if err := a.List(t.Context(), archive.Filter{Status: archive.StatusAccepted}, func(e archive.Entry) error {
		want = append(want, e.Seq)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Reverse(want)
	var got []uint64
	slowest, before := time.Duration(0), uint64(0)
	for pages := 0; pages == 0 || before > 0; pages++ {
		began := time.Now()
		page, next, err := a.Page(t.Context(), archive.Filter{Status: archive.StatusAccepted}, before, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range page {
			got = append(got, k.Seq)
		}
		slowest, before = max(slowest, time.Since(began)), next
	}
	if !slices.Equal(got, want) {
		t.Errorf("pages give %d payloads, everything is %d, and in that order", len(got), len(want))
	}
	t.Logf("%d payloads in pages of 100, the slowest took %s", len(got), slowest)

	seen := map[string]bool{}
	slowest, before = 0, 0
	for pages := 0; pages == 0 || before > 0; pages++ {
		began := time.Now()
		page, next, err := a.Verifications(
			t.Context(),
			archive.VerificationFilter{Outcome: string(event.OutcomeApproved)},
			before,
			50,
		)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			if seen[e.VerificationID] || e.Event.Data.Revision != 2 {
				t.Errorf(
					"verification %s comes twice, or not with its last event: revision %d",
					e.VerificationID,
					e.Event.Data.Revision,
				)
			}
			seen[e.VerificationID] = true
		}
		slowest, before = max(slowest, time.Since(began)), next
	}
	if len(seen) != len(want)/2 {
		t.Errorf("%d verifications in pages, %d are stored", len(seen), len(want)/2)
	}
	t.Logf("%d verifications in pages of 50, the slowest took %s", len(seen), slowest)
	began := time.Now()
	if page, _, err := a.Page(
		t.Context(),
		archive.Filter{Status: archive.StatusQuarantined},
		0,
		100,
	); err != nil ||
		len(page) > 0 {
		t.Errorf("of an empty shelf %d payloads: %v", len(page), err)
	}
	if _, err := a.History(
		t.Context(),
		kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: idOf(1)},
	); err != nil {
		t.Error(err)
	}
	t.Logf("one verification took %s", time.Since(began))
}

// TestHistory reads one verification: its payloads, their results, and the changes of each revision.
func TestHistory(t *testing.T) {
	t.Parallel()
	s := newStore(t, "{bearer: [b]}")
	s.ingest(1, func(int) [][]byte {
		return [][]byte{
			kycHook(0, 1, "Created", "Unfinished", ""),
			kycHook(0, 2, "Rejected", "Rejected", "PoorPhotoQuality"),
			kycHook(0, 0, "Processed", "Awaiting", ""),
			kycHook(0, 3, "Approved", "Approved", "ManuallyIdentified"),
		}
	})
	l, err := s.app.Archive().
		History(t.Context(), kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: idOf(0)})
	if err != nil {
		t.Fatal(err)
	}
	var steps []string
	for _, step := range l.Steps {
		switch {
		case step.Revision != nil:
			steps = append(
				steps,
				fmt.Sprintf(
					"revision %d %s, changes: %v",
					step.Revision.Data.Revision,
					step.Revision.Data.Decision.Outcome,
					len(step.Revision.Differences) > 0,
				),
			)
		case step.Payload.Revision > 0:
			steps = append(steps, fmt.Sprintf("%s led to %d", step.Payload.Entry.Event, step.Payload.Revision))
		default:
			steps = append(steps, step.Payload.Entry.Event+" "+step.Payload.NoEvent)
		}
	}
	slices.Sort(steps) // revisions may be published after the next payload
	want := []string{
		"KycIdentification.Approved led to 3",
		"KycIdentification.Created led to 1",
		"KycIdentification.Processed old",
		"KycIdentification.Rejected led to 2",
		"revision 1 none, changes: true",
		"revision 2 rejected, changes: true",
		"revision 3 approved, changes: true",
	}
	if !slices.Equal(steps, want) {
		t.Errorf("steps %q", steps)
	}
	if l.Last == nil || l.Last.Decision.Outcome != event.OutcomeApproved || l.Session != nil || l.Cut {
		t.Errorf("%+v", l)
	}
	_, err = s.app.Archive().
		History(t.Context(), kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: idOf(7)})
	if !errors.Is(err, kycbridge.ErrNotFound) {
		t.Errorf("a verification of which nothing is stored: %v", err)
	}
}

// TestPreview: a replay has exactly the predicted result, based on the current state.
func TestPreview(t *testing.T) {
	t.Parallel()
	s := newStore(t, "{bearer: [b]}")
	validate, strict := s.account.Provider.Validate, func(string, document.Object) []kycbridge.FieldError {
		return []kycbridge.FieldError{{Path: "/payload", Message: "is not liked today"}}
	}
	s.account.Provider.Validate = strict
	s.ingest(2, func(n int) [][]byte { return [][]byte{kycHook(n, 2, "Approved", "Approved", "ManuallyIdentified")} })
	s.account.Provider.Validate = validate
	s.ingest(1, func(int) [][]byte {
		return [][]byte{
			kycHook(0, 1, "Created", "Unfinished", ""),
			kycHook(0, 3, "Rejected", "Rejected", "BlurredPhoto"),
		}
	})
	a := s.app.Archive()
	page, _, err := a.Page(t.Context(), archive.Filter{Status: archive.StatusQuarantined}, 0, 10)
	if err != nil || len(page) != 2 {
		t.Fatal(page, err)
	}
	for _, k := range page {
		k, err := a.At(t.Context(), archive.StatusQuarantined, k.Seq)
		if err != nil {
			t.Fatal(err)
		}
		events := s.events()
		preview, err := a.Preview(t.Context(), k)
		if err != nil || !preview.Admits() || s.events() != events {
			t.Fatalf("%+v: %v; %d events became %d", preview, err, events, s.events())
		}
		if old := preview.VerificationID == idOf(
			0,
		); old && preview.NoEvent != kycbridge.NoEventOld ||
			!old && len(preview.Differences) == 0 {
			t.Errorf("%+v", preview)
		}
		if done, err := a.Readmit(t.Context(), k, false); err != nil || done.Result != preview.Result {
			t.Errorf("%+v: %v", done, err)
		}
		s.settled(10 * time.Second)
		state, err := s.app.State(
			t.Context(),
			kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: preview.VerificationID},
		)
		if err != nil {
			t.Fatal(err)
		}
		if diff := event.Differences(preview.Mapped, state); len(diff) > 0 {
			t.Errorf("previewed and published differ: %v", diff)
		}
		if _, err := a.At(t.Context(), archive.StatusQuarantined, k.Seq); !errors.Is(err, kycbridge.ErrNotFound) {
			t.Errorf("it is still in quarantine: %v", err)
		}
	}
	s.account.Provider.Validate = strict
	s.ingest(1, func(int) [][]byte { return [][]byte{kycHook(5, 2, "Approved", "Approved", "ManuallyIdentified")} })
	if page, _, err = a.Page(
		t.Context(),
		archive.Filter{Status: archive.StatusQuarantined},
		0,
		10,
	); err != nil ||
		len(page) != 1 {
		t.Fatal(page, err)
	}
	k, err := a.At(t.Context(), archive.StatusQuarantined, page[0].Seq)
	if err != nil {
		t.Fatal(err)
	}
	if preview, err := a.Preview(t.Context(), k); err != nil || preview.Admits() || len(preview.Faults) != 1 {
		t.Errorf("what the schema refuses: %+v %v", preview, err)
	}
}

// TestAcceptedPayloadsAreNotAdmitted: what is in the log already stays there. To admit it once more would erase it,
// a rejection too, without the right to purge and in spite of a hold.
func TestAcceptedPayloadsAreNotAdmitted(t *testing.T) {
	t.Parallel()
	s := newStore(t, "{bearer: [b]}")
	s.ingest(1, func(int) [][]byte { return [][]byte{kycHook(0, 3, "Rejected", "Rejected", "BlurredPhoto")} })
	s.settled(10 * time.Second)
	a := s.app.Archive()
	page, _, err := a.Page(t.Context(), archive.Filter{Status: archive.StatusAccepted}, 0, 10)
	if err != nil || len(page) != 1 {
		t.Fatal(page, err)
	}
	k, err := a.At(t.Context(), archive.StatusAccepted, page[0].Seq)
	if err != nil {
		t.Fatal(err)
	}
	if out, err := a.Preview(t.Context(), k); !errors.Is(err, kycbridge.ErrNotFound) {
		t.Errorf("preview: %+v %v", out, err)
	}
	if out, err := a.Readmit(t.Context(), k, false); !errors.Is(err, kycbridge.ErrNotFound) {
		t.Errorf("admission: %+v %v", out, err)
	}
	if _, err := a.At(t.Context(), archive.StatusAccepted, k.Seq); err != nil {
		t.Errorf("the accepted payload was erased: %v", err)
	}
}
