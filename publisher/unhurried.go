package publisher

import (
	"context"
	"net"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/time/rate"
)

// askedRate is how many bytes of requests of readers are read from a server in a second.
const askedRate = 8 << 20

// Unhurried is for connections over which readers of an external server ask: what they send is read no
// faster than it can be looked at beside our own work. What is too much waits at the server, which
// closes the connection in the end; then it is dropped, and the readers ask again.
func Unhurried() nats.Option { return nats.SetCustomDialer(unhurried{}) }

type unhurried struct{}

// Dial connects.
func (unhurried) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return &unhurriedConn{Conn: conn, limit: rate.NewLimiter(askedRate, askedRate)}, nil
}

type unhurriedConn struct {
	net.Conn
	limit *rate.Limiter
}

// Read reads no faster than the limit.
func (c *unhurriedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), askedRate)])
	if n > 0 {
		_ = c.limit.WaitN(context.Background(), n) // a second at most
	}
	return n, err
}
