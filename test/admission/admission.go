// Package admission contains the requests that the Verify of every provider must admit or refuse. Only tests import
// it.
package admission

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/handlers"
)

type (
	creds  = kycbridge.Credentials
	basics = []kycbridge.BasicCredential
	static = []kycbridge.HeaderCredential
)

// Noon is when test requests arrive: the instant of the signature vector in Ondato's sheet.
func Noon() time.Time { return time.Unix(1772442005, 0) }

// Case is one request against one set of credentials.
type Case struct {
	Name        string
	Credentials kycbridge.Credentials
	Header      [][2]string
	Query       string
	Body        string
	Placement   string // "" means 401
}

// Verifier is the Verify of a provider.
type Verifier = func(kycbridge.Credentials, kycbridge.Request) (string, error)

// Run sends every case over real HTTP, each to a separate account.
func Run(t *testing.T, verify Verifier, cases []Case) {
	t.Helper()
	receiver, accounts := &verifying{placements: map[string]string{}}, kycbridge.Accounts{}
	for i, c := range cases {
		name := "a" + strconv.Itoa(i)
		accounts[kycbridge.AccountKey{Provider: "p", Account: name}] = &kycbridge.Account{
			Name: name, Provider: kycbridge.Provider{Name: "p", Verify: verify}, Credentials: c.Credentials,
		}
	}
	server := httptest.NewServer(handlers.NewCallbacks(handlers.CallbackOptions{
		Accounts: accounts, Receiver: receiver, Now: Noon,
	}))
	t.Cleanup(server.Close)
	for i, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			name := "a" + strconv.Itoa(i)
			address := server.URL + "/webhooks/p/" + name + "?" + c.Query
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(c.Body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/json")
			for _, h := range c.Header {
				r.Header.Add(h[0], h[1])
			}
			answer, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			want := http.StatusOK
			if c.Placement == "" {
				want = http.StatusUnauthorized
			}
			if got := receiver.placement(name); answer.StatusCode != want || got != c.Placement {
				t.Errorf("status %d, placement %q; want %d, %q", answer.StatusCode, got, want, c.Placement)
			}
		})
	}
}

// verifying authenticates callbacks and stores nothing except the placements, by account.
type verifying struct {
	mu         sync.Mutex
	placements map[string]string
}

// Receive authenticates a callback.
func (v *verifying) Receive(_ context.Context, a *kycbridge.Account, r kycbridge.Request) (kycbridge.Receipt, error) {
	placement, err := a.Provider.Verify(a.Credentials, r)
	if err != nil {
		return kycbridge.Receipt{}, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.placements[a.Name] = placement
	return kycbridge.Receipt{Status: kycbridge.ReceiptAccepted, PayloadID: "p", Placement: placement}, nil
}

func (v *verifying) placement(account string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.placements[account]
}

// Header converts alternating names and values to the header of a Case.
func Header(pairs ...string) [][2]string {
	var h [][2]string
	for i := 0; i < len(pairs); i += 2 {
		h = append(h, [2]string{pairs[i], pairs[i+1]})
	}
	return h
}

// BasicHeader is the value of an Authorization header of HTTP Basic.
func BasicHeader(user, pass string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
}

// MACOf is HMAC-SHA256 over timestamp, a dot and body, in hexadecimal digits.
func MACOf(secret, timestamp, body string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(timestamp + "." + body))
	return hex.EncodeToString(m.Sum(nil))
}

// Signed is the value of an Ondato-Signature header.
func Signed(secret string, at time.Time, body string) string {
	ts := strconv.FormatInt(at.Unix(), 10)
	return "t=" + ts + ", s=" + MACOf(secret, ts, body)
}

