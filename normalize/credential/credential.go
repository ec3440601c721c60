// Package credential contains the parts of the providers' Verify functions: constant-time checks of the kinds
// of credential that every provider may admit, and helpers for kinds that only one provider has.
package credential

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"strings"

	"kycbridge"
)

// The placements: the position of the credential that admitted a request.
const (
	PlacementBasic         = "basic"
	PlacementBearer        = "bearer"
	PlacementHeader        = "header"
	PlacementHMAC          = "hmac"
	PlacementURLToken      = "url_token"
	PlacementAuthorization = "authorization"
	PlacementBody          = "body"
	PlacementClientCert    = "client_cert"
	PlacementOAuth2        = "oauth2"
)

// urlTokenParameter is the query parameter of the callback URL that contains a URL token.
const urlTokenParameter = "token"

// Check looks for one kind of credential. It returns the placement that matched, or "".
type Check func(kycbridge.Credentials, kycbridge.Request) (placement string)

// Verify runs every check, even after a match, and returns the first placement that matched. It returns an
// error that wraps ErrUnauthenticated if no check matched.
func Verify(c kycbridge.Credentials, r kycbridge.Request, checks ...Check) (placement string, err error) {
	return Checks{Admit: checks}.Verify(c, r)
}

// Checks are the kinds of credential that a provider admits, and the positions of the provider's own kinds,
// so that the error of a refusal can describe what was wrong.
type Checks struct {
	Admit []Check
	// KeyHeaders returns the headers that may carry a key of the account; nil if the provider has no keys.
	KeyHeaders func(kycbridge.Credentials) []string
	// SignatureHeader returns the header that carries a signature, and SignatureFault describes what is wrong
	// with the signature that was sent; both are nil if the provider signs nothing.
	SignatureHeader func(kycbridge.Credentials) string
	SignatureFault  func(kycbridge.Credentials, kycbridge.Request) string
}

// Verify runs the checks as the function Verify does. The error of a refusal also describes what was wrong with
// a key or a signature.
func (k Checks) Verify(c kycbridge.Credentials, r kycbridge.Request) (placement string, err error) {
	for _, check := range k.Admit {
		if found := check(c, r); placement == "" {
			placement = found
		}
	}
	if placement == "" {
		return "", k.Refused(c, r)
	}
	return placement, nil
}

// Basic checks HTTP Basic (RFC 7617). A credential with an empty username or an empty password matches
// nothing.
func Basic(c kycbridge.Credentials, r kycbridge.Request) string {
	username, password, ok := basicAuth(HeaderValue(r.Header, "Authorization"))
	if !ok {
		return ""
	}
	user, pass := digest(username), digest(password)
	admitted := 0
	for _, b := range c.Basic {
		admitted |= sameSecret(user, username, b.Username) & sameSecret(pass, password, b.Password)
	}
	return When(admitted == 1, PlacementBasic)
}

// Bearer checks a static token in Authorization: Bearer (RFC 6750).
func Bearer(c kycbridge.Credentials, r kycbridge.Request) string {
	token, _ := SchemeValue(HeaderValue(r.Header, "Authorization"), "Bearer")
	return When(Matches(token, c.Bearer), PlacementBearer)
}

// StaticHeader checks a header that the operator chose, with a fixed value.
func StaticHeader(c kycbridge.Credentials, r kycbridge.Request) string {
	admitted := 0
	for _, h := range c.Headers {
		value := HeaderValue(r.Header, h.Name)
		admitted |= sameSecret(digest(value), value, h.Value)
	}
	return When(admitted == 1, PlacementHeader)
}

// URLToken checks a token in the callback URL, ?token=.
func URLToken(c kycbridge.Credentials, r kycbridge.Request) string {
	return When(Matches(URLTokenOf(r), c.URLTokens), PlacementURLToken)
}

// Matches reports whether presented is one of secrets. It compares all of them; the time it takes depends only
// on the lengths of presented and of the configured secrets.
func Matches(presented string, secrets []string) bool {
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

// sameSecret returns 1 if presented, whose digest is sum, equals secret and neither is empty, else 0. It
// compares digests, so that the time of the comparison does not depend on the length of the secret.
func sameSecret(sum [sha256.Size]byte, presented, secret string) int {
	if presented == "" || secret == "" {
		return 0
	}
	want := digest(secret)
	return subtle.ConstantTimeCompare(sum[:], want[:])
}

func digest(s string) [sha256.Size]byte { return sha256.Sum256([]byte(s)) }

// HeaderValue returns the value of a header that occurs once in the request. If it occurs several times, it is
// ambiguous which value counts, so HeaderValue returns "".
func HeaderValue(h http.Header, name string) string {
	values := h.Values(name)
	if len(values) != 1 {
		return ""
	}
	return strings.Trim(values[0], " \t")
}

// HeaderPresented reports whether a header has a value that is not blank.
func HeaderPresented(h http.Header, name string) bool {
	for _, v := range h.Values(name) {
		if strings.Trim(v, " \t") != "" {
			return true
		}
	}
	return false
}

// URLTokenOf returns the token of the callback URL if it occurs there once.
func URLTokenOf(r kycbridge.Request) string {
	if values := r.Query[urlTokenParameter]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// SchemeValue returns the part of an Authorization value that follows the authentication scheme. Schemes are
// compared without regard to case (RFC 9110 section 11.1).
func SchemeValue(authorization, scheme string) (value string, ok bool) {
	found, value, ok := strings.Cut(authorization, " ")
	if !ok || !strings.EqualFold(found, scheme) {
		return "", false
	}
	return strings.TrimLeft(value, " "), true
}

// basicAuth splits the value of Authorization: Basic into user and password.
func basicAuth(authorization string) (username, password string, ok bool) {
	encoded, ok := SchemeValue(authorization, "Basic")
	if !ok {
		return "", "", false
	}
	pair, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	return strings.Cut(string(pair), ":")
}

// When returns placement if admitted, else "".
func When(admitted bool, placement string) string {
	if admitted {
		return placement
	}
	return ""
}
