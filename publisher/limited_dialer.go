package publisher

import (
	"context"
	"net"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"
)

// requestReadRate is how many bytes of readers' requests are read from a server per second.
const requestReadRate = 8 << 20

// LimitReadRate is for connections that receive requests of readers from an external server: kycbridge reads them no
// faster than it can process them in addition to its other work. Further requests wait at the server. If too many
// wait, the server closes the connection and drops them; the readers then repeat their requests.
func LimitReadRate() nats.Option { return nats.SetCustomDialer(limitedDialer{}) }

type limitedDialer struct{}

// Dial connects.
func (limitedDialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return &limitedConn{Conn: conn, limit: rate.NewLimiter(requestReadRate, requestReadRate)}, nil
}

type limitedConn struct {
	net.Conn
	limit *rate.Limiter
}

// Read reads no faster than the limit.
func (c *limitedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), requestReadRate)])
	if n > 0 {
		_ = c.limit.WaitN(context.Background(), n) // a second at most
	}
	return n, err
}
