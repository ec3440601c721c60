package handlers

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"kycbridge"
)

// Present adds a valid credential of c to a request: a signature over the body if there is a secret for
// one, else the first configured one. It reports false if c has none.
func Present(c kycbridge.Credentials, header http.Header, query url.Values, body []byte, at time.Time) bool {
	switch {
	case len(c.HMAC.Secrets) > 0:
		header.Set(cmp.Or(c.HMAC.Header, ondatoSignatureHeader), signatureOver(c.HMAC.Secrets[0], body, at))
	case len(c.Basic) > 0:
		pair := c.Basic[0].Username + ":" + c.Basic[0].Password
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	case len(c.Bearer) > 0:
		header.Set("Authorization", "Bearer "+c.Bearer[0])
	case len(c.Headers) > 0:
		header.Set(c.Headers[0].Name, c.Headers[0].Value)
	case allows(c, placementAuthorization):
		header.Set("Authorization", c.Keys[0])
	case allows(c, placementBearer):
		header.Set("Authorization", "Bearer "+c.Keys[0])
	case allows(c, placementHeader):
		header.Set(keyHeaders(c)[0], c.Keys[0])
	case allows(c, placementURLToken):
		query.Set(urlTokenParameter, c.Keys[0])
	case len(c.URLTokens) > 0:
		query.Set(urlTokenParameter, c.URLTokens[0])
	default:
		return false
	}
	return true
}

// signatureOver is a signature in the format of its header.
func signatureOver(secret string, body []byte, at time.Time) string {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return "t=" + timestamp + ",s=" + hex.EncodeToString(mac.Sum(nil))
}
