//go:build race

package test

// underRace: the race detector makes pure computation ten times as slow. Tables that only compute are cut short
// under it; .ci/run works them whole in a run without it.
const underRace = true
