package app

import (
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// memoryShare is how much of the memory that the process may have the heap should keep to; stacks,
// and the pages of files that the kernel counts with it, need the rest.
const memoryShare = 0.8

// TuneMemory lets the heap grow to five times what is in use before it is swept: a receiver's heap
// is small and its garbage plenty, so sweeping at twice cost a tenth of the processor. Near the limit
// of the container, or of the machine, it is swept more often rather than killed. GOGC and GOMEMLIMIT,
// where they are set, stand.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
	// Where neither can be read, there is no limit, as there was none before.
	_, _ = memlimit.Set(memlimit.WithRatio(memoryShare), memlimit.WithProvider(memlimit.ApplyFallback(memlimit.FromCgroup, memlimit.FromSystem)))
}
