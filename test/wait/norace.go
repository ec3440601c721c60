//go:build !race

package wait

// Slowdown is the factor by which the race detector slows down code that mostly waits.
const Slowdown = 1

// Race tells that the race detector is on.
const Race = false
