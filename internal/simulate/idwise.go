package simulate

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// What simulated IDWise is asked with unless Credentials say otherwise, where its images lie, and how
// a step is skipped: the vendor publishes neither path nor name.
const (
	IDWiseKey       = "idwise-key"
	IDWiseSecret    = "idwise-secret-0001"
	IDWiseCallback  = "idwise-callback-0001"
	IDWiseImagePath = "/{id}/image/{path}"
	IDWiseSkipField = "skip"
)

// idwiseInterval must lie between two summaries of one journey, in life time.
const idwiseInterval = 2 * time.Second

// IDWise is a simulated IDWise: journeys that a person takes with the vendor's app, or whose steps
// are handed in over the API, reviewers in its portal or over the API, and webhooks with a bearer
// token. Nothing is sent to where a start says: IDWise takes that from its portal.
func IDWise() Provider {
	return Provider{
		Name: "idwise",
		API:  idwiseAPI, Auth: bearerAuth(IDWiseCallback),
		Routes: idwiseRoutes,
		Fault500: func(string) Canned {
			return idwiseFault(http.StatusInternalServerError, "internal_error", "Something went wrong")
		},
		Fault429: func(string) Canned {
			return idwiseFault(http.StatusTooManyRequests, "too_many_requests", "Too many calls")
		},
		Begin:     idwiseBegin,
		Retries:   []time.Duration{5 * time.Minute, 10 * time.Minute, 15 * time.Minute},
		Delivered: func(status int) bool { return status == http.StatusOK },
	}
}

// idwise is the provider's own state.
type idwise struct {
	server   *Server
	journeys map[string]*idwiseJourney
	early    int // summaries asked for too early
}

// IDWiseEarly counts the summaries that were asked for within 2 s of life of the one before.
func IDWiseEarly(s *Server) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.(*idwise).early
}

func idwiseRoutes(s *Server, mux *http.ServeMux) {
	d := &idwise{server: s, journeys: map[string]*idwiseJourney{}}
	s.state = d
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
		"GET /journey/v2" + IDWiseImagePath:     {"get-image", d.image},
		"DELETE /journey/{id}":                  {"delete-journey", d.delete},
		"GET /checks/aml/{id}":                  {"get-aml-result", d.aml},
		"PUT /checks/aml/{id}":                  {"amend-aml-search", d.aml},
	} {
		mux.HandleFunc(pattern, s.call(call.name, false, d.guard(call.handle)))
	}
}

// guard asks for Basic.
func (d *idwise) guard(handle http.HandlerFunc) http.HandlerFunc {
	key, secret := cmp.Or(d.server.Credentials.User, IDWiseKey), cmp.Or(d.server.Credentials.Password, IDWiseSecret)
	return func(w http.ResponseWriter, r *http.Request) {
		switch got, ok := idwiseBasic(r.Header.Get("Authorization")); {
		case r.Header.Get("Authorization") == "":
			idwiseRefuse(w, http.StatusUnauthorized, "missing_authorization_header", "Authorization header is missing")
		case !ok:
			idwiseRefuse(w, http.StatusUnauthorized, "invalid_authentication_format", "Authorization header is malformed")
		case got != key+":"+secret:
			idwiseRefuse(w, http.StatusUnauthorized, "invalid_credentials", "Credentials are not valid")
		default:
			handle(w, r)
		}
	}
}

// idwiseBasic reads user and password with a colon between.
func idwiseBasic(header string) (string, bool) {
	scheme, encoded, _ := strings.Cut(header, " ")
	plain, err := base64.StdEncoding.DecodeString(encoded)
	return string(plain), err == nil && strings.EqualFold(scheme, "Basic") && strings.Contains(string(plain), ":")
}

func idwiseFault(status int, code, message string) Canned {
	return Canned{Status: status, ContentType: "application/json", Body: idwiseJSON(map[string]any{
		"success": false, "message": message, "error_code": code,
	})}
}

func idwiseRefuse(w http.ResponseWriter, status int, code, message string) {
	c := idwiseFault(status, code, message)
	c.write(w)
}

// idwiseJSON writes what this package has put together, which always can be written.
func idwiseJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}
