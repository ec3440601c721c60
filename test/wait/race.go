//go:build race

package wait

// Race reports whether the race detector is on. With it, table tests that only compute run a part of their cases,
// because it makes them ten times slower; .ci/run runs all cases without it (.ci/without-race).
const Race = true
