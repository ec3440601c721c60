package idwise

import (
	"kycbridge"
	"kycbridge/normalize/credential"
)

// Verify accepts the credentials that IDWise's portal offers (sheet 2.2): Basic, a bearer token and custom
// headers; it also accepts a URL token or a client certificate. IDWise documents no signature, so Verify
// checks none. It returns an error that wraps ErrUnauthenticated if nothing matches.
func Verify(c kycbridge.Credentials, r kycbridge.Request) (placement string, err error) {
	return credential.Verify(c, r, credential.Basic, credential.Bearer, credential.StaticHeader, credential.URLToken,
		credential.ClientCert)
}
