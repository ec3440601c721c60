package publisher

import (
	"bytes"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/test/wait"
)

// forgetting is a connection on which requests for messages are lost: the node with the consumer has just failed.
type forgetting struct {
	net.Conn
	lose *atomic.Int32
}

func (l forgetting) Write(b []byte) (int, error) {
	if at := bytes.Index(b, []byte("CONSUMER.MSG.NEXT.KYC_QUARANTINE")); at > 0 && l.lose.Add(-1) >= 0 {
		c := bytes.Clone(b)
		copy(c[at:], "CONSUMER.MSG.NEXX")
		return l.Conn.Write(c)
	}
	return l.Conn.Write(b)
}

type forgettingServer struct {
	nats.InProcessConnProvider
	lose *atomic.Int32
}

func (l forgettingServer) InProcessConn() (net.Conn, error) {
	c, err := l.InProcessConnProvider.InProcessConn()
	return forgetting{c, l.lose}, err
}

// TestSilentServer: a scan for which the server delivers nothing, although it has messages, is an error. If it ended as
// if the stream were empty, a purge would report success and leave a body behind.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	server, _, _ := start(t, t.TempDir())
	var lose atomic.Int32
	c, err := Connect(t.Context(), Dial{Name: "store", Options: []nats.Option{
		nats.InProcessServer(forgettingServer{server.server, &lose}), nats.UserInfo(operator, server.password)},
		Server: server}, testMaxBody, zap.NewNop())
	must(t, err)
	store, err := OpenStore(t.Context(), c, testNames, testMaxBody, 1, kycbridge.DefaultRetention())
	must(t, err)
	t.Cleanup(store.Close)
	must(t, store.Quarantine(t.Context(), payload("victim", "", `{"name":"Erased Person"}`), kycbridge.QuarantineSchema, nil))
	read := func() (n int, err error) {
		err = store.Kept(t.Context(), kycbridge.KeptQuery{Shelf: kycbridge.ShelfQuarantine},
			func(kycbridge.Kept) error { n++; return nil })
		return n, err
	}
	lose.Store(1)
	if n, err := read(); err == nil || n != 0 {
		t.Errorf("the request for messages was lost: %d read, %v", n, err)
	}
	wait.For(t, 10*time.Second, "a scan that is answered", func() bool { n, err := read(); return err == nil && n == 1 })
}
