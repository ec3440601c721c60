package handlers

import (
	"slices"

	"kycbridge"
	"kycbridge/document"
)

// VerifySignzy admits a key (authKeyForCallback) in any placement that the account allows, since
// Signzy does not document how it presents one (sheet 2.2): Authorization without a scheme,
// Authorization: Bearer, a custom header, ?token= of the callback URL, and the echo of the key in
// the body. Configured Basic, bearer, header and URL-token credentials admit as well.
//
// The echo counts only where no header that could carry a credential is present: a wrong header is
// not rescued by it. It returns an error that wraps ErrUnauthenticated if nothing matches.
func VerifySignzy(c kycbridge.Credentials, r kycbridge.Request) (placement string, err error) {
	placement, err = Verify(c, r, Basic, Bearer, signzyAuthorization, signzyBearer, StaticHeader, signzyHeader, URLToken, signzyURLToken)
	if err == nil || !allows(c, placementBody) || signzyHeaderPresented(c, r) {
		return placement, err
	}
	key, why := signzyEcho(r)
	if matchAny(key, c.Keys) {
		return placementBody, nil
	}
	return "", refused(whyRefused(c, r, why...))
}

func signzyAuthorization(c kycbridge.Credentials, r kycbridge.Request) string {
	return when(allows(c, placementAuthorization) && matchAny(headerValue(r.Header, "Authorization"), c.Keys), placementAuthorization)
}

func signzyBearer(c kycbridge.Credentials, r kycbridge.Request) string {
	token, _ := schemeValue(headerValue(r.Header, "Authorization"), "Bearer")
	return when(allows(c, placementBearer) && matchAny(token, c.Keys), placementBearer)
}

func signzyHeader(c kycbridge.Credentials, r kycbridge.Request) string {
	if !allows(c, placementHeader) {
		return ""
	}
	admitted := false
	for _, name := range keyHeaders(c) {
		admitted = matchAny(headerValue(r.Header, name), c.Keys) || admitted
	}
	return when(admitted, placementHeader)
}

func signzyURLToken(c kycbridge.Credentials, r kycbridge.Request) string {
	return when(allows(c, placementURLToken) && matchAny(urlToken(r), c.Keys), placementURLToken)
}

// packedMost is the largest packed body in which a key is looked for, in bytes. Unpacking costs a hundred
// times what reading costs, and anybody can send such bodies.
const packedMost = 64 << 10

// signzyEcho returns the key that a body repeats, and what there is to say of a body that shows none or
// a wrong one.
func signzyEcho(r kycbridge.Request) (key string, why []string) {
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

// allows reports whether a key may stand in a placement.
func allows(c kycbridge.Credentials, placement string) bool {
	return len(c.Keys) > 0 && (len(c.Placements) == 0 || slices.Contains(c.Placements, placement))
}

// keyHeaders are the custom headers that may carry a key: x-api-key, x-auth-key, auth-key,
// authkey and authKeyForCallback, in the spelling that saves net/http the work.
func keyHeaders(c kycbridge.Credentials) []string {
	if len(c.KeyHeaders) > 0 {
		return c.KeyHeaders
	}
	return []string{"X-Api-Key", "X-Auth-Key", "Auth-Key", "Authkey", "Authkeyforcallback"}
}

// signzyHeaderPresented reports whether a header is there that could carry a credential. An
// Authorization header could if a key may stand in it, or if its scheme is one of configured
// Basic or bearer credentials.
func signzyHeaderPresented(c kycbridge.Credentials, r kycbridge.Request) bool {
	for _, value := range r.Header.Values("Authorization") {
		_, isBasic := schemeValue(value, "Basic")
		_, isBearer := schemeValue(value, "Bearer")
		keyed := value != "" && (allows(c, placementAuthorization) || allows(c, placementBearer))
		if keyed || isBasic && len(c.Basic) > 0 || isBearer && len(c.Bearer) > 0 {
			return true
		}
	}
	present := func(name string) bool { return headerPresented(r.Header, name) }
	return allows(c, placementHeader) && slices.ContainsFunc(keyHeaders(c), present) ||
		slices.ContainsFunc(c.Headers, func(h kycbridge.HeaderCredential) bool { return present(h.Name) })
}

// echoedKey returns processingConfig.authKeyForCallback of a body, or "". Where the body has no
// processingConfig it is looked for in result and data, two levels deep at most (sheet 3.1). Nothing
// else of the body is decoded: it may be a stranger's.
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
