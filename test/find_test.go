package test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
	"kycbridge/test/wait"
)

var findFlag = flag.Int("find-verifications", 5000, "verifications of TestFindAtScale")

const (
	findPatience = 50 * time.Millisecond
	findsOfAKind = 200
)

// TestFindWaitsForTheIndex: an operator searches for a callback received a moment ago. It is found at the first
// attempt, although the index is written after the streams.
func TestFindWaitsForTheIndex(t *testing.T) {
	t.Parallel()
	s := newStore(t, "{bearer: [token-long-enough]}")
	tool := s.app.Archive()
	for n := range 3 {
		body := kycHook(n, 1, "Approved", "Approved", "AutomaticallyIdentified")
		payload := kycbridge.Payload{Via: event.ViaCallback, ReceivedAt: time.Now(), ContentType: "application/json",
			Body: body}
		if _, err := s.app.Ingest(t.Context(), s.account, payload); err != nil {
			t.Fatal(err)
		}
		found, err := tool.Find(t.Context(), idOf(n)[:12])
		for range wait.Slowdown - 1 { // a search waits for two seconds, which is enough on an idle machine
			if err == nil && len(found) == 0 {
				found, err = tool.Find(t.Context(), idOf(n)[:12])
			}
		}
		if err != nil || len(found) != 1 {
			t.Errorf("%d is found %d times, %v", n, len(found), err)
		}
	}
	began := time.Now()
	if found, err := tool.Find(t.Context(), "nothing-like-this"); err != nil || len(found) != 0 {
		t.Errorf("what does not exist is found %d times, %v", len(found), err)
	}
	if took := time.Since(began); took > 5*wait.Slowdown*time.Second {
		t.Errorf("what does not exist took %s", took)
	}
}

