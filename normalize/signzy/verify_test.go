package signzy

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"

	"kycbridge"
	"kycbridge/test/admission"
)

func TestVerify(t *testing.T) {
	keys := kycbridge.Credentials{Keys: []string{"key-new", "", "key-old"}}
	pinned := func(placements ...string) kycbridge.Credentials {
		return kycbridge.Credentials{Keys: []string{"key-new", "key-old"}, Placements: placements}
	}
	const echo = `{"journeyId":"J","processingConfig":{"callbackUrl":"u","authKeyForCallback":"key-old"}}`
	cases := []admission.Case{
		{Name: "raw", Credentials: keys, Header: admission.Header("Authorization", "key-new"), Placement: "authorization"},
		{Name: "raw, rotated", Credentials: keys, Header: admission.Header("Authorization", "key-old"),
			Placement: "authorization"},
		{Name: "raw, wrong", Credentials: keys, Header: admission.Header("Authorization", "key")},
		{Name: "key as bearer", Credentials: keys, Header: admission.Header("Authorization", "Bearer key-old"),
			Placement: "bearer"},
		{Name: "custom header 1", Credentials: keys, Header: admission.Header("x-api-key", "key-old"), Placement: "header"},
		{Name: "custom header 2", Credentials: keys, Header: admission.Header("x-auth-key", "key-old"), Placement: "header"},
		{Name: "custom header 3", Credentials: keys, Header: admission.Header("auth-key", "key-old"), Placement: "header"},
		{Name: "custom header 4", Credentials: keys, Header: admission.Header("authkey", "key-old"), Placement: "header"},
		{Name: "custom header 5", Credentials: keys, Header: admission.Header("authKeyForCallback", "key-new"),
			Placement: "header"},
		{Name: "custom header, wrong", Credentials: keys, Header: admission.Header("x-api-key", "key-older")},
		{Name: "custom header renamed", Credentials: kycbridge.Credentials{Keys: keys.Keys, KeyHeaders: []string{"x-mine"}},
			Header: admission.Header("X-Mine", "key-old"), Placement: "header"},
		{Name: "custom header renamed, default no longer counts",
			Credentials: kycbridge.Credentials{Keys: keys.Keys, KeyHeaders: []string{"x-mine"}},
			Header:      admission.Header("x-api-key", "key-old")},
		{Name: "key in the url", Credentials: keys, Query: "token=key-old", Placement: "url_token"},
		{Name: "body", Credentials: keys, Body: echo, Placement: "body"},
		{Name: "body in result and data", Credentials: keys, Body: `{"result":{"data":` + echo + `}}`, Placement: "body"},
		{Name: "body in data and result", Credentials: keys, Body: `{"result":null,"data":{"result":` + echo + `}}`,
			Placement: "body"},
		{Name: "body in result", Credentials: keys, Body: `{"result":` + echo + `}`, Placement: "body"},
		{Name: "body, too deep", Credentials: keys, Body: `{"result":{"data":{"result":` + echo + `}}}`},
		{Name: "body, wrong", Credentials: keys, Body: strings.Replace(echo, "key-old", "key", 1)},
		{Name: "body, elsewhere", Credentials: keys, Body: `{"userInfo":{"authKeyForCallback":"key-old"}}`},
		{Name: "body, no string", Credentials: kycbridge.Credentials{Keys: []string{"12345678"}},
			Body: `{"processingConfig":{"authKeyForCallback":12345678}}`},
		{Name: "body, no JSON", Credentials: keys, Body: echo[:len(echo)-1]},
		{Name: "body, empty key", Credentials: kycbridge.Credentials{Keys: []string{""}},
			Body: `{"processingConfig":{"authKeyForCallback":""}}`},
		{Name: "body does not rescue a wrong Authorization", Credentials: keys,
			Header: admission.Header("Authorization", "wrong"), Body: echo},
		{Name: "body does not rescue a wrong bearer", Credentials: keys,
			Header: admission.Header("Authorization", "Bearer wrong"), Body: echo},
		{Name: "body does not rescue a wrong custom header", Credentials: keys,
			Header: admission.Header("auth-key", "wrong"), Body: echo},
		{Name: "body does not rescue a custom header that stands twice", Credentials: keys,
			Header: admission.Header("auth-key", "key-old", "auth-key", "wrong"), Body: echo},
		{Name: "body does not rescue a wrong operator's header",
			Credentials: kycbridge.Credentials{Keys: keys.Keys,
				Headers: []kycbridge.HeaderCredential{{Name: "X-Op", Value: "v"}}}, Header: admission.Header("X-Op", "w"),
			Body: echo},
		{Name: "an empty header is no wrong one", Credentials: keys, Header: admission.Header("auth-key", ""), Body: echo,
			Placement: "body"},
		{Name: "a right header beside the body", Credentials: keys, Header: admission.Header("auth-key", "key-new"),
			Body: echo, Placement: "header"},
		{Name: "pinned to header, body refused", Credentials: pinned("header"), Body: echo},
		{Name: "pinned to header, raw refused", Credentials: pinned("header"),
			Header: admission.Header("Authorization", "key-new")},
		{Name: "pinned to header", Credentials: pinned("header"), Header: admission.Header("x-api-key", "key-new"),
			Placement: "header"},
		{Name: "pinned to authorization, bearer refused", Credentials: pinned("authorization", "body"),
			Header: admission.Header("Authorization", "Bearer key-new"), Body: echo},
		{Name: "pinned to bearer, raw refused", Credentials: pinned("bearer", "body"),
			Header: admission.Header("Authorization", "key-new"), Body: echo},
		{Name: "pinned to bearer", Credentials: pinned("bearer"),
			Header: admission.Header("Authorization", "Bearer key-new"), Placement: "bearer"},
		{Name: "pinned to url token", Credentials: pinned("url_token"), Query: "token=key-new", Placement: "url_token"},
		{Name: "pinned to url token, header refused", Credentials: pinned("url_token"),
			Header: admission.Header("x-api-key", "key-new")},
		{Name: "pinned to body, foreign Authorization is no candidate", Credentials: pinned("body"),
			Header: admission.Header("Authorization", "gateway"), Body: echo, Placement: "body"},
		{Name: "pinned to nothing known", Credentials: pinned("cookie"),
			Header: admission.Header("Authorization", "key-new"), Query: "token=key-new", Body: echo},
		{Name: "basic beside keys admits",
			Credentials: kycbridge.Credentials{Keys: keys.Keys,
				Basic: []kycbridge.BasicCredential{{Username: "u", Password: "p"}}},
			Header: admission.Header("Authorization", admission.BasicHeader("u", "p")), Body: echo, Placement: "basic"},
		{Name: "basic judges its header, pinned to body",
			Credentials: kycbridge.Credentials{Keys: keys.Keys, Placements: []string{"body"},
				Basic: []kycbridge.BasicCredential{{Username: "u", Password: "p"}}},
			Header: admission.Header("Authorization", admission.BasicHeader("u", "q")), Body: echo},
		{Name: "bearer judges its header, pinned to body",
			Credentials: kycbridge.Credentials{Keys: keys.Keys, Placements: []string{"body"}, Bearer: []string{"t"}},
			Header:      admission.Header("Authorization", "Bearer u"), Body: echo},
		{Name: "x-signzy-signature is nobody's", Credentials: keys,
			Header: admission.Header("x-signzy-signature", "key-new")},
		{Name: "no keys, body says nothing", Credentials: kycbridge.Credentials{Bearer: []string{"t"}}, Body: echo},
	}
	admission.Run(t, Verify, append(admission.Common(), cases...))
}

