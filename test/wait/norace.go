//go:build !race

package wait

// Race tells that the race detector is on.
const Race = false
