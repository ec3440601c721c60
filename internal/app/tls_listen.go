package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"kycbridge/handlers"
)

// How the handshake of a connection failed, in metrics.
const (
	handshakePlainHTTP = "plain_http"         // HTTP without TLS
	handshakeCert      = "client_certificate" // a client certificate that cannot be verified
	handshakeRefused   = "refused_by_client"  // for example, the client does not trust the listener's certificate
	handshakeTimeout   = "timeout"
	handshakeClosed    = "closed"   // by the client, without an alert
	handshakeProtocol  = "protocol" // another version, another protocol
)

// tlsListener terminates TLS below net/http, so that an earlyRefusalListener can read what net/http writes by
// itself. HTTP/2 is then recognized by its first bytes (serveHTTP2), and withTLS adds the TLS state of the
// connection to requests.
type tlsListener struct {
	net.Listener
	certificates *certificates
	failed       func(how string, err error) // called once per failed handshake
}

// listenTLS puts TLS on a listener. The files are read again when they change.
func (a *App) listenTLS(name string, files ListenTLS, plain net.Listener) (net.Listener, error) {
	certificates, err := newCertificates(name, files, a.log, func(expires time.Time) {
		a.metrics.certificates.WithLabelValues(name).Set(float64(expires.Unix()))
	})
	if err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	a.untilStop(certificates.watch)
	return &tlsListener{plain, certificates, func(how string, err error) { a.handshakeFailed(name, how, err) }}, nil
}

// handshakeFailed counts a failed handshake. Any client can cause one, so it is logged at debug level only, except
// for a refused client certificate, whose owner is known to the operator.
func (a *App) handshakeFailed(name, how string, err error) {
	a.metrics.handshakes.WithLabelValues(name, how).Inc()
	if how != handshakeCert {
		a.log.Debug("a TLS handshake failed", zap.String("listener", name), zap.String("how", how))
		return
	}
	a.handshakeLogs.Do(func() {
		a.log.Warn("a client certificate was refused", zap.String("listener", name), zap.String("reason", whyRefused(err)))
	})
}

// whyRefused is why a client certificate was refused. The text of the error is not used, because it may quote the
// certificate.
func whyRefused(err error) string {
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "expired, or not valid yet"
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "not for the authentication of clients"
	case errors.As(err, &x509.UnknownAuthorityError{}):
		return "of an authority that is not in client_ca"
	}
	return "cannot be verified"
}

// Accept returns a connection that performs its handshake when it is first read, in the goroutine that serves it,
// so that a slow handshake delays no other connection. The time limit for the header of the first request includes
// the handshake.
func (l *tlsListener) Accept() (net.Conn, error) {
	raw, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	secured := tls.Server(raw, l.certificates.config())
	return &tlsConn{Conn: secured, secured: secured, raw: raw, listener: l}, nil
}

// tlsConn is one connection with TLS. It hides its TLS state from net/http, so that net/http detects HTTP/2 by the
// first bytes.
type tlsConn struct {
	net.Conn // secured
	secured  *tls.Conn
	raw      net.Conn
	listener *tlsListener
	once     sync.Once
	err      error
	state    tls.ConnectionState // after a handshake without err
}

// Read performs the handshake first. After a failed handshake it returns io.EOF.
func (c *tlsConn) Read(b []byte) (int, error) {
	if c.once.Do(c.handshake); c.err != nil {
		return 0, io.EOF // net/http answers other errors, and counts them as requests
	}
	return c.secured.Read(b)
}

func (c *tlsConn) handshake() {
	// The deadline of the first read limits it.
	if c.err = c.secured.HandshakeContext(context.Background()); c.err == nil {
		c.state = c.secured.ConnectionState()
		return
	}
	how := handshakeFault(c.err)
	c.listener.failed(how, c.err)
	if how == handshakePlainHTTP {
		c.answerPlain()
	}
}

// handshakeFault is how a handshake failed.
func handshakeFault(err error) string {
	var plain tls.RecordHeaderError
	var unverified *tls.CertificateVerificationError
	var operation *net.OpError
	switch {
	case errors.As(err, &plain) && startsRequest(plain.RecordHeader[:]):
		return handshakePlainHTTP
	case errors.As(err, &unverified):
		return handshakeCert
	case errors.Is(err, os.ErrDeadlineExceeded):
		return handshakeTimeout
	case errors.As(err, &operation) && operation.Op == "remote error":
		return handshakeRefused
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), operation != nil:
		return handshakeClosed
	}
	return handshakeProtocol
}

// startsRequest reports whether bytes begin a request of HTTP/1: a method.
func startsRequest(b []byte) bool {
	upper := func(c byte) bool { return 'A' <= c && c <= 'Z' }
	return len(b) > 2 && !slices.ContainsFunc(b[:3], func(c byte) bool { return !upper(c) })
}

// The rest of a plain request is read up to these limits, so that its sender receives the answer and no reset.
const (
	plainDiscard = 64 << 10
	plainWait    = time.Second
)

// answerPlain answers a request that was sent without TLS.
func (c *tlsConn) answerPlain() {
	_ = c.raw.SetDeadline(time.Now().Add(plainWait))
	if _, err := c.raw.Write(handlers.PlainHTTPAnswer()); err != nil {
		return
	}
	if half, ok := c.raw.(*net.TCPConn); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, c.raw, plainDiscard)
}

// connectionKey is the key of a connection in the contexts of its requests.
type connectionKey struct{}

// tlsContext adds the connection to the context of its requests.
func tlsContext(ctx context.Context, c net.Conn) context.Context {
	if counted, ok := c.(earlyRefusalConn); ok {
		c = counted.Conn
	}
	if c, ok := c.(*tlsConn); ok {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	return ctx
}

// withTLS adds the TLS state of its connection to a request. A client certificate whose authority is no longer
// trusted does not count, even on a connection that was opened earlier.
func withTLS(r *http.Request) *http.Request {
	c, ok := r.Context().Value(connectionKey{}).(*tlsConn)
	if !ok {
		return r
	}
	state := c.state
	state.VerifiedChains = c.listener.certificates.trusted(state.VerifiedChains)
	r.TLS = &state
	return r
}

// maxStreams limits the concurrent requests of one HTTP/2 connection.
const maxStreams = 128

// serveHTTP2 makes a server accept HTTP/2 and HTTP/1 on a tlsListener, without another layer of TLS.
func serveHTTP2(server *http.Server) {
	server.Protocols = new(http.Protocols)
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxStreams}
}
