package test

import (
	"flag"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kycbridge/internal/archive"
)

var archiveFlag = flag.Int("archive-payloads", 4000, "stored payloads of TestArchiveAtScale")

// TestArchiveAtScale measures the stored-payload tool over many payloads: how long the first page of
// a filtered list takes, how many payloads a second a dry run computes anew, what the accounts take,
// and how much memory that needs. It fails on what a stranger would notice: run it with
// -archive-payloads=1000000 for the figures in docs/performance.md.
func TestArchiveAtScale(t *testing.T) {
	t.Parallel()
	payloads := *archiveFlag
	if testing.Short() {
		payloads = min(payloads, 4000)
	}
	s := newStore(t, "{bearer: [token-long-enough]}")
	began := time.Now()
	var late atomic.Pointer[time.Time] // when the last twentieth was received
	s.ingest(payloads/2, func(n int) [][]byte {
		if n == payloads/2*19/20 {
			now := time.Now()
			late.Store(&now)
		}
		return [][]byte{kycHook(n, 1, "Processed", "Awaiting", ""), kycHook(n, 2, "Approved", "Approved", "AutomaticallyIdentified")}
	})
	t.Logf("%d payloads and their events stored in %s", payloads, time.Since(began).Round(time.Second))

	page := func(f archive.Filter) time.Duration {
		f.Limit = 100
		began, n := time.Now(), 0
		if err := s.app.Archive().List(t.Context(), f, func(archive.Entry) error { n++; return nil }); err != nil || n == 0 {
			t.Fatal(n, err)
		}
		return time.Since(began)
	}
	for what, f := range map[string]archive.Filter{
		"of one verification": {Verification: idOf(payloads / 4)},
		"of an account":       {Provider: "ondato", Account: "acme"},
		"of an event type":    {Event: "KycIdentification.Approved"},
		"since a moment":      {Since: *late.Load()},
	} {
		if took := page(f); took > time.Second {
			t.Errorf("the first page %s took %s", what, took)
		} else {
			t.Logf("first page %s: %s", what, took.Round(time.Microsecond))
		}
	}

	debug.FreeOSMemory()
	before := heap()
	peak, stop := watchHeap()
	began, used := time.Now(), processor()
	_, sum := s.replay(archive.ReplayOptions{DryRun: true})
	took := time.Since(began)
	stop()
	rate := float64(sum.Payloads) / took.Seconds()
	t.Logf("dry run: %d payloads of %d verifications in %s, %.0f a second, %.3f ms of processor each; heap in use %d MiB before, %d MiB at most", sum.Payloads, sum.Verifications, took.Round(time.Millisecond), rate, float64((processor()-used).Microseconds())/1000/float64(sum.Payloads), before>>20, *peak>>20)
	if sum.Results[archive.ResultChanged] > 0 {
		t.Errorf("the same mapping changes something: %+v", sum)
	}

	peak, stop = watchHeap()
	began = time.Now()
	r := s.report()
	stop()
	t.Logf("report: %s; heap in use %d MiB at most; resident %d MiB", time.Since(began).Round(time.Millisecond), *peak>>20, resident(t)>>20)
	if !r.Sound() || r.Total.Accepted != payloads {
		t.Errorf("%+v", r.Total)
	}
}

// processor is what this process has taken of the processors, the server within it included.
func processor() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// heap is what of the heap was in use when it was last collected; what lies there uncollected
// depends on GOGC and says nothing.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// watchHeap notes the largest heap until stop.
func watchHeap() (peak *uint64, stop func()) {
	peak = new(uint64)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			*peak = max(*peak, heap())
			select {
			case <-tick.C:
			case <-done:
				return
			}
		}
	}()
	return peak, func() { close(done); <-ended }
}

// resident is what the process takes of the machine's memory, in bytes; 0 where nobody tells.
func resident(t *testing.T) int {
	t.Helper()
	raw, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.Atoi(strings.Fields(value)[0])
			return kb << 10
		}
	}
	return 0
}
