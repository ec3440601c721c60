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
	// idlePercent is the garbage of a process that allocates little: a collection seldom happens. idleRoom is how much,
	// in bytes, may accumulate in any case.
	idlePercent = 20
	idleRoom    = 16 << 20
	// percentOfRate is the garbage, in percent of the live heap, for each MiB allocated in a second. A collection visits
	// some 1 MiB of the live heap in a millisecond, so that collections take a twentieth of a processor.
	percentOfRate = 2
	// restFor is for how many intervals a process must have allocated little, before it returns the memory of an earlier
	// load to the system. The server keeps what it has written for ten seconds. It keeps the subjects of what it has read
	// for two minutes, so memory is returned again after restAgain further intervals, each time.
	restFor   = 12
	restAgain = 150
	// tuneEvery is how often the percentage is adapted.
	tuneEvery = time.Second
)

// TuneMemory adapts the garbage collection to the live heap, and to how fast memory is allocated, until the process
// ends. A receiver's heap is small and its garbage large, so a small heap may grow to five times its live size before a
// collection: collections at twice the live size would use a tenth of the processor time. A large heap, for example
// during a long history or a backlog, may only double. While little is allocated, for example by a process with many
// open sessions, a large heap grows by a fifth, and the memory of an earlier load is returned to the system. Near the
// memory limit of the container, or of the machine, collections are more frequent. GOGC and GOMEMLIMIT take precedence.
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
		before, percent, idle := samples[1].Value.Uint64(), mostPercent, idleTime(0)
		for range time.Tick(tuneEvery) {
			gauges.Read(samples)
			live, allocated := samples[0].Value.Uint64(), samples[1].Value.Uint64()-before
			before += allocated
			if now := garbagePercent(live, allocated); now != percent {
				percent = now
				debug.SetGCPercent(percent)
			}
			if idle.returns(allocated) {
				debug.FreeOSMemory()
			}
		}
	}()
}

// idleTime is for how many intervals the process has allocated little.
type idleTime int

// returns adds an interval with its allocated bytes, and reports whether the process returns memory now.
func (t *idleTime) returns(allocated uint64) bool {
	if percentOfRate*allocated>>20 >= idlePercent {
		*t = 0
		return false
	}
	*t++
	return *t >= restFor && (*t-restFor)%restAgain == 0
}

// garbagePercent is how much garbage may accumulate, in percent of the live heap, in a process that has allocated so
// many bytes in the last interval. It is a multiple of ten, so that it seldom changes.
func garbagePercent(live, allocated uint64) int {
	room := func(bytes, least int) int { return min(max(100*bytes/int(max(live, 1)), least), mostPercent) }
	percent := min(int(percentOfRate*allocated>>20), room(garbageRoom, busyPercent))
	return max(percent, room(idleRoom, idlePercent)) / 10 * 10
}
