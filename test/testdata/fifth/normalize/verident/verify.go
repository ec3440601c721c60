package verident

import (
	"cmp"
	"crypto/sha512"
	"encoding/base64"

	"kycbridge"
	"kycbridge/normalize/credential"
)

const signatureHeader = "Verident-Signature"

// Verify admits Verident's signature (Webhooks, "Signatures"); and besides it a bearer token. It returns
// an error that wraps ErrUnauthenticated if nothing matches.
func Verify(c kycbridge.Credentials, r kycbridge.Request) (placement string, err error) {
	return credential.Checks{
		Admit:           []credential.Check{signed, credential.Bearer},
		SignatureHeader: headerOf,
		SignatureFault:  func(kycbridge.Credentials, kycbridge.Request) string { return "wrong signature" },
	}.Verify(c, r)
}

// headerOf is the header in which the account expects a signature.
func headerOf(c kycbridge.Credentials) string { return cmp.Or(c.HMAC.Header, signatureHeader) }

// signed is Verident-Signature: base64(HMAC-SHA512(secret, raw body)). There is no time in it, so a replay
// is caught by the payload id alone.
func signed(c kycbridge.Credentials, r kycbridge.Request) string {
	presented, err := base64.StdEncoding.DecodeString(credential.HeaderValue(r.Header, headerOf(c)))
	if err != nil {
		return ""
	}
	admitted := credential.HMAC(sha512.New, c.HMAC.Secrets, presented, r.Body)
	return credential.When(admitted, credential.PlacementHMAC)
}
