// Package simulated is a simulated IDWise: its documented API, and the people who take its verifications.
// Everything in it is synthetic.
package simulated

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"kycbridge/internal/simulate"
)

// What simulated IDWise is asked with unless Credentials say otherwise, where its images lie, and how
// a step is skipped: the vendor publishes neither path nor name.
const (
	Key       = "idwise-key"
	Secret    = "idwise-secret-0001"
	Callback  = "idwise-callback-0001"
	ImagePath = "/{id}/image/{path}"
	SkipField = "skip"
)

// interval must lie between two summaries of one journey, in life time.
const interval = 2 * time.Second

// New simulates IDWise: journeys that a person takes with the vendor's app, or whose steps
// are handed in over the API, reviewers in its portal or over the API, and webhooks with a bearer
// token. Nothing is sent to where a start says: IDWise takes that from its portal.
func New() simulate.Provider {
	return simulate.Provider{
		Name: "idwise",
		API:  apiOf, Auth: simulate.BearerAuth(Callback),
		Routes: routes,
		Fault500: func(string) simulate.Canned {
			return fault(http.StatusInternalServerError, "internal_error", "Something went wrong")
		},
		Fault429: func(string) simulate.Canned {
			return fault(http.StatusTooManyRequests, "too_many_requests", "Too many calls")
		},
		Begin:     begin,
		Retries:   []time.Duration{5 * time.Minute, 10 * time.Minute, 15 * time.Minute},
		Delivered: func(status int) bool { return status == http.StatusOK },
	}
}

// provider is the provider's own state.
type provider struct {
	server   *simulate.Server
	journeys map[string]*journey
	early    int // summaries asked for too early
}

// Early counts the summaries that were asked for within 2 s of life of the one before.
func Early(s *simulate.Server) int {
	s.Lock()
	defer s.Unlock()
	return s.State.(*provider).early
}

func routes(s *simulate.Server, mux *http.ServeMux) {
	d := &provider{server: s, journeys: map[string]*journey{}}
	s.State = d
	for pattern, call := range map[string]struct {
		name   string
		handle func(http.ResponseWriter, *http.Request)
	}{
		"POST /journey/v2/start-journey":        {"start-journey", d.start},
		"POST /journey/v2/process-journey-step": {"process-journey-step", d.step},
		"POST /journey/v2/complete-journey":     {"complete-journey", d.complete},
		"GET /journey/v2/summary/{id}":          {"get-journey-summary", d.summary},
		"GET /journey/v2/{id}":                  {"get-journey-result", d.result},
		"POST /journey/v2/manual-review/{id}":   {"manual-review-journey", d.review},
		"GET /journey/v2" + ImagePath:           {"get-image", d.image},
		"DELETE /journey/{id}":                  {"delete-journey", d.delete},
		"GET /checks/aml/{id}":                  {"get-aml-result", d.aml},
		"PUT /checks/aml/{id}":                  {"amend-aml-search", d.aml},
	} {
		mux.HandleFunc(pattern, s.Call(call.name, false, d.guard(call.handle)))
	}
}

// guard asks for Basic.
func (d *provider) guard(handle http.HandlerFunc) http.HandlerFunc {
	key, secret := cmp.Or(d.server.Credentials.User, Key), cmp.Or(d.server.Credentials.Password, Secret)
	return func(w http.ResponseWriter, r *http.Request) {
		switch got, ok := basic(r.Header.Get("Authorization")); {
		case r.Header.Get("Authorization") == "":
			refuse(w, http.StatusUnauthorized, "missing_authorization_header", "Authorization header is missing")
		case !ok:
			refuse(w, http.StatusUnauthorized, "invalid_authentication_format", "Authorization header is malformed")
		case got != key+":"+secret:
			refuse(w, http.StatusUnauthorized, "invalid_credentials", "Credentials are not valid")
		default:
			handle(w, r)
		}
	}
}

// basic reads user and password with a colon between.
func basic(header string) (string, bool) {
	scheme, encoded, _ := strings.Cut(header, " ")
	plain, err := base64.StdEncoding.DecodeString(encoded)
	return string(plain), err == nil && strings.EqualFold(scheme, "Basic") && strings.Contains(string(plain), ":")
}

func fault(status int, code, message string) simulate.Canned {
	return simulate.Canned{Status: status, ContentType: "application/json", Body: writeJSON(map[string]any{
		"success": false, "message": message, "error_code": code,
	})}
}

func refuse(w http.ResponseWriter, status int, code, message string) {
	c := fault(status, code, message)
	c.Write(w)
}

// writeJSON writes what this package has put together, which always can be written.
func writeJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}

// accountFlow is the flow of the simulated account.
const accountFlow = "f1000000-0000-4000-8000-000000000001"

func apiOf(s *simulate.Server) map[string]string {
	api := map[string]string{
		"base_url": s.URL(), "key": cmp.Or(s.Credentials.User, Key), "secret": cmp.Or(s.Credentials.Password, Secret),
		"flow_id": accountFlow, "image_path": ImagePath, "skip_field": SkipField,
	}
	if s.Speed != 1 {
		// The two seconds between summaries are of the simulated life.
		api["summary_interval"] = (s.Clock(2*time.Second) + 10*time.Millisecond).Round(time.Millisecond).String()
	}
	return api
}
