package simulated

import (
	"testing"
	"time"

	"kycbridge/internal/simulate"
	"kycbridge/test/wait"
)

func started(t *testing.T, p simulate.Provider, o simulate.Options) *simulate.Server {
	t.Helper()
	s, err := simulate.Start(p, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// eventually waits for a condition.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	wait.For(t, 10*time.Second, "it happens", condition)
}
