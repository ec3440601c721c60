package kwikid

import (
	"kycbridge"
	"kycbridge/normalize/credential"
)

// Verify admits static custom headers, Authorization among them, which is all that KwikID documents
// (sheet 2.1); and besides them a URL token, Basic, a bearer token or a client certificate. It returns an
// error that wraps ErrUnauthenticated if nothing matches.
func Verify(c kycbridge.Credentials, r kycbridge.Request) (placement string, err error) {
	return credential.Verify(c, r, credential.StaticHeader, credential.URLToken, credential.Basic, credential.Bearer,
		credential.ClientCert)
}
