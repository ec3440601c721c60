package publisher

import (
	"context"
	"time"

	"golang.org/x/time/rate"
)

// The sustained rate and the burst of bytes that are sent to the clients of one user.
const (
	sendRate  = 32 << 20
	sendBurst = 32 << 20
)

// budget limits the bytes that are sent to one user. The amount is known only afterwards, because the server sends
// an event once for each matching subscription of the user. So the budget may be overdrawn, and further sends wait
// until it is balanced. A nil budget has no limit.
type budget struct{ bytes *rate.Limiter }

func newBudget() *budget { return &budget{rate.NewLimiter(sendRate, sendBurst)} }

// spend takes n bytes that were sent.
func (b *budget) spend(n int) {
	for now := time.Now(); b != nil && n > 0; n -= sendBurst {
		b.bytes.ReserveN(now, min(n, sendBurst))
	}
}

// wait returns when more may be sent, or when ctx ends.
func (b *budget) wait(ctx context.Context) error {
	if b == nil {
		return ctx.Err()
	}
	return b.bytes.Wait(ctx)
}
