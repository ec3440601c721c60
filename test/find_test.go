package test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"kycbridge/internal/archive"
)

var findFlag = flag.Int("find-verifications", 2000, "verifications of TestFindAtScale")

const (
	findPatience = 50 * time.Millisecond
	findsOfAKind = 200
)

// TestFindAtScale measures how long it takes to find a verification by each of its ids, its timeline included,
// that the index keeps up with what is stored, and what it costs in memory and on disk. Run it with
// -find-verifications=1000000 for the figures in docs/performance.md.
func TestFindAtScale(t *testing.T) {
	t.Parallel()
	verifications := *findFlag
	if testing.Short() {
		verifications = min(verifications, 2000)
	}
	s := newStore(t, "{bearer: [token-long-enough]}")
	tool := s.app.Archive()
	began := time.Now()
	s.ingest(verifications, func(n int) [][]byte {
		return [][]byte{kycHook(n, 1, "Approved", "Approved", "AutomaticallyIdentified")}
	})
	stored := time.Since(began)
	lag, err := tool.Indexing.Lag(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d verifications stored in %s (%.0f a second); %d messages not indexed by then",
		verifications, stored.Round(time.Millisecond), float64(verifications)/stored.Seconds(), lag.Total())
	began = time.Now()
	eventually(t, time.Minute+time.Duration(verifications)*time.Millisecond, "all of it is indexed", func() bool {
		lag, err := tool.Indexing.Lag(t.Context())
		return err == nil && lag.Total() == 0
	})
	t.Logf("indexed %s later", time.Since(began).Round(time.Millisecond))
	debug.FreeOSMemory()
	t.Logf("heap %d MiB; the index takes %d MiB on disk", heap()>>20, folder(t, s.dir, "KYC_INDEX")>>20)

	for what, id := range map[string]func(n int) string{
		"our id":               idOf,
		"a beginning of ours":  func(n int) string { return idOf(n)[:12] },
		"external reference":   func(n int) string { return fmt.Sprintf("ref-%d", n) },
		"provider's reference": idv,
		"its beginning":        func(n int) string { return idv(n)[:12] },
		"payload id":           func(n int) string { return fmt.Sprintf("ondato.acme.e%07d-0001-4000-8000-000000000001", n) },
	} {
		findAll(t, tool, what, verifications, id)
	}
	began = time.Now()
	if r, err := tool.Search(t.Context(), "nothing-has-this-id", true); err != nil || len(r.Found) > 0 {
		t.Errorf("what nobody has: %+v %v", r, err)
	}
	t.Logf("nothing found in %s", time.Since(began).Round(10*time.Microsecond))

	began = time.Now()
	if _, err := tool.Purge(t.Context(), idOf(verifications/2), false); err != nil {
		t.Error(err)
	}
	t.Logf("purged in %s", time.Since(began).Round(time.Millisecond))
	for _, id := range []string{idOf(verifications / 2), fmt.Sprintf("ref-%d", verifications/2), idv(verifications / 2)} {
		if r, err := tool.Search(t.Context(), id, true); err != nil || len(r.Found) > 0 {
			t.Errorf("erased and found by %s: %+v %v", id, r, err)
		}
	}
}

// findAll finds verifications by one kind of id.
func findAll(t *testing.T, tool *archive.Archive, what string, verifications int, id func(n int) string) {
	t.Helper()
	var took []time.Duration
	for range findsOfAKind {
		n := rand.IntN(verifications)
		began := time.Now()
		r, err := tool.Search(context.Background(), id(n), true)
		took = append(took, time.Since(began))
		if err != nil || len(r.Found) != 1 || r.Found[0].VerificationID != idOf(n) || r.Timeline == nil || len(r.Timeline.Steps) != 2 {
			t.Fatalf("%s %s: %+v %v", what, id(n), r, err)
		}
	}
	slices.Sort(took)
	p95 := took[len(took)*95/100]
	t.Logf("%-20s  median %s, p95 %s, most %s", what, took[len(took)/2].Round(10*time.Microsecond), p95.Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond))
	if p95 > findPatience {
		t.Errorf("%s: found within %s in 95 of 100 cases, want %s", what, p95, findPatience)
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
