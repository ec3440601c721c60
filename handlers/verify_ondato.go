package handlers

import (
	"cmp"
	"time"

	"kycbridge"
)

// Ondato's defaults. Whether a retry is signed again is not known and retries go on for 24 hours,
// so the window is wide: replays are caught by the payload id, not by the clock (sheet 2.2).
const (
	ondatoSignatureHeader = "Ondato-Signature"
	ondatoTolerance       = 25 * time.Hour
	ondatoFuture          = 5 * time.Minute
)

// VerifyOndato admits what Ondato offers to set up (sheet 2.2): Basic, a bearer token, the
// Ondato-Signature HMAC; and besides them a URL token or a static header. It returns an error that
// wraps ErrUnauthenticated if nothing matches.
func VerifyOndato(c kycbridge.Credentials, r kycbridge.Request) (placement string, err error) {
	return Verify(c, r, Basic, Bearer, ondatoSignature, URLToken, StaticHeader)
}

// signatureSettings are the header and the tolerance of signatures.
func signatureSettings(c kycbridge.Credentials) (header string, past time.Duration) {
	return cmp.Or(c.HMAC.Header, ondatoSignatureHeader), cmp.Or(c.HMAC.Tolerance, ondatoTolerance)
}

// ondatoSignature is Ondato-Signature: t=<unix seconds>, s=<64 hex> with
// s = hex(HMAC-SHA256(secret, t + "." + raw body)).
func ondatoSignature(c kycbridge.Credentials, r kycbridge.Request) string {
	header, past := signatureSettings(c)
	sig, ok := parseSignature(headerValue(r.Header, header))
	if !ok || !sig.within(r.ReceivedAt, past, ondatoFuture) {
		return ""
	}
	return when(sig.matches(c.HMAC.Secrets, r.Body), placementHMAC)
}
