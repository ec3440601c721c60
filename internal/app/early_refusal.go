package app

import (
	"bytes"
	"net"
	"strconv"

	"go.uber.org/zap"

	"kycbridge/handlers"
)

// earlyRefusalListener reports the refusals that net/http writes by itself, before any handler receives a request:
// a header that is too large or malformed, an unknown transfer encoding. They would not be counted otherwise. With
// TLS it wraps the tlsListener, because it must see the unencrypted data.
type earlyRefusalListener struct {
	net.Listener
	refused func(status int)
}

func newEarlyRefusalListener(l net.Listener, refused func(status int)) net.Listener {
	return earlyRefusalListener{l, refused}
}

// Accept returns a connection whose early refusals are reported.
func (l earlyRefusalListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return earlyRefusalConn{c, l.refused}, nil
}

// earlyRefusalConn examines the first bytes of every write.
type earlyRefusalConn struct {
	net.Conn
	refused func(status int)
}

// plainRefusal ends the header of every refusal that net/http writes by itself; answers of handlers are
// JSON.
var plainRefusal = []byte("\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")

// Write reports an early refusal and forwards the data.
func (c earlyRefusalConn) Write(b []byte) (int, error) {
	if status := earlyRefusal(b); status > 0 {
		c.refused(status)
	}
	return c.Conn.Write(b)
}

// earlyRefusal is the status of a refusal by net/http; 0 if b is not such a refusal.
func earlyRefusal(b []byte) int {
	const prefix = "HTTP/1.1 "
	if len(b) < len(prefix)+3 || string(b[:len(prefix)]) != prefix || b[len(prefix)] < '4' {
		return 0
	}
	status, err := strconv.Atoi(string(b[len(prefix) : len(prefix)+3]))
	if err != nil {
		return 0
	}
	const expectationFailed = 417 // has no body; no handler answers it
	if status == expectationFailed || bytes.Contains(b[:min(len(b), 512)], plainRefusal) {
		return status
	}
	return 0
}

// countEarlyRefusal counts and logs a request that net/http has refused by itself.
func (a *App) countEarlyRefusal(status int) {
	a.metrics.received(handlers.Outcome{Provider: "unknown", Account: "unknown", Outcome: "http_" + strconv.Itoa(status)})
	a.log.Debug("a request was refused before it was read", zap.Int("status", status))
}
