package publisher

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/test/wait"
)

// TestPayloadsPutAside: the payloads of a verification with many that wait are processed once each, in their order and
// with their content, which is read again. One that is erased meanwhile is not processed. Those of another verification
// do not wait, and nothing stays unacknowledged.
func TestPayloadsPutAside(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	const workers = 2
	const payloads = 4 * workers * perWorker // more than there is room for
	for n := range payloads {
		_, err := store.Append(t.Context(), payload("busy", fmt.Sprint("e", n), fmt.Sprintf(`{"n":%d}`, n)))
		must(t, err)
	}
	elsewhere := payload("other", "other", `{}`)
	_, err := store.Append(t.Context(), elsewhere)
	must(t, err)
	k := kycbridge.Key{Provider: elsewhere.Provider, Account: elsewhere.Account,
		VerificationID: payload("busy", "", "").VerificationID}
	var sequences []uint64
	must(t, store.History(t.Context(), k, func(p kycbridge.Payload) error {
		sequences = append(sequences, p.Seq)
		return nil
	}))
	const erased = payloads - 3
	release, other := make(chan struct{}), make(chan struct{})
	var mu sync.Mutex
	var bodies []string
	var once sync.Once
	ctx, end := context.WithCancel(t.Context())
	var consuming sync.WaitGroup
	consuming.Go(func() {
		_ = store.Consume(ctx, ConsumeOptions{Workers: workers, Exclusive: true, Log: zap.NewNop(),
			Hold: func() bool { return false },
			Work: func(_ context.Context, p kycbridge.Payload, _ int) (kycbridge.Disposition, time.Duration) {
				if p.VerificationID == elsewhere.VerificationID {
					once.Do(func() { close(other) })
					return kycbridge.Disposition{}, 0
				}
				<-release
				mu.Lock()
				defer mu.Unlock()
				bodies = append(bodies, string(p.Body))
				return kycbridge.Disposition{}, 0
			}})
	})
	defer consuming.Wait()
	defer end()
	select {
	case <-other:
	case <-time.After(20 * time.Second * wait.Slowdown):
		t.Error("another verification waits")
	}
	must(t, store.Erase(t.Context(), kycbridge.ShelfPayloads, sequences[erased], false))
	close(release)
	wait.For(t, 20*time.Second, "the backlog", func() bool {
		backlog, err := store.Backlog(t.Context())
		return err == nil && backlog == 0
	})
	mu.Lock()
	defer mu.Unlock()
	var want []string
	for n := range payloads {
		if n != erased {
			want = append(want, fmt.Sprintf(`{"n":%d}`, n))
		}
	}
	if fmt.Sprint(bodies) != fmt.Sprint(want) {
		t.Errorf("processed %s,\nwant %s", bodies, want)
	}
}
