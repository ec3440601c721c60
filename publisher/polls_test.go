package publisher

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap/zaptest"

	"kycbridge"
	"kycbridge/test/wait"
)

func watch(reference string) kycbridge.Watch {
	return kycbridge.Watch{Provider: "kwikid", Account: "acme", Reference: reference,
		Since: time.Now().UTC().Truncate(time.Second), Deadline: time.Now().Add(time.Hour).UTC().Truncate(time.Second)}
}

// consumeDue passes due watches to work until the test ends.
func consumeDue(t *testing.T, s *Store, work func(context.Context, kycbridge.Watch) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- s.ConsumeDue(ctx, PollOptions{Account: kycbridge.AccountKey{Provider: "kwikid", Account: "acme"}, Workers: 4,
			Exclusive: true, Work: func(ctx context.Context, w kycbridge.Watch, _ bool) error { return work(ctx, w) },
			Log: zaptest.NewLogger(t)})
	}()
	stop = func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		done <- nil
	}
	t.Cleanup(stop)
	return stop
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	wait.For(t, 15*time.Second, what, is)
}

func TestATimerFiresOnceWithItsLastWatch(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	w := watch("session-1")
	must(t, store.Schedule(t.Context(), w, time.Now().Add(time.Hour)))
	if timer, err := store.Timer(t.Context(), w.Key()); err != nil || timer == nil || timer.Reference != "session-1" {
		t.Fatalf("timer %v, %v", timer, err)
	}
	w.Failures = 7
	at := time.Now().Add(300 * time.Millisecond)
	must(t, store.Schedule(t.Context(), w, at))
	due := make(chan kycbridge.Watch, 10)
	consumeDue(t, store, func(_ context.Context, w kycbridge.Watch) error { due <- w; return nil })
	select {
	case got := <-due:
		if got.Failures != 7 || got.Key() != w.Key() {
			t.Errorf("due %+v", got)
		}
		if early := time.Until(at); early > 0 {
			t.Errorf("due %s early", early)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("never due")
	}
	eventually(t, "nothing is left of it",
		func() bool { n, err := store.Watched(t.Context()); return err == nil && n == 0 })
	if timer, err := store.Timer(t.Context(), w.Key()); err != nil || timer != nil {
		t.Errorf("timer %v, %v after it was due", timer, err)
	}
	if len(due) > 0 {
		t.Error("due twice")
	}
}

// TestAnEarlierTimerIsKept: a timer that is set afterwards for a later time does not delay it.
func TestAnEarlierTimerIsKept(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	w := watch("session-1")
	by := time.Now().Add(300 * time.Millisecond)
	w.LookBy = by
	must(t, store.Schedule(t.Context(), w, by))
	w.LookBy = time.Time{}
	must(t, store.Schedule(t.Context(), w, time.Now().Add(time.Hour)))
	due := make(chan kycbridge.Watch, 10)
	consumeDue(t, store, func(_ context.Context, w kycbridge.Watch) error { due <- w; return nil })
	select {
	case got := <-due:
		if early := time.Until(by); early > 0 || !got.LookBy.Equal(by) {
			t.Errorf("due %s early: %+v", early, got)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it waits")
	}
}

func TestTimersAndDueWatchesSurviveARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, store, bus := start(t, dir)
	for i := range 20 {
		must(t, store.Schedule(t.Context(), watch(fmt.Sprint("later-", i)), time.Now().Add(700*time.Millisecond)))
		must(t, store.Trigger(t.Context(), watch(fmt.Sprint("now-", i))))
	}
	// A poller takes some of them and crashes: it never answers.
	taken := make(chan struct{}, 100)
	stop := consumeDue(t, store, func(ctx context.Context, _ kycbridge.Watch) error {
		taken <- struct{}{}
		<-ctx.Done()
		return errors.New("died")
	})
	<-taken
	stop()
	store.Close()
	bus.Close()
	server.Close()

	_, store, _ = start(t, dir)
	var worked atomic.Int32
	consumeDue(t, store, func(context.Context, kycbridge.Watch) error { worked.Add(1); return nil })
	eventually(t, "all are worked", func() bool { n, err := store.Watched(t.Context()); return err == nil && n == 0 })
	if worked.Load() < 40 {
		t.Errorf("%d worked of 40", worked.Load())
	}
}

// TestARestoredDueWatchIsProcessed: a kill may restore a deleted message.
func TestARestoredDueWatchIsProcessed(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	must(t, store.Trigger(t.Context(), watch("session-1")))
	consumer, err := store.js.CreateOrUpdateConsumer(t.Context(), "KYC_POLLS", jetstream.ConsumerConfig{
		Durable:       pollerName(kycbridge.AccountKey{Provider: "kwikid", Account: "acme"}),
		FilterSubject: store.names.due("kwikid", "acme", ">"),
		AckPolicy:     jetstream.AckExplicitPolicy, AckWait: dueAckWait, MaxDeliver: -1, MaxAckPending: inFlight,
	})
	must(t, err)
	m, err := consumer.Next()
	must(t, err)
	must(t, m.DoubleAck(t.Context()))
	var worked atomic.Int32
	consumeDue(t, store, func(context.Context, kycbridge.Watch) error { worked.Add(1); return nil })
	eventually(t, "worked and gone",
		func() bool { n, err := store.Watched(t.Context()); return err == nil && n == 0 && worked.Load() == 1 })
}

func TestAFailedWatchStaysDue(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	must(t, store.Trigger(t.Context(), watch("session-1")))
	var tries atomic.Int32
	consumeDue(t, store, func(context.Context, kycbridge.Watch) error {
		if tries.Add(1) == 1 {
			return errors.New("store is away")
		}
		return nil
	})
	eventually(t, "tried again", func() bool { return tries.Load() == 2 })
	eventually(t, "gone then", func() bool { n, err := store.Watched(t.Context()); return err == nil && n == 0 })
}

func TestForeignDueMessagesAreSkipped(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	k := watch("session-1").Key()
	subject := store.names.due(k.Provider, k.Account, k.VerificationID)
	for _, body := range []string{
		``, `{}`, `not json`, `{"specversion":"1.0","data":{}}`,
		`{"provider":"kwikid","account":"acme","reference":"another","since":"2026-03-02T09:00:00Z","deadline":"2026-03-02T09:00:00Z"}`,
		`{"provider":"kwikid","account":"other","reference":"session-1","since":"2026-03-02T09:00:00Z","deadline":"2026-03-02T09:00:00Z"}`,
	} {
		_, err := store.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte(body)})
		must(t, err)
	}
	consumeDue(t, store, func(_ context.Context, w kycbridge.Watch) error { t.Errorf("worked %+v", w); return nil })
	eventually(t, "all passed over", func() bool { n, err := store.Watched(t.Context()); return err == nil && n == 0 })
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestAWatchIsGivenUp: if a store takes a request to watch and never answers, as one does whose disk was
// full, the caller does not wait for the whole minute that a request may wait for a provider.
func TestAWatchIsGivenUp(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	must(t, store.js.DeleteStream(t.Context(), testNames.polls()))
	silent, err := store.nc.Subscribe("kyc.poll.>", func(*nats.Msg) {}) // so that the request is not refused at once
	must(t, err)
	defer silent.Unsubscribe() //nolint:errcheck // the connection is closed next
	must(t, store.nc.Flush())
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended <- store.Trigger(ctx, kycbridge.Watch{Provider: "ondato", Account: "acme", Reference: "r"})
	}()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("a request that nobody answered counts as stored")
		}
	case <-time.After(2 * publishTimeout):
		t.Error("the caller still waits")
	}
}
