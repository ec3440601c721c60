package handlers

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"

	"kycbridge"
)

const veridentSignatureHeader = "Verident-Signature"

// VerifyVerident admits Verident's signature (Webhooks, "Signatures"); and besides it a bearer token.
// It returns an error that wraps ErrUnauthenticated if nothing matches.
func VerifyVerident(c kycbridge.Credentials, r kycbridge.Request) (placement string, err error) {
	return Verify(c, r, veridentSignature, Bearer)
}

// veridentSignature is Verident-Signature: base64(HMAC-SHA512(secret, raw body)). There is no time in
// it, so a replay is caught by the payload id alone. All secrets are tried; an empty one matches
// nothing.
func veridentSignature(c kycbridge.Credentials, r kycbridge.Request) string {
	presented, err := base64.StdEncoding.DecodeString(headerValue(r.Header, cmp.Or(c.HMAC.Header, veridentSignatureHeader)))
	if err != nil {
		return ""
	}
	found := false
	for _, secret := range c.HMAC.Secrets {
		if secret == "" {
			continue
		}
		mac := hmac.New(sha512.New, []byte(secret))
		mac.Write(r.Body)
		found = hmac.Equal(mac.Sum(nil), presented) || found
	}
	return when(found, placementHMAC)
}
