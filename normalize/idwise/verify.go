package idwise

import (
	"kycbridge"
	"kycbridge/normalize/credential"
)

// Verify admits what IDWise's portal offers (sheet 2.2): Basic, a bearer token, custom headers; and
// besides them a URL token or a client certificate. IDWise documents no signature, so none is looked for. It
// returns an error that wraps ErrUnauthenticated if nothing matches.
func Verify(c kycbridge.Credentials, r kycbridge.Request) (placement string, err error) {
	return credential.Verify(c, r, credential.Basic, credential.Bearer, credential.StaticHeader, credential.URLToken,
		credential.ClientCert)
}
