package app

import (
	"os"
	"runtime/debug"
)

// TuneMemory lets the heap grow to five times what is in use before it is swept: a receiver's heap
// is small and its garbage plenty, so sweeping at twice cost a tenth of the processor. GOGC, where
// it is set, stands.
func TuneMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
