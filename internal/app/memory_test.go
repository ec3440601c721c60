package app

import (
	"slices"
	"testing"
)

// TestGarbageFollowsTheHeap: under load a small heap has room for garbage, and a large one at most doubles. While
// little is allocated, a heap grows less.
func TestGarbageFollowsTheHeap(t *testing.T) {
	const mib = 1 << 20
	for _, c := range []struct {
		live, allocated uint64
		want            int
	}{
		{0, 300 * mib, mostPercent},
		{16 * mib, 300 * mib, mostPercent},
		{32 * mib, 300 * mib, 200},
		{48 * mib, 300 * mib, 130},
		{64 * mib, 300 * mib, busyPercent},
		{4 << 30, 300 * mib, busyPercent},
		{16 * mib, 100 * mib, 200},
		{200 * mib, 30 * mib, 60},
		{200 * mib, mib, idlePercent},
		{40 * mib, mib, 40},
		{8 * mib, 0, 200},
		{0, 0, mostPercent},
	} {
		if got := garbagePercent(c.live, c.allocated); got != c.want {
			t.Errorf("%d MiB live, %d MiB a second: %d percent, want %d", c.live/mib, c.allocated/mib, got, c.want)
		}
	}
}

// TestMemoryIsReturnedAfterALoad: when the load has ended for a while, and then every few minutes.
func TestMemoryIsReturnedAfterALoad(t *testing.T) {
	var idle idleTime
	for load := range 2 {
		for range 3 {
			if idle.returns(100 << 20) {
				t.Fatal("memory is returned under load")
			}
		}
		var returned []int
		for i := range restFor + 2*restAgain {
			if idle.returns(1 << 20) {
				returned = append(returned, i+1)
			}
		}
		if want := []int{restFor, restFor + restAgain, restFor + 2*restAgain}; !slices.Equal(returned, want) {
			t.Errorf("after load %d memory is returned after %v intervals, want %v", load, returned, want)
		}
	}
}
