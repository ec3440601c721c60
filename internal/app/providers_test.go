package app

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
)

// TestProviders is what every provider of the table has to have: complete functions, schemas,
// fixtures, and an authentication that fails closed.
func TestProviders(t *testing.T) {
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	table := Providers(set)
	if len(table) != len(providers()) {
		t.Error("a provider stands in the table twice")
	}
	for name, p := range table {
		t.Run(name, func(t *testing.T) {
			if p.Verify == nil || p.Identify == nil || p.Validate == nil || p.Map == nil {
				t.Fatal("a function is missing")
			}
			if len(set.Names()[name]) == 0 {
				t.Error("there is no schema")
			}
			fixtures := 0
			for _, c := range cases {
				if c.Provider == name {
					fixtures++
				}
			}
			if fixtures == 0 {
				t.Error("there is no fixture")
			}
			refuses(t, p)
			survives(t, p)
		})
	}
}

// refuses tries what must never be let in.
func refuses(t *testing.T, p kycbridge.Provider) {
	t.Helper()
	const secret = "a-secret-of-some-length"
	full := kycbridge.Credentials{
		Basic:     []kycbridge.BasicCredential{{Username: "user", Password: secret}},
		Bearer:    []string{secret},
		Headers:   []kycbridge.HeaderCredential{{Name: "X-Key", Value: secret}},
		HMAC:      kycbridge.HMACCredential{Secrets: []string{secret}},
		Keys:      []string{secret},
		URLTokens: []string{secret},
	}
	empty := kycbridge.Credentials{
		Basic:     []kycbridge.BasicCredential{{}},
		Bearer:    []string{""},
		Headers:   []kycbridge.HeaderCredential{{Name: "X-Key"}},
		HMAC:      kycbridge.HMACCredential{Secrets: []string{""}},
		Keys:      []string{""},
		URLTokens: []string{""},
	}
	nothing := http.Header{}
	blank := http.Header{"Authorization": {""}, "X-Key": {""}, "X-Api-Key": {""}, "Ondato-Signature": {""}}
	wrong := http.Header{"Authorization": {"Bearer wrong"}, "X-Key": {"wrong"}, "X-Api-Key": {"wrong"}, "Ondato-Signature": {"t=1772442005, s=00"}}
	query := map[string][]string{"token": {""}}
	for name, tc := range map[string]struct {
		credentials kycbridge.Credentials
		header      http.Header
	}{
		"no credential at all":             {kycbridge.Credentials{}, wrong},
		"nothing presented":                {full, nothing},
		"empty headers":                    {full, blank},
		"wrong headers":                    {full, wrong},
		"empty secrets, nothing presented": {empty, nothing},
		"empty secrets, empty headers":     {empty, blank},
	} {
		_, err := p.Verify(tc.credentials, kycbridge.Request{Header: tc.header, Query: query, Body: []byte(`{"processingConfig":{"authKeyForCallback":""}}`), ReceivedAt: time.Now()})
		if !errors.Is(err, kycbridge.ErrUnauthenticated) {
			t.Errorf("%s: got %v, want ErrUnauthenticated", name, err)
		}
	}
}

// survives hands in bodies that are not the provider's.
func survives(t *testing.T, p kycbridge.Provider) {
	t.Helper()
	for _, body := range []string{`{}`, `{"a":[1,null,{"b":"c"}]}`, `{"event":1,"body":2,"payload":[],"result":{"data":null}}`} {
		doc, faults := Decode([]byte(body))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		id := p.Identify(doc)
		if id.Reference != "" {
			t.Errorf("%s: found the reference %q", body, id.Reference)
		}
		p.Validate(id.Schema, id.Document)
		o, err := p.Map(kycbridge.Payload{Provider: p.Name, Account: "acme", Via: kycbridge.ViaCallback, Body: []byte(body)}, kycbridge.Settings{})
		if err == nil && o.Decision.Outcome == kycbridge.OutcomeApproved {
			t.Errorf("%s: approved", body)
		}
	}
}
