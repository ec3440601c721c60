// Package wait waits in tests for conditions in another goroutine, process or browser.
package wait

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// Slowdown multiplies the time that tests allow. It is 1 on an idle machine, 5 under the race detector, or
// TEST_SLOWDOWN.
var Slowdown = slowdown()

func slowdown() time.Duration {
	if n, err := strconv.Atoi(os.Getenv("TEST_SLOWDOWN")); err == nil && n > 0 {
		return time.Duration(n)
	}
	if Race {
		return 5
	}
	return 1
}

// Reach is a time limit of a request to a server of the same process that expires after the request has reached the
// server, for tests of servers that do not answer.
var Reach = 400 * time.Millisecond * Slowdown

// tick is how often a condition is checked.
const tick = 10 * time.Millisecond

// For waits until done, and fails the test if that takes longer than patience. Patience is the limit on an
// idle machine; it is multiplied by Slowdown.
func For(t testing.TB, patience time.Duration, what string, done func() bool) {
	t.Helper()
	patience *= Slowdown
	for deadline := time.Now().Add(patience); !done(); time.Sleep(tick) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
