package app

import (
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is the share of the available memory for the heap; stacks, and the file pages that the
// kernel counts with it, need the rest.
const memoryShare = 0.8

// TuneMemory lets the heap grow to five times its live size before a garbage collection: a receiver's heap
// is small and its garbage large, and collections at twice the size cost a tenth of the processor. Near
// the memory limit of the container, or of the machine, collections are more frequent. GOGC and GOMEMLIMIT
// take precedence.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	// If neither can be read, there is no limit, as before.
	_, _ = memlimit.Set(memlimit.WithRatio(memoryShare),
		memlimit.WithProvider(memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)))
}
