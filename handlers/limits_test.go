package handlers

import (
	"context"
	"testing"
	"time"

	"kycbridge"
)

// TestLimitsChangeWhileServing: a request under way keeps its slot and finishes; with the same number of
// slots those taken stay taken, with another number all slots are free.
func TestLimitsChangeWhileServing(t *testing.T) {
	entered, leave := make(chan struct{}, 8), make(chan struct{})
	receiver := receiverFunc(func(
		ctx context.Context, a *kycbridge.Account, r kycbridge.Request,
	) (kycbridge.Receipt, error) {
		if string(r.Body) == "slow" {
			entered <- struct{}{}
			<-leave
		}
		return accept(ctx, a, r)
	})
	h := NewCallbacks(CallbackOptions{Accounts: account("ondato", "acme", nil), Receiver: receiver,
		CallbackLimits: CallbackLimits{Concurrency: 1, Timeout: time.Minute}})
	base := serve(t, h)
	first := make(chan int, 1)
	go func() { first <- post(t, base+acme, "slow", nil).status }()
	<-entered
	h.SetLimits(CallbackLimits{Concurrency: 1, Timeout: time.Second})
	wantProblem(t, post(t, base+acme, "{}", nil), 503, "busy")
	h.SetLimits(CallbackLimits{Concurrency: 2})
	for range 3 {
		if got := post(t, base+acme, "{}", nil); got.status != 200 {
			t.Errorf("with another slot: %d", got.status)
		}
	}
	h.SetLimits(CallbackLimits{Concurrency: 2, RatePerSecond: 0.001, Burst: 1})
	if got := post(t, base+acme, "{}", nil); got.status != 200 {
		t.Errorf("the first under a rate: %d", got.status)
	}
	wantProblem(t, post(t, base+acme, "{}", nil), 503, "busy")
	h.SetLimits(CallbackLimits{Concurrency: 2})
	close(leave)
	if status := <-first; status != 200 {
		t.Errorf("the request under way: %d", status)
	}
	if got := post(t, base+acme, "{}", nil); got.status != 200 {
		t.Errorf("after the rate was removed: %d", got.status)
	}
}
