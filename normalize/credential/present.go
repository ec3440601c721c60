package credential

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"time"

	"kycbridge"
)

// Present adds a credential that c admits to a request: the first one that is configured. It reports false if
// no header or query parameter can carry one: c is empty, or admits only client certificates. It does not
// present kinds that only one provider has; that provider's own Present does.
func Present(c kycbridge.Credentials, header http.Header, query url.Values, _ []byte, at time.Time) bool {
	switch {
	case len(c.Basic) > 0:
		pair := c.Basic[0].Username + ":" + c.Basic[0].Password
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(pair)))
	case len(c.Bearer) > 0:
		header.Set("Authorization", "Bearer "+c.Bearer[0])
	case len(c.Headers) > 0:
		header.Set(c.Headers[0].Name, c.Headers[0].Value)
	case len(c.URLTokens) > 0:
		SetURLToken(query, c.URLTokens[0])
	case len(c.OAuth2.Clients) > 0:
		header.Set("Authorization", "Bearer "+IssueToken(c.OAuth2, c.OAuth2.Clients[0], at))
	default:
		return false
	}
	return true
}

// SetURLToken sets the query parameter that URLTokenOf reads.
func SetURLToken(query url.Values, token string) { query.Set(urlTokenParameter, token) }
