package credential

import (
	"net/http"
	"strings"

	"kycbridge"
)

// Refused returns the error of a callback that no credential admits. Its text is for the operator's log. The
// HTTP answer is the same for every such error, so that it does not help a caller to guess a credential. more
// lists further places where a wrong credential was found.
func (k Checks) Refused(c kycbridge.Credentials, r kycbridge.Request, more ...string) error {
	return &kycbridge.RefusedError{Why: k.why(c, r, more)}
}

// why returns why a callback was refused: whether it had a credential, and what was wrong with a signature. It
// copies no value from the request.
func (k Checks) why(c kycbridge.Credentials, r kycbridge.Request, more []string) string {
	if !configured(c) {
		return "no credential is configured for this account"
	}
	if name := k.repeated(c, r); name != "" {
		return name + " stands twice, and which of the two counts would be a guess"
	}
	if header := k.signatureHeader(c); header != "" && HeaderPresented(r.Header, header) {
		return k.SignatureFault(c, r)
	}
	if fault := tokenFault(c, r); fault != "" {
		return fault
	}
	if there := append(k.presented(c, r), more...); len(there) > 0 {
		return "wrong credential: " + strings.Join(there, ", ")
	}
	return "no credential was sent"
}

// signatureHeader returns the header in which the account expects a signature; "" if it expects none.
func (k Checks) signatureHeader(c kycbridge.Credentials) string {
	if k.SignatureHeader == nil || len(c.HMAC.Secrets) == 0 {
		return ""
	}
	return k.SignatureHeader(c)
}

// keyHeaders returns the headers in which the account expects a key.
func (k Checks) keyHeaders(c kycbridge.Credentials) []string {
	if k.KeyHeaders == nil || len(c.Keys) == 0 {
		return nil
	}
	return k.KeyHeaders(c)
}

func configured(c kycbridge.Credentials) bool {
	return len(c.Basic)+len(c.Bearer)+len(c.Headers)+len(c.HMAC.Secrets)+len(c.Keys)+len(c.URLTokens)+
		len(c.ClientCerts)+len(c.OAuth2.Clients) > 0
}

// repeated returns the name of a header or query parameter that may contain a credential of the account and
// occurs more than once in the request; "" if there is none.
func (k Checks) repeated(c kycbridge.Credentials, r kycbridge.Request) string {
	names := []string{"Authorization"}
	for _, h := range c.Headers {
		names = append(names, h.Name)
	}
	names = append(names, k.keyHeaders(c)...)
	if header := k.signatureHeader(c); header != "" {
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

// presented returns the places in which a request contains a possible credential.
func (k Checks) presented(c kycbridge.Credentials, r kycbridge.Request) (there []string) {
	if kind := authorizationKind(r.Header); kind != "" {
		there = append(there, kind)
	}
	for _, h := range c.Headers {
		if HeaderPresented(r.Header, h.Name) {
			there = append(there, "header")
			break
		}
	}
	for _, name := range k.keyHeaders(c) {
		if HeaderPresented(r.Header, name) {
			there = append(there, "key header")
			break
		}
	}
	if URLTokenOf(r) != "" {
		there = append(there, "url_token")
	}
	if r.Certificate != nil {
		there = append(there, "client certificate")
	}
	return there
}

// authorizationKind returns the kind of credential in the Authorization header; "" if it is empty or repeated.
func authorizationKind(h http.Header) string {
	value := HeaderValue(h, "Authorization")
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
