package rest

import (
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestWhyThereWasNoAnswer: an error tells why a provider could not be reached, and nothing of the address.
func TestWhyThereWasNoAnswer(t *testing.T) {
	unknown := httptest.NewUnstartedServer(http.NotFoundHandler())
	unknown.Config.ErrorLog = log.New(io.Discard, "", 0)
	unknown.StartTLS()
	defer unknown.Close()
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/slow":
			<-r.Context().Done()
		case "/cut":
			panic(http.ErrAbortHandler)
		}
	}))
	defer plain.Close()
	for name, c := range map[string]struct{ url, want string }{
		"refused":   {"http://127.0.0.1:1/s3cret", "it refuses connections"},
		"authority": {unknown.URL + "/s3cret", "its certificate is of an unknown authority"},
		"no TLS":    {strings.Replace(plain.URL, "http:", "https:", 1) + "/s3cret", "it does not speak TLS"},
		"slow":      {plain.URL + "/slow?s3cret", "it did not answer in time"},
		"cut":       {plain.URL + "/cut?s3cret", "it closed the connection"},
	} {
		options := quick()
		options.Timeout = time.Second
		_, err := New(options).Do(t.Context(), Call{Name: "ask", URL: c.url})
		if e := asError(t, err); !strings.HasSuffix(e.Error(), "ask: unreachable, "+c.want) {
			t.Errorf("%s: %v, want %s", name, e, c.want)
		}
	}
	for want, cause := range map[string]error{
		"its name is not resolved":                        &net.DNSError{Name: "s3cret.example", IsNotFound: true},
		"its certificate is for another name":             x509.HostnameError{Certificate: &x509.Certificate{}, Host: "s3cret"},
		"its certificate has expired or is not valid yet": x509.CertificateInvalidError{Reason: x509.Expired},
		"its certificate is not valid":                    x509.CertificateInvalidError{Reason: x509.IncompatibleUsage},
		"":                                                fmt.Errorf("s3cret"),
	} {
		if got := noAnswer(fmt.Errorf("dial: %w", cause)); got != want {
			t.Errorf("%v: %q, want %q", cause, got, want)
		}
	}
}
