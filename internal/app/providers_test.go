package app

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
)

// TestProviders checks what every provider of the table must have: complete functions, schemas, fixtures
// that fit them, and an authentication that fails closed.
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
			own := slices.DeleteFunc(slices.Clone(cases), func(c fixture.Case) bool { return c.Provider != name })
			fits(t, p, own, set.Names()[name])
			refuses(t, p)
			refusesForged(t, p, own)
			survives(t, p)
		})
	}
}

// fits checks the fixtures of a provider against its schemas: each fixture fits the schema that Identify
// names, and each schema of a received body has a fixture.
func fits(t *testing.T, p kycbridge.Provider, cases []fixture.Case, names []string) {
	t.Helper()
	used := map[string]bool{}
	for _, c := range cases {
		doc, faults := p.Read(c.Body)
		if len(faults) > 0 {
			t.Errorf("%s: %v", c.Dir(), faults)
			continue
		}
		id := p.Identify(doc, c.Via)
		used[id.Schema] = true
		if faults := p.Validate(id.Schema, id.Document); len(faults) > 0 {
			t.Errorf("%s does not fit %s: %v", c.Dir(), id.Schema, faults)
		}
	}
	if len(used) == 0 || len(names) == 0 {
		t.Errorf("%d schemas and %d fixtures", len(names), len(cases))
	}
	for _, schema := range names {
		outgoing := schema == "start" || strings.HasPrefix(schema, "push_")
		if !outgoing && !used[schema] {
			t.Errorf("there is no fixture of %s", schema)
		}
	}
}

// refusesForged checks that Verify accepts the callback of each fixture with the secret and the body that
// it was made with, and refuses it with another secret, without its header, or with another body.
func refusesForged(t *testing.T, p kycbridge.Provider, cases []fixture.Case) {
	t.Helper()
	for _, c := range cases {
		if c.Callback == nil {
			continue
		}
		if _, err := p.Verify(credentialsOf(c), requestOf(c)); err != nil {
			t.Errorf("%s: its own authentication does not admit it: %v", c.Dir(), err)
		}
		for name, forge := range map[string]func(*fixture.Case, *fixture.Callback){
			"another secret": func(_ *fixture.Case, how *fixture.Callback) { how.Secret += "x" },
			"an empty one":   func(_ *fixture.Case, how *fixture.Callback) { how.Secret = "" },
			"no header":      func(_ *fixture.Case, how *fixture.Callback) { how.Header = nil },
			"another body":   func(c *fixture.Case, _ *fixture.Callback) { c.Body = append(slices.Clone(c.Body), ' ') },
		} {
			forged, how := c, *c.Callback
			forge(&forged, &how)
			forged.Callback = &how
			if _, err := p.Verify(credentialsOf(forged), requestOf(forged)); !errors.Is(err, kycbridge.ErrUnauthenticated) {
				t.Errorf("%s with %s: got %v, want ErrUnauthenticated", c.Dir(), name, err)
			}
		}
	}
}

// refuses checks that Verify refuses credentials that must never be accepted: missing, empty and wrong
// ones.
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
	wrong := http.Header{"Authorization": {"Bearer wrong"}, "X-Key": {"wrong"}, "X-Api-Key": {"wrong"},
		"Ondato-Signature": {"t=1772442005, s=00"}}
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
		_, err := p.Verify(tc.credentials,
			kycbridge.Request{Header: tc.header, Query: query, Body: []byte(`{"processingConfig":{"authKeyForCallback":""}}`),
				ReceivedAt: time.Now()})
		if !errors.Is(err, kycbridge.ErrUnauthenticated) {
			t.Errorf("%s: got %v, want ErrUnauthenticated", name, err)
		}
	}
}

// survives passes bodies that are not the provider's: nothing panics, no reference is found and nothing is
// approved.
func survives(t *testing.T, p kycbridge.Provider) {
	t.Helper()
	for _, body := range []string{`{}`, `{"a":[1,null,{"b":"c"}]}`,
		`{"event":1,"body":2,"payload":[],"result":{"data":null}}`} {
		doc, faults := p.Read([]byte(body))
		if len(faults) > 0 {
			t.Fatal(faults)
		}
		id := p.Identify(doc, event.ViaCallback)
		if id.Reference != "" {
			t.Errorf("%s: found the reference %q", body, id.Reference)
		}
		p.Validate(id.Schema, id.Document)
		o, err := p.Map(doc, kycbridge.Payload{Provider: p.Name, Account: "acme", Via: event.ViaCallback,
			Body: []byte(body)}, kycbridge.Settings{})
		if err == nil && o.Decision.Outcome == event.OutcomeApproved {
			t.Errorf("%s: approved", body)
		}
	}
}
