package credential

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"time"

	"kycbridge"
)

// Present makes a request carry a credential that c admits: the first of what is configured. It reports
// false if no header and no query can: c admits nobody, or client certificates only. Kinds of a provider's own
// are its own to present.
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

// SetURLToken puts a token where URLTokenOf finds it.
func SetURLToken(query url.Values, token string) { query.Set(urlTokenParameter, token) }
