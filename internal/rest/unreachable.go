package rest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
)

// noAnswer is why a request was not answered, in fixed words: the text of such an error may contain an address with a
// secret. "" if the reason is not one of these.
func noAnswer(err error) string {
	is := func(causes ...error) bool {
		for _, cause := range causes {
			if errors.Is(err, cause) {
				return true
			}
		}
		return false
	}
	_, isName := errors.AsType[*net.DNSError](err)
	_, isPlain := errors.AsType[tls.RecordHeaderError](err)
	_, isAlert := errors.AsType[tls.AlertError](err)
	switch {
	case isName:
		return "its name is not resolved"
	case isPlain, is(http.ErrSchemeMismatch):
		return "it does not speak TLS"
	case isAlert:
		return "it refuses the TLS handshake"
	case is(syscall.ECONNREFUSED):
		return "it refuses connections"
	case is(syscall.EHOSTUNREACH, syscall.ENETUNREACH):
		return "there is no route to it"
	case is(context.DeadlineExceeded, os.ErrDeadlineExceeded):
		return "it did not answer in time"
	case is(io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE):
		return "it closed the connection"
	}
	return untrusted(err)
}

// untrusted is why a server's certificate was refused; "" if it was not.
func untrusted(err error) string {
	if _, is := errors.AsType[x509.UnknownAuthorityError](err); is {
		return "its certificate is of an unknown authority"
	}
	if _, is := errors.AsType[x509.HostnameError](err); is {
		return "its certificate is for another name"
	}
	if invalid, is := errors.AsType[x509.CertificateInvalidError](err); is {
		if invalid.Reason == x509.Expired {
			return "its certificate has expired or is not valid yet"
		}
		return "its certificate is not valid"
	}
	return ""
}
