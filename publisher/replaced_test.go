package publisher

import (
	"context"
	"testing"

	"kycbridge"
)

// TestErasuresAreReadWhileTheyAreRecorded: another process records erasures, each time in place of the record before.
// Whoever reads the records meanwhile misses none: a gap without its record is reported as damage.
func TestErasuresAreReadWhileTheyAreRecorded(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	other, _ := openStreams(t, server)
	stream := testNames.payloads()
	must(t, store.recordErased(t.Context(), stream, kycbridge.Range{18, 18}))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for seq := uint64(20); ctx.Err() == nil; seq += 2 {
			_ = other.recordErased(ctx, stream, kycbridge.Range{seq % 4000, seq % 4000})
		}
	}()
	missed := 0
	for range 100 {
		was, _, err := store.Erased(t.Context(), stream)
		must(t, err)
		if !was(18) {
			missed++
		}
	}
	cancel()
	<-done
	if missed > 0 {
		t.Errorf("the record was missed %d times of 100", missed)
	}
}
