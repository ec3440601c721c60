package publisher

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"

	"kycbridge"
	"kycbridge/internal/archive"
)

// TestAgeingPastAWaitingPayload: a payload waits for its account, for example. Later ones, which are processed, are
// removed when they are old enough.
func TestAgeingPastAWaitingPayload(t *testing.T) {
	t.Parallel()
	for name, remove := range map[string]func(*archive.Archive) error{
		"retention": func(tool *archive.Archive) error {
			tool.Retention = kycbridge.Retention{Payloads: time.Nanosecond}
			_, err := tool.Retain(t.Context(), false, true)
			return err
		},
		"purge": func(tool *archive.Archive) error {
			_, err := tool.PurgeOld(t.Context(), archive.Filter{}, time.Now().Add(time.Hour), false, nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, store, bus := start(t, t.TempDir())
			tool := purgeTool(t, store, bus)
			tool.Ageing = store
			for i := range 5 {
				p := payload(fmt.Sprint("idv-", i), fmt.Sprint("e", i), "{}")
				p.ReceivedAt = time.Now()
				_, err := store.Append(t.Context(), p)
				must(t, err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_ = store.Consume(ctx, ConsumeOptions{Workers: 2, Log: zaptest.NewLogger(t), Hold: func() bool { return false },
					Work: func(_ context.Context, p kycbridge.Payload, _ int) (kycbridge.Disposition, time.Duration) {
						if p.Seq == 2 {
							return kycbridge.Disposition{}, time.Minute
						}
						return kycbridge.Disposition{Revision: 1}, 0
					}})
			}()
			t.Cleanup(func() { cancel(); <-ended })
			eventually(t, "all but one are processed", func() bool {
				at, err := store.Position(t.Context())
				must(t, err)
				return at.Pending == 1 && at.Floor == 1
			})
			must(t, remove(tool))
			left := kept(t, store, kycbridge.KeptQuery{})
			if len(left) != 1 || left[0].Seq != 2 {
				t.Errorf("%d payloads are left", len(left))
			}
		})
	}
}
