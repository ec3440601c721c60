package app

import (
	"bytes"
	"net"
	"strconv"

	"go.uber.org/zap"

	"kycbridge/handlers"
)

// watchedListener tells of the refusals that net/http writes by itself, before any handler sees a
// request: a header that is too large or malformed, an encoding of the transfer that it does not know.
// Nobody would hear of them otherwise.
type watchedListener struct {
	net.Listener
	refused func(status int)
}

func newWatchedListener(l net.Listener, refused func(status int)) net.Listener {
	return watchedListener{l, refused}
}

// Accept returns a connection whose early refusals are told.
func (l watchedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return watchedConn{c, l.refused}, nil
}

// watchedConn looks at the first bytes of what is written.
type watchedConn struct {
	net.Conn
	refused func(status int)
}

// plainRefusal ends the header of every refusal that net/http writes by itself; our own answers are JSON.
var plainRefusal = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// Write tells of an early refusal and writes on.
func (c watchedConn) Write(b []byte) (int, error) {
	if status := earlyRefusal(b); status > 0 {
		c.refused(status)
	}
	return c.Conn.Write(b)
}

// earlyRefusal is the status of a refusal that no handler of ours has made; 0 where b is none.
func earlyRefusal(b []byte) int {
	const prefix = "HTTP/1.1 "
	if len(b) < len(prefix)+3 || string(b[:len(prefix)]) != prefix || b[len(prefix)] < '4' {
		return 0
	}
	status, err := strconv.Atoi(string(b[len(prefix) : len(prefix)+3]))
	if err != nil {
		return 0
	}
	const expectationFailed = 417 // has no body; nothing of ours answers it
	if status == expectationFailed || bytes.Contains(b[:min(len(b), 512)], plainRefusal) {
		return status
	}
	return 0
}

// early counts and logs a request that net/http has refused by itself.
func (a *App) early(status int) {
	a.metrics.received(handlers.Outcome{Provider: "unknown", Account: "unknown", Outcome: "http_" + strconv.Itoa(status)})
	a.log.Debug("a request was refused before it was read", zap.Int("status", status))
}
