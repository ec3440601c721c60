package handlers

import (
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"kycbridge"
	"kycbridge/normalize/credential"
)

// ClientCertificate are the client certificates of one person or system that may use the admin API.
type ClientCertificate struct {
	Name string
	kycbridge.ClientCertCredential
}

// holderKey is where a request keeps the name of the certificate that it came with; "": none.
const holderKey = "holder"

// RequireBearer admits requests with one of tokens as Authorization: Bearer, or over a connection with one of
// the certificates, and answers 401 to the others. Without a non-empty token and a certificate it answers 404.
// Both are asked for at each request; nil: none.
func RequireBearer(tokensNow func() []string, certificatesNow func() []ClientCertificate) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			tokens := slices.DeleteFunc(slices.Clone(now(tokensNow)), func(token string) bool { return token == "" })
			certificates := now(certificatesNow)
			if len(tokens)+len(certificates) == 0 {
				return errNoTokens
			}
			r := c.Request()
			token, _ := credential.SchemeValue(credential.HeaderValue(r.Header, "Authorization"), "Bearer")
			name, certified := holderOf(r, certificates)
			if !credential.Matches(token, tokens) && !certified {
				return errToken
			}
			c.Set(holderKey, name)
			return next(c)
		}
	}
}

// now is what of returns; nothing without it.
func now[T any](of func() []T) []T {
	if of == nil {
		return nil
	}
	return of()
}

// holderOf returns the name of the certificate of the connection. A browser adds a certificate to whatever any
// page requests, so a request that a page of another site caused does not count.
func holderOf(r *http.Request, certificates []ClientCertificate) (name string, ok bool) {
	presented := clientCertificate(r, time.Now())
	i := slices.IndexFunc(certificates, func(c ClientCertificate) bool {
		return credential.Describes(c.ClientCertCredential, presented)
	})
	if i < 0 || http.NewCrossOriginProtection().Check(r) != nil {
		return "", false
	}
	return certificates[i].Name, true
}
