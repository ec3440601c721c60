package ondato

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/normalize/normalizetest"
	"kycbridge/test/admission"
)

func TestVerify(t *testing.T) {
	const body = `{"id":"1","name":"\u0027"}`
	one := kycbridge.Credentials{HMAC: kycbridge.HMACCredential{Secrets: []string{"new-secret", "", "old-secret"}}}
	good := admission.Signed("new-secret", admission.Noon(), body)
	ts := strconv.FormatInt(admission.Noon().Unix(), 10)
	mac := admission.MACOf("new-secret", ts, body)
	hm := func(name, value, placement string) admission.Case {
		return admission.Case{Name: name, Credentials: one, Header: admission.Header("Ondato-Signature", value), Body: body,
			Placement: placement}
	}
	cases := []admission.Case{
		hm("hmac", good, "hmac"),
		hm("hmac, rotated", admission.Signed("old-secret", admission.Noon(), body), "hmac"),
		hm("hmac, no space", "t="+ts+",s="+mac, "hmac"),
		hm("hmac, more space", " t="+ts+" ,\t s="+mac+" ", "hmac"),
		hm("hmac, upper case", "t="+ts+", s="+strings.ToUpper(mac), "hmac"),
		hm("hmac, other order and more members", "v=1, s="+mac+", t="+ts, "hmac"),
		hm("hmac, 25 hours old", admission.Signed("new-secret", admission.Noon().Add(-25*time.Hour), body), "hmac"),
		hm("hmac, older", admission.Signed("new-secret", admission.Noon().Add(-25*time.Hour-time.Second), body), ""),
		hm("hmac, 5 minutes ahead", admission.Signed("new-secret", admission.Noon().Add(5*time.Minute), body), "hmac"),
		hm("hmac, further ahead", admission.Signed("new-secret", admission.Noon().Add(5*time.Minute+time.Second), body), ""),
		hm("hmac, other time than signed", "t="+strconv.FormatInt(admission.Noon().Unix()+1, 10)+", s="+mac, ""),
		hm("hmac, wrong secret", admission.Signed("other", admission.Noon(), body), ""),
		hm("hmac, empty secret", admission.Signed("", admission.Noon(), body), ""),
		hm("hmac, no time", "s="+mac, ""),
		hm("hmac, no mac", "t="+ts, ""),
		hm("hmac, time twice", "t="+ts+", "+good, ""),
		hm("hmac, mac twice", good+", s="+mac, ""),
		hm("hmac, signed time", "t=+"+ts+", s="+admission.MACOf("new-secret", "+"+ts, body), ""),
		hm("hmac, time out of range", "t=9999999999999999999, s="+admission.MACOf("new-secret", "9999999999999999999", body),
			""),
		hm("hmac, short mac", "t="+ts+", s="+mac[:62], ""),
		hm("hmac, no hex", "t="+ts+", s="+strings.Repeat("zz", 32), ""),
		hm("hmac, empty header", "", ""),
		{Name: "hmac, tampered body", Credentials: one, Header: admission.Header("Ondato-Signature", good),
			Body: strings.Replace(body, "1", "2", 1)},
		{Name: "hmac, body encoded again", Credentials: one, Header: admission.Header("Ondato-Signature", good),
			Body: `{"id":"1","name":"'"}`},
		{Name: "hmac, only empty secrets",
			Credentials: kycbridge.Credentials{HMAC: kycbridge.HMACCredential{Secrets: []string{""}}},
			Header:      admission.Header("Ondato-Signature", admission.Signed("", admission.Noon(), body)), Body: body},
		{Name: "hmac, header renamed",
			Credentials: kycbridge.Credentials{HMAC: kycbridge.HMACCredential{Secrets: []string{"s"}, Header: "x-sig"}},
			Header:      admission.Header("X-Sig", admission.Signed("s", admission.Noon(), body)), Body: body,
			Placement: "hmac"},
		{Name: "hmac, default name no longer counts",
			Credentials: kycbridge.Credentials{HMAC: kycbridge.HMACCredential{Secrets: []string{"s"}, Header: "x-sig"}},
			Header:      admission.Header("Ondato-Signature", admission.Signed("s", admission.Noon(), body)), Body: body},
		{Name: "hmac, other tolerance",
			Credentials: kycbridge.Credentials{HMAC: kycbridge.HMACCredential{Secrets: []string{"s"}, Tolerance: time.Minute}},
			Header:      admission.Header("Ondato-Signature", admission.Signed("s", admission.Noon().Add(-2*time.Minute), body)),
			Body:        body},
		{Name: "hmac, vector of the sheet",
			Credentials: kycbridge.Credentials{HMAC: kycbridge.HMACCredential{Secrets: []string{"test-secret"}}},
			Header: admission.Header("Ondato-Signature",
				"t=1772442005, s=66e3cfee72f47b38e49e6d5d0ef0cf162aa43182dcb5e9528eebe15a7bc25a6a"),
			Body: string(normalizetest.Fixture(t, "ondato", "hmac-vector-body")), Placement: "hmac"},
		{Name: "X-Ondato-Signature is nobody's", Credentials: one, Header: admission.Header("X-Ondato-Signature", good),
			Body: body},
	}
	admission.Run(t, Verify, append(admission.Common(), cases...))
}

