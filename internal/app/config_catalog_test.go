package app

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/normalize"
	"kycbridge/normalize/credential"
	"kycbridge/schemas"
	"kycbridge/test/fixture"
)

// catalogSecret is the secret of all requests and accounts in this file.
const catalogSecret = "a-secret-of-some-length"

// presented are callbacks with catalogSecret in one position each, with the account setting that accepts
// them, by the key of an account's auth section.
func presented(now time.Time) map[string]struct {
	credentials kycbridge.Credentials
	request     kycbridge.Request
} {
	body := []byte(`{"a":1}`)
	basic := http.Request{Header: http.Header{}}
	basic.SetBasicAuth("user", catalogSecret)
	with := func(h http.Header, query url.Values) kycbridge.Request {
		return kycbridge.Request{Header: h, Query: query, Body: body, ReceivedAt: now}
	}
	oauth2 := kycbridge.OAuth2Credential{Audience: "p/a", Lifetime: time.Hour,
		Clients: []kycbridge.OAuth2Client{{ID: "client", Secret: catalogSecret}}}
	type pair = struct {
		credentials kycbridge.Credentials
		request     kycbridge.Request
	}
	return map[string]pair{
		"basic": {kycbridge.Credentials{Basic: []kycbridge.BasicCredential{{Username: "user",
			Password: catalogSecret}}}, with(basic.Header, nil)},
		"bearer": {kycbridge.Credentials{Bearer: []string{catalogSecret}},
			with(http.Header{"Authorization": {"Bearer " + catalogSecret}}, nil)},
		"headers": {kycbridge.Credentials{Headers: []kycbridge.HeaderCredential{{Name: "X-Own", Value: catalogSecret}}},
			with(http.Header{"X-Own": {catalogSecret}}, nil)},
		"url_tokens": {kycbridge.Credentials{URLTokens: []string{catalogSecret}},
			with(http.Header{}, url.Values{"token": {catalogSecret}})},
		"hmac": {kycbridge.Credentials{HMAC: kycbridge.HMACCredential{Secrets: []string{catalogSecret},
			Header: "X-Signature"}},
			with(http.Header{"X-Signature": {signature(now, body)}}, nil)},
		"keys": {kycbridge.Credentials{Keys: []string{catalogSecret}},
			with(http.Header{"Authorization": {catalogSecret}}, nil)},
		"client_certs": {kycbridge.Credentials{ClientCerts: []kycbridge.ClientCertCredential{{SubjectCN: "client"}}},
			kycbridge.Request{Certificate: &x509.Certificate{Subject: pkix.Name{CommonName: "client"}}, ReceivedAt: now}},
		"oauth2": {kycbridge.Credentials{OAuth2: oauth2},
			with(http.Header{"Authorization": {"Bearer " + credential.IssueToken(oauth2, oauth2.Clients[0], now)}}, nil)},
	}
}

func signature(now time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(catalogSecret))
	fmt.Fprintf(mac, "%d.%s", now.Unix(), body)
	return fmt.Sprintf("t=%d, s=%s", now.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// TestCatalogAuth: a provider accepts exactly the kinds of credentials in the table, and every key of the
// auth section is such a kind or belongs to one. A kind with a format of its own is covered by a fixture's
// callback.json.
func TestCatalogAuth(t *testing.T) {
	ways := presented(time.Now())
	own := signed(t)
	for _, p := range providers() {
		for kind, way := range ways {
			_, err := p.Verify(way.credentials, way.request)
			admits := err == nil || slices.ContainsFunc(own[p.Name], func(c fixture.Case) bool {
				_, err := p.Verify(credentialsOf(c), requestOf(c))
				return c.Callback.Auth == kind && err == nil
			})
			if named := slices.Contains(p.Auth, kind); named != admits {
				t.Errorf("%s: the table names %s: %t; Verify says %v", p.Name, kind, named, err)
			}
		}
		if (len(p.Placements) > 0) != slices.Contains(p.Auth, "keys") {
			t.Errorf("%s: placements %v with auth %v", p.Name, p.Placements, p.Auth)
		}
	}
	for _, k := range keysOf(reflect.TypeFor[Auth]()) {
		if _, ok := ways[k]; !ok && k != "placements" && k != "key_headers" {
			t.Errorf("this test presents no %s", k)
		}
	}
}

// signed are the fixtures with authentication, by provider.
func signed(t *testing.T) map[string][]fixture.Case {
	t.Helper()
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]fixture.Case{}
	for _, c := range cases {
		if c.Callback != nil {
			out[c.Provider] = append(out[c.Provider], c)
		}
	}
	return out
}

// credentialsOf are the credentials that accept a fixture's callback.
func credentialsOf(c fixture.Case) kycbridge.Credentials {
	secret := c.Callback.Secret
	switch c.Callback.Auth {
	case "hmac":
		return kycbridge.Credentials{HMAC: kycbridge.HMACCredential{Secrets: []string{secret}}}
	case "keys":
		return kycbridge.Credentials{Keys: []string{secret}}
	}
	return kycbridge.Credentials{}
}

