// Package simulated is a simulated IDWise: its documented API, and the people who take its verifications. All
// its data is synthetic.
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

// The credentials of the simulated IDWise if Credentials do not set them, the path of its images, and the name
// of its skip flag. The vendor publishes neither that path nor that name.
const (
	Key       = "idwise-key"
	Secret    = "idwise-secret-0001"
	Callback  = "idwise-callback-0001"
	ImagePath = "/{id}/image/{path}"
	SkipField = "skip"
)

// interval is the minimum time between two summaries of one journey, in simulated time.
const interval = 2 * time.Second

// New simulates IDWise: journeys that a person takes with the vendor's app, or whose steps are submitted over
// the API, reviewers in its portal or over the API, and webhooks with a bearer token. A start cannot set the
// callback URL: IDWise takes it from its portal.
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

// provider is the state of the simulated provider.
type provider struct {
	server   *simulate.Server
	journeys map[string]*journey
	early    int // summaries requested too early
}

// Early returns how many summaries were requested less than 2 s of simulated time after the previous one.
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

// guard requires Basic authentication.
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

// basic returns the user name and password of a header, separated by a colon.
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

// writeJSON encodes values that this package has made, which cannot fail.
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
		// The two seconds between summaries are in simulated time.
		api["summary_interval"] = (s.Clock(2*time.Second) + 10*time.Millisecond).Round(time.Millisecond).String()
	}
	return api
}
