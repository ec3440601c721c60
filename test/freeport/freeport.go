// Package freeport picks ports for servers of tests.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// The range is below the one from which the kernel assigns ports to outgoing connections and to servers that
// request any port. A port of that range could be taken after it is found free and before the server starts for
// which it was picked, or while that server is restarted.
const (
	first = 12000
	end   = 32000
)

// given are the ports that were picked in this process.
var given sync.Map

// New picks a port of 127.0.0.1 on which nothing listens.
func New(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := first + rand.IntN(end-first)
		if _, again := given.LoadOrStore(port, true); again {
			continue
		}
		if l, err := net.Listen("tcp", Local(port)); err == nil { //nolint:noctx // it is closed at once
			l.Close()
			return port
		}
	}
	t.Fatalf("no free port between %d and %d", first, end)
	return 0
}

// Local is the address of a port.
func Local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// Address is the address of a port on which nothing listens.
func Address(t testing.TB) string {
	t.Helper()
	return Local(New(t))
}
