package handlers

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"

	"kycbridge"
)

// The placements: where a credential stood that admitted a request.
const (
	placementBasic         = "basic"
	placementBearer        = "bearer"
	placementHeader        = "header"
	placementHMAC          = "hmac"
	placementURLToken      = "url_token"
	placementAuthorization = "authorization"
	placementBody          = "body"
)

// urlTokenParameter is the query parameter of the callback URL that holds a URL token.
const urlTokenParameter = "token"

// Check looks for one kind of credential. It returns the placement that matched, or "".
type Check func(kycbridge.Credentials, kycbridge.Request) (placement string)

// Verify runs every check, whatever the earlier ones found, and returns the first placement that
// matched. It returns an error that wraps ErrUnauthenticated if none did.
func Verify(c kycbridge.Credentials, r kycbridge.Request, checks ...Check) (placement string, err error) {
	for _, check := range checks {
		if found := check(c, r); placement == "" {
			placement = found
		}
	}
	if placement == "" {
		return "", refused(whyRefused(c, r))
	}
	return placement, nil
}

// Basic is HTTP Basic (RFC 7617). A credential with an empty username or an empty password matches
// nothing.
func Basic(c kycbridge.Credentials, r kycbridge.Request) string {
	username, password, ok := basicAuth(headerValue(r.Header, "Authorization"))
	if !ok {
		return ""
	}
	user, pass := digest(username), digest(password)
	admitted := 0
	for _, b := range c.Basic {
		admitted |= sameSecret(user, username, b.Username) & sameSecret(pass, password, b.Password)
	}
	return when(admitted == 1, placementBasic)
}

// Bearer is a static token in Authorization: Bearer (RFC 6750).
func Bearer(c kycbridge.Credentials, r kycbridge.Request) string {
	token, _ := schemeValue(headerValue(r.Header, "Authorization"), "Bearer")
	return when(matchAny(token, c.Bearer), placementBearer)
}

// StaticHeader is a header of the operator's choice with a fixed value.
func StaticHeader(c kycbridge.Credentials, r kycbridge.Request) string {
	admitted := 0
	for _, h := range c.Headers {
		value := headerValue(r.Header, h.Name)
		admitted |= sameSecret(digest(value), value, h.Value)
	}
	return when(admitted == 1, placementHeader)
}

// URLToken is a token in the callback URL, ?token=.
func URLToken(c kycbridge.Credentials, r kycbridge.Request) string {
	return when(matchAny(urlToken(r), c.URLTokens), placementURLToken)
}

// matchAny reports whether presented is one of secrets. All of them are tried; the time taken
// depends on the lengths of presented and of the configured secrets only.
func matchAny(presented string, secrets []string) bool {
	if presented == "" || len(secrets) == 0 {
		return false
	}
	sum := digest(presented)
	found := 0
	for _, secret := range secrets {
		found |= sameSecret(sum, presented, secret)
	}
	return found == 1
}

// sameSecret is 1 if presented, whose digest is sum, equals secret and neither is empty, else 0.
// Comparing digests keeps the length of the secret out of the time that the comparison takes.
func sameSecret(sum [sha256.Size]byte, presented, secret string) int {
	if presented == "" || secret == "" {
		return 0
	}
	want := digest(secret)
	return subtle.ConstantTimeCompare(sum[:], want[:])
}

func digest(s string) [sha256.Size]byte { return sha256.Sum256([]byte(s)) }

// headerValue returns the value of a header that stands once in the request. Which of several
// values counts would be anybody's guess, so several are worth none.
func headerValue(h http.Header, name string) string {
	values := h.Values(name)
	if len(values) != 1 {
		return ""
	}
	return strings.Trim(values[0], " \t")
}

// headerPresented reports whether a header carries anything at all.
func headerPresented(h http.Header, name string) bool {
	for _, v := range h.Values(name) {
		if strings.Trim(v, " \t") != "" {
			return true
		}
	}
	return false
}

// urlToken returns the token of the callback URL if it stands there once.
func urlToken(r kycbridge.Request) string {
	if values := r.Query[urlTokenParameter]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// schemeValue returns what follows an authentication scheme in the value of Authorization. Schemes
// are compared without regard to case (RFC 9110 section 11.1).
func schemeValue(authorization, scheme string) (value string, ok bool) {
	found, value, ok := strings.Cut(authorization, " ")
	if !ok || !strings.EqualFold(found, scheme) {
		return "", false
	}
	return strings.TrimLeft(value, " "), true
}

// basicAuth splits the value of Authorization: Basic into user and password.
func basicAuth(authorization string) (username, password string, ok bool) {
	encoded, ok := schemeValue(authorization, "Basic")
	if !ok {
		return "", "", false
	}
	pair, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(pair), ":")
}

// when returns placement if admitted, else "".
func when(admitted bool, placement string) string {
	if admitted {
		return placement
	}
	return ""
}
