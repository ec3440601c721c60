//go:build race

package wait

// Slowdown is the factor by which the race detector slows down code that mostly waits.
const Slowdown = 5

// Race tells that the race detector is on. Tables that only compute are cut short under it, because it
// makes them ten times as slow; .ci/run works them whole in a run without it.
const Race = true
