package publisher

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/test/wait"
)

// laneMessage is a message without a server.
type laneMessage struct {
	jetstream.Msg
	subject string
}

func (m laneMessage) Subject() string { return m.subject }
func (m laneMessage) Reply() string   { return "" }

func aside(d delivery) delivery { return d.aside(nil) }

func laneDelivery(subject string, n int) delivery {
	return delivery{Msg: laneMessage{subject: subject}, received: received{seq: uint64(n)}}
}

// TestLanes: the payloads of one verification keep their order, and as many as there is room for do not keep the next
// one of another verification waiting.
func TestLanes(t *testing.T) {
	t.Parallel()
	const workers = 4
	l := newLanes(workers, aside)
	for n := range workers*perWorker - workers {
		l.put(laneDelivery("busy", n))
	}
	for n := range workers {
		l.put(laneDelivery(fmt.Sprint("other", n), n)) // would never return if a full lane blocked it
	}
	rest := cap(l.room) - len(l.room)
	for n := range rest {
		l.put(laneDelivery(fmt.Sprint("rest", n), n))
	}
	full := make(chan struct{})
	go func() {
		defer close(full)
		l.put(laneDelivery("last", 0))
	}()
	select {
	case <-full:
		t.Error("there is room for more than the lanes hold")
	case <-time.After(50 * time.Millisecond):
	}
	var mu sync.Mutex
	passed := map[string][]uint64{}
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			l.work(func(d delivery) {
				mu.Lock()
				defer mu.Unlock()
				passed[d.Subject()] = append(passed[d.Subject()], d.seq)
			})
		})
	}
	<-full
	l.close()
	working.Wait()
	total := 0
	for subject, all := range passed {
		total += len(all)
		for i := 1; i < len(all); i++ {
			if all[i] <= all[i-1] {
				t.Errorf("%s: %d after %d", subject, all[i], all[i-1])
			}
		}
	}
	if want := workers*perWorker + rest + 1; total != want || len(l.room) != 0 {
		t.Errorf("%d of %d passed, %d places are taken", total, want, len(l.room))
	}
}

// TestWaitingPayloadsAreDeliveredOnce: payloads that wait in a lane for longer than the server waits for an
// acknowledgement are not delivered again.
func TestWaitingPayloadsAreDeliveredOnce(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	const payloads = perWorker
	for n := range payloads {
		_, err := store.Append(t.Context(), payload("idv-1", fmt.Sprint("e", n), fmt.Sprintf(`{"n":%d}`, n)))
		must(t, err)
	}
	var mu sync.Mutex
	attempts := map[uint64][]int{}
	ctx, end := context.WithCancel(t.Context())
	var consuming sync.WaitGroup
	consuming.Go(func() {
		_ = store.Consume(ctx, ConsumeOptions{Workers: 1, Exclusive: true, Log: zap.NewNop(),
			Hold: func() bool { return false },
			Work: func(ctx context.Context, p kycbridge.Payload, attempt int) (kycbridge.Disposition, time.Duration) {
				mu.Lock()
				attempts[p.Seq] = append(attempts[p.Seq], attempt)
				isFirst := len(attempts) == 1
				mu.Unlock()
				if isFirst {
					pause(ctx, ackWait+heartbeat)
				}
				return kycbridge.Disposition{}, 0
			}})
	})
	defer consuming.Wait()
	defer end()
	wait.For(t, time.Minute, "all are processed", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(attempts) == payloads
	})
	mu.Lock()
	defer mu.Unlock()
	for seq, all := range attempts {
		if seq > 1 && (len(all) != 1 || all[0] != 1) {
			t.Errorf("payload %d was processed in the attempts %v", seq, all)
		}
	}
}

// TestABusyLaneBlocksNoOther: while a payload of a verification is processed and others of it wait, one worker more is
// enough for all other verifications, and the next payload of the busy one waits for its turn. However many of it wait,
// they take little of the room.
func TestABusyLaneBlocksNoOther(t *testing.T) {
	t.Parallel()
	const others = 64
	l := newLanes(others/perWorker, aside)
	for n := range 4 * others { // would never return if they took the room of all
		l.put(laneDelivery("busy", n))
	}
	release, passed := make(chan struct{}), make(chan string, others)
	var busyNow, busyAtOnce atomic.Int32
	var working sync.WaitGroup
	for range 2 {
		working.Go(func() {
			l.work(func(d delivery) {
				if d.Subject() != "busy" {
					passed <- d.Subject()
					return
				}
				busyAtOnce.Store(max(busyAtOnce.Load(), busyNow.Add(1)))
				<-release
				busyNow.Add(-1)
			})
		})
	}
	for n := range others {
		l.put(laneDelivery(fmt.Sprint("other", n), n))
	}
	for n := range others {
		select {
		case <-passed:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d of %d others have passed", n, others)
		}
	}
	close(release)
	l.close()
	working.Wait()
	if busyAtOnce.Load() != 1 || len(l.of) != 0 {
		t.Errorf("%d at once, %d lanes are left", busyAtOnce.Load(), len(l.of))
	}
}
