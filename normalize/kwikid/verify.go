package kwikid

import (
	"kycbridge"
	"kycbridge/normalize/credential"
)

// Verify admits static custom headers, including Authorization, which is all that KwikID documents
// (sheet 2.1). It also admits a URL token, Basic, a bearer token or a client certificate. It returns an
// error that wraps ErrUnauthenticated if nothing matches.
func Verify(c kycbridge.Credentials, r kycbridge.Request) (placement string, err error) {
	return credential.Verify(c, r, credential.StaticHeader, credential.URLToken, credential.Basic, credential.Bearer,
		credential.ClientCert)
}
