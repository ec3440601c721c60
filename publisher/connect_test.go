package publisher

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// TestBusyServer: a server that is so busy that it answers after seconds is not mistaken for one that never answers,
// and one that never answers is waited for no longer than openTimeout.
func TestBusyServer(t *testing.T) {
	t.Parallel()
	answersAfter := func(d time.Duration) func(context.Context) error {
		return func(ctx context.Context) error {
			select {
			case <-time.After(d):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
	synctest.Test(t, func(t *testing.T) {
		if err := retryUntilReady(t.Context(), answersAfter(2*answerTimeout)); err != nil {
			t.Error(err)
		}
		began := time.Now()
		if err := retryUntilReady(t.Context(), answersAfter(time.Hour)); err == nil || time.Since(began) != openTimeout {
			t.Errorf("%v after %s", err, time.Since(began))
		}
	})
}
