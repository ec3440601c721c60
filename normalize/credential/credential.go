// Package credential is what the authentications of providers are put together from: checks of the kinds of
// credential that all of them may admit, in constant time, and the helpers for kinds of a provider's own.
package credential

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

// urlTokenParameter is the query parameter of the callback URL that holds a URL token.
const urlTokenParameter = "token"

// Check looks for one kind of credential. It returns the placement that matched, or "".
type Check func(kycbridge.Credentials, kycbridge.Request) (placement string)

// Verify runs every check, whatever the earlier ones found, and returns the first placement that
// matched. It returns an error that wraps ErrUnauthenticated if none did.
func Verify(c kycbridge.Credentials, r kycbridge.Request, checks ...Check) (placement string, err error) {
	return Checks{Admit: checks}.Verify(c, r)
}

// Checks are the kinds of credential that a provider admits, and where its own kinds stand, so that a
// refusal can say what was wrong.
type Checks struct {
	Admit []Check
	// KeyHeaders are the headers that may carry a key of the account; nil where the provider knows no keys.
	KeyHeaders func(kycbridge.Credentials) []string
	// SignatureHeader is the header that carries a signature, and SignatureFault says what is wrong with
	// the one that was sent; nil where the provider signs nothing.
	SignatureHeader func(kycbridge.Credentials) string
	SignatureFault  func(kycbridge.Credentials, kycbridge.Request) string
}

// Verify runs the checks as the function Verify does. A refusal says too what was wrong with a key or a
// signature.
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

// Basic is HTTP Basic (RFC 7617). A credential with an empty username or an empty password matches
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

// Bearer is a static token in Authorization: Bearer (RFC 6750).
func Bearer(c kycbridge.Credentials, r kycbridge.Request) string {
	token, _ := SchemeValue(HeaderValue(r.Header, "Authorization"), "Bearer")
	return When(Matches(token, c.Bearer), PlacementBearer)
}

// StaticHeader is a header of the operator's choice with a fixed value.
func StaticHeader(c kycbridge.Credentials, r kycbridge.Request) string {
	admitted := 0
	for _, h := range c.Headers {
		value := HeaderValue(r.Header, h.Name)
		admitted |= sameSecret(digest(value), value, h.Value)
	}
	return When(admitted == 1, PlacementHeader)
}

// URLToken is a token in the callback URL, ?token=.
func URLToken(c kycbridge.Credentials, r kycbridge.Request) string {
	return When(Matches(URLTokenOf(r), c.URLTokens), PlacementURLToken)
}

// Matches reports whether presented is one of secrets. All of them are tried; the time taken
// depends on the lengths of presented and of the configured secrets only.
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

// HeaderValue returns the value of a header that stands once in the request. Which of several
// values counts would be anybody's guess, so several are worth none.
func HeaderValue(h http.Header, name string) string {
	values := h.Values(name)
	if len(values) != 1 {
		return ""
	}
	return strings.Trim(values[0], " \t")
}

// HeaderPresented reports whether a header carries anything at all.
func HeaderPresented(h http.Header, name string) bool {
	for _, v := range h.Values(name) {
		if strings.Trim(v, " \t") != "" {
			return true
		}
	}
	return false
}

// URLTokenOf returns the token of the callback URL if it stands there once.
func URLTokenOf(r kycbridge.Request) string {
	if values := r.Query[urlTokenParameter]; len(values) == 1 {
		return values[0]
	}
	return ""
}

// SchemeValue returns what follows an authentication scheme in the value of Authorization. Schemes
// are compared without regard to case (RFC 9110 section 11.1).
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
