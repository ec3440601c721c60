package app

import (
	"os"
	"runtime/debug"
	gauges "runtime/metrics"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

const (
	// memoryShare is the share of the available memory for the heap; stacks, and the file pages that the kernel counts
	// as memory of the process, need the rest.
	memoryShare = 0.8
	// garbageRoom is how much garbage, in bytes, may accumulate before a collection.
	garbageRoom = 64 << 20
	// leastPercent and mostPercent limit the garbage in percent of the live heap.
	leastPercent, mostPercent = 100, 400
	// tuneEvery is how often the percentage is adapted to the live heap.
	tuneEvery = time.Second
)

// TuneMemory adapts the garbage collection to the live heap until the process ends. A receiver's heap is small and
// its garbage large, so a small heap may grow to five times its live size before a collection: collections at twice
// the live size would use a tenth of the processor time. A large heap, for example during a long history or a
// backlog, may only double. Near the memory limit of the container, or of the machine, collections are more
// frequent. GOGC and GOMEMLIMIT take precedence.
func TuneMemory() {
	// If neither limit can be read, no memory limit is set.
	_, _ = memlimit.Set(memlimit.WithRatio(memoryShare),
		memlimit.WithProvider(memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)))
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(mostPercent)
	go func() {
		live := []gauges.Sample{{Name: "/gc/heap/live:bytes"}}
		for percent := mostPercent; ; time.Sleep(tuneEvery) {
			gauges.Read(live)
			if now := garbagePercent(live[0].Value.Uint64()); now != percent {
				percent = now
				debug.SetGCPercent(percent)
			}
		}
	}()
}

// garbagePercent is how much garbage may accumulate, in percent of the live heap. It is a multiple of ten, so that
// it seldom changes.
func garbagePercent(live uint64) int {
	percent := int(100 * garbageRoom / max(live, 1))
	return min(max(percent/10*10, leastPercent), mostPercent)
}
