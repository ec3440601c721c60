package publisher

import (
	"context"
	"fmt"
	"sync"
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

func laneDelivery(subject string, n int) delivery {
	return delivery{Msg: laneMessage{subject: subject}, received: received{seq: uint64(n)}}
}

// TestLanes: the payloads of one verification keep their order, and as many as there is room for do not keep the next
// one of another verification waiting.
func TestLanes(t *testing.T) {
	t.Parallel()
	const workers = 4
	l := newLanes(workers)
	for n := range workers*perWorker - workers {
		l.put(laneDelivery("busy", n))
	}
	for n := range workers {
		l.put(laneDelivery(fmt.Sprint("other", n), n)) // would never return if a full lane blocked it
	}
	full := make(chan struct{})
	go func() {
		defer close(full)
		l.put(laneDelivery("busy", workers*perWorker))
	}()
	select {
	case <-full:
		t.Error("there is room for more than the lanes hold")
	case <-time.After(50 * time.Millisecond):
	}
	var mu sync.Mutex
	passed := map[string][]uint64{}
	var working sync.WaitGroup
	for _, of := range l.all {
		working.Go(func() {
			l.each(of, func(d delivery) {
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
	if want := workers*perWorker + 1; total != want || len(l.room) != 0 {
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
