package publisher

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/test/wait"
)

// TestRepeatedDeliveriesWaitOnce: if the server delivers payloads again that still wait for a worker, because its
// consumer was reset, or removed and created again, each of them is processed once, in the order of the log. Only the
// one that a worker has is processed again.
func TestRepeatedDeliveriesWaitOnce(t *testing.T) {
	t.Parallel()
	for name, repeat := range map[string]func(context.Context, *Store) error{
		"reset": func(ctx context.Context, s *Store) error {
			_, err := s.js.ResetConsumer(ctx, testNames.payloads(), Consumer)
			return err
		},
		"created again": func(ctx context.Context, s *Store) error {
			return s.js.DeleteConsumer(ctx, testNames.payloads(), Consumer)
		},
		"started again": func(ctx context.Context, s *Store) error { return s.WorkAgain(ctx, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, store, _ := start(t, t.TempDir())
			const payloads, others = 3 * perWorker, 3
			for n := range payloads {
				_, err := store.Append(t.Context(), payload("idv-1", fmt.Sprint("e", n), fmt.Sprintf(`{"n":%d}`, n)))
				must(t, err)
			}
			for n := range others {
				_, err := store.Append(t.Context(), payload(fmt.Sprint("other-", n), fmt.Sprint("o", n), `{}`))
				must(t, err)
			}
			var mu sync.Mutex
			var worked []uint64
			began, release := make(chan struct{}), make(chan struct{})
			releaseOnce := sync.OnceFunc(func() { close(release) })
			ctx, end := context.WithCancel(t.Context())
			var running sync.WaitGroup
			running.Go(func() { store.Maintain(ctx, zap.NewNop(), func() {}) })
			running.Go(func() {
				_ = store.Consume(ctx, ConsumeOptions{Workers: 1, Exclusive: true, Log: zap.NewNop(),
					Hold: func() bool { return false },
					Work: func(_ context.Context, p kycbridge.Payload, _ int) (kycbridge.Disposition, time.Duration) {
						mu.Lock()
						worked = append(worked, p.Seq)
						isFirst := len(worked) == 1
						mu.Unlock()
						if isFirst {
							close(began)
							<-release
						}
						return kycbridge.Disposition{}, 0
					}})
			})
			defer running.Wait()
			defer end()
			defer releaseOnce()
			<-began
			delivered := func() uint64 {
				c, err := store.js.Consumer(t.Context(), testNames.payloads(), Consumer)
				if err != nil {
					return 0
				}
				return c.CachedInfo().Delivered.Consumer
			}
			all := func() bool { return delivered() >= payloads+others }
			wait.For(t, 10*time.Second, "all are delivered", all)
			must(t, repeat(t.Context(), store))
			time.Sleep(2 * time.Second)
			wait.For(t, 2*repairInterval+5*time.Second, "all are delivered again", all)
			time.Sleep(100 * time.Millisecond)
			releaseOnce()
			wait.For(t, 10*time.Second, "all are acknowledged", func() bool {
				c, err := store.js.Consumer(t.Context(), testNames.payloads(), Consumer)
				return err == nil && c.CachedInfo().NumPending+uint64(c.CachedInfo().NumAckPending) == 0
			})
			mu.Lock()
			defer mu.Unlock()
			counts := map[uint64]int{}
			for _, seq := range worked {
				counts[seq]++
			}
			for seq := uint64(1); seq <= payloads+others; seq++ {
				if n := counts[seq]; n != 1 && (seq != 1 || n != 2) {
					t.Errorf("payload %d was processed %d times", seq, n)
				}
			}
			if ofOne := slices.DeleteFunc(slices.Clone(worked), func(seq uint64) bool { return seq > payloads }); !slices.
				IsSorted(ofOne) {
				t.Errorf("the order of the log was lost: %v", ofOne)
			}
		})
	}
}

// TestRepeatedDeliveriesTakeNoRoom: a repeated delivery takes the place of the earlier one, with its content or without
// it, however often it comes.
func TestRepeatedDeliveriesTakeNoRoom(t *testing.T) {
	t.Parallel()
	const workers, payloads = 2, 6
	l := newLanes(workers, aside)
	for deliveries := range uint64(2 * workers * perWorker) {
		for n := range payloads { // would never return if repeated ones took the room
			d := laneDelivery("busy", n)
			d.deliveries = deliveries
			l.put(d)
		}
	}
	l.close()
	var passed []uint64
	l.work(func(d delivery) {
		passed = append(passed, d.seq)
		if want := uint64(2*workers*perWorker - 1); d.deliveries != want {
			t.Errorf("delivery %d of payload %d was passed, not the newest, %d", d.deliveries, d.seq, want)
		}
	})
	if len(passed) != payloads || !slices.IsSorted(passed) || len(l.room) != 0 {
		t.Errorf("passed: %v; %d places are taken", passed, len(l.room))
	}
}
