package handlers

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/http"
	"time"
)

// clientCertificate is the certificate of the client if it was verified and is valid now; nil otherwise. It
// may have expired since the handshake. A proxy's header is never read: any client can send one.
func clientCertificate(r *http.Request, now time.Time) *x509.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 {
		return nil
	}
	leaf := r.TLS.VerifiedChains[0][0]
	if now.Before(leaf.NotBefore) || now.After(leaf.NotAfter) {
		return nil
	}
	return leaf
}

// PlainHTTPAnswer is the whole response, header included, to an HTTP/1 request without TLS on a port with TLS.
func PlainHTTPAnswer() []byte {
	w := rawResponse{header: http.Header{}}
	problemFor(errPlainHTTP).write(&w, nil)
	return w.bytes.Bytes()
}

// rawResponse writes a response as it is sent.
type rawResponse struct {
	header http.Header
	bytes  bytes.Buffer
}

// Header returns the fields to be sent.
func (w *rawResponse) Header() http.Header { return w.header }

// WriteHeader writes the status line and the fields.
func (w *rawResponse) WriteHeader(status int) {
	fmt.Fprintf(&w.bytes, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	_ = w.header.Write(&w.bytes) // writing to a buffer never fails
	w.bytes.WriteString("\r\n")
}

// Write writes a part of the body.
func (w *rawResponse) Write(b []byte) (int, error) { return w.bytes.Write(b) }
