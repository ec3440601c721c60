package handlers

import "kycbridge"

// VerifyKwikID admits static custom headers, Authorization among them, which is all that KwikID
// documents (sheet 2.1); and besides them a URL token, Basic or a bearer token. It returns an error
// that wraps ErrUnauthenticated if nothing matches.
func VerifyKwikID(c kycbridge.Credentials, r kycbridge.Request) (placement string, err error) {
	return Verify(c, r, StaticHeader, URLToken, Basic, Bearer)
}
