package test

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"kycbridge/test/bench/body"
	"kycbridge/test/freeport"
	"kycbridge/test/wait"
)

var historyFlag = flag.Int("history", 10_000, "verifications of TestCostOfHistory")

// historyAt are the numbers of stored verifications at which the cost is measured, up to -history.
var historyAt = []int{10_000, 1_000_000, 5_000_000}

// subjectsExpire is enough for the server to drop the subjects of message blocks, two minutes after their last use, and
// for the next collection of garbage, which comes after two minutes at the latest.
const subjectsExpire = 260 * time.Second

// costHeap is the most that a stored verification may take in the heap at rest, bytes (docs/capacity.md). Below
// costFrom verifications the rest of the heap is larger than that.
const (
	costHeap = 420
	costFrom = 1_000_000
)

// restMost is the most resident memory, bytes, of a process at rest with restOf stored verifications.
const (
	restMost = 200_000_000
	restOf   = 100_000
)

// TestCostOfHistory measures what stored verifications cost a process with an embedded store, each with a payload and
// an event: the processor time of the next payload, memory, disk, and the time of a start. Run it with
// -history=1000000 -pgo-binary=auto for the figures in docs/capacity.md; that takes a quarter of an hour and 6 GB.
func TestCostOfHistory(t *testing.T) {
	long(t, "ten seconds")
	if *historyFlag < 2 {
		t.Fatal("-history must be 2 or more")
	}
	b := newBridge(t, oneAccount)
	b.start(t)
	ondato := ondatoBody(t)
	steps := slices.DeleteFunc(append(slices.Clone(historyAt), *historyFlag), func(n int) bool { return n > *historyFlag })
	slices.Sort(steps)
	sent := 0
	var first, last cost
	for _, stored := range slices.Compact(steps) {
		sample := min(20_000, stored/2)
		b.history(t, ondato, sent, stored-sample)
		last = b.measured(t, func() { b.history(t, ondato, stored-sample, stored) }, sample)
		sent = stored
		t.Logf("%d verifications: %s", stored, last)
		if stored == restOf && last.residentLater > restMost {
			t.Errorf("that is more than %d MB of resident memory at rest", restMost/1_000_000)
		}
		if first.heap == 0 {
			first, first.verifications = last, stored
		}
		last.verifications = stored
	}
	if more := last.verifications - first.verifications; last.verifications >= costFrom {
		each := float64(last.heapLater-first.heap) / float64(more)
		t.Logf("heap of each verification: %.0f bytes", each)
		if each > costHeap {
			t.Errorf("that is more than %d", costHeap)
		}
	}
	if err := b.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := b.exit(t, 5*time.Minute); code != 0 {
		t.Fatalf("ended with code %d: %s", code, b.stderr.tail())
	}
	began := time.Now()
	b.launch(t)
	wait.For(t, 10*time.Minute, "ready again", func() bool { return b.readyz() == 200 })
	ready := time.Now()
	b.history(t, ondato, sent, sent+1)
	sent++
	t.Logf("ready %s after a start, the first event %s later", ready.Sub(began).Round(10*time.Millisecond),
		time.Since(ready).Round(10*time.Millisecond))
	b.rest(sent)
	t.Logf("after the start: %s", b.used(t))
	stream, err := b.operator(t).Stream(t.Context(), "KYC_EVENTS")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != uint64(sent) {
		t.Errorf("%d events of %d payloads", n, sent)
	}
}

// cost is what a process uses.
type cost struct {
	verifications        int
	processor            time.Duration // of a payload with its event
	perSecond            float64       // payloads until the last event
	heap, resident, disk int           // bytes; heap: in use after the last collection
	// When the server has dropped the subjects of old blocks; 0: not measured.
	heapLater, residentLater int
}

func (c cost) String() string {
	text := fmt.Sprintf("heap %d MiB, resident %d MiB, disk %d MiB", c.heap>>20, c.resident>>20, c.disk>>20)
	if c.heapLater > 0 {
		text += fmt.Sprintf("; later heap %d MiB, resident %d MiB", c.heapLater>>20, c.residentLater>>20)
	}
	if c.processor > 0 {
		text += fmt.Sprintf("; the next payload %s of processor time, %.0f a second", c.processor, c.perSecond)
	}
	return text
}

// measured is the cost of the payloads that send sends.
func (b *bridge) measured(t *testing.T, send func(), payloads int) cost {
	t.Helper()
	b.rest(payloads)
	began, before := time.Now(), processorOf(t, b.cmd.Process.Pid)
	send()
	took := time.Since(began)
	used := processorOf(t, b.cmd.Process.Pid) - before
	b.rest(payloads)
	c := b.used(t)
	if payloads >= 20_000 {
		time.Sleep(subjectsExpire)
		settled := b.used(t)
		c.heapLater, c.residentLater = settled.heap, settled.resident
	}
	c.processor = used / time.Duration(payloads)
	c.perSecond = float64(payloads) / took.Seconds()
	return c
}

// rest waits until the server has dropped the message blocks that it keeps in memory for some seconds after their use,
// and the process has returned their memory to the system.
func (b *bridge) rest(payloads int) {
	if payloads >= 20_000 {
		time.Sleep(16 * time.Second)
	}
}

// used is the memory and the disk that the process uses.
func (b *bridge) used(t *testing.T) (c cost) {
	t.Helper()
	next, _ := b.metric("go_memstats_next_gc_bytes")
	percent, ok := b.metric("go_gc_gogc_percent")
	if !ok {
		t.Fatal("no metric of the garbage collection")
	}
	c.heap, c.resident = int(next/(1+percent/100)), status(b.cmd.Process.Pid, "VmRSS")
	err := filepath.WalkDir(b.dir, func(_ string, entry fs.DirEntry, err error) error {
		if info, infoErr := entry.Info(); err == nil && infoErr == nil && !entry.IsDir() {
			c.disk += int(info.Size())
		}
		return nil // the server removes files meanwhile
	})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// history sends the payloads of verifications and waits for their events.
func (b *bridge) history(t *testing.T, of body.Body, from, to int) {
	t.Helper()
	const chunk = 50_000
	for ; from < to; from += chunk {
		requests := make([][]byte, min(chunk, to-from))
		for i := range requests {
			payload := of.Next(from + i)
			requests[i] = fmt.Appendf(nil, "POST /webhooks/ondato/acme HTTP/1.1\r\nHost: localhost\r\nContent-Type: "+
				"application/json\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", loadToken, len(payload), payload)
		}
		blast(t, freeport.Local(b.callbacks), requests, 64, 0)
		if t.Failed() {
			t.FailNow()
		}
	}
	b.settled(t, time.Minute)
}

func ondatoBody(t *testing.T) body.Body {
	t.Helper()
	all := benchBodies(t)
	return all[slices.IndexFunc(all, func(b body.Body) bool { return b.Provider == "ondato" })]
}

// processorOf is the processor time that a process has used so far.
func processorOf(t *testing.T, pid int) time.Duration {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(raw), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}
