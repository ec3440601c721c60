package app_test

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"kycbridge/internal/app"
	"kycbridge/test/wait"
)

// TestLargeEventsDoNotEndTheConnection: a server ends a connection for which it has to buffer more than max_pending.
// Large events are read without requesting so much at once.
func TestLargeEventsDoNotEndTheConnection(t *testing.T) {
	t.Parallel()
	const events, stream = 128, "KYC_EVENTS"
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true,
		StoreDir: t.TempDir(), MaxPayload: 1 << 20, MaxPending: 64 << 20})
	must(t, err)
	s.Start()
	t.Cleanup(s.Shutdown)
	if !s.ReadyForConnections(20 * time.Second * wait.Slowdown) {
		t.Fatal("the server is not ready")
	}
	nc, err := nats.Connect(s.ClientURL())
	must(t, err)
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	must(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: stream, Subjects: []string{"kyc.event.>"}})
	must(t, err)
	body := bytes.Repeat([]byte("x"), 900_000)
	for range events {
		_, err := js.Publish(t.Context(), "kyc.event.v1.a", body)
		must(t, err)
	}
	read := 0
	must(t, app.ReadEvents(t.Context(), app.ReadOptions{URL: slowLine(t, s.ClientURL()), Stream: stream,
		Timeout: 4 * time.Second * wait.Slowdown},
		func([]byte) error { read++; return nil }))
	if read != events || s.NumSlowConsumers() > 0 {
		t.Errorf("%d of %d events are read, and the server ended %d slow connections", read, events, s.NumSlowConsumers())
	}
}

// slowLine is the address of a connection to a server that takes less than the server can send.
func slowLine(t *testing.T, to string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", strings.TrimPrefix(to, "nats://"))
			if err != nil {
				client.Close()
				return
			}
			go func() { defer upstream.Close(); _, _ = io.Copy(upstream, client) }()
			go func() { defer client.Close(); _, _ = io.Copy(client, pausing{upstream}) }()
		}
	}()
	return "nats://" + l.Addr().String()
}

// pausing reads with a pause before each piece.
type pausing struct{ io.Reader }

func (p pausing) Read(b []byte) (int, error) {
	time.Sleep(200 * time.Microsecond)
	return p.Reader.Read(b)
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
