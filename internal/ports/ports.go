// Package ports finds ports of this machine for servers whose address must be known before they listen.
package ports

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// The range is below the one from which Linux assigns ports to outgoing connections, and to servers that request any
// port. A port of that range could be taken after it is found free and before the server starts for which it was
// picked, or while that server is restarted.
const (
	first = 12_000
	end   = 32_000
	tries = 1000
)

// given are the ports that were picked in this process.
var given sync.Map

// Free returns n different addresses of 127.0.0.1 on which nothing listens, chosen at random, so that two processes
// that look for ports at the same time seldom find the same. No port is returned twice in one process.
func Free(ctx context.Context, n int) (addresses []string, err error) {
	var config net.ListenConfig
	for range tries {
		if len(addresses) == n {
			return addresses, nil
		}
		port := first + rand.IntN(end-first) //nolint:gosec // no secret
		if _, again := given.LoadOrStore(port, true); again {
			continue
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		if l, err := config.Listen(ctx, "tcp", address); err == nil {
			l.Close()
			addresses = append(addresses, address)
		}
	}
	return nil, errors.New("no free port of 127.0.0.1 was found")
}
