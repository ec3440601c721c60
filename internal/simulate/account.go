package simulate

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// Providers are all simulated providers, as they come without options.
func Providers() []Provider {
	return []Provider{Signzy(), Ondato(), IDWise(), KwikID()}
}

// API is the api section of an account of kycbridge that calls s, by key.
func (s *Server) API() map[string]string { return s.provider.API(s) }

// Auth is the auth section of an account that admits the callbacks of s, as YAML in one line.
func (s *Server) Auth() string { return s.provider.Auth(s.Credentials) }

// Settings are further lines of the account's configuration, indented by four; mostly none.
func (s *Server) Settings() string { return s.provider.Settings }

// APIText is API as YAML in one line. All values are plain enough for double quotes.
func (s *Server) APIText() string {
	api := s.API()
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(api)) {
		pairs = append(pairs, key+`: "`+api[key]+`"`)
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}

const syntheticFlow = "f1000000-0000-4000-8000-000000000001"

func signzyAPI(s *Server) map[string]string {
	return map[string]string{
		"base_url": s.URL(), "token": cmp.Or(s.Credentials.Token, signzyToken), "flow_id": syntheticFlow,
		"file_hosts": strings.TrimPrefix(s.URL(), "http://"),
	}
}

func signzyAuth(c Credentials) string {
	return `{keys: ["` + cmp.Or(c.Callback, signzyCallbackKey) + `"]}`
}

// signzySettings turn evidence into verdicts, and say what the words mean that are made up here.
const signzySettings = `    policy: {min_face_match: 0.9, min_liveness: 0.8}
    flow_statuses: {IN_PROGRESS: in_progress}
`

func ondatoAPI(s *Server) map[string]string {
	return map[string]string{
		"token_url": s.URL() + "/connect/token", "idv_url": s.URL(), "kyc_url": s.URL(), "page_url": s.URL() + "/?id={id}", "setup_id": "5e000000-0000-4000-8000-000000000001",
		"client_id": cmp.Or(s.Credentials.User, ondatoClientID), "client_secret": cmp.Or(s.Credentials.Password, ondatoClientSecret),
	}
}

func ondatoAuth(c Credentials) string {
	if c.HMAC != "" {
		return `{hmac: {secrets: ["` + c.HMAC + `"]}}`
	}
	return `{basic: [{username: ` + ondatoUser + `, password: "` + cmp.Or(c.Callback, ondatoPassword) + `"}]}`
}

func idwiseAPI(s *Server) map[string]string {
	api := map[string]string{
		"base_url": s.URL(), "key": cmp.Or(s.Credentials.User, IDWiseKey), "secret": cmp.Or(s.Credentials.Password, IDWiseSecret),
		"flow_id": syntheticFlow, "image_path": IDWiseImagePath, "skip_field": IDWiseSkipField,
	}
	if s.Speed != 1 {
		// The two seconds between summaries are of the simulated life.
		api["summary_interval"] = (s.clock(2*time.Second) + 10*time.Millisecond).Round(time.Millisecond).String()
	}
	return api
}

func bearerAuth(fallback string) func(Credentials) string {
	return func(c Credentials) string { return `{bearer: ["` + cmp.Or(c.Callback, fallback) + `"]}` }
}

func kwikidAPI(s *Server) map[string]string {
	return map[string]string{"base_url": s.URL(), "username": cmp.Or(s.Credentials.User, KwikIDUser), "password": cmp.Or(s.Credentials.Password, KwikIDPassword)}
}
