//go:build race

package document

// slowdown is how much slower the race detector makes what only computes.
const slowdown = 10
