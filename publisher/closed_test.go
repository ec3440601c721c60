package publisher

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"kycbridge/test/wait"
)

// serverWithPassword returns a function that starts a server with a password of the user kyc: each time at the same
// address and with the same files.
func serverWithPassword(t *testing.T) (run func(password string) *server.Server) {
	t.Helper()
	dir, port := t.TempDir(), -1
	return func(password string) *server.Server {
		t.Helper()
		s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true,
			JetStream: true, StoreDir: dir, Username: "kyc", Password: password})
		must(t, err)
		s.Start()
		if !s.ReadyForConnections(10 * time.Second) {
			t.Fatal("the server is not ready")
		}
		port = s.Addr().(*net.TCPAddr).Port
		return s
	}
}

// TestCredentialsChangedAndChangedBack: a server refuses the credentials for a while, as it does between
// the two steps of a password change. The client reconnects once they are valid again.
func TestCredentialsChangedAndChangedBack(t *testing.T) {
	t.Parallel()
	run := serverWithPassword(t)
	s := run("first")
	var closed atomic.Value
	c, err := Connect(t.Context(),
		Dial{Name: "store", URL: s.ClientURL(), Options: []nats.Option{nats.UserInfo("kyc", "first")},
			Closed: func(err error) { closed.Store(err) }}, 1<<20, zap.NewNop())
	must(t, err)
	defer c.Close()
	end := func() { s.Shutdown(); s.WaitForShutdown() }
	end()
	s = run("second")
	wait.For(t, 20*time.Second, "it is refused several times", func() bool {
		stats, err := s.Varz(nil)
		return err == nil && stats.TotalConnections > 4
	})
	end()
	s = run("first")
	defer end()
	wait.For(t, 20*time.Second, "it is back", func() bool { return c.nc.IsConnected() })
	if err := closed.Load(); err != nil {
		t.Errorf("the connection was reported as closed: %v", err)
	}
}

// TestAPermanentlyClosedConnectionIsReported: the client library never reconnects after an error that it
// does not know. Without a report the process would stay ready and publish nothing.
func TestAPermanentlyClosedConnectionIsReported(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoLog: true, NoSigs: true, JetStream: true,
		StoreDir: t.TempDir()})
	must(t, err)
	s.Start()
	defer s.Shutdown()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	address, say := speaker(t, s.Addr().String())
	closed := make(chan error, 2)
	c, err := Connect(t.Context(), Dial{Name: "bus", URL: "nats://" + address, Closed: func(err error) { closed <- err }},
		1<<20, zap.NewNop())
	must(t, err)
	say("-ERR 'Authentication Timeout'\r\n")
	select {
	case err := <-closed:
		if !strings.Contains(err.Error(), `"bus"`) || !strings.Contains(err.Error(), "Authentication Timeout") {
			t.Errorf("reported %q", err)
		}
	case <-time.After(20 * wait.Slowdown * time.Second):
		t.Fatal("the close is not reported")
	}
	c.Close()

	d, err := Connect(t.Context(), Dial{Name: "bus", URL: s.ClientURL(), Closed: func(err error) { closed <- err }},
		1<<20, zap.NewNop())
	must(t, err)
	d.Close()
	select {
	case err := <-closed:
		t.Errorf("a connection that we close is reported as lost: %v", err)
	case <-time.After(300 * time.Millisecond):
	}
}

// speaker is a proxy in front of a server that forwards everything. say injects text to the client between
// two lines of the server.
func speaker(t *testing.T, behind string) (address string, say func(string)) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	words := make(chan string)
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			inner, err := net.Dial("tcp", behind)
			if err != nil {
				client.Close()
				return
			}
			go func() { _, _ = io.Copy(inner, client); inner.Close() }()
			lines := make(chan string)
			go func() {
				defer close(lines)
				for r := bufio.NewReader(inner); ; {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					lines <- line
				}
			}()
			go func() {
				defer client.Close()
				for {
					select {
					case line, ok := <-lines:
						if !ok {
							return
						}
						_, _ = io.WriteString(client, line)
					case word := <-words:
						_, _ = io.WriteString(client, word)
					}
				}
			}()
		}
	}()
	return l.Addr().String(), func(word string) { words <- word }
}

// TestAReaderIsNotTheService: a service that connects as a user who may only read events is refused for
// this reason, and not because of the small messages that the server accepts from such a user.
func TestAReaderIsNotTheService(t *testing.T) {
	t.Parallel()
	e, err := StartEmbedded(EmbeddedOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", Names: testNames, MaxBody: 1 << 20,
		Users: []User{{Username: "reader", Password: "reader-password"}}})
	must(t, err)
	defer e.Close()
	for range 20 { // the server sends its limits after it has answered
		c, err := Connect(t.Context(),
			Dial{Name: "store", URL: e.ClientURL(), Options: []nats.Option{nats.UserInfo("reader", "reader-password")}},
			LargestMessage(1<<20), zap.NewNop())
		if err == nil { // the limits arrive later; the first request is refused
			wait.For(t, 10*time.Second, "the limits of a reader", func() bool { return c.nc.MaxPayload() <= readerPayload })
			err = fit(c.nc, LargestMessage(1<<20))
			c.Close()
		}
		if !errors.Is(err, ErrForbidden) {
			t.Fatalf("refused with %v", err)
		}
	}
}
