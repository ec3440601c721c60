package publisher

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"kycbridge"
)

func TestAnIdempotencyKeyIsReservedOnce(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	a := kycbridge.AccountKey{Provider: "ondato", Account: "acme"}
	var won, pending atomic.Int32
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			receipt, err := store.Reserve(t.Context(), a, "any key, even one with . and *", "request-1")
			switch {
			case err == nil && receipt == nil:
				won.Add(1)
			case errors.Is(err, kycbridge.ErrKeyPending):
				pending.Add(1)
			default:
				t.Errorf("receipt %v, error %v", receipt, err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 || pending.Load() != 19 {
		t.Fatalf("%d won, %d pending", won.Load(), pending.Load())
	}
	want := kycbridge.StartReceipt{VerificationID: "v", Reference: "r", URL: "https://kyc.example.com/1"}
	must(t, store.Complete(t.Context(), a, "any key, even one with . and *", "request-1", want))
	if got, err := store.Reserve(t.Context(), a, "any key, even one with . and *", "request-1"); err != nil ||
		got == nil || *got != want {
		t.Errorf("repeated: %v, %v", got, err)
	}
	if _, err := store.Reserve(t.Context(), a, "any key, even one with . and *", "request-2"); !errors.Is(err,
		kycbridge.ErrKeyReused) {
		t.Errorf("another request: %v", err)
	}
	if got, err := store.Reserve(t.Context(), kycbridge.AccountKey{Provider: "ondato", Account: "other"},
		"any key, even one with . and *", "request-2"); err != nil || got != nil {
		t.Errorf("another account: %v, %v", got, err)
	}
}

func TestAReleasedKeyIsFree(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	a := kycbridge.AccountKey{Provider: "ondato", Account: "acme"}
	for range 3 {
		if got, err := store.Reserve(t.Context(), a, "k", "request-1"); err != nil || got != nil {
			t.Fatalf("%v, %v", got, err)
		}
		must(t, store.Release(t.Context(), a, "k"))
	}
}