// Common are the cases of the kinds of credential that every provider admits.
func Common() []Case {
	basic := creds{Basic: basics{{Username: "old", Password: "pw1"}, {Username: "new", Password: "p:w2"}}}
	bearer := creds{Bearer: []string{"token-old", "token-new"}}
	named := creds{Headers: static{{Name: "x-operator", Value: "v1"}, {Name: "X-Operator", Value: "v2"},
		{Name: "Authorization", Value: "raw-value"}}}
	tokens := creds{URLTokens: []string{"u-old", "u&new"}}
	return []Case{
		{Name: "basic", Credentials: basic, Header: Header("Authorization", BasicHeader("old", "pw1")), Placement: "basic"},
		{Name: "basic, rotated, colon in password", Credentials: basic,
			Header: Header("Authorization", BasicHeader("new", "p:w2")), Placement: "basic"},
		{Name: "basic, scheme of any case, spaces", Credentials: basic,
			Header:    Header("Authorization", "bASIC   "+strings.TrimPrefix(BasicHeader("old", "pw1"), "Basic ")),
			Placement: "basic"},
		{Name: "basic, wrong password", Credentials: basic, Header: Header("Authorization", BasicHeader("old", "pw2"))},
		{Name: "basic, user of one and password of another", Credentials: basic,
			Header: Header("Authorization", BasicHeader("old", "p:w2"))},
		{Name: "basic, user in another case", Credentials: basic, Header: Header("Authorization", BasicHeader("OLD", "pw1"))},
		{Name: "basic, no base64", Credentials: basic, Header: Header("Authorization", "Basic old:pw1")},
		{Name: "basic, no colon", Credentials: basic,
			Header: Header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("oldpw1")))},
		{Name: "basic, header twice", Credentials: basic,
			Header: Header("Authorization", BasicHeader("old", "pw1"), "Authorization", BasicHeader("old", "pw1"))},
		{Name: "basic, empty configured password", Credentials: creds{Basic: basics{{Username: "u"}}},
			Header: Header("Authorization", BasicHeader("u", ""))},
		{Name: "basic, empty configured user", Credentials: creds{Basic: basics{{Password: "p"}}},
			Header: Header("Authorization", BasicHeader("", "p"))},
		{Name: "bearer", Credentials: bearer, Header: Header("Authorization", "Bearer token-old"), Placement: "bearer"},
		{Name: "bearer, rotated, scheme of any case", Credentials: bearer,
			Header: Header("Authorization", "bearer token-new"), Placement: "bearer"},
		{Name: "bearer, wrong", Credentials: bearer, Header: Header("Authorization", "Bearer token")},
		{Name: "bearer, longer", Credentials: bearer, Header: Header("Authorization", "Bearer token-old2")},
		{Name: "bearer, no token", Credentials: bearer, Header: Header("Authorization", "Bearer ")},
		{Name: "bearer, raw", Credentials: bearer, Header: Header("Authorization", "token-old")},
		{Name: "bearer, empty configured", Credentials: creds{Bearer: []string{""}},
			Header: Header("Authorization", "Bearer ")},
		{Name: "header", Credentials: named, Header: Header("X-OPERATOR", "v1"), Placement: "header"},
		{Name: "header, rotated", Credentials: named, Header: Header("x-operator", "v2"), Placement: "header"},
		{Name: "header, Authorization", Credentials: named, Header: Header("Authorization", "raw-value"),
			Placement: "header"},
		{Name: "header, wrong value", Credentials: named, Header: Header("X-Operator", "v3")},
		{Name: "header, value of another case", Credentials: named, Header: Header("X-Operator", "V1")},
		{Name: "header, value under another name", Credentials: named, Header: Header("X-Other", "v1")},
		{Name: "header, empty configured", Credentials: creds{Headers: static{{Name: "X-Operator"}}},
			Header: Header("X-Operator", "")},
		{Name: "url token", Credentials: tokens, Query: "token=u-old", Placement: "url_token"},
		{Name: "url token, rotated, escaped", Credentials: tokens, Query: "x=1&token=u%26new", Placement: "url_token"},
		{Name: "url token, wrong", Credentials: tokens, Query: "token=u"},
		{Name: "url token, twice", Credentials: tokens, Query: "token=u-old&token=u-old"},
		{Name: "url token, other parameter", Credentials: tokens, Query: "key=u-old"},
		{Name: "url token, empty configured", Credentials: creds{URLTokens: []string{""}}, Query: "token="},
		{Name: "any of several kinds",
			Credentials: creds{Basic: basic.Basic, Bearer: bearer.Bearer, URLTokens: tokens.URLTokens},
			Header:      Header("Authorization", "Bearer wrong"), Query: "token=u-old", Placement: "url_token"},
		{Name: "nothing configured", Header: Header("Authorization", BasicHeader("", "")), Query: "token="},
		{Name: "nothing presented", Credentials: creds{Basic: basic.Basic, Bearer: bearer.Bearer, Headers: named.Headers,
			URLTokens: tokens.URLTokens}},
	}
}

// Refuses checks the requests that the Verify of every provider must refuse.
func Refuses(t *testing.T, verify Verifier) {
	t.Helper()
	const body = `{"processingConfig":{"authKeyForCallback":""}}`
	full := FixedCredentials()
	empty := creds{
		Basic: basics{{}}, Bearer: []string{""}, Headers: static{{Name: "X-Custom"}, {}}, Keys: []string{""},
		URLTokens: []string{""},
		HMAC:      kycbridge.HMACCredential{Secrets: []string{""}},
	}
	blank := http.Header{"Authorization": {""}, "X-Api-Key": {""}, "X-Custom": {""}, "Ondato-Signature": {""}}
	wrong := http.Header{
		"Authorization": {"Bearer wrong"}, "X-Api-Key": {"wrong"}, "X-Custom": {"wrong"},
		"Ondato-Signature": {Signed("wrong", Noon(), body)},
	}
	signedEmpty := http.Header{"Authorization": {BasicHeader("", "")}, "Ondato-Signature": {Signed("", Noon(), body)},
		"X-Custom": {""}}
	token := url.Values{"token": {""}}
	for what, c := range map[string]struct {
		creds  creds
		header http.Header
		query  url.Values
	}{
		"no credentials":              {creds{}, wrong, token},
		"no credentials, no header":   {creds{}, nil, nil},
		"no header":                   {full, nil, nil},
		"empty headers":               {full, blank, token},
		"wrong values and signature":  {full, wrong, url.Values{"token": {"wrong"}}},
		"empty secrets":               {empty, signedEmpty, token},
		"empty secrets, empty header": {empty, blank, token},
	} {
		placement, err := verify(c.creds,
			kycbridge.Request{Header: c.header, Query: c.query, Body: []byte(body), ReceivedAt: Noon()})
		if placement != "" || !errors.Is(err, kycbridge.ErrUnauthenticated) {
			t.Errorf("%s: %q, %v", what, placement, err)
		}
	}
}
