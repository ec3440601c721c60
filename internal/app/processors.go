package app

import (
	"os"
	"runtime"
)

// flushesAtOnce is how many flushes of an embedded store run at the same time under load: of payloads and of events.
const flushesAtOnce = 2

// TuneProcessors makes the scheduler of Go replace threads that wait for flushes of an embedded store. A thread in a
// system call keeps its place among the threads that run Go code until the scheduler takes it away, which takes a
// good part of a flush: with two processors and two flushes in progress, nothing else would run meanwhile. Where a
// flush takes 2 ms more, half as many payloads again are answered with two places more (docs/performance.md).
// GOMAXPROCS takes precedence. Where a container may use fewer processors than the machine has, the limit is not
// exceeded: the kernel would stop the whole process for the rest of each period.
func TuneProcessors(c *Config) {
	embedded := c.Store.IsEmbedded() || c.Bus.IsEmbedded()
	now := runtime.GOMAXPROCS(0)
	if n := processors(embedded, os.Getenv("GOMAXPROCS"), now, runtime.NumCPU()); n != now {
		runtime.GOMAXPROCS(n) // from now on the runtime does not follow changes of a container's limit
	}
}

// processors is how many threads run Go code at the same time: chosen is what the operator has chosen, usual what
// the runtime has, and available how many processors this process may run on.
func processors(embedded bool, chosen string, usual, available int) int {
	if !embedded || chosen != "" || usual != available {
		return usual
	}
	return usual + flushesAtOnce
}
