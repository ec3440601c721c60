package credential_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/normalize/credential"
	"kycbridge/test/admission"
)

// TestPresented: what Present adds is what the checks admit, for every kind of credential.
func TestPresented(t *testing.T) {
	verify := func(c kycbridge.Credentials, r kycbridge.Request) (string, error) {
		return credential.Verify(c, r, credential.Basic, credential.Bearer, credential.StaticHeader, credential.URLToken,
			credential.OAuth2)
	}
	admission.Presented(t, credential.Present, verify, map[string]kycbridge.Credentials{
		credential.PlacementBasic:    {Basic: []kycbridge.BasicCredential{{Username: "u", Password: "p:q"}}},
		credential.PlacementBearer:   {Bearer: []string{"b"}},
		credential.PlacementHeader:   {Headers: []kycbridge.HeaderCredential{{Name: "X-Key", Value: "v"}}},
		credential.PlacementURLToken: {URLTokens: []string{"t"}},
		credential.PlacementOAuth2:   {OAuth2: issuing("ondato/acme")},
	})
	if credential.Present(kycbridge.Credentials{}, http.Header{}, url.Values{}, nil, time.Now()) {
		t.Error("something is presented where nothing admits")
	}
}
