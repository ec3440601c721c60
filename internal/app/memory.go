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
	// garbageRoom is how much garbage, in bytes, may accumulate before a collection while memory is allocated fast.
	garbageRoom = 64 << 20
	// busyPercent and mostPercent limit the garbage meanwhile, in percent of the live heap.
	busyPercent, mostPercent = 100, 400
	// idlePercent is the garbage of a process that allocates little: a collection seldom happens. idleRoom is how much, in
	// bytes, may accumulate in any case.
	idlePercent = 20
	idleRoom    = 16 << 20
	// percentOfRate is the garbage, in percent of the live heap, for each MiB allocated in a second. A collection visits
	// some 1 MiB of the live heap in a millisecond, so that collections take a twentieth of a processor.
	percentOfRate = 2
	// tuneEvery is how often the percentage is adapted.
	tuneEvery = time.Second
)

// TuneMemory adapts the garbage collection to the live heap, and to how fast memory is allocated, until the process
// ends. A receiver's heap is small and its garbage large, so a small heap may grow to five times its live size before a
// collection: collections at twice the live size would use a tenth of the processor time. A large heap, for example
// during a long history or a backlog, may only double. While little is allocated, for example by a process with many
// open sessions, a large heap grows by a fifth, and memory is returned to the system. Near the memory limit of the
// container, or of the machine, collections are more frequent. GOGC and GOMEMLIMIT take precedence.
func TuneMemory() {
	// If neither limit can be read, no memory limit is set.
	_, _ = memlimit.Set(memlimit.WithRatio(memoryShare),
		memlimit.WithProvider(memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)))
	if os.Getenv("GOGC") != "" {
		return
	}
	debug.SetGCPercent(mostPercent)
	go func() {
		samples := []gauges.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/gc/heap/allocs:bytes"}}
		gauges.Read(samples)
		for percent, before := mostPercent, samples[1].Value.Uint64(); ; {
			time.Sleep(tuneEvery)
			gauges.Read(samples)
			allocated := samples[1].Value.Uint64()
			if now := garbagePercent(samples[0].Value.Uint64(), allocated-before); now != percent {
				percent = now
				debug.SetGCPercent(percent)
			}
			before = allocated
		}
	}()
}

// garbagePercent is how much garbage may accumulate, in percent of the live heap, in a process that has allocated so
// many bytes in the last second. It is a multiple of ten, so that it seldom changes.
func garbagePercent(live, allocated uint64) int {
	roomPercent := func(room, least int) int { return min(max(100*room/int(max(live, 1)), least), mostPercent) }
	percent := min(int(percentOfRate*allocated>>20), roomPercent(garbageRoom, busyPercent))
	return max(percent, roomPercent(idleRoom, idlePercent)) / 10 * 10
}
