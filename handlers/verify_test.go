package handlers

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"kycbridge"
)

type (
	creds  = kycbridge.Credentials
	basics = []kycbridge.BasicCredential
	static = []kycbridge.HeaderCredential
)

// noon is when test requests arrive: the instant of the signature vector in Ondato's sheet.
var noon = time.Unix(1772442005, 0)

// authCase is one request against one set of credentials.
type authCase struct {
	name      string
	creds     creds
	header    [][2]string
	query     string
	body      string
	placement string // "" means 401
}

type verifier = func(creds, kycbridge.Request) (string, error)

// runAuth sends every case over real HTTP, each to an account of its own.
func runAuth(t *testing.T, verify verifier, cases []authCase) {
	t.Helper()
	receiver, accounts := &verifying{}, kycbridge.Accounts{}
	for i, c := range cases {
		name := "a" + strconv.Itoa(i)
		accounts[kycbridge.AccountKey{Provider: "p", Account: name}] = &kycbridge.Account{
			Name: name, Provider: kycbridge.Provider{Name: "p", Verify: verify}, Credentials: c.creds,
		}
	}
	base := serve(t, NewCallbacks(CallbackOptions{Accounts: accounts, Receiver: receiver, Now: func() time.Time { return noon }}))
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			name := "a" + strconv.Itoa(i)
			got := post(t, base+"/webhooks/p/"+name+"?"+c.query, c.body, func(r *http.Request) {
				for _, h := range c.header {
					r.Header.Add(h[0], h[1])
				}
			})
			want := http.StatusOK
			if c.placement == "" {
				want = http.StatusUnauthorized
			}
			if got.status != want || receiver.placement(name) != c.placement {
				t.Errorf("status %d, placement %q; want %d, %q", got.status, receiver.placement(name), want, c.placement)
			}
		})
	}
}

func header(pairs ...string) [][2]string {
	var h [][2]string
	for i := 0; i < len(pairs); i += 2 {
		h = append(h, [2]string{pairs[i], pairs[i+1]})
	}
	return h
}

func basicHeader(user, pass string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+pass))
}

func macOf(secret, timestamp, body string) string {
	m := hmac.New(sha256.New, []byte(secret))
	m.Write([]byte(timestamp + "." + body))
	return hex.EncodeToString(m.Sum(nil))
}

func signed(secret string, at time.Time, body string) string {
	ts := strconv.FormatInt(at.Unix(), 10)
	return "t=" + ts + ", s=" + macOf(secret, ts, body)
}

