package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/test/wait"
)

// TestWaitingPayloadsStopNoOther: more than a thousand payloads that cannot be processed at present (of an account that
// was removed from the configuration) do not stop the processing of others.
func TestWaitingPayloadsStopNoOther(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 70 {
				p := payload(fmt.Sprint("gone-", w, "-", i), fmt.Sprint("e", w, "-", i), fmt.Sprintf(`{"w":%d,"i":%d}`, w, i))
				if _, err := store.Append(t.Context(), p); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	n := &kycbridge.Normalizer{Accounts: kycbridge.Accounts{}, Events: NewPredicting(bus), Log: store, Quarantine: store,
		Mapping: "1", TypePrefix: "io.kycbridge", SourcePrefix: "/kycbridge", MaxAttempts: 5, Now: time.Now}
	var tried atomic.Int64
	done := make(chan string, 10)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		_ = store.Consume(ctx, ConsumeOptions{Workers: 64, Exclusive: true, Hold: func() bool { return false },
			Log: zap.NewNop(),
			Work: func(ctx context.Context, p kycbridge.Payload, attempt int) (kycbridge.Disposition, time.Duration) {
				if p.Account == "acme" {
					tried.Add(1)
					d, retry, err := n.Work(ctx, p, attempt) // "account of the payload is not configured here"
					if !errors.Is(err, kycbridge.ErrNotFound) {
						t.Error(err)
					}
					return d.Disposition(), retry
				}
				done <- p.Account
				return kycbridge.Disposition{Revision: 1}, 0
			}})
		close(ended)
	}()
	defer func() { stop(); <-ended }()
	wait.For(t, 20*time.Second, "a thousand payloads wait", func() bool { return tried.Load() >= 1024 })
	digest := kycbridge.Digest([]byte(`{}`))
	good := kycbridge.Payload{ID: kycbridge.PayloadID("ondato", "good", "e", digest), Provider: "ondato", Account: "good",
		VerificationID: event.VerificationID("ondato", "good", "x"), Via: event.ViaCallback, ReceivedAt: time.Now(),
		Digest: digest, Body: []byte(`{}`)}
	_, err := store.Append(t.Context(), good)
	must(t, err)
	began := time.Now()
	select {
	case <-done:
		t.Log("processed after", time.Since(began))
	case <-time.After(60 * time.Second):
		c, err := store.js.Consumer(t.Context(), testNames.payloads(), Consumer)
		must(t, err)
		t.Errorf("not processed in a minute; attempts %d, consumer: pending ack %d, not delivered %d", tried.Load(),
			c.CachedInfo().NumAckPending, c.CachedInfo().NumPending)
	}
}

// TestRetriedPayloadsAreTold: a payload counts as retried from the moment of its first vain attempt until it is
// processed.
func TestRetriedPayloadsAreTold(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	const payloads, vain = 10, 7
	for n := range payloads {
		_, err := store.Append(t.Context(), payload(fmt.Sprint("idv-", n), fmt.Sprint("e", n), `{}`))
		must(t, err)
	}
	var isReady atomic.Bool
	ctx, stop := context.WithCancel(t.Context())
	var consuming sync.WaitGroup
	consuming.Go(func() {
		_ = store.Consume(ctx, ConsumeOptions{Workers: 4, Exclusive: true, Log: zap.NewNop(),
			Hold: func() bool { return false },
			Work: func(_ context.Context, p kycbridge.Payload, attempt int) (kycbridge.Disposition, time.Duration) {
				switch {
				case p.Seq > vain || isReady.Load():
					return kycbridge.Disposition{Revision: 1}, 0
				case attempt == 1:
					return kycbridge.Disposition{}, 2 * time.Second
				default:
					return kycbridge.Disposition{}, 200 * time.Millisecond
				}
			}})
	})
	defer consuming.Wait()
	defer stop()
	told := func(want Progress) func() bool {
		return func() bool {
			p, err := store.Progress(t.Context())
			must(t, err)
			return p == want
		}
	}
	waiting := Progress{Backlog: vain, Retried: vain, Processed: payloads - vain}
	wait.For(t, 10*time.Second, "the first attempts are in vain", told(waiting))
	isToldAlways := told(waiting)
	for until := time.Now().Add(3 * time.Second); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		if !isToldAlways() {
			p, _ := store.Progress(t.Context())
			t.Fatalf("later: %+v", p)
		}
	}
	isReady.Store(true)
	wait.For(t, 10*time.Second, "all are processed", told(Progress{Processed: payloads}))
}
