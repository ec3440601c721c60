package handlers

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"kycbridge"
)

// TestPresent: the provider's check accepts the credential that Present adds, for every kind.
func TestPresent(t *testing.T) {
	body := []byte(`{"a":1}`)
	now := time.Now()
	for name, c := range map[string]struct {
		credentials kycbridge.Credentials
		verify      func(kycbridge.Credentials, kycbridge.Request) (string, error)
		placement   string
	}{
		"hmac":          {kycbridge.Credentials{HMAC: kycbridge.HMACCredential{Secrets: []string{"s"}}}, VerifyOndato, placementHMAC},
		"hmac header":   {kycbridge.Credentials{HMAC: kycbridge.HMACCredential{Secrets: []string{"s"}, Header: "X-Sign"}}, VerifyOndato, placementHMAC},
		"basic":         {kycbridge.Credentials{Basic: []kycbridge.BasicCredential{{Username: "u", Password: "p:q"}}}, VerifyOndato, placementBasic},
		"bearer":        {kycbridge.Credentials{Bearer: []string{"b"}}, VerifyIDWise, placementBearer},
		"header":        {kycbridge.Credentials{Headers: []kycbridge.HeaderCredential{{Name: "X-Key", Value: "v"}}}, VerifyKwikID, placementHeader},
		"url token":     {kycbridge.Credentials{URLTokens: []string{"t"}}, VerifyKwikID, placementURLToken},
		"key":           {kycbridge.Credentials{Keys: []string{"k"}}, VerifySignzy, placementAuthorization},
		"key as bearer": {kycbridge.Credentials{Keys: []string{"k"}, Placements: []string{placementBearer}}, VerifySignzy, placementBearer},
		"key in header": {kycbridge.Credentials{Keys: []string{"k"}, Placements: []string{placementHeader}}, VerifySignzy, placementHeader},
		"key in url":    {kycbridge.Credentials{Keys: []string{"k"}, Placements: []string{placementURLToken}}, VerifySignzy, placementURLToken},
	} {
		header, query := http.Header{}, url.Values{}
		if !Present(c.credentials, header, query, body, now) {
			t.Errorf("%s: nothing presented", name)
			continue
		}
		r := kycbridge.Request{Header: header, Query: query, Body: body, ReceivedAt: now}
		if placement, err := c.verify(c.credentials, r); err != nil || placement != c.placement {
			t.Errorf("%s: admitted by %q: %v", name, placement, err)
		}
	}
	if Present(kycbridge.Credentials{}, http.Header{}, url.Values{}, body, now) {
		t.Error("something is presented where nothing admits")
	}
}
