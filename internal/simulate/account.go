package simulate

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// API is the api section of an account of kycbridge that calls s, by key.
func (s *Server) API() map[string]string { return s.provider.API(s) }

// Auth is the auth section of an account that admits the callbacks of s, as YAML in one line.
func (s *Server) Auth() string { return s.provider.Auth(s.Credentials) }

// Settings are further lines of the account's configuration, indented by four; "" for most providers.
func (s *Server) Settings() string { return s.provider.Settings }

// APIText is API as YAML in one line. No value needs an escape within double quotes.
func (s *Server) APIText() string {
	api := s.API()
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(api)) {
		pairs = append(pairs, key+`: "`+api[key]+`"`)
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

// BearerAuth is an auth section with a bearer token.
func BearerAuth(fallback string) func(Credentials) string {
	return func(c Credentials) string { return `{bearer: ["` + cmp.Or(c.Callback, fallback) + `"]}` }
}
