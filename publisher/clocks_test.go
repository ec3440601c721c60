package publisher

import (
	"context"
	"testing"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
)

// wrongClock sets the clock of the process that uses the store, and returns it.
func wrongClock(t *testing.T, s *Store, by time.Duration) (now func() time.Time) {
	t.Helper()
	now = func() time.Time { return time.Now().Add(by) }
	s.clocks.now = now
	_, err := s.Repair(t.Context()) // as every few seconds
	must(t, err)
	return now
}

// withWrongClocks runs a test with clocks that are hours ahead and behind, and with the right one.
func withWrongClocks(t *testing.T, test func(t *testing.T, by time.Duration)) {
	t.Helper()
	for name, by := range map[string]time.Duration{"ahead": 3 * time.Hour, "behind": -3 * time.Hour, "right": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, by)
		})
	}
}

// TestTimersOfAWrongClock: a session is polled after its interval, however wrong the clock of the process is. One that
// was behind would poll without a pause, because a timer in the past is due at once; one that was ahead, hours late.
func TestTimersOfAWrongClock(t *testing.T) {
	t.Parallel()
	withWrongClocks(t, func(t *testing.T, by time.Duration) {
		_, store, _ := start(t, t.TempDir())
		now := wrongClock(t, store, by)
		looks := make(chan string, 2)
		consumeDue(t, store, func(_ context.Context, w kycbridge.Watch) error {
			looks <- w.Reference
			return nil
		})
		must(t, store.Schedule(t.Context(), watch("later"), now().Add(time.Hour)))
		must(t, store.Schedule(t.Context(), watch("soon"), now().Add(time.Second)))
		select {
		case first := <-looks:
			if first != "soon" {
				t.Fatal("the session that is due in an hour was polled first")
			}
		case <-time.After(time.Minute):
			t.Fatal("the session was not polled in a minute")
		}
	})
}

// TestErasureByAWrongClock: the clock of a process that polls is wrong. An answer that was requested before an erasure
// is kept out, and what is requested after it is stored and polled on.
func TestErasureByAWrongClock(t *testing.T) {
	t.Parallel()
	withWrongClocks(t, func(t *testing.T, by time.Duration) {
		store, tool, victim := withVictim(t)
		now := wrongClock(t, store, by)
		account := tool.Accounts[kycbridge.AccountKey{Provider: "ondato", Account: "acme"}]
		before := now()
		time.Sleep(2 * toleratedClock)
		_, err := tool.Purge(t.Context(), victim.VerificationID, false)
		must(t, err)
		time.Sleep(2 * toleratedClock)
		late := kycbridge.Payload{Via: event.ViaFetch, Reference: "victim", ReceivedAt: before, Part: "kyc",
			Body: []byte(`{"ref":"victim"}`)}
		if r, err := tool.Intake.Ingest(t.Context(), account, late); err == nil {
			t.Errorf("an answer to a request before the erasure: %+v", r)
		}
		poller := pollerOf(store, tool.Intake, tool.Accounts)
		poller.Now = now
		must(t, poller.Work(t.Context(), kycbridge.Watch{Provider: "ondato", Account: "acme", Reference: "victim",
			Since: now(), Deadline: now().Add(time.Hour), Asked: true}, false))
		if n := len(kept(t, store, kycbridge.KeptQuery{VerificationID: victim.VerificationID})); n != 1 {
			t.Errorf("%d payloads of the history after the erasure, want 1", n)
		}
		if timer, err := store.Timer(t.Context(), key(victim)); err != nil || timer == nil {
			t.Errorf("the verification is not polled any more: %v", err)
		}
	})
}

// TestRetentionByAWrongClock: a process whose clock is ahead removes nothing early.
func TestRetentionByAWrongClock(t *testing.T) {
	t.Parallel()
	withWrongClocks(t, func(t *testing.T, by time.Duration) {
		_, store, _ := start(t, t.TempDir())
		now := wrongClock(t, store, by)
		_, err := store.Append(t.Context(), payload("idv-1", "e1", "1"))
		must(t, err)
		aged := func(before time.Time) (n int) {
			must(t, store.Aged(t.Context(), kycbridge.ShelfPayloads, kycbridge.AccountKey{}, before, 1,
				func(kycbridge.Aged) error { n++; return nil }))
			return n
		}
		if n := aged(now().Add(-time.Hour)); n != 0 {
			t.Error("a payload that was just stored is an hour old")
		}
		if n := aged(now().Add(2 * toleratedClock)); n != 1 {
			t.Error("a payload that was stored before is too young")
		}
	})
}

// TestClocks: the time that a request takes is no difference, and a difference is corrected when it has changed.
func TestClocks(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	second := func(n float64) time.Time { return at.Add(time.Duration(n * float64(time.Second))) }
	var conn Connection
	c := &conn.clocks
	c.note(zap.NewNop(), "other", second(0), second(-30), second(1))
	for _, one := range []struct {
		asked, told, answered, want float64
		why                         string
	}{
		{0, 4, 9, 0, "a slow answer"},
		{0, 9.5, 9, 0, "half a second"},
		{0, -60, 2, 60, "ahead"},
		{0, -60.7, 2, 60, "about the same"},
		{0, 3600, 10, -3590, "behind, after a slow answer"},
		{0, 0, 0, 0, "corrected"},
	} {
		c.note(zap.NewNop(), "S", second(one.asked), second(one.told), second(one.answered))
		if got := c.here("S", at); !got.Equal(second(one.want)) || !c.there("S", got).Equal(at) {
			t.Errorf("%s: ahead by %s, want %v s", one.why, got.Sub(at), one.want)
		}
		most := time.Duration(max(one.want, 30)) * time.Second
		if one.want < 0 {
			most = time.Duration(one.want) * time.Second
		}
		if got := conn.ClockAhead(); got != most {
			t.Errorf("%s: the metric is %s, want %s", one.why, got, most)
		}
	}
	if c.note(zap.NewNop(), "S", second(0), time.Time{}, second(1)); !c.here("S", at).Equal(at) {
		t.Error("a server that tells no time")
	}
}