func FuzzVerify(f *testing.F) { admission.Fuzz(f, Verify) }

// TestVerifyRefuses checks what the Verify of every provider must refuse.
func TestVerifyRefuses(t *testing.T) { admission.Refuses(t, Verify) }

// TestWhyRefused: the error tells the operator why a callback was refused, and contains nothing of the
// callback.
func TestWhyRefused(t *testing.T) {
	const body = `{"a":1}`
	full := kycbridge.Credentials{
		Basic:   []kycbridge.BasicCredential{{Username: "user", Password: "password"}},
		Headers: []kycbridge.HeaderCredential{{Name: "X-Custom", Value: "value"}}, URLTokens: []string{"token"},
		HMAC: kycbridge.HMACCredential{Secrets: []string{"secret"}},
	}
	signature := func(secret string, at time.Time, of string) http.Header {
		return http.Header{"Ondato-Signature": {admission.Signed(secret, at, of)}}
	}
	for want, c := range map[string]struct {
		creds  kycbridge.Credentials
		header http.Header
		query  url.Values
	}{
		"no credential is configured for this account": {kycbridge.Credentials{},
			http.Header{"Authorization": {"Bearer x"}}, nil},
		"no credential was sent": {full,
			http.Header{"User-Agent": {"x"}}, nil},
		"wrong credential: Basic": {full,
			http.Header{"Authorization": {admission.BasicHeader("user", "typo")}}, nil},
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
		"wrong signature":                          {full, signature("other", admission.Noon(), body), nil},
		"signature is not t=<seconds>, s=<64 hex>": {full, http.Header{"Ondato-Signature": {"t=1"}}, nil},
		"signature is stale: 26h0m0s old, tolerance 25h0m0s": {full,
			signature("secret", admission.Noon().Add(-26*time.Hour), body), nil},
		"signature lies 10m0s ahead of our clock": {full,
			signature("secret", admission.Noon().Add(10*time.Minute), body), nil},
	} {
		_, err := Verify(c.creds, kycbridge.Request{Header: c.header, Query: c.query, Body: []byte(body),
			ReceivedAt: admission.Noon()})
		if !errors.Is(err, kycbridge.ErrUnauthenticated) || err.Error() != "no credential admits the callback: "+want {
			t.Errorf("%v, want %s", err, want)
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	admission.Bench(b, Verify, "basic", func(_ string) http.Header {
		return http.Header{"Authorization": {admission.BasicHeader(admission.FixedUser, admission.FixedPass)}}
	})
	admission.Bench(b, Verify, "hmac", func(body string) http.Header {
		return http.Header{signatureHeader: {admission.Signed(admission.FixedSecret, admission.Noon(), body)}}
	})
}

// TestPresented: what Present adds is what Verify admits.
func TestPresented(t *testing.T) {
	admission.Presented(t, Present, Verify, map[string]kycbridge.Credentials{
		"hmac":  {HMAC: kycbridge.HMACCredential{Secrets: []string{"s"}}},
		"basic": {Basic: []kycbridge.BasicCredential{{Username: "u", Password: "p:q"}}},
	})
	admission.Presented(t, Present, Verify, map[string]kycbridge.Credentials{
		"hmac": {HMAC: kycbridge.HMACCredential{Secrets: []string{"s"}, Header: "X-Sign"}},
	})
}
