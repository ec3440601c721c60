package publisher

import (
	"context"
	"errors"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestARepairIsLoggedOnce: a repair that fails halfway and is repeated reports a loss once, and what must follow a
// repair follows it.
func TestARepairIsLoggedOnce(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	core, logged := observer.New(zap.ErrorLevel)
	log := zap.New(core)
	attempts, done := 0, make(chan struct{})
	repair := func(context.Context) (Repaired, error) {
		switch attempts++; attempts {
		case 1:
			store.requestCheck()
			return Repaired{Shorter: []Shorter{{Stream: "KYC_PAYLOADS", Reached: 9, Last: 6}}}, errors.New("halfway")
		case 2:
			return Repaired{Consumers: []Moved{{Stream: "KYC_PAYLOADS", Consumer: Consumer, Reached: 9, Last: 6, From: 7}}},
				nil
		}
		return Repaired{}, nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	store.requestCheck()
	store.maintain(ctx, repair, log, func() { close(done); cancel() })
	select {
	case <-done:
	default:
		t.Error("nothing follows the repair")
	}
	if n := logged.FilterMessageSnippet("a stream has become shorter").Len(); n != 1 {
		t.Errorf("the loss is reported %d times", n)
	}
}

// TestAFailingRepairIsLogged: what was repaired is logged although the repair never ends.
func TestAFailingRepairIsLogged(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	core, logged := observer.New(zap.ErrorLevel)
	attempts := 0
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	repair := func(context.Context) (Repaired, error) {
		switch attempts++; attempts {
		case 1:
			return Repaired{Streams: []string{"KYC_INDEX"}}, errors.New("halfway")
		case repairPatience + 1:
			if logged.Len() != 0 {
				t.Error("it is reported before the repair is complete")
			}
		case repairPatience + 2:
			if logged.FilterMessageSnippet("streams were missing").Len() != 1 {
				t.Error("it is not reported after several attempts have failed")
			}
			cancel()
			return Repaired{Streams: []string{"KYC_LOG"}}, ctx.Err()
		}
		return Repaired{}, errors.New("again")
	}
	store.requestCheck()
	store.maintain(ctx, repair, zap.New(core), func() {})
	if logged.FilterMessageSnippet("streams were missing").Len() != 2 {
		t.Error("a repair that ends with the process is not reported")
	}
}
