package publisher

import (
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"kycbridge/test/wait"

	"kycbridge"
	"kycbridge/internal/archive"
)

// TestHoldsAndClaimsExclude: on three servers with three replicas, a hold that returns stops every later claim and
// waits for the end of an earlier one, for one verification and for any.
func TestHoldsAndClaimsExclude(t *testing.T) {
	t.Parallel()
	urls := cluster(t, 3)
	store0, _ := join(t, urls[0])
	store1, _ := join(t, urls[1])
	for n := range 24 {
		k := kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: fmt.Sprint("v", n)}
		var erasing, held atomic.Bool
		done := make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(time.Duration(n%5) * 2 * time.Millisecond)
			if n%2 == 0 {
				end, err := store0.ClaimOne(t.Context(), k, time.Now())
				if errors.Is(err, kycbridge.ErrHeld) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				erase(t, &erasing, &held)
				end()
				return
			}
			holds, end, err := store0.ClaimAny(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if len(holds) == 0 || holds[len(holds)-1].VerificationID != k.VerificationID {
				erase(t, &erasing, &held)
			}
			end()
		}()
		time.Sleep(time.Duration(n%3) * 3 * time.Millisecond)
		err := store1.PutHold(t.Context(), kycbridge.Hold{Provider: k.Provider, Account: k.Account,
			VerificationID: k.VerificationID, Since: time.Now()})
		held.Store(true)
		if err != nil || erasing.Load() {
			t.Errorf("%d: a hold returned during an erasure, %v", n, err)
		}
		<-done
		if _, err := store0.ClaimOne(t.Context(), k, time.Now()); !errors.Is(err, kycbridge.ErrHeld) {
			t.Errorf("%d: a held verification was claimed: %v", n, err)
		}
	}
	if all, err := store0.Holds(t.Context()); err != nil || len(all) != 24 {
		t.Errorf("%d holds, %v", len(all), err)
	}
}

// erase simulates an erasure: no hold may return meanwhile.
func erase(t *testing.T, erasing, held *atomic.Bool) {
	t.Helper()
	erasing.Store(true)
	if held.Load() {
		t.Error("an erasure began after the hold")
	}
	time.Sleep(30 * time.Millisecond)
	if held.Load() {
		t.Error("a hold returned during an erasure")
	}
	erasing.Store(false)
}

// TestAHoldWaitsForAClaim: a hold returns when the erasure that was claimed before it has ended.
func TestAHoldWaitsForAClaim(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	k := kycbridge.Key{Provider: "ondato", Account: "acme", VerificationID: "v"}
	end, err := store.ClaimOne(t.Context(), k, time.Now())
	must(t, err)
	h := kycbridge.Hold{Provider: k.Provider, Account: k.Account, VerificationID: k.VerificationID, Since: time.Now()}
	done := make(chan error, 1)
	go func() { done <- store.PutHold(t.Context(), h) }()
	select {
	case err := <-done:
		t.Fatalf("a hold did not wait: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	end()
	must(t, <-done)
	if got, err := store.Hold(t.Context(), k); err != nil || got == nil || !got.Holds(time.Now()) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestClaimIsRenewed: the claim of an erasure that takes longer than the claim lives is renewed, so that no hold is
// placed meanwhile.
func TestClaimIsRenewed(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	end, err := store.ClaimOne(t.Context(), key(payload("idv-1", "e1", "{}")), time.Now())
	must(t, err)
	defer end()
	wait.For(t, 3*claimAgain, "the claim is renewed", func() bool {
		info, err := store.legalHolds.Info(t.Context())
		return err == nil && info.State.LastSeq >= 2
	})
}

// TestAReleaseEndsOneHold: while a release waits for an erasure, another hold is placed. The release does not end it.
func TestAReleaseEndsOneHold(t *testing.T) {
	t.Parallel()
	_, store, bus := start(t, t.TempDir())
	p := payload("v", "e1", "{}")
	_, err := store.Append(t.Context(), p)
	must(t, err)
	tool := purgeTool(t, store, bus)
	tool.Ageing = store
	_, err = tool.Hold(t.Context(), p.VerificationID, "case 1", "somebody", time.Time{})
	must(t, err)
	released := make(chan archive.Held)
	_, end, err := store.ClaimAny(t.Context())
	must(t, err)
	go func() {
		h, err := tool.Release(t.Context(), p.VerificationID, "case 1 is closed", "somebody")
		if err != nil {
			t.Error(err)
		}
		released <- h
	}()
	time.Sleep(8 * claimPause) // the release has read the hold, and waits
	second := kycbridge.Hold{Provider: p.Provider, Account: p.Account, VerificationID: p.VerificationID, Reason: "case 2",
		Since: time.Now().UTC()}
	body, err := json.Marshal(second)
	must(t, err)
	_, err = store.js.Publish(t.Context(), store.names.hold(second.Key()), body) // as if its claims had been read before
	must(t, err)
	end()
	if h := <-released; !h.Active || h.Reason != "case 2" {
		t.Errorf("the release answered %+v", h)
	}
	if h, err := store.Hold(t.Context(), second.Key()); err != nil || !h.Holds(time.Now()) {
		t.Errorf("the second hold is %+v, %v", h, err)
	}
	if h, err := tool.Release(t.Context(), p.VerificationID, "case 2 is closed", "somebody"); err != nil || h.Active {
		t.Errorf("the second release answered %+v, %v", h, err)
	}
}

// TestForeignMessagesAmongHolds: messages of another program on the subjects of holds, whatever they name, do not stop
// the list of holds, and with it every erasure and the retention.
func TestForeignMessagesAmongHolds(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	h := kycbridge.Hold{Provider: "ondato", Account: "acme", VerificationID: "v", Since: time.Now()}
	must(t, store.PutHold(t.Context(), h))
	for _, foreign := range []string{"ondato.acme.a@b", "ondato.acme.v2", "v", "a.b.c.d"} {
		_, err := store.js.Publish(t.Context(), testNames.join("hold", foreign), []byte("{}"))
		must(t, err)
	}
	all, err := store.Holds(t.Context())
	if must(t, err); len(all) != 1 || all[0].Key() != h.Key() {
		t.Errorf("holds are %+v", all)
	}
	_, end, err := store.ClaimAny(t.Context())
	must(t, err)
	end()
	if n := store.Foreign(testNames.holds()); n == 0 {
		t.Error("foreign messages are not counted")
	}
}
