package admission

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kycbridge"
)

// The secrets of FixedCredentials: long and random, so that no fuzzer finds them by chance.
const (
	FixedSecret = "hm-5f0c1d2e7b9a4c36a8e1f4d7c2b05963-Qz"
	FixedUser   = "us-1b7c9e04d3f64a52b8f0e6a1c9d27385"
	FixedPass   = "pw-9d3e5a71c08b4f26a4d2c7e1f6b80354"
	FixedBearer = "be-27c4f8a1e6d94b03b5e9a0c3d8f71642"
	FixedHeader = "he-c8e1a6f02b5d4973a0f4d7b9c3e26158"
	FixedKey    = "ke-e4b0d9c7a2f14865b7c1a8e5d3f60297"
	FixedToken  = "ut-60a7f3d8c1e54b92a9d6e0b4c7f81325"
)

// FixedCredentials are one credential of each kind.
func FixedCredentials() kycbridge.Credentials {
	return kycbridge.Credentials{
		Basic: basics{{Username: FixedUser, Password: FixedPass}}, Bearer: []string{FixedBearer},
		Headers: static{{Name: "X-Custom", Value: FixedHeader}}, Keys: []string{FixedKey}, URLTokens: []string{FixedToken},
		HMAC: kycbridge.HMACCredential{Secrets: []string{FixedSecret}},
	}
}

// Fuzz checks that verify never panics and admits only requests that contain a secret (plain, in base64 or in JSON)
// or a valid MAC.
func Fuzz(f *testing.F, verify Verifier) {
	body := `{"processingConfig":{"authKeyForCallback":"` + FixedKey + `"}}`
	f.Add("", "", "", "", []byte(""))
	f.Add("Bearer x", "X-Api-Key", "x", "token=x", []byte(body[:20]))
	f.Add(BasicHeader(FixedUser, FixedPass), "X-Custom", "v", "", []byte("{}"))
	f.Add("Basic ====", "Ondato-Signature", "t=1772442005, s="+strings.Repeat("0", 64), "token=&token", []byte("{}"))
	f.Add("", "Ondato-Signature", Signed(FixedSecret, Noon(), body), "", []byte(body))
	f.Add("", "X-Other", "", "%zz;&token="+FixedToken, []byte(`{"result":{"data":`+body+`}}`))
	f.Fuzz(func(t *testing.T, authorization, name, value, query string, body []byte) {
		h := http.Header{}
		if authorization != "" {
			h.Set("Authorization", authorization)
		}
		h.Add(name, value)
		parsed, _ := url.ParseQuery(query) // after an error the pairs that could be parsed are used, as in a server
		placement, err := verify(FixedCredentials(),
			kycbridge.Request{Header: h, Query: parsed, Body: body, ReceivedAt: Noon()})
		if (err == nil) != (placement != "") {
			t.Fatalf("placement %q with error %v", placement, err)
		}
		if err == nil && !holdsSecret(h, parsed, body) {
			t.Fatalf("admitted as %q without a secret", placement)
		}
	})
}

// holdsSecret reports whether a request contains a secret. It deliberately differs from the code under test.
func holdsSecret(h http.Header, query url.Values, body []byte) bool {
	var texts []string
	for _, values := range h {
		for _, v := range values {
			texts = append(texts, v)
			if strings.Contains(strings.ToLower(v), MACOf(FixedSecret, "1772442005", string(body))) {
				return true
			}
			if i := strings.LastIndex(v, " "); i >= 0 {
				decoded, _ := base64.StdEncoding.DecodeString(v[i+1:])
				texts = append(texts, string(decoded))
			}
		}
	}
	for _, values := range query {
		texts = append(texts, values...)
	}
	texts = append(texts, string(body))
	for d := json.NewDecoder(bytes.NewReader(body)); ; {
		token, err := d.Token()
		if err != nil {
			break
		}
		if s, ok := token.(string); ok {
			texts = append(texts, s)
		}
	}
	for _, text := range texts {
		for _, secret := range []string{FixedPass, FixedBearer, FixedHeader, FixedKey, FixedToken} {
			if strings.Contains(text, secret) {
				return true
			}
		}
	}
	return false
}
