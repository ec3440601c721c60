package handlers

import (
	"bytes"
	"encoding/json"
	"slices"

	"kycbridge"
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
	return Verify(c, r, signzyBody)
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
	for _, name := range signzyKeyHeaders(c) {
		admitted = matchAny(headerValue(r.Header, name), c.Keys) || admitted
	}
	return when(admitted, placementHeader)
}

func signzyURLToken(c kycbridge.Credentials, r kycbridge.Request) string {
	return when(allows(c, placementURLToken) && matchAny(urlToken(r), c.Keys), placementURLToken)
}

func signzyBody(c kycbridge.Credentials, r kycbridge.Request) string {
	return when(matchAny(echoedKey(r.Body), c.Keys), placementBody)
}

// allows reports whether a key may stand in a placement.
func allows(c kycbridge.Credentials, placement string) bool {
	return len(c.Keys) > 0 && (len(c.Placements) == 0 || slices.Contains(c.Placements, placement))
}

// signzyKeyHeaders are the custom headers that may carry a key: x-api-key, x-auth-key, auth-key,
// authkey and authKeyForCallback, in the spelling that saves net/http the work.
func signzyKeyHeaders(c kycbridge.Credentials) []string {
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
	return allows(c, placementHeader) && slices.ContainsFunc(signzyKeyHeaders(c), present) ||
		slices.ContainsFunc(c.Headers, func(h kycbridge.HeaderCredential) bool { return present(h.Name) })
}

// echoedKey returns processingConfig.authKeyForCallback of a body, or "". Where the body has no
// processingConfig it is looked for in result and data, two levels deep at most (sheet 3.1).
func echoedKey(body []byte) string {
	if !bytes.Contains(body, []byte("authKeyForCallback")) {
		return ""
	}
	for range 3 {
		var level struct {
			ProcessingConfig *struct {
				Key string `json:"authKeyForCallback"`
			} `json:"processingConfig"`
			Result, Data json.RawMessage
		}
		if err := json.Unmarshal(body, &level); err != nil {
			return ""
		}
		if level.ProcessingConfig != nil {
			return level.ProcessingConfig.Key
		}
		if body = level.Result; !isObject(body) {
			body = level.Data
		}
		if !isObject(body) {
			return ""
		}
	}
	return ""
}

func isObject(value []byte) bool { return len(value) > 0 && value[0] == '{' }
