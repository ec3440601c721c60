//go:build race

package wait

// Race tells that the race detector is on. Tables that only compute are cut short under it, because it makes them ten
// times as slow; .ci/run runs them in full without it (.ci/without-race).
const Race = true
