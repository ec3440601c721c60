package handlers

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"kycbridge"
	"kycbridge/normalize/credential"
)

// ClientCertificate are the client certificates of one person or system that may use the admin API.
type ClientCertificate struct {
	Name   string
	Rights kycbridge.Rights
	kycbridge.ClientCertCredential
}

// Holders are the tokens and certificates with which the admin API can be used, each with its rights.
type Holders struct {
	Tokens       []kycbridge.AdminToken
	Certificates []ClientCertificate
}

// named reports whether one of the holders has a name. Then all of them have to state reasons.
func (h Holders) named() bool {
	return len(h.Certificates) > 0 ||
		slices.ContainsFunc(h.Tokens, func(t kycbridge.AdminToken) bool { return !t.Nameless })
}

// holder is the sender of a request.
type holder struct {
	name   string
	rights kycbridge.Rights
}

// missingRight is the error of a request whose holder lacks a right.
type missingRight struct{ right kycbridge.Right }

func (m missingRight) Error() string { return fmt.Sprintf("the right %s is missing", m.right) }

func (m missingRight) Unwrap() error { return errRight }

// need returns an error if a holder lacks a right.
func (h holder) need(right kycbridge.Right) error {
	if !h.rights.Has(right) {
		return missingRight{right}
	}
	return nil
}

// of finds the holder of a request: by the token in Authorization: Bearer, or else by the certificate of the
// connection.
func (h Holders) of(c echo.Context) (holder, error) {
	if len(h.Tokens)+len(h.Certificates) == 0 {
		return holder{}, errNoTokens
	}
	r := c.Request()
	text, _ := credential.SchemeValue(credential.HeaderValue(r.Header, "Authorization"), "Bearer")
	if token, ok := kycbridge.FindToken(h.Tokens, text); ok {
		return holder{token.Name, token.Rights}, nil
	}
	if certificate, ok := certificateOf(r, h.Certificates); ok {
		return holder{certificate.Name, certificate.Rights}, nil
	}
	return holder{}, errToken
}

// certificateOf returns the certificate of the connection. A browser uses its certificate for the requests
// of every page, so a request that a page of another site caused is not accepted.
func certificateOf(r *http.Request, certificates []ClientCertificate) (found ClientCertificate, ok bool) {
	presented := clientCertificate(r, time.Now())
	i := slices.IndexFunc(certificates, func(c ClientCertificate) bool {
		return credential.Describes(c.ClientCertCredential, presented)
	})
	if i < 0 || http.NewCrossOriginProtection().Check(r) != nil {
		return found, false
	}
	return certificates[i], true
}
