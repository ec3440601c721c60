package test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kycbridge/test/fixture"
)

// casesToken is a token without an expiry.
const casesToken = "synthetic-provider-token"

// casesAPI simulates the APIs of all providers: below /<provider>/<account> it answers with the bodies of that
// account's case.
type casesAPI struct {
	*httptest.Server
	bodies map[string]map[string][]byte // by "/<provider>/<account>", then by request
}

func newCasesAPI(t *testing.T, runs []*caseRun) *casesAPI {
	t.Helper()
	api := &casesAPI{bodies: map[string]map[string][]byte{}}
	for _, run := range runs {
		answers := map[string][]byte{}
		for asked, file := range run.API {
			body, err := fixture.OutsideBody(run.Provider, file)
			if err != nil {
				t.Fatal(err)
			}
			answers[asked] = body
		}
		api.bodies["/"+run.Provider+"/"+run.account] = answers
	}
	api.Server = httptest.NewServer(api)
	t.Cleanup(api.Close)
	return api
}

// ServeHTTP answers a call of a provider's API.
func (api *casesAPI) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	parts := strings.SplitN(r.URL.Path, "/", 4) // "", provider, account, the path of the call
	if len(parts) < 4 {
		http.NotFound(w, r)
		return
	}
	asked := ""
	switch path := "/" + parts[3]; {
	case strings.HasSuffix(path, "/generate_token"):
		_, _ = w.Write([]byte(`{"Token":"` + casesToken + `","status_code":200}`))
		return
	case path == "/connect/token":
		_, _ = w.Write([]byte(`{"access_token":"` + casesToken + `","token_type":"Bearer"}`))
		return
	case strings.Contains(path, "/session/get_details/"):
		asked = "details"
	case strings.Contains(path, "/identity-verifications/"):
		asked = "idv"
	case strings.Contains(path, "/get-journey/"):
		asked = "journey"
	case strings.Contains(path, "/summary/"):
		asked = "summary"
	case strings.HasPrefix(path, "/journey/v2/"):
		asked = "result"
	}
	body, known := api.bodies["/"+parts[1]+"/"+parts[2]][asked]
	if !known {
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"message":"not found"}`))
		return
	}
	_, _ = w.Write(body)
}

// section is the api section of the account of a run.
func (api *casesAPI) section(run *caseRun) map[string]any {
	base := api.URL + "/" + run.Provider + "/" + run.account
	return map[string]map[string]any{
		"signzy": {"base_url": base, "token": casesToken},
		"ondato": {"token_url": base + "/connect/token", "idv_url": base, "kyc_url": base, "client_id": "synthetic",
			"client_secret": casesToken},
		"idwise": {"base_url": base, "key": "synthetic", "secret": casesToken, "summary_interval": "50ms"},
		"kwikid": {"base_url": base, "username": "synthetic", "password": casesToken},
	}[run.Provider]
}
