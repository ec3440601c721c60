package publisher

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/test/wait"
)

// slowConn is a connection that pauses with every fourth read, so that it takes less than a server can send.
type slowConn struct {
	net.Conn
	reads int
}

func (c *slowConn) Read(b []byte) (int, error) {
	if c.reads++; c.reads%4 == 0 {
		time.Sleep(time.Millisecond)
	}
	return c.Conn.Read(b)
}

// slowly dials such connections, and counts them.
type slowly struct{ connected atomic.Int32 }

func (d *slowly) Dial(network, address string) (net.Conn, error) {
	conn, err := net.Dial(network, address)
	d.connected.Add(1)
	return &slowConn{Conn: conn}, err
}

// plainServer starts an external server for bodies of maxBody, with the usual limit for what a connection has pending.
func plainServer(t *testing.T, dir string, maxBody int) *server.Server {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true,
		StoreDir: dir, MaxPayload: int32(LargestMessage(maxBody)), MaxPending: 64 << 20})
	must(t, err)
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(20 * time.Second * wait.Slowdown) {
		t.Fatal("the server is not ready")
	}
	return s
}

// TestLargeBodiesDoNotEndTheConnection: a server ends a connection for which it has to buffer more than max_pending.
// Large payloads are read, by a scan and by the workers, without requesting so much at once.
func TestLargeBodiesDoNotEndTheConnection(t *testing.T) {
	t.Parallel()
	const payloads = 128
	s := plainServer(t, t.TempDir(), testMaxBody)
	dialer := &slowly{}
	c, err := Connect(t.Context(), Dial{Name: "store", URL: s.ClientURL(),
		Options: []nats.Option{nats.SetCustomDialer(dialer)}}, testMaxBody, zap.NewNop())
	must(t, err)
	store, err := OpenStore(t.Context(), c, testNames, testMaxBody, 1, kycbridge.DefaultRetention())
	must(t, err)
	t.Cleanup(store.Close)
	pad := strings.Repeat("x", 900_000)
	for i := range payloads {
		n := strconv.Itoa(i)
		_, err := store.Append(t.Context(), payload("idv-"+n, "event-"+n, `{"pad":"`+pad+n+`"}`))
		must(t, err)
	}
	before := dialer.connected.Load()
	read := 0
	must(t, store.Kept(t.Context(), kycbridge.KeptQuery{Shelf: kycbridge.ShelfPayloads},
		func(kycbridge.Kept) error { read++; return nil }))
	if read != payloads {
		t.Errorf("%d payloads read, want %d", read, payloads)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var worked atomic.Int32
	work := func(context.Context, kycbridge.Payload, int) (kycbridge.Disposition, time.Duration) {
		worked.Add(1)
		return kycbridge.Disposition{}, 0
	}
	stopped := make(chan error, 1)
	go func() { stopped <- store.Consume(ctx, ConsumeOptions{Workers: 4, Log: zap.NewNop(), Work: work}) }()
	wait.For(t, 30*time.Second, "every payload worked", func() bool { return worked.Load() >= payloads })
	cancel()
	must(t, <-stopped)
	if n := dialer.connected.Load() - before; n > 0 || s.NumSlowConsumers() > 0 {
		t.Errorf("the server ended the connection: %d new connections, %d slow consumers", n, s.NumSlowConsumers())
	}
}

// TestBodiesOfAHigherLimit: a body that was stored while max_body was higher, and that is larger than a request of many
// messages, is read, and what is behind it.
func TestBodiesOfAHigherLimit(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func(s *server.Server, maxBody int) *Store {
		c, err := Connect(t.Context(), Dial{Name: "store", URL: s.ClientURL()}, maxBody, zap.NewNop())
		must(t, err)
		store, err := OpenStore(t.Context(), c, testNames, maxBody, 1, kycbridge.DefaultRetention())
		must(t, err)
		t.Cleanup(store.Close)
		return store
	}
	s := plainServer(t, dir, pulledBytes+4*headRoom)
	store := open(s, pulledBytes+4*headRoom)
	for _, size := range []int{pulledBytes + headRoom, 1} {
		n := strconv.Itoa(size)
		_, err := store.Append(t.Context(), payload("idv-"+n, "event-"+n, `{"pad":"`+strings.Repeat("x", size)+`"}`))
		must(t, err)
	}
	store.Close()
	s.Shutdown()
	s.WaitForShutdown()

	store = open(plainServer(t, dir, testMaxBody), testMaxBody)
	read := 0
	must(t, store.Kept(t.Context(), kycbridge.KeptQuery{Shelf: kycbridge.ShelfPayloads},
		func(kycbridge.Kept) error { read++; return nil }))
	if read != 2 {
		t.Errorf("%d payloads read, want 2", read)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var worked atomic.Int32
	work := func(context.Context, kycbridge.Payload, int) (kycbridge.Disposition, time.Duration) {
		worked.Add(1)
		return kycbridge.Disposition{}, 0
	}
	stopped := make(chan error, 1)
	go func() { stopped <- store.Consume(ctx, ConsumeOptions{Workers: 1, Log: zap.NewNop(), Work: work}) }()
	wait.For(t, 10*time.Second, "both payloads worked", func() bool { return worked.Load() == 2 })
	cancel()
	must(t, <-stopped)
}
