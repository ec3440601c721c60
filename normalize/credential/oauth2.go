package credential

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kycbridge"
)

// An access token is tokenPrefix, the time of its expiry in Unix seconds, a dot, and an HMAC-SHA256 in
// base64url. The HMAC covers the account (its audience), the client and the expiry; its key is derived from the
// client's secret. So a token needs no storage, every process with the same configuration accepts it, and it
// becomes invalid if the client is removed or its secret changes.
const (
	tokenPrefix = "kyc1."
	tokenKey    = "kycbridge oauth2 access token 1" // makes the key differ from other uses of the same secret
)

// tokenLeeway is how long a token is accepted after its expiry, so that a sender that uses it until the last
// second is not refused, nor a token of another process whose clock differs.
const tokenLeeway = 30 * time.Second

// accessToken is a parsed token. No part of it may be trusted before its MAC is verified.
type accessToken struct {
	end time.Time
	mac []byte
}

// IssueToken returns an access token for an authenticated client.
func IssueToken(o kycbridge.OAuth2Credential, client kycbridge.OAuth2Client, now time.Time) string {
	end := now.Add(o.Lifetime).Unix()
	return tokenPrefix + strconv.FormatInt(end, 10) + "." +
		base64.RawURLEncoding.EncodeToString(tokenMAC(o.Audience, client, end))
}

// FindClient returns the client of o with this id and secret. It compares the secrets of all clients, in
// constant time.
func FindClient(o kycbridge.OAuth2Credential, id, secret string) (found kycbridge.OAuth2Client, ok bool) {
	sum := digest(secret)
	for _, client := range o.Clients {
		if sameSecret(sum, secret, client.Secret) == 1 && client.ID == id && id != "" {
			found, ok = client, true
		}
	}
	return found, ok
}

// OAuth2 checks an access token of IssueToken in Authorization: Bearer (RFC 6750).
func OAuth2(c kycbridge.Credentials, r kycbridge.Request) string {
	token, ok := tokenOf(c, r)
	return When(ok && !r.ReceivedAt.After(token.end.Add(tokenLeeway)), PlacementOAuth2)
}

// tokenFault describes what is wrong with an access token of this account that was not accepted; "" if the
// request contains no such token.
func tokenFault(c kycbridge.Credentials, r kycbridge.Request) string {
	token, ok := tokenOf(c, r)
	if !ok {
		return ""
	}
	return fmt.Sprintf("access token expired %s ago: the sender must fetch another one",
		r.ReceivedAt.Sub(token.end).Round(time.Second))
}

// tokenOf returns the access token of a request, if it was issued to one of the clients that are configured
// now. It may have expired.
func tokenOf(c kycbridge.Credentials, r kycbridge.Request) (token accessToken, ok bool) {
	text, _ := SchemeValue(HeaderValue(r.Header, "Authorization"), "Bearer")
	if token, ok = parseToken(text); !ok {
		return token, false
	}
	issued := false
	for _, client := range c.OAuth2.Clients {
		same := hmac.Equal(tokenMAC(c.OAuth2.Audience, client, token.end.Unix()), token.mac)
		issued = issued || same && client.Secret != ""
	}
	return token, issued
}

// parseToken parses a token. It accepts only the exact spelling of IssueToken.
func parseToken(text string) (accessToken, bool) {
	rest, ours := strings.CutPrefix(text, tokenPrefix)
	end, mac, dot := strings.Cut(rest, ".")
	const longest = 12 // digits; reaches beyond the year 30000
	if !ours || !dot || len(end) > longest {
		return accessToken{}, false
	}
	seconds, err := strconv.ParseInt(end, 10, 64)
	if err != nil || seconds <= 0 || strconv.FormatInt(seconds, 10) != end {
		return accessToken{}, false
	}
	if len(mac) != base64.RawURLEncoding.EncodedLen(sha256.Size) {
		return accessToken{}, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(mac)
	if err != nil || len(raw) != sha256.Size {
		return accessToken{}, false
	}
	return accessToken{end: time.Unix(seconds, 0), mac: raw}, true
}

// tokenMAC returns the MAC of a token. Each text is preceded by its length, so that different pairs of texts
// cannot have the same encoding.
func tokenMAC(audience string, client kycbridge.OAuth2Client, end int64) []byte {
	derive := hmac.New(sha256.New, []byte(client.Secret))
	derive.Write([]byte(tokenKey))
	mac := hmac.New(sha256.New, derive.Sum(nil))
	var b []byte
	for _, text := range []string{audience, client.ID} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(text)))
		b = append(b, text...)
	}
	mac.Write(binary.BigEndian.AppendUint64(b, uint64(end)))
	return mac.Sum(nil)
}
