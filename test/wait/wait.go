// Package wait is how tests wait for what happens elsewhere: in another goroutine, process or browser.
package wait

import (
	"testing"
	"time"
)

// tick is how often a condition is looked at.
const tick = 10 * time.Millisecond

// For waits until done, and fails the test if that takes longer than patience. Patience is what it may
// take on a quiet machine. Under the race detector everything is slower, and many tests run side by
// side: it is multiplied by Slowdown there.
func For(t testing.TB, patience time.Duration, what string, done func() bool) {
	t.Helper()
	patience *= Slowdown
	for deadline := time.Now().Add(patience); !done(); time.Sleep(tick) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
