package publisher

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"

	"kycbridge"
	"kycbridge/test/wait"
)

// forgetful is an external server whose data can be replaced by an older copy.
type forgetful struct {
	t      *testing.T
	dir    string
	port   int
	server *server.Server
}

func newForgetful(t *testing.T) *forgetful {
	f := &forgetful{t: t, dir: t.TempDir(), port: -1}
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *forgetful) start() {
	f.t.Helper()
	var err error
	f.server, err = server.NewServer(&server.Options{Host: "127.0.0.1", Port: f.port, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: f.dir, MaxPayload: 4 << 20})
	must(f.t, err)
	f.server.Start()
	if !f.server.ReadyForConnections(20 * time.Second * wait.Slowdown) {
		f.t.Fatal("the server is not ready")
	}
	f.port = f.server.Addr().(*net.TCPAddr).Port
}

func (f *forgetful) stop() { f.server.Shutdown(); f.server.WaitForShutdown() }

// stream is the folder of a stream.
func (f *forgetful) stream(name string) string {
	return filepath.Join(f.dir, "jetstream", "$G", "streams", name)
}

// copy is a copy of the data.
func (f *forgetful) copy() *forgetful {
	f.stop()
	old := &forgetful{dir: f.t.TempDir()}
	must(f.t, os.CopyFS(old.dir, os.DirFS(f.dir)))
	f.start()
	return old
}

// lose restarts the server with the older content of a part of a stream: "msgs" or "obs" (its consumers), or both.
func (f *forgetful) lose(old *forgetful, stream string, parts ...string) {
	f.stop()
	for _, part := range parts {
		folder := filepath.Join(f.stream(stream), part)
		must(f.t, os.RemoveAll(folder))
		must(f.t, os.CopyFS(folder, os.DirFS(filepath.Join(old.stream(stream), part))))
	}
	f.start()
}

// open opens the store as one of the processes that use it.
func (f *forgetful) open() *Store {
	f.t.Helper()
	c, err := Connect(f.t.Context(), Dial{Name: "store", URL: f.server.ClientURL()}, testMaxBody, zap.NewNop())
	must(f.t, err)
	s, err := OpenStore(f.t.Context(), c, testNames, testMaxBody, 1, kycbridge.DefaultRetention())
	must(f.t, err)
	f.t.Cleanup(s.Close)
	return s
}

// reconnected waits until a store has noticed that its server was restarted.
func (f *forgetful) reconnected(s *Store, life int) {
	f.t.Helper()
	eventually(f.t, "the connection is back", func() bool { return s.life() > life && s.Connected() })
}

// position is what the server says about the consumer of the payload log; zero if it does not answer.
func (f *forgetful) position(s *Store) jetstream.ConsumerInfo {
	c, err := s.js.Consumer(f.t.Context(), testNames.payloads(), Consumer)
	if err != nil {
		return jetstream.ConsumerInfo{}
	}
	return *c.CachedInfo()
}

// append stores payload number n; each belongs to another verification.
func (f *forgetful) append(s *Store, numbers ...int) {
	f.t.Helper()
	for _, n := range numbers {
		stored, err := s.Append(f.t.Context(), payload(fmt.Sprint("idv-", n), fmt.Sprint("e", n), "{}"))
		if err != nil || stored.Duplicate {
			f.t.Fatalf("append %d: %+v, %v", n, stored, err)
		}
	}
}

// worked counts the attempts for each payload.
type worked struct {
	mu       sync.Mutex
	attempts map[string]int
}

func (w *worked) count(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.attempts[payload("", fmt.Sprint("e", n), "{}").ID]
}

