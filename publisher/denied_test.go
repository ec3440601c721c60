package publisher

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"kycbridge/test/wait"
)

// TestDeniedReadersAreLoggedOnce: a server refuses the credentials until a process has the new password. It tries
// several times a second on each connection, also on those that serve readers, and says so once.
func TestDeniedReadersAreLoggedOnce(t *testing.T) {
	t.Parallel()
	run := serverWithPassword(t)
	s := run("first")
	core, logged := observer.New(zap.InfoLevel)
	dial := func(name string) *Connection {
		c, err := Connect(t.Context(), Dial{Name: name, URL: s.ClientURL(),
			Options: []nats.Option{nats.UserInfo("kyc", "first")}}, 1<<20, zap.New(core))
		must(t, err)
		t.Cleanup(c.Close)
		return c
	}
	readers, err := NewReaders(dial("readers"), ReadersOptions{Names: testNames, Events: true, Log: zap.New(core)})
	must(t, err)
	t.Cleanup(readers.Close)
	newLive(dial("live"), testNames, "", nil)
	s.Shutdown()
	s.WaitForShutdown()
	s = run("second")
	t.Cleanup(s.Shutdown)
	wait.For(t, 20*time.Second, "both are refused several times", func() bool {
		stats, err := s.Varz(nil)
		return err == nil && stats.TotalConnections > 10
	})
	if n := logged.FilterMessage("nats reports an error").Len(); n != 0 {
		t.Errorf("%d lines of errors", n)
	}
	if n := logged.FilterMessage("nats refuses the credentials, trying again").Len(); n != 2 {
		t.Errorf("%d lines say that the credentials are refused, want one of each connection", n)
	}
}
