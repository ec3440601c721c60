package app

import "testing"

// TestGarbageFollowsTheHeap: a small heap has room for garbage, a large one at most doubles.
func TestGarbageFollowsTheHeap(t *testing.T) {
	for live, want := range map[uint64]int{
		0: mostPercent, 4 << 20: mostPercent, 16 << 20: mostPercent,
		32 << 20: 200, 48 << 20: 130, 64 << 20: 100, 4 << 30: 100,
	} {
		if got := garbagePercent(live); got != want {
			t.Errorf("%d MiB live: %d percent, want %d", live>>20, got, want)
		}
	}
}