func FuzzVerify(f *testing.F) { admission.Fuzz(f, Verify) }

// TestVerifyRefuses checks what the Verify of every provider must refuse.
func TestVerifyRefuses(t *testing.T) { admission.Refuses(t, Verify) }

// TestWhyRefusedOfABody: a wrong key in a body is distinguished from a missing one, and a large compressed
// body is not unpacked to look for a key.
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
		r := kycbridge.Request{Header: http.Header{}, Body: []byte(c.body), ReceivedAt: admission.Noon()}
		if c.encoding != "" {
			r.Header.Set("Content-Encoding", c.encoding)
		}
		_, err := Verify(kycbridge.Credentials{Keys: []string{"key"}}, r)
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

func BenchmarkVerify(b *testing.B) {
	admission.Bench(b, Verify, "header", func(_ string) http.Header {
		return http.Header{"Authorization": {admission.FixedKey}}
	})
	admission.Bench(b, Verify, "body", func(_ string) http.Header {
		return http.Header{}
	})
}

// TestPresented: what Present adds is what Verify admits, a key in each placement.
func TestPresented(t *testing.T) {
	pinned := func(placement string) kycbridge.Credentials {
		return kycbridge.Credentials{Keys: []string{"k"}, Placements: []string{placement}}
	}
	admission.Presented(t, Present, Verify, map[string]kycbridge.Credentials{
		"authorization": {Keys: []string{"k"}}, "bearer": pinned("bearer"), "header": pinned("header"),
		"url_token": pinned("url_token"),
	})
	admission.Presented(t, Present, Verify, map[string]kycbridge.Credentials{"url_token": {URLTokens: []string{"t"}}})
}
