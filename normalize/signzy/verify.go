package signzy

import (
	"net/http"
	"net/url"
	"slices"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/normalize/credential"
)

// Verify accepts a key (authKeyForCallback) in any placement that the account allows, because Signzy does not
// document how it presents one (sheet 2.2): Authorization without a scheme, Authorization: Bearer, a custom
// header, ?token= of the callback URL, and the copy of the key in the body. It also accepts configured Basic,
// bearer, header and URL-token credentials and client certificates.
//
// The copy in the body counts only if the request has no header that could carry a credential: it does not
// make up for a wrong header. Verify returns an error that wraps ErrUnauthenticated if nothing matches.
func Verify(c kycbridge.Credentials, r kycbridge.Request) (placement string, err error) {
	checks := credential.Checks{
		Admit: []credential.Check{
			credential.Basic, credential.Bearer, keyAsAuthorization, keyAsBearer, credential.StaticHeader, keyInHeader,
			credential.URLToken, keyInURL, credential.ClientCert,
		},
		KeyHeaders: keyHeaders,
	}
	placement, err = checks.Verify(c, r)
	if err == nil || !allows(c, credential.PlacementBody) || credentialInHeader(c, r) {
		return placement, err
	}
	key, why := echo(r)
	if credential.Matches(key, c.Keys) {
		return credential.PlacementBody, nil
	}
	return "", checks.Refused(c, r, why...)
}

// Present adds a credential to a request that c accepts: Basic, bearer or a header if configured, else a key
// where the account allows it. It reports false if c accepts no credential that can be added.
func Present(c kycbridge.Credentials, header http.Header, query url.Values, body []byte, at time.Time) bool {
	if len(c.Basic)+len(c.Bearer)+len(c.Headers) > 0 {
		return credential.Present(c, header, query, body, at)
	}
	switch {
	case allows(c, credential.PlacementAuthorization):
		header.Set("Authorization", c.Keys[0])
	case allows(c, credential.PlacementBearer):
		header.Set("Authorization", "Bearer "+c.Keys[0])
	case allows(c, credential.PlacementHeader):
		header.Set(keyHeaders(c)[0], c.Keys[0])
	case allows(c, credential.PlacementURLToken):
		credential.SetURLToken(query, c.Keys[0])
	default:
		return credential.Present(c, header, query, body, at)
	}
	return true
}

func keyAsAuthorization(c kycbridge.Credentials, r kycbridge.Request) string {
	admitted := credential.Matches(credential.HeaderValue(r.Header, "Authorization"), c.Keys)
	return credential.When(allows(c, credential.PlacementAuthorization) && admitted, credential.PlacementAuthorization)
}

func keyAsBearer(c kycbridge.Credentials, r kycbridge.Request) string {
	token, _ := credential.SchemeValue(credential.HeaderValue(r.Header, "Authorization"), "Bearer")
	admitted := credential.Matches(token, c.Keys)
	return credential.When(allows(c, credential.PlacementBearer) && admitted, credential.PlacementBearer)
}

func keyInHeader(c kycbridge.Credentials, r kycbridge.Request) string {
	if !allows(c, credential.PlacementHeader) {
		return ""
	}
	admitted := false
	for _, name := range keyHeaders(c) {
		admitted = credential.Matches(credential.HeaderValue(r.Header, name), c.Keys) || admitted
	}
	return credential.When(admitted, credential.PlacementHeader)
}

func keyInURL(c kycbridge.Credentials, r kycbridge.Request) string {
	admitted := credential.Matches(credential.URLTokenOf(r), c.Keys)
	return credential.When(allows(c, credential.PlacementURLToken) && admitted, credential.PlacementURLToken)
}

// packedMost is the size limit of a packed body in which the key is searched, in bytes. Unpacking costs a
// hundred times as much as reading, and unauthenticated senders can send such bodies.
const packedMost = 64 << 10

// echo returns the key that a body repeats, and notes for the error message: that the body was not searched,
// or that it contains a key.
func echo(r kycbridge.Request) (key string, why []string) {
	if r.Packed() && len(r.Body) > packedMost {
		return "", []string{"body (packed and large, so not looked into: have the key sent in a header or in the URL)"}
	}
	content, err := r.Content()
	if err != nil {
		return "", nil
	}
	if key = echoedKey(content); key != "" {
		why = []string{"key in the body"}
	}
	return key, why
}

// allows reports whether the account accepts a key in a placement.
func allows(c kycbridge.Credentials, placement string) bool {
	return len(c.Keys) > 0 && (len(c.Placements) == 0 || slices.Contains(c.Placements, placement))
}

// keyHeaders returns the custom headers that may carry a key: x-api-key, x-auth-key, auth-key, authkey and
// authKeyForCallback, in canonical form so that net/http need not convert them.
func keyHeaders(c kycbridge.Credentials) []string {
	if len(c.KeyHeaders) > 0 {
		return c.KeyHeaders
	}
	return []string{"X-Api-Key", "X-Auth-Key", "Auth-Key", "Authkey", "Authkeyforcallback"}
}

// credentialInHeader reports whether the request has a header that could carry a credential. An Authorization
// header could if the account accepts a key in it, or if its scheme is that of configured Basic or bearer
// credentials.
func credentialInHeader(c kycbridge.Credentials, r kycbridge.Request) bool {
	for _, value := range r.Header.Values("Authorization") {
		_, isBasic := credential.SchemeValue(value, "Basic")
		_, isBearer := credential.SchemeValue(value, "Bearer")
		keyed := value != "" && (allows(c, credential.PlacementAuthorization) || allows(c, credential.PlacementBearer))
		if keyed || isBasic && len(c.Basic) > 0 || isBearer && len(c.Bearer) > 0 {
			return true
		}
	}
	present := func(name string) bool { return credential.HeaderPresented(r.Header, name) }
	return allows(c, credential.PlacementHeader) && slices.ContainsFunc(keyHeaders(c), present) ||
		slices.ContainsFunc(c.Headers, func(h kycbridge.HeaderCredential) bool { return present(h.Name) })
}

// echoedKey returns processingConfig.authKeyForCallback of a body, or "". If the body has no processingConfig,
// echoedKey searches result and data, at most two levels deep (sheet 3.1). Nothing else of the body is
// decoded, because its sender is not authenticated yet.
func echoedKey(body []byte) string {
	for range 3 {
		level := document.Members(body, "processingConfig", "result", "data")
		if config, ok := level["processingConfig"]; ok {
			return document.Members(config, "authKeyForCallback")["authKeyForCallback"].Text()
		}
		next := level["result"]
		if !next.IsObject() {
			next = level["data"]
		}
		if !next.IsObject() {
			return ""
		}
		body = next
	}
	return ""
}