// consume processes payloads with one worker until stop is called, or the test ends. then decides about an attempt.
func (w *worked) consume(
	t *testing.T, s *Store, then func(p kycbridge.Payload, attempt int) (retryIn time.Duration),
) (stop func()) {
	t.Helper()
	w.attempts = map[string]int{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- s.Consume(ctx, ConsumeOptions{Workers: 1, Log: zaptest.NewLogger(t), Hold: func() bool { return false },
			Work: func(_ context.Context, p kycbridge.Payload, _ int) (kycbridge.Disposition, time.Duration) {
				w.mu.Lock()
				w.attempts[p.ID]++
				attempt := w.attempts[p.ID]
				w.mu.Unlock()
				return kycbridge.Disposition{Revision: 1}, then(p, attempt)
			}})
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func always(kycbridge.Payload, int) time.Duration { return 0 }

// TestAcknowledgementOfALostPayload: a payload is being processed when the server is restarted without it. Its sequence
// is that of another payload then, which must not count as processed when the first one is done. The second payload
// fails at first, so it is only processed if the server still considers it open.
func TestAcknowledgementOfALostPayload(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	before := f.open()
	f.append(before, 1)
	_, err := before.makeNormalizer(t.Context())
	must(t, err)
	old := f.copy()
	s, another := f.open(), f.open()
	f.append(another, 2)
	held, release := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	var w worked
	w.consume(t, s, func(p kycbridge.Payload, attempt int) time.Duration {
		switch {
		case p.ID == payload("", "e2", "{}").ID:
			close(held)
			<-release
		case p.ID == payload("", "e3", "{}").ID && attempt == 1:
			s.awaitDisposition(t, payload("", "e2", "{}").ID) // it is acknowledged with that
			return 50 * time.Millisecond
		}
		return 0
	})
	t.Cleanup(letGo)
	<-held
	life := s.life()
	f.lose(old, testNames.payloads(), "msgs", "obs")
	f.reconnected(s, life)
	f.append(s, 3)
	eventually(t, "the payload after the loss is delivered", func() bool { return f.position(s).Delivered.Stream == 2 })
	letGo()
	eventually(t, "it is processed", func() bool { return w.count(3) == 2 })
}

// awaitDisposition returns when the disposition of a payload is recorded, and the next request was answered.
func (s *Store) awaitDisposition(t *testing.T, id string) {
	mark := kycbridge.PayloadMark(id)
	for isRecorded := false; !isRecorded && t.Context().Err() == nil; {
		_ = s.Dispositions(t.Context(), time.Time{}, func(d kycbridge.Disposition) error {
			isRecorded = isRecorded || d.Mark == mark
			return nil
		})
	}
	_, _ = s.newest(t.Context(), s.names.payloads())
}

// TestConsumerPastALoss: the log has lost payloads that were processed, and has grown beyond them before anybody looks.
// The loss is noticed by the new payloads at their sequences, and these are processed.
func TestConsumerPastALoss(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	f.append(f.open(), 1)
	old := f.copy()
	s, another := f.open(), f.open()
	var w worked
	w.consume(t, s, always)
	f.append(another, 2, 3)
	eventually(t, "they are processed", func() bool { return w.count(3) == 1 && f.position(s).AckFloor.Stream == 3 })
	life := s.life()
	f.lose(old, testNames.payloads(), "msgs")
	f.reconnected(s, life)
	f.append(s, 12, 13, 14)
	eventually(t, "the consumer delivers", func() bool { return w.count(14) > 0 })
	m, err := s.Repair(t.Context())
	if err != nil || len(m.Consumers) != 1 || m.Consumers[0].From != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	eventually(t, "the payloads at the sequences of lost ones are processed",
		func() bool { return w.count(12) > 0 && w.count(13) > 0 })
	if m, err = s.Repair(t.Context()); err != nil || !m.Empty() {
		t.Errorf("repaired again: %+v, %v", m, err)
	}
}

// TestLossIsRepairedOnce: a repair before the next payloads covers all lost deliveries, so that none of the payloads at
// their sequences causes another one.
func TestLossIsRepairedOnce(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	f.append(f.open(), 1)
	old := f.copy()
	s := f.open()
	var w worked
	w.consume(t, s, always)
	f.append(s, 2, 3, 4)
	eventually(t, "they are processed", func() bool { return w.count(4) == 1 })
	life := s.life()
	f.lose(old, testNames.payloads(), "msgs", "obs")
	f.reconnected(s, life)
	if m, err := s.Repair(t.Context()); err != nil || len(m.Shorter) != 1 {
		t.Errorf("%+v, %v", m, err)
	}
	f.append(s, 12, 13, 14, 15)
	eventually(t, "the consumer delivers", func() bool { return w.count(15) > 0 })
	if m, err := s.Repair(t.Context()); err != nil || !m.Empty() {
		t.Errorf("repaired again: %+v, %v", m, err)
	}
}

// TestInterruptedRepair: a repair fails after it has noted a loss, in a process that does not consume. The next one
// completes it.
func TestInterruptedRepair(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	f.append(f.open(), 1)
	old := f.copy()
	s := f.open()
	var before, after worked
	stop := before.consume(t, f.open(), always)
	f.append(s, 2, 3)
	eventually(t, "they are processed", func() bool { return before.count(3) == 1 && f.position(s).AckFloor.Stream == 3 })
	stop()
	life := s.life()
	f.lose(old, testNames.payloads(), "msgs")
	f.reconnected(s, life)
	f.append(s, 12, 13, 14, 15)
	c, err := s.js.Consumer(t.Context(), testNames.payloads(), Consumer)
	must(t, err)
	for range 3 { // the acknowledgements of lost ones, which another process still held
		m, err := c.Next()
		must(t, err)
		must(t, m.DoubleAck(t.Context()))
	}
	s.durables.add(durable{stream: "NO_SUCH_STREAM", config: jetstream.ConsumerConfig{Durable: "a"}})
	if m, err := s.Repair(t.Context()); err == nil || len(m.Shorter) != 1 {
		t.Fatalf("%+v, %v", m, err)
	}
	delete(s.durables.known, "a")
	if m, err := s.Repair(t.Context()); err != nil || len(m.Consumers) != 1 || m.Consumers[0].From != 2 {
		t.Errorf("%+v, %v", m, err)
	}
	if m, err := s.Repair(t.Context()); err != nil || !m.Empty() {
		t.Errorf("repaired again: %+v, %v", m, err)
	}
	after.consume(t, f.open(), always)
	eventually(t, "the payloads at the sequences of lost ones are processed",
		func() bool { return after.count(12) > 0 && after.count(13) > 0 && after.count(15) > 0 })
}

// TestErasedPayloadIsNotLost: erasures are no losses, and an erased payload blocks nothing.
func TestErasedPayloadIsNotLost(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	s := f.open()
	var w worked
	w.consume(t, s, always)
	f.append(s, 1, 2, 3)
	eventually(t, "they are processed", func() bool { return w.count(3) == 1 })
	must(t, s.Erase(t.Context(), kycbridge.ShelfPayloads, 3, true))
	must(t, s.Erase(t.Context(), kycbridge.ShelfPayloads, 2, true))
	life := s.life()
	f.stop()
	f.start()
	f.reconnected(s, life)
	if m, err := s.Repair(t.Context()); err != nil || !m.Empty() {
		t.Errorf("%+v, %v", m, err)
	}
	f.append(s, 4)
	eventually(t, "the next one is processed", func() bool { return w.count(4) == 1 })
}

// TestLostWatch: a watch is being worked when the server is restarted without it. Another one that gets its sequence
// remains.
func TestLostWatch(t *testing.T) {
	t.Parallel()
	f := newForgetful(t)
	f.open()
	old := f.copy()
	s := f.open()
	must(t, s.Trigger(t.Context(), watch("lost")))
	held, release, done := make(chan struct{}), make(chan struct{}), make(chan string, 10)
	stop := consumeDue(t, s, func(_ context.Context, w kycbridge.Watch) error {
		if w.Reference == "lost" {
			close(held)
			<-release
			return nil
		}
		done <- w.Reference
		return fmt.Errorf("not yet")
	})
	<-held
	life := s.life()
	f.lose(old, testNames.polls(), "msgs", "obs")
	f.reconnected(s, life)
	must(t, s.Trigger(t.Context(), watch("next")))
	select {
	case <-done:
	case <-time.After(40 * time.Second * wait.Slowdown):
		t.Error("the next watch is not due")
	}
	close(release)
	stop() // it returns when all workers have ended
	if n, err := s.Watched(t.Context()); err != nil || n != 1 {
		t.Errorf("%d watches, %v", n, err)
	}
}

// TestDeliveriesAreLookedUpSeldom: while payloads wait for long, one look at the log serves for all of them.
func TestDeliveriesAreLookedUpSeldom(t *testing.T) {
	t.Parallel()
	_, s, _ := start(t, t.TempDir())
	for n := range 3 {
		_, err := s.Append(t.Context(), payload(fmt.Sprint("idv-", n), fmt.Sprint("e", n), "{}"))
		must(t, err)
	}
	long := time.Now().Add(-2 * heldLong)
	m := received{seq: 3, life: s.life(), at: long}
	raw, err := s.payloadLog.GetMsg(t.Context(), 3)
	must(t, err)
	m.stored = raw.Time
	s.delivered.note(m, m.life)
	if s.delivered.isSure(received{seq: 1, life: m.life}) {
		t.Fatal("nobody has looked yet")
	}
	isReplaced, err := s.payloadReplaced(t.Context(), received{seq: 1, life: m.life, at: long})
	if err != nil || isReplaced {
		t.Fatal(isReplaced, err)
	}
	if isReplaced, err = s.payloadReplaced(t.Context(), received{seq: 4, life: m.life, at: long}); err != nil ||
		!isReplaced {
		t.Errorf("a message beyond the newest delivery: %v, %v", isReplaced, err)
	}
	s.delivered.forget(m.seq, m)
	if isReplaced, err = s.payloadReplaced(t.Context(), m); err != nil || isReplaced {
		t.Errorf("with no delivery remembered: %v, %v", isReplaced, err)
	}
	s.delivered.note(m, m.life)
	s.delivered.found(m, time.Now())
	if !s.delivered.isSure(m) || s.delivered.isSure(received{seq: 3, life: m.life + 1}) ||
		s.delivered.isSure(received{seq: 4, life: m.life}) {
		t.Error("the look does not serve for the others, or for too many")
	}
}
