package ondato

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"kycbridge"
	"kycbridge/normalize/credential"
)

// Ondato's defaults. Whether a retry is signed again is not known and retries go on for 24 hours,
// so the window is wide: replays are caught by the payload id, not by the clock (sheet 2.2).
const (
	signatureHeader    = "Ondato-Signature"
	signatureTolerance = 25 * time.Hour
	signatureFuture    = 5 * time.Minute
)

// Verify admits what Ondato offers to set up (sheet 2.2): Basic, OAuth 2, a bearer token, the
// Ondato-Signature HMAC; and besides them a URL token, a static header or a client certificate. It returns an
// error that wraps ErrUnauthenticated if nothing matches.
func Verify(c kycbridge.Credentials, r kycbridge.Request) (placement string, err error) {
	return credential.Checks{
		Admit: []credential.Check{
			credential.Basic, credential.Bearer, signed, credential.OAuth2, credential.URLToken, credential.StaticHeader,
			credential.ClientCert,
		},
		SignatureHeader: headerOf, SignatureFault: signatureFault,
	}.Verify(c, r)
}

// Present makes a request carry a credential that c admits: a signature over the body if there is a secret
// for one. It reports false if c admits nobody.
func Present(c kycbridge.Credentials, header http.Header, query url.Values, body []byte, at time.Time) bool {
	if len(c.HMAC.Secrets) == 0 {
		return credential.Present(c, header, query, body, at)
	}
	header.Set(headerOf(c), sign(c.HMAC.Secrets[0], body, at))
	return true
}

// headerOf is the header of signatures, and toleranceOf how old one may be.
func headerOf(c kycbridge.Credentials) string { return cmp.Or(c.HMAC.Header, signatureHeader) }
func toleranceOf(c kycbridge.Credentials) time.Duration {
	return cmp.Or(c.HMAC.Tolerance, signatureTolerance)
}

// signed is Ondato-Signature: t=<unix seconds>, s=<64 hex> with
// s = hex(HMAC-SHA256(secret, t + "." + raw body)).
func signed(c kycbridge.Credentials, r kycbridge.Request) string {
	sig, ok := parseSignature(credential.HeaderValue(r.Header, headerOf(c)))
	if !ok || !sig.within(r.ReceivedAt, toleranceOf(c), signatureFuture) {
		return ""
	}
	return credential.When(sig.matches(c.HMAC.Secrets, r.Body), credential.PlacementHMAC)
}

// signatureFault says what is wrong with a signature that admitted nobody.
func signatureFault(c kycbridge.Credentials, r kycbridge.Request) string {
	sig, ok := parseSignature(credential.HeaderValue(r.Header, headerOf(c)))
	age := r.ReceivedAt.Sub(sig.at).Round(time.Second)
	switch {
	case !ok:
		return "signature is not t=<seconds>, s=<64 hex>"
	case !sig.matches(c.HMAC.Secrets, r.Body):
		return "wrong signature"
	case age > toleranceOf(c):
		return fmt.Sprintf("signature is stale: %s old, tolerance %s", age, toleranceOf(c))
	default:
		return fmt.Sprintf("signature lies %s ahead of our clock", -age)
	}
}