// common are the cases of the kinds of credential that every provider admits.
func common() []authCase {
	basic := creds{Basic: basics{{Username: "old", Password: "pw1"}, {Username: "new", Password: "p:w2"}}}
	bearer := creds{Bearer: []string{"token-old", "token-new"}}
	named := creds{Headers: static{{Name: "x-operator", Value: "v1"}, {Name: "X-Operator", Value: "v2"}, {Name: "Authorization", Value: "raw-value"}}}
	tokens := creds{URLTokens: []string{"u-old", "u&new"}}
	return []authCase{
		{name: "basic", creds: basic, header: header("Authorization", basicHeader("old", "pw1")), placement: "basic"},
		{name: "basic, rotated, colon in password", creds: basic, header: header("Authorization", basicHeader("new", "p:w2")), placement: "basic"},
		{name: "basic, scheme of any case, spaces", creds: basic, header: header("Authorization", "bASIC   "+strings.TrimPrefix(basicHeader("old", "pw1"), "Basic ")), placement: "basic"},
		{name: "basic, wrong password", creds: basic, header: header("Authorization", basicHeader("old", "pw2"))},
		{name: "basic, user of one and password of another", creds: basic, header: header("Authorization", basicHeader("old", "p:w2"))},
		{name: "basic, user in another case", creds: basic, header: header("Authorization", basicHeader("OLD", "pw1"))},
		{name: "basic, no base64", creds: basic, header: header("Authorization", "Basic old:pw1")},
		{name: "basic, no colon", creds: basic, header: header("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte("oldpw1")))},
		{name: "basic, header twice", creds: basic, header: header("Authorization", basicHeader("old", "pw1"), "Authorization", basicHeader("old", "pw1"))},
		{name: "basic, empty configured password", creds: creds{Basic: basics{{Username: "u"}}}, header: header("Authorization", basicHeader("u", ""))},
		{name: "basic, empty configured user", creds: creds{Basic: basics{{Password: "p"}}}, header: header("Authorization", basicHeader("", "p"))},
		{name: "bearer", creds: bearer, header: header("Authorization", "Bearer token-old"), placement: "bearer"},
		{name: "bearer, rotated, scheme of any case", creds: bearer, header: header("Authorization", "bearer token-new"), placement: "bearer"},
		{name: "bearer, wrong", creds: bearer, header: header("Authorization", "Bearer token")},
		{name: "bearer, longer", creds: bearer, header: header("Authorization", "Bearer token-old2")},
		{name: "bearer, no token", creds: bearer, header: header("Authorization", "Bearer ")},
		{name: "bearer, raw", creds: bearer, header: header("Authorization", "token-old")},
		{name: "bearer, empty configured", creds: creds{Bearer: []string{""}}, header: header("Authorization", "Bearer ")},
		{name: "header", creds: named, header: header("X-OPERATOR", "v1"), placement: "header"},
		{name: "header, rotated", creds: named, header: header("x-operator", "v2"), placement: "header"},
		{name: "header, Authorization", creds: named, header: header("Authorization", "raw-value"), placement: "header"},
		{name: "header, wrong value", creds: named, header: header("X-Operator", "v3")},
		{name: "header, value of another case", creds: named, header: header("X-Operator", "V1")},
		{name: "header, value under another name", creds: named, header: header("X-Other", "v1")},
		{name: "header, empty configured", creds: creds{Headers: static{{Name: "X-Operator"}}}, header: header("X-Operator", "")},
		{name: "url token", creds: tokens, query: "token=u-old", placement: "url_token"},
		{name: "url token, rotated, escaped", creds: tokens, query: "x=1&token=u%26new", placement: "url_token"},
		{name: "url token, wrong", creds: tokens, query: "token=u"},
		{name: "url token, twice", creds: tokens, query: "token=u-old&token=u-old"},
		{name: "url token, other parameter", creds: tokens, query: "key=u-old"},
		{name: "url token, empty configured", creds: creds{URLTokens: []string{""}}, query: "token="},
		{name: "any of several kinds", creds: creds{Basic: basic.Basic, Bearer: bearer.Bearer, URLTokens: tokens.URLTokens},
			header: header("Authorization", "Bearer wrong"), query: "token=u-old", placement: "url_token"},
		{name: "nothing configured", header: header("Authorization", basicHeader("", "")), query: "token="},
		{name: "nothing presented", creds: creds{Basic: basic.Basic, Bearer: bearer.Bearer, Headers: named.Headers, URLTokens: tokens.URLTokens}},
	}
}

func TestVerifyIDWise(t *testing.T) { runAuth(t, VerifyIDWise, common()) }
func TestVerifyKwikID(t *testing.T) { runAuth(t, VerifyKwikID, common()) }

func TestVerifyOndato(t *testing.T) {
	const body = `{"id":"1","name":"\u0027"}`
	one := creds{HMAC: kycbridge.HMACCredential{Secrets: []string{"new-secret", "", "old-secret"}}}
	good := signed("new-secret", noon, body)
	ts := strconv.FormatInt(noon.Unix(), 10)
	mac := macOf("new-secret", ts, body)
	hm := func(name, value, placement string) authCase {
		return authCase{name: name, creds: one, header: header("Ondato-Signature", value), body: body, placement: placement}
	}
	cases := []authCase{
		hm("hmac", good, "hmac"),
		hm("hmac, rotated", signed("old-secret", noon, body), "hmac"),
		hm("hmac, no space", "t="+ts+",s="+mac, "hmac"),
		hm("hmac, more space", " t="+ts+" ,\t s="+mac+" ", "hmac"),
		hm("hmac, upper case", "t="+ts+", s="+strings.ToUpper(mac), "hmac"),
		hm("hmac, other order and more members", "v=1, s="+mac+", t="+ts, "hmac"),
		hm("hmac, 25 hours old", signed("new-secret", noon.Add(-25*time.Hour), body), "hmac"),
		hm("hmac, older", signed("new-secret", noon.Add(-25*time.Hour-time.Second), body), ""),
		hm("hmac, 5 minutes ahead", signed("new-secret", noon.Add(5*time.Minute), body), "hmac"),
		hm("hmac, further ahead", signed("new-secret", noon.Add(5*time.Minute+time.Second), body), ""),
		hm("hmac, other time than signed", "t="+strconv.FormatInt(noon.Unix()+1, 10)+", s="+mac, ""),
		hm("hmac, wrong secret", signed("other", noon, body), ""),
		hm("hmac, empty secret", signed("", noon, body), ""),
		hm("hmac, no time", "s="+mac, ""),
		hm("hmac, no mac", "t="+ts, ""),
		hm("hmac, time twice", "t="+ts+", "+good, ""),
		hm("hmac, mac twice", good+", s="+mac, ""),
		hm("hmac, signed time", "t=+"+ts+", s="+macOf("new-secret", "+"+ts, body), ""),
		hm("hmac, time out of range", "t=9999999999999999999, s="+macOf("new-secret", "9999999999999999999", body), ""),
		hm("hmac, short mac", "t="+ts+", s="+mac[:62], ""),
		hm("hmac, no hex", "t="+ts+", s="+strings.Repeat("zz", 32), ""),
		hm("hmac, empty header", "", ""),
		{name: "hmac, tampered body", creds: one, header: header("Ondato-Signature", good), body: strings.Replace(body, "1", "2", 1)},
		{name: "hmac, body encoded again", creds: one, header: header("Ondato-Signature", good), body: `{"id":"1","name":"'"}`},
		{name: "hmac, only empty secrets", creds: creds{HMAC: kycbridge.HMACCredential{Secrets: []string{""}}},
			header: header("Ondato-Signature", signed("", noon, body)), body: body},
		{name: "hmac, header renamed", creds: creds{HMAC: kycbridge.HMACCredential{Secrets: []string{"s"}, Header: "x-sig"}},
			header: header("X-Sig", signed("s", noon, body)), body: body, placement: "hmac"},
		{name: "hmac, default name no longer counts", creds: creds{HMAC: kycbridge.HMACCredential{Secrets: []string{"s"}, Header: "x-sig"}},
			header: header("Ondato-Signature", signed("s", noon, body)), body: body},
		{name: "hmac, other tolerance", creds: creds{HMAC: kycbridge.HMACCredential{Secrets: []string{"s"}, Tolerance: time.Minute}},
			header: header("Ondato-Signature", signed("s", noon.Add(-2*time.Minute), body)), body: body},
		{name: "hmac, vector of the sheet", creds: creds{HMAC: kycbridge.HMACCredential{Secrets: []string{"test-secret"}}},
			header: header("Ondato-Signature", "t=1772442005, s=66e3cfee72f47b38e49e6d5d0ef0cf162aa43182dcb5e9528eebe15a7bc25a6a"),
			body:   string(fixture(t, "ondato/hmac-vector-body/body.json")), placement: "hmac"},
		{name: "X-Ondato-Signature is nobody's", creds: one, header: header("X-Ondato-Signature", good), body: body},
	}
	runAuth(t, VerifyOndato, append(common(), cases...))
}

func TestVerifySignzy(t *testing.T) {
	keys := creds{Keys: []string{"key-new", "", "key-old"}}
	pinned := func(placements ...string) creds {
		return creds{Keys: []string{"key-new", "key-old"}, Placements: placements}
	}
	const echo = `{"journeyId":"J","processingConfig":{"callbackUrl":"u","authKeyForCallback":"key-old"}}`
	cases := []authCase{
		{name: "raw", creds: keys, header: header("Authorization", "key-new"), placement: "authorization"},
		{name: "raw, rotated", creds: keys, header: header("Authorization", "key-old"), placement: "authorization"},
		{name: "raw, wrong", creds: keys, header: header("Authorization", "key")},
		{name: "key as bearer", creds: keys, header: header("Authorization", "Bearer key-old"), placement: "bearer"},
		{name: "custom header 1", creds: keys, header: header("x-api-key", "key-old"), placement: "header"},
		{name: "custom header 2", creds: keys, header: header("x-auth-key", "key-old"), placement: "header"},
		{name: "custom header 3", creds: keys, header: header("auth-key", "key-old"), placement: "header"},
		{name: "custom header 4", creds: keys, header: header("authkey", "key-old"), placement: "header"},
		{name: "custom header 5", creds: keys, header: header("authKeyForCallback", "key-new"), placement: "header"},
		{name: "custom header, wrong", creds: keys, header: header("x-api-key", "key-older")},
		{name: "custom header renamed", creds: creds{Keys: keys.Keys, KeyHeaders: []string{"x-mine"}}, header: header("X-Mine", "key-old"), placement: "header"},
		{name: "custom header renamed, default no longer counts", creds: creds{Keys: keys.Keys, KeyHeaders: []string{"x-mine"}}, header: header("x-api-key", "key-old")},
		{name: "key in the url", creds: keys, query: "token=key-old", placement: "url_token"},
		{name: "body", creds: keys, body: echo, placement: "body"},
		{name: "body in result and data", creds: keys, body: `{"result":{"data":` + echo + `}}`, placement: "body"},
		{name: "body in data and result", creds: keys, body: `{"result":null,"data":{"result":` + echo + `}}`, placement: "body"},
		{name: "body in result", creds: keys, body: `{"result":` + echo + `}`, placement: "body"},
		{name: "body, too deep", creds: keys, body: `{"result":{"data":{"result":` + echo + `}}}`},
		{name: "body, wrong", creds: keys, body: strings.Replace(echo, "key-old", "key", 1)},
		{name: "body, elsewhere", creds: keys, body: `{"userInfo":{"authKeyForCallback":"key-old"}}`},
		{name: "body, no string", creds: creds{Keys: []string{"12345678"}}, body: `{"processingConfig":{"authKeyForCallback":12345678}}`},
		{name: "body, no JSON", creds: keys, body: echo[:len(echo)-1]},
		{name: "body, empty key", creds: creds{Keys: []string{""}}, body: `{"processingConfig":{"authKeyForCallback":""}}`},
		{name: "body does not rescue a wrong Authorization", creds: keys, header: header("Authorization", "wrong"), body: echo},
		{name: "body does not rescue a wrong bearer", creds: keys, header: header("Authorization", "Bearer wrong"), body: echo},
		{name: "body does not rescue a wrong custom header", creds: keys, header: header("auth-key", "wrong"), body: echo},
		{name: "body does not rescue a custom header that stands twice", creds: keys, header: header("auth-key", "key-old", "auth-key", "wrong"), body: echo},
		{name: "body does not rescue a wrong operator's header", creds: creds{Keys: keys.Keys, Headers: static{{Name: "X-Op", Value: "v"}}}, header: header("X-Op", "w"), body: echo},
		{name: "an empty header is no wrong one", creds: keys, header: header("auth-key", ""), body: echo, placement: "body"},
		{name: "a right header beside the body", creds: keys, header: header("auth-key", "key-new"), body: echo, placement: "header"},
		{name: "pinned to header, body refused", creds: pinned("header"), body: echo},
		{name: "pinned to header, raw refused", creds: pinned("header"), header: header("Authorization", "key-new")},
		{name: "pinned to header", creds: pinned("header"), header: header("x-api-key", "key-new"), placement: "header"},
		{name: "pinned to authorization, bearer refused", creds: pinned("authorization", "body"), header: header("Authorization", "Bearer key-new"), body: echo},
		{name: "pinned to bearer, raw refused", creds: pinned("bearer", "body"), header: header("Authorization", "key-new"), body: echo},
		{name: "pinned to bearer", creds: pinned("bearer"), header: header("Authorization", "Bearer key-new"), placement: "bearer"},
		{name: "pinned to url token", creds: pinned("url_token"), query: "token=key-new", placement: "url_token"},
		{name: "pinned to url token, header refused", creds: pinned("url_token"), header: header("x-api-key", "key-new")},
		{name: "pinned to body, foreign Authorization is no candidate", creds: pinned("body"), header: header("Authorization", "gateway"), body: echo, placement: "body"},
		{name: "pinned to nothing known", creds: pinned("cookie"), header: header("Authorization", "key-new"), query: "token=key-new", body: echo},
		{name: "basic beside keys admits", creds: creds{Keys: keys.Keys, Basic: basics{{Username: "u", Password: "p"}}}, header: header("Authorization", basicHeader("u", "p")), body: echo, placement: "basic"},
		{name: "basic judges its header, pinned to body", creds: creds{Keys: keys.Keys, Placements: []string{"body"}, Basic: basics{{Username: "u", Password: "p"}}},
			header: header("Authorization", basicHeader("u", "q")), body: echo},
		{name: "bearer judges its header, pinned to body", creds: creds{Keys: keys.Keys, Placements: []string{"body"}, Bearer: []string{"t"}},
			header: header("Authorization", "Bearer u"), body: echo},
		{name: "x-signzy-signature is nobody's", creds: keys, header: header("x-signzy-signature", "key-new")},
		{name: "no keys, body says nothing", creds: creds{Bearer: []string{"t"}}, body: echo},
	}
	runAuth(t, VerifySignzy, append(common(), cases...))
}

// TestVerifyRefuses is what the Verify of every provider has to refuse, whatever else it does.
func TestVerifyRefuses(t *testing.T) {
	const body = `{"processingConfig":{"authKeyForCallback":""}}`
	full := fixedCredentials()
	empty := creds{
		Basic: basics{{}}, Bearer: []string{""}, Headers: static{{Name: "X-Custom"}, {}}, Keys: []string{""}, URLTokens: []string{""},
		HMAC: kycbridge.HMACCredential{Secrets: []string{""}},
	}
	blank := http.Header{"Authorization": {""}, "X-Api-Key": {""}, "X-Custom": {""}, "Ondato-Signature": {""}}
	wrong := http.Header{
		"Authorization": {"Bearer wrong"}, "X-Api-Key": {"wrong"}, "X-Custom": {"wrong"}, "Ondato-Signature": {signed("wrong", noon, body)},
	}
	signedEmpty := http.Header{"Authorization": {basicHeader("", "")}, "Ondato-Signature": {signed("", noon, body)}, "X-Custom": {""}}
	token := url.Values{"token": {""}}
	for name, verify := range verifiers() {
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
			placement, err := verify(c.creds, kycbridge.Request{Header: c.header, Query: c.query, Body: []byte(body), ReceivedAt: noon})
			if placement != "" || !errors.Is(err, kycbridge.ErrUnauthenticated) {
				t.Errorf("%s, %s: %q, %v", name, what, placement, err)
			}
		}
	}
}

func verifiers() map[string]verifier {
	return map[string]verifier{"signzy": VerifySignzy, "ondato": VerifyOndato, "idwise": VerifyIDWise, "kwikid": VerifyKwikID}
}

// TestWhyRefused: the operator learns what kept a callback out, and nothing of the callback.
func TestWhyRefused(t *testing.T) {
	const body = `{"a":1}`
	full := creds{
		Basic: basics{{Username: "user", Password: "password"}}, Headers: static{{Name: "X-Custom", Value: "value"}}, URLTokens: []string{"token"},
		HMAC: kycbridge.HMACCredential{Secrets: []string{"secret"}},
	}
	signature := func(secret string, at time.Time, of string) http.Header {
		return http.Header{"Ondato-Signature": {signed(secret, at, of)}}
	}
	for want, c := range map[string]struct {
		creds  creds
		header http.Header
		query  url.Values
	}{
		"no credential is configured for this account": {creds{},
			http.Header{"Authorization": {"Bearer x"}}, nil},
		"no credential was sent": {full,
			http.Header{"User-Agent": {"x"}}, nil},
		"wrong credential: Basic": {full,
			http.Header{"Authorization": {basicHeader("user", "typo")}}, nil},
		"wrong credential: bearer, header, url_token": {full,
			http.Header{"Authorization": {"Bearer x"}, "X-Custom": {"y"}}, url.Values{"token": {"z"}}},
		"Authorization stands twice, and which of the two counts would be a guess": {full,
			http.Header{"Authorization": {"Bearer x", "Bearer y"}}, nil},
		"X-Custom stands twice, and which of the two counts would be a guess": {full,
			http.Header{"X-Custom": {"value", "y"}}, nil},
		"Ondato-Signature stands twice, and which of the two counts would be a guess": {full,
			http.Header{"Ondato-Signature": {"a", "b"}}, nil},
		"url_token stands twice, and which of the two counts would be a guess": {full, nil,
			url.Values{"token": {"token", "z"}}},
		"wrong signature":                                    {full, signature("other", noon, body), nil},
		"signature is not t=<seconds>, s=<64 hex>":           {full, http.Header{"Ondato-Signature": {"t=1"}}, nil},
		"signature is stale: 26h0m0s old, tolerance 25h0m0s": {full, signature("secret", noon.Add(-26*time.Hour), body), nil},
		"signature lies 10m0s ahead of our clock":            {full, signature("secret", noon.Add(10*time.Minute), body), nil},
	} {
		_, err := VerifyOndato(c.creds, kycbridge.Request{Header: c.header, Query: c.query, Body: []byte(body), ReceivedAt: noon})
		if !errors.Is(err, kycbridge.ErrUnauthenticated) || err.Error() != "no credential admits the callback: "+want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

// TestWhyRefusedOfABody: a wrong key in a body is told from none, and a large packed body is not unpacked to
// find one.
func TestWhyRefusedOfABody(t *testing.T) {
	const echo = `{"processingConfig":{"authKeyForCallback":"%s"},"x":"`
	noise := make([]byte, 96<<10)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	right, large := fmt.Sprintf(echo, "key")+`"}`, fmt.Sprintf(echo, "key")+hex.EncodeToString(noise)+`"}`
	for name, c := range map[string]struct{ body, encoding, want string }{
		"none":          {`{}`, "", "no credential was sent"},
		"wrong":         {fmt.Sprintf(echo, "typo") + `"}`, "", "wrong credential: key in the body"},
		"right":         {right, "", ""},
		"right, packed": {gzipped(t, right), "gzip", ""},
		"right, large":  {large, "", ""},
		"right, packed, large": {gzipped(t, large), "gzip",
			"wrong credential: body (packed and large, so not looked into: have the key sent in a header or in the URL)"},
	} {
		r := kycbridge.Request{Header: http.Header{}, Body: []byte(c.body), ReceivedAt: noon}
		if c.encoding != "" {
			r.Header.Set("Content-Encoding", c.encoding)
		}
		_, err := VerifySignzy(creds{Keys: []string{"key"}}, r)
		if c.want == "" && err != nil || c.want != "" &&
			(err == nil || err.Error() != "no credential admits the callback: "+c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func gzipped(t *testing.T, body string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write([]byte(body))
	if err = errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
