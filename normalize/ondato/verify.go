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

// Ondato's defaults. It is not known whether a retry is signed again, and Ondato retries for 24 hours, so the
// window is wide: replays are detected by the payload id, not by the clock (sheet 2.2).
const (
	signatureHeader    = "Ondato-Signature"
	signatureTolerance = 25 * time.Hour
	signatureFuture    = 5 * time.Minute
)

// Verify admits the credentials that Ondato can be configured with (sheet 2.2): Basic, OAuth 2, a bearer token,
// the Ondato-Signature HMAC. It also admits a URL token, a static header or a client certificate. It returns an
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

// Present adds a credential that c admits to a request: a signature over the body if c has an HMAC secret. It
// reports false if c admits no credential that a request can carry.
func Present(c kycbridge.Credentials, header http.Header, query url.Values, body []byte, at time.Time) bool {
	if len(c.HMAC.Secrets) == 0 {
		return credential.Present(c, header, query, body, at)
	}
	header.Set(headerOf(c), sign(c.HMAC.Secrets[0], body, at))
	return true
}

// headerOf returns the header of signatures, and toleranceOf returns how old a signature may be.
func headerOf(c kycbridge.Credentials) string { return cmp.Or(c.HMAC.Header, signatureHeader) }
func toleranceOf(c kycbridge.Credentials) time.Duration {
	return cmp.Or(c.HMAC.Tolerance, signatureTolerance)
}

// signed checks the Ondato-Signature header: t=<unix seconds>, s=<64 hex> with
// s = hex(HMAC-SHA256(secret, t + "." + raw body)).
func signed(c kycbridge.Credentials, r kycbridge.Request) string {
	sig, ok := parseSignature(credential.HeaderValue(r.Header, headerOf(c)))
	if !ok || !sig.within(r.ReceivedAt, toleranceOf(c), signatureFuture) {
		return ""
	}
	return credential.When(sig.matches(c.HMAC.Secrets, r.Body), credential.PlacementHMAC)
}

// signatureFault describes what is wrong with a signature that was not accepted.
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
