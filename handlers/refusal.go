package handlers

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"kycbridge"
)

// refused is the error of a callback without a valid credential. Its text is for the operator's log; the
// response is the same for all of them, so that it does not reveal how close a guess was.
func refused(why string) error {
	return &kycbridge.RefusedError{Why: why}
}

// whyRefused states why a callback was refused: whether a credential was present at all, and what was
// wrong with a signature. It repeats nothing of the request. more are further places in which a wrong
// credential was found.
func whyRefused(c kycbridge.Credentials, r kycbridge.Request, more ...string) string {
	if !configured(c) {
		return "no credential is configured for this account"
	}
	if name := repeated(c, r); name != "" {
		return name + " stands twice, and which of the two counts would be a guess"
	}
	if why := whySignature(c, r); why != "" {
		return why
	}
	if there := append(presented(c, r), more...); len(there) > 0 {
		return "wrong credential: " + strings.Join(there, ", ")
	}
	return "no credential was sent"
}

func configured(c kycbridge.Credentials) bool {
	return len(c.Basic)+len(c.Bearer)+len(c.Headers)+len(c.HMAC.Secrets)+len(c.Keys)+len(c.URLTokens) > 0
}

// repeated names the possible credential of the account that the request contains more than once.
func repeated(c kycbridge.Credentials, r kycbridge.Request) string {
	names := []string{"Authorization"}
	for _, h := range c.Headers {
		names = append(names, h.Name)
	}
	if len(c.Keys) > 0 {
		names = append(names, keyHeaders(c)...)
	}
	if len(c.HMAC.Secrets) > 0 {
		header, _ := signatureSettings(c)
		names = append(names, header)
	}
	for _, name := range names {
		if len(r.Header.Values(name)) > 1 {
			return http.CanonicalHeaderKey(name)
		}
	}
	if len(r.Query[urlTokenParameter]) > 1 {
		return "url_token"
	}
	return ""
}

// presented are the places where a request contains a possible credential.
func presented(c kycbridge.Credentials, r kycbridge.Request) (there []string) {
	if kind := authorizationKind(r.Header); kind != "" {
		there = append(there, kind)
	}
	for _, h := range c.Headers {
		if headerPresented(r.Header, h.Name) {
			there = append(there, "header")
			break
		}
	}
	for _, name := range keyHeaders(c) {
		if len(c.Keys) > 0 && headerPresented(r.Header, name) {
			there = append(there, "key header")
			break
		}
	}
	if urlToken(r) != "" {
		there = append(there, "url_token")
	}
	return there
}

// authorizationKind is the kind of credential in the Authorization header; "" for none.
func authorizationKind(h http.Header) string {
	value := headerValue(h, "Authorization")
	scheme, _, _ := strings.Cut(value, " ")
	switch {
	case value == "":
		return ""
	case strings.EqualFold(scheme, "Basic"):
		return "Basic"
	case strings.EqualFold(scheme, "Bearer"):
		return "bearer"
	}
	return "Authorization"
}

// whySignature states what is wrong with a signature; "" if none was sent or none is expected.
func whySignature(c kycbridge.Credentials, r kycbridge.Request) string {
	if len(c.HMAC.Secrets) == 0 {
		return ""
	}
	header, past := signatureSettings(c)
	if !headerPresented(r.Header, header) {
		return ""
	}
	sig, ok := parseSignature(headerValue(r.Header, header))
	age := r.ReceivedAt.Sub(sig.at).Round(time.Second)
	switch {
	case !ok:
		return "signature is not t=<seconds>, s=<64 hex>"
	case !sig.matches(c.HMAC.Secrets, r.Body):
		return "wrong signature"
	case age > past:
		return fmt.Sprintf("signature is stale: %s old, tolerance %s", age, past)
	default:
		return fmt.Sprintf("signature lies %s ahead of our clock", -age)
	}
}
