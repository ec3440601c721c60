package publisher

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"kycbridge/test/pki"
	"kycbridge/test/wait"
)

// TestWhyNATSCannotBeReached: after a connection is lost, the log contains why the next attempts fail, each reason
// once.
func TestWhyNATSCannotBeReached(t *testing.T) {
	t.Parallel()
	run := func(port int, certificates ...tls.Certificate) *server.Server {
		o := &server.Options{Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true}
		if len(certificates) > 0 {
			o.TLS, o.TLSConfig = true, &tls.Config{Certificates: certificates, MinVersion: tls.VersionTLS12}
		}
		s, err := server.NewServer(o)
		must(t, err)
		s.Start()
		if !s.ReadyForConnections(10 * time.Second) {
			t.Fatal("the server does not start")
		}
		t.Cleanup(s.Shutdown)
		return s
	}
	first := run(-1)
	core, logged := observer.New(zap.WarnLevel)
	c, err := Connect(t.Context(), Dial{Name: "store", URL: first.ClientURL()}, 1024, zap.New(core))
	must(t, err)
	defer c.Close()
	port := first.Addr().(*net.TCPAddr).Port
	first.Shutdown()
	first.WaitForShutdown()
	reasons := func() map[string]int {
		found := map[string]int{}
		for _, line := range logged.FilterMessage("nats cannot be reached, trying again").All() {
			found[line.ContextMap()["error"].(string)]++
		}
		return found
	}
	wait.For(t, 2*unreachableAfter, "the refused connection", func() bool { return len(reasons()) > 0 })
	run(port, pki.NewAuthority(t, "unknown").Server(t).TLS(t))
	const unknown = "nats: tls error: tls: failed to verify certificate: x509: certificate signed by unknown authority"
	ctx, cancel := context.WithCancel(t.Context())
	var maintaining sync.WaitGroup
	defer maintaining.Wait()
	defer cancel()
	maintaining.Go(func() {
		c.maintain(ctx, func(context.Context) (Repaired, error) { return Repaired{}, nil }, zap.New(core), func() {})
	})
	wait.For(t, 3*repairInterval, "the certificate that is not trusted", func() bool { return reasons()[unknown] == 1 })
	time.Sleep(repairInterval + time.Second) // several attempts
	for reason, n := range reasons() {
		if n != 1 {
			t.Errorf("%d times: %s", n, reason)
		}
	}
}
