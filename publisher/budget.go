package publisher

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// What the clients of one user may be sent in a second, lasting, and at once.
const (
	toldRate  = 32 << 20
	toldBurst = 32 << 20
)

// budget bounds what one user is sent. What has been sent is known afterwards only: the server
// multiplies an event by the user's subscriptions. So it may be overdrawn, and whatever would send
// more waits until it is even. A nil budget has no bound.
type budget struct{ bytes *rate.Limiter }

func newBudget() *budget { return &budget{rate.NewLimiter(toldRate, toldBurst)} }

// spend takes n bytes that have been sent.
func (b *budget) spend(n int) {
	for now := time.Now(); b != nil && n > 0; n -= toldBurst {
		b.bytes.ReserveN(now, min(n, toldBurst))
	}
}

// wait returns when more may be sent, or with ctx.
func (b *budget) wait(ctx context.Context) error {
	if b == nil {
		return ctx.Err()
	}
	return b.bytes.Wait(ctx)
}
