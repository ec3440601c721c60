// Package wait waits in tests for conditions in another goroutine, process or browser.
package wait

import (
	"testing"
	"time"
)

// tick is how often a condition is checked.
const tick = 10 * time.Millisecond

// For waits until done, and fails the test if that takes longer than patience. Patience is the limit on an
// idle machine. Under the race detector everything is slower, and many tests run concurrently: it is
// multiplied by Slowdown there.
func For(t testing.TB, patience time.Duration, what string, done func() bool) {
	t.Helper()
	patience *= Slowdown
	for deadline := time.Now().Add(patience); !done(); time.Sleep(tick) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
