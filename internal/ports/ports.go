// Package ports finds ports of this machine for servers whose address must be known before they listen.
package ports

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// The ports that are tried. Linux takes the port of an outgoing connection from 32768 on, unless it is configured
// otherwise: such a port may be in use a moment after it was found free.
const (
	lowest, end = 12_000, 32_000
	tries       = 1000
)

// Free returns n different addresses of the loopback interface, on which nothing listens. They are chosen at random, so
// that two processes that look for ports at the same time seldom find the same.
func Free(ctx context.Context, n int) (addresses []string, err error) {
	var config net.ListenConfig
	for range tries {
		if len(addresses) == n {
			return addresses, nil
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+rand.IntN(end-lowest))) //nolint:gosec // no secret
		if l, err := config.Listen(ctx, "tcp", address); err == nil {
			defer l.Close() // all at the end, so that no port is returned twice
			addresses = append(addresses, address)
		}
	}
	return nil, errors.New("no free port of 127.0.0.1 was found")
}
