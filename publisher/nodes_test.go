package publisher

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// TestNodesSettle: after Settle, every node knows an inbox that one node had received.
func TestNodesSettle(t *testing.T) {
	t.Parallel()
	urls := cluster(t, 3)
	dial := func(ctx context.Context, url string, more ...nats.Option) (*Connection, error) {
		return Connect(ctx, Dial{Name: "test", URL: url, Options: more, Once: true}, 0, zap.NewNop())
	}
	home, err := dial(t.Context(), urls[0])
	must(t, err)
	nodes := NewNodes(home, dial, zap.NewNop())
	t.Cleanup(nodes.Close)
	eventually(t, "a connection to each node", func() bool { return len(nodes.all()) == 3 })
	var clients []*nats.Conn
	for _, url := range urls {
		nc, err := nats.Connect(url)
		must(t, err)
		t.Cleanup(nc.Close)
		clients = append(clients, nc)
	}
	took := time.Duration(0)
	for i := range 300 {
		reader, asked := clients[i%3], clients[(i+1)%3]
		sub, err := reader.SubscribeSync(reader.NewInbox())
		must(t, err)
		must(t, reader.Flush()) // its node has received the subscription
		began := time.Now()
		nodes.Settle(t.Context())
		took += time.Since(began)
		must(t, asked.Publish(sub.Subject, []byte(fmt.Sprint(i))))
		if _, err := sub.NextMsg(5 * time.Second); err != nil {
			t.Fatalf("message %d to a new inbox: %v", i, err)
		}
		must(t, sub.Unsubscribe())
	}
	t.Logf("a round takes %s", took/300)
	if took > 300*settleWait/2 {
		t.Errorf("300 rounds took %s", took)
	}
}

// TestEarlyRequestsWait: a request with a new inbox waits until all nodes know the inbox, a later one is
// accepted at once.
func TestEarlyRequestsWait(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &reader{Readers: &Readers{ctx: ctx, o: ReadersOptions{Nodes: &Nodes{}, Observe: func(string, string) {}}},
		early: make(chan request, 1), asks: make(chan request, 1)}
	const reply = "_INBOX.abc.1"
	r.receive(request{kind: kindAPI}, inboxOf(reply))
	if len(r.early) != 1 || len(r.asks) != 0 {
		t.Errorf("%d requests wait, %d are taken; want the first one to wait", len(r.early), len(r.asks))
	}
	r.known.add(inboxOf(reply))
	r.receive(request{kind: kindAPI}, inboxOf("_INBOX.abc.2"))
	if len(r.asks) != 1 {
		t.Error("a request to a known inbox waits")
	}
	for i := range 3 * mostInboxes {
		r.known.add(fmt.Sprint(i))
	}
	if r.known.has(inboxOf(reply)) || len(r.known.new)+len(r.known.old) > 2*mostInboxes {
		t.Error("inboxes are kept for ever")
	}
}
