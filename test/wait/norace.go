//go:build !race

package wait

// Slowdown is how much slower the race detector makes what mostly waits.
const Slowdown = 1

// Race tells that the race detector is on.
const Race = false