// requestOf is a fixture's callback.
func requestOf(c fixture.Case) kycbridge.Request {
	r := kycbridge.Request{Header: http.Header{}, Body: c.Body, ReceivedAt: c.Callback.ReceivedAt}
	for name, value := range c.Callback.Header {
		r.Header.Set(name, value)
	}
	return r
}

// TestCatalogPlacements: a key is accepted in each placement of the table if the account permits that one,
// and not if the account permits a placement that the table lacks.
func TestCatalogPlacements(t *testing.T) {
	request := kycbridge.Request{ReceivedAt: time.Now()}
	carrying := map[string]kycbridge.Request{}
	for word, header := range map[string]http.Header{
		"authorization": {"Authorization": {catalogSecret}}, "bearer": {"Authorization": {"Bearer " + catalogSecret}},
		"header": {"X-Own": {catalogSecret}},
	} {
		r := request
		r.Header = header
		carrying[word] = r
	}
	inURL, inBody := request, request
	inURL.Query = url.Values{"token": {catalogSecret}}
	inBody.Body = []byte(`{"processingConfig":{"authKeyForCallback":"` + catalogSecret + `"}}`)
	carrying["url_token"], carrying["body"] = inURL, inBody
	for _, p := range providers() {
		if len(p.Placements) == 0 {
			continue
		}
		for _, word := range slices.Concat(p.Placements, []string{"cookie", "headers", "basic", "hmac", "url_tokens", ""}) {
			c := kycbridge.Credentials{Keys: []string{catalogSecret}, Placements: []string{word}, KeyHeaders: []string{"X-Own"}}
			var admitted []string
			for where, r := range carrying {
				if _, err := p.Verify(c, r); err == nil {
					admitted = append(admitted, where)
				}
			}
			var want []string
			if slices.Contains(p.Placements, word) {
				want = []string{word}
			}
			if !slices.Equal(admitted, want) {
				t.Errorf("%s: with placements [%s] a key admits in %v", p.Name, word, admitted)
			}
		}
		if known := slices.Sorted(maps.Keys(carrying)); !slices.Equal(known, slices.Sorted(slices.Values(p.Placements))) {
			t.Errorf("%s: placements %v, this test knows %v", p.Name, p.Placements, known)
		}
	}
}

// TestCatalogSettings: the example of each setting changes what the mapping makes of some fixture, and no
// two providers use one key for settings of different types.
func TestCatalogSettings(t *testing.T) {
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	set, err := schemas.New()
	if err != nil {
		t.Fatal(err)
	}
	table := Providers(set)
	types := map[string]reflect.Type{}
	for _, p := range providers() {
		for _, s := range p.Settings {
			if other := types[s.Key]; other != nil && other != reflect.TypeOf(s.Zero) {
				t.Errorf("%s of %s is a %T, of another provider a %s", s.Key, p.Name, s.Zero, other)
			}
			types[s.Key] = reflect.TypeOf(s.Zero)
			if s.Example == nil {
				continue
			}
			own := map[string]any{s.Key: s.Example}
			if !slices.ContainsFunc(cases, func(c fixture.Case) bool {
				return c.Provider == p.Name && mapsOtherwise(t, table[p.Name], c, own)
			}) {
				t.Errorf("%s: its mapping makes the same of every fixture with %s", p.Name, s.Key)
			}
			if s.Check != nil && len(s.Check(s.Example)) > 0 {
				t.Errorf("%s: the example of %s is faulty", p.Name, s.Key)
			}
		}
		if (len(p.Settings) > 0) != (p.Decode != nil) {
			t.Errorf("%s has %d settings; it decodes them: %t", p.Name, len(p.Settings), p.Decode != nil)
		}
	}
}

// mapsOtherwise reports whether a change of the settings changes the observation of a payload.
func mapsOtherwise(t *testing.T, p kycbridge.Provider, c fixture.Case, own map[string]any) bool {
	t.Helper()
	payload := kycbridge.Payload{Provider: c.Provider, Account: c.Name, Via: c.Via, Body: c.Body,
		ReceivedAt: time.Unix(1772442005, 0)}
	doc, _ := p.Read(c.Body)
	s := c.SettingsAt(p)
	before, errBefore := p.Map(doc, payload, s)
	s.Own = p.Decode(own)
	after, errAfter := p.Map(doc, payload, s)
	return (errBefore == nil) != (errAfter == nil) || !reflect.DeepEqual(before, after)
}

// TestCatalogPolicyKeys: no policy can overlook the evidence of who the person is.
func TestCatalogPolicyKeys(t *testing.T) {
	for _, p := range providers() {
		for _, s := range p.Settings {
			for _, never := range []string{"document_authenticity", "document_expiry", "face_match", "liveness", "database",
				"consent"} {
				if s.Key == "policy" && len(s.Check(normalize.Table{"min_face_match": 0.9, "overlook": []string{never}})) == 0 {
					t.Errorf("%s: a policy may pass over %s", p.Name, never)
				}
			}
		}
	}
}
