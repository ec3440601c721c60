package publisher

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

// TestBacklogOfNewMessages: a message counts as unprocessed from its acknowledgement on, also while the server has not
// yet counted it for the consumer.
func TestBacklogOfNewMessages(t *testing.T) {
	t.Parallel()
	_, store, _ := start(t, t.TempDir())
	stream, err := store.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "QUEUE",
		Subjects: []string{"queue.>"}})
	must(t, err)
	for _, filter := range []string{"", "queue.mine.*"} {
		consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{FilterSubject: filter,
			AckPolicy: jetstream.AckExplicitPolicy, DeliverPolicy: jetstream.DeliverNewPolicy})
		must(t, err)
		for i := range 200 {
			_, err := store.js.Publish(t.Context(), "queue.mine.a", nil)
			must(t, err)
			info, err := consumer.Info(t.Context())
			must(t, err)
			left, err := backlogOf(t.Context(), stream, info)
			must(t, err)
			if left == 0 {
				t.Fatalf("message %d is stored and not delivered, and the backlog is empty", i)
			}
			m, err := consumer.Next()
			must(t, err)
			must(t, m.DoubleAck(t.Context()))
			_, err = store.js.Publish(t.Context(), "queue.other.a", nil)
			must(t, err)
			if filter == "" {
				m, err := consumer.Next()
				must(t, err)
				must(t, m.DoubleAck(t.Context()))
			}
			info, err = consumer.Info(t.Context())
			must(t, err)
			if left, err = backlogOf(t.Context(), stream, info); err != nil || left != 0 {
				t.Fatalf("message %d is processed, the backlog is %d, %v", i, left, err)
			}
		}
	}
}
