//go:build !race

package wait

// Race reports whether the race detector is on.
const Race = false
