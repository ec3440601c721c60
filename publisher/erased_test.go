package publisher

import (
	"context"
	"slices"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap/zaptest"

	"kycbridge"
)

// TestSequenceZeroIsNeverMissing: the server may count sequence 0, which does not exist, among the deleted
// sequences of a stream that was just created.
func TestSequenceZeroIsNeverMissing(t *testing.T) {
	if got := deleted(jetstream.StreamState{Deleted: []uint64{0}}); len(got) != 0 {
		t.Errorf("%v of an empty stream are missing", got)
	}
	if got := deleted(jetstream.StreamState{Deleted: []uint64{3, 7}}); !slices.Equal(got, []uint64{3, 7}) {
		t.Errorf("%v are missing, want 3 and 7", got)
	}
}

// TestShutdownDuringStartIsNoError: a process that is stopped before its consumers are created has not
// failed.
func TestShutdownDuringStartIsNoError(t *testing.T) {
	_, store, _ := start(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	account := kycbridge.AccountKey{Provider: "kwikid", Account: "acme"}
	log := zaptest.NewLogger(t)
	for name, consume := range map[string]func() error{
		"payloads": func() error { return store.Consume(ctx, ConsumeOptions{Workers: 1, Log: log}) },
		"due":      func() error { return store.ConsumeDue(ctx, PollOptions{Account: account, Workers: 1, Log: log}) },
		"watches":  func() error { return store.ConsumeWatches(ctx, WatchOptions{Log: log}) },
	} {
		if err := consume(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