// TestFindAtScale measures the time to find a verification by each of its ids, with its timeline, that the
// index keeps up with the stream, and its memory and disk usage. Most verifications are written directly
// to the event stream; those that are searched by payload ids are processed completely. Run it with
// -find-verifications=1000000 for the figures in docs/performance.md.
func TestFindAtScale(t *testing.T) {
	t.Parallel()
	verifications := *findFlag
	if testing.Short() {
		verifications = min(verifications, 5000)
	}
	if wait.Race {
		verifications /= 10
	}
	s := newStore(t, "{bearer: [token-long-enough]}")
	tool := s.app.Archive()
	whole := min(verifications/2, 2000)
	s.ingest(whole, func(n int) [][]byte {
		return [][]byte{kycHook(n, 1, "Approved", "Approved", "AutomaticallyIdentified")}
	})
	began := time.Now()
	s.publish(whole, verifications)
	stored := time.Since(began)
	lag, err := tool.Indexing.Lag(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d events stored in %s; %d messages not indexed by then", verifications, stored.Round(time.Millisecond),
		lag.Total())
	began = time.Now()
	if err := tool.Indexing.Rebuild(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	t.Logf("the index rebuilt in %s, %.0f verifications a second", took.Round(time.Millisecond),
		float64(verifications)/took.Seconds())
	debug.FreeOSMemory()
	t.Logf("heap %d MiB; the index takes %d MiB on disk", heap()>>20, folder(t, s.dir, "KYC_INDEX")>>20)

	for what, id := range map[string]func(n int) string{
		"our id":               idOf,
		"a beginning of ours":  func(n int) string { return idOf(n)[:12] },
		"external reference":   func(n int) string { return fmt.Sprintf("ref-%d", n) },
		"provider's reference": idv,
		"its beginning":        func(n int) string { return idv(n)[:12] },
	} {
		findAll(t, tool, what, verifications, id)
	}
	findAll(t, tool, "payload id", whole,
		func(n int) string { return fmt.Sprintf("ondato.acme.e%07d-0001-4000-8000-000000000001", n) })
	began = time.Now()
	if r, err := tool.Search(t.Context(), "nothing-has-this-id", true); err != nil || len(r.Found) > 0 {
		t.Errorf("an unknown id: %+v %v", r, err)
	}
	t.Logf("nothing found in %s", time.Since(began).Round(10*time.Microsecond))

	began = time.Now()
	if _, err := tool.Purge(t.Context(), idOf(verifications/2), false); err != nil {
		t.Error(err)
	}
	t.Logf("purged in %s", time.Since(began).Round(time.Millisecond))
	for _, id := range []string{idOf(verifications / 2), fmt.Sprintf("ref-%d", verifications/2), idv(verifications / 2)} {
		r, err := tool.Search(t.Context(), id, true)
		if err != nil && !errors.Is(err, kycbridge.ErrAmbiguous) || len(r.Found) > 0 { // many other ids have the same prefix
			t.Errorf("erased and found by %s: %+v %v", id, r, err)
		}
	}
}

// publish puts the events of verifications into the event stream, many in one batch.
func (s *store) publish(from, to int) {
	s.t.Helper()
	password, err := os.ReadFile(filepath.Join(s.dir, "operator-password"))
	if err != nil {
		s.t.Fatal(err)
	}
	nc, err := nats.Connect(s.app.ClientURL(), nats.UserInfo("kycbridge", strings.TrimSpace(string(password))))
	if err != nil {
		s.t.Fatal(err)
	}
	defer nc.Close()
	const batch = 500
	for ; from < to; from += batch {
		last := min(from+batch, to) - 1
		for n := from; n <= last; n++ {
			m := nats.NewMsg("kyc.put.v1.ondato.acme.completed." + idOf(n))
			m.Header = nats.Header{"Content-Type": {"application/cloudevents+json"}, nats.MsgIdHdr: {event.ID(idOf(n), 1)},
				"Nats-Batch-Id": {fmt.Sprint("batch-", from)}, "Nats-Batch-Sequence": {fmt.Sprint(n - from + 1)}}
			m.Data = fmt.Appendf(nil, `{"specversion":"1.0","id":"%s","data":{"verification_id":"%s","revision":1,"account":"acme","external_reference":"ref-%d","provider":{"name":"ondato","references":{"idv_id":"%s"},"event":{"name":"KycIdentification.Approved","received_at":"2026-03-02T09:00:00Z","via":"callback"},"status":{"kyc_status":"Approved"}},"status":"completed","decision":{"outcome":"approved","final":true},"payload":{"id":"none"}}}`,
				event.ID(idOf(n), 1), idOf(n), n, idv(n))
			if n < last {
				err = nc.PublishMsg(m)
			} else {
				m.Header.Set("Nats-Batch-Commit", "1")
				var answer *nats.Msg
				if answer, err = nc.RequestMsg(m, time.Minute); err == nil && strings.Contains(string(answer.Data), `"error"`) {
					err = fmt.Errorf("%s", answer.Data)
				}
			}
			if err != nil {
				s.t.Fatal(err)
			}
		}
	}
}

// findAll finds verifications by one kind of id.
func findAll(t *testing.T, tool *archive.Archive, what string, verifications int, id func(n int) string) {
	t.Helper()
	var took []time.Duration
	used := processor()
	for range findsOfAKind {
		n := rand.IntN(verifications)
		began := time.Now()
		r, err := tool.Search(context.Background(), id(n), true)
		took = append(took, time.Since(began))
		if err != nil || len(r.Found) != 1 || r.Found[0].VerificationID != idOf(n) || r.Timeline == nil ||
			len(r.Timeline.Steps) == 0 {
			t.Fatalf("%s %s: %+v %v", what, id(n), r, err)
		}
	}
	slices.Sort(took)
	p95 := took[len(took)*95/100]
	t.Logf("%-20s  %.1f ms of processor each; median %s, p95 %s, most %s", what,
		float64((processor()-used).Microseconds())/1000/findsOfAKind, took[len(took)/2].Round(10*time.Microsecond),
		p95.Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond))
	// The limit is that of an idle machine, and the detector measures itself.
	if limit := findPatience * wait.Slowdown; p95 > limit && !wait.Race {
		t.Errorf("%s: found within %s in 95 of 100 cases, want %s", what, p95, limit)
	}
}

// folder is the size of a stream's files.
func folder(t *testing.T, dir, stream string) (size int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "*", "streams", stream, "msgs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err == nil {
			size += info.Size()
		}
	}
	return size
}
