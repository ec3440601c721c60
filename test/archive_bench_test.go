package test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kycbridge/internal/archive"
	"kycbridge/test/wait"
)

var archiveFlag = flag.Int("archive-payloads", 4000, "stored payloads of TestArchiveAtScale")

// TestArchiveAtScale measures the stored-payload tool over many payloads: the time of the first page of a
// filtered list, the payloads per second of a dry run, the time of the report, and the memory. It fails on
// clearly visible regressions: run it with -archive-payloads=1000000 for the figures in
// docs/performance.md.
func TestArchiveAtScale(t *testing.T) {
	t.Parallel()
	payloads := *archiveFlag
	if testing.Short() {
		payloads = min(payloads, 4000)
	}
	if wait.Race {
		payloads /= 4
	}
	s := newStore(t, "{bearer: [token-long-enough]}")
	began := time.Now()
	var late atomic.Pointer[time.Time] // when the last twentieth was received
	s.ingest(payloads/2, func(n int) [][]byte {
		if n == payloads/2*19/20 {
			now := time.Now()
			late.Store(&now)
		}
		return [][]byte{kycHook(n, 1, "Processed", "Awaiting", ""),
			kycHook(n, 2, "Approved", "Approved", "AutomaticallyIdentified")}
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
		if took := page(f); took > wait.Slowdown*time.Second {
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
	t.Logf("dry run: %d payloads of %d verifications in %s, %.0f a second, %.3f ms of processor each; heap in use %d "+
		"MiB before, %d MiB at most", sum.Payloads, sum.Verifications, took.Round(time.Millisecond), rate,
		float64((processor()-used).Microseconds())/1000/float64(sum.Payloads), before>>20, *peak>>20)
	if sum.Results[archive.ResultChanged] > 0 {
		t.Errorf("the same mapping changes something: %+v", sum)
	}

	s.tool(payloads, "", "replay", "--dry-run")
	// The command masks what the process did not: each verification gets a revision.
	before = uint64(s.events())
	s.tool(payloads, ", pii: masked", "replay", "--yes")
	if revised := s.events() - int(before); revised != payloads/2 {
		t.Errorf("%d verifications replayed to other events, and %d revisions", payloads/2, revised)
	}

	peak, stop = watchHeap()
	began = time.Now()
	r := s.report()
	stop()
	t.Logf("report: %s; heap in use %d MiB at most; resident %d MiB", time.Since(began).Round(time.Millisecond),
		*peak>>20, status(os.Getpid(), "VmRSS")>>20)
	if !r.Sound() || r.Total.Accepted != payloads {
		t.Errorf("lost %+v, missing %+v, log %+v, %+v", r.Lost, r.Missing, r.Log, r.Total)
	}
}

// toolMemory is the memory limit of the command, independent of the number of payloads.
const toolMemory = 512 << 20

// tool runs the command beside the running bridge, logs its duration and its memory, and checks the memory. more is
// added to the account in its configuration.
func (s *store) tool(payloads int, more string, args ...string) {
	s.t.Helper()
	port := s.app.ClientURL()[strings.LastIndex(s.app.ClientURL(), ":")+1:]
	path := filepath.Join(s.t.TempDir(), "kycbridge.yaml")
	writeFile(s.t, path, fmt.Sprintf("embedded: {listen: '127.0.0.1:%s'}\ndata_dir: %s\naccounts:\n  - {name: acme, "+
		"provider: ondato, environment: test, confirm: false, auth: {bearer: [token-long-enough]}%s}\n", port, s.dir, more))
	tool(s.t, "kycbridge") // built before the clock runs
	began := time.Now()
	p := startProcess(s.t, "kycbridge", append(append([]string{"payloads"}, args...), "--config", path)...)
	most := 0
	for running := true; running; {
		select {
		case <-p.ended:
			running = false
		case <-time.After(50 * time.Millisecond):
			most = max(most, status(p.cmd.Process.Pid, "VmHWM"))
		}
	}
	took := time.Since(began)
	if code := p.exit(s.t, time.Second); code != 0 {
		s.t.Fatalf("payloads %s ends with %d: %s", strings.Join(args, " "), code, p.stderr.tail())
	}
	used := p.cmd.ProcessState
	lines := strings.Split(strings.TrimSpace(p.stdout.String()), "\n") // one for each changed verification, and a summary
	s.t.Logf("payloads %s as a command: %s, %.0f payloads a second, %s of processor; resident %d MiB at most: %s",
		strings.Join(args, " "),
		took.Round(time.Millisecond), float64(payloads)/took.Seconds(),
		(used.UserTime() + used.SystemTime()).Round(time.Millisecond), most>>20, strings.TrimSpace(lines[len(lines)-1]))
	if most > toolMemory {
		s.t.Errorf("the command took %d MiB", most>>20)
	}
}

// processor is the processor time of this process, including the embedded server.
func processor() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// heap is the part of the heap in use after the last collection; uncollected memory depends on GOGC only.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// watchHeap records the largest heap until stop.
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

// status is a value of a process from the kernel, in bytes; 0 if it is unavailable.
func status(pid int, name string) int {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(raw)) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			kb, _ := strconv.Atoi(strings.Fields(value)[0])
			return kb << 10
		}
	}
	return 0
}
