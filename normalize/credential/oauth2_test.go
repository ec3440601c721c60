package credential_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/normalize/credential"
)

// issuing is the credential of an account with two clients, the second with two secrets.
func issuing(audience string) kycbridge.OAuth2Credential {
	return kycbridge.OAuth2Credential{Audience: audience, Lifetime: time.Hour, Clients: []kycbridge.OAuth2Client{
		{ID: "one", Secret: "secret-1"}, {ID: "two", Secret: "secret-2-old"}, {ID: "two", Secret: "secret-2-new"},
	}}
}

func bearing(token string, at time.Time) kycbridge.Request {
	return kycbridge.Request{Header: http.Header{"Authorization": {"Bearer " + token}}, ReceivedAt: at}
}

// TestAccessTokens: a token admits at its account until it expires, and only while its client still has
// the secret that the token was issued with.
func TestAccessTokens(t *testing.T) {
	now := time.Unix(1772442005, 0)
	here := issuing("ondato/acme")
	token := credential.IssueToken(here, here.Clients[1], now)
	without := func(i int) kycbridge.OAuth2Credential {
		o := issuing("ondato/acme")
		o.Clients = append(o.Clients[:i:i], o.Clients[i+1:]...)
		return o
	}
	renamed := issuing("ondato/acme")
	renamed.Clients[1].ID = "three"
	emptied := issuing("ondato/acme")
	for i := range emptied.Clients {
		emptied.Clients[i].Secret = ""
	}
	mac := token[strings.LastIndexByte(token, '.')+1:]
	end := strconv.FormatInt(now.Add(time.Hour).Unix(), 10)
	for name, c := range map[string]struct {
		of    kycbridge.OAuth2Credential
		token string
		after time.Duration
		admit bool
		why   string
	}{
		"at once":                     {of: here, token: token, admit: true},
		"at its end":                  {of: here, token: token, after: time.Hour, admit: true},
		"within the leeway":           {of: here, token: token, after: time.Hour + 30*time.Second, admit: true},
		"expired":                     {of: here, token: token, after: 61 * time.Minute, why: "access token expired 1m0s ago"},
		"before it was issued":        {of: here, token: token, after: -time.Minute, admit: true}, // the clocks may differ
		"another client removed":      {of: without(0), token: token, admit: true},
		"the other secret removed":    {of: without(2), token: token, admit: true},
		"its secret removed":          {of: without(1), token: token, why: "wrong credential: bearer"},
		"its secret removed, expired": {of: without(1), token: token, after: 2 * time.Hour, why: "wrong credential: bearer"},
		"its client renamed":          {of: renamed, token: token, why: "wrong credential: bearer"},
		"another account":             {of: issuing("ondato/other"), token: token, why: "wrong credential: bearer"},
		"another provider":            {of: issuing("idwise/acme"), token: token, why: "wrong credential: bearer"},
		"no clients":                  {token: token, why: "no credential is configured"},
		"empty secrets": {of: emptied, token: credential.IssueToken(emptied, emptied.Clients[0], now),
			why: "wrong credential: bearer"},
		"a later end":            {of: here, token: "kyc1." + end[:len(end)-1] + "9." + mac, why: "wrong credential"},
		"an end with a zero":     {of: here, token: "kyc1.0" + end + "." + mac, why: "wrong credential"},
		"an end with a sign":     {of: here, token: "kyc1.+" + end + "." + mac, why: "wrong credential"},
		"a MAC that is cut":      {of: here, token: token[:len(token)-1], why: "wrong credential"},
		"a MAC that is longer":   {of: here, token: token + "A", why: "wrong credential"},
		"no MAC":                 {of: here, token: "kyc1." + end + ".", why: "wrong credential"},
		"a MAC of zeros":         {of: here, token: "kyc1." + end + "." + strings.Repeat("A", 43), why: "wrong credential"},
		"padding":                {of: here, token: token + "=", why: "wrong credential"},
		"a line break":           {of: here, token: token + "\n", why: "wrong credential"},
		"another version":        {of: here, token: "kyc2" + token[4:], why: "wrong credential"},
		"the secret of a client": {of: here, token: "secret-1", why: "wrong credential"},
	} {
		t.Run(name, func(t *testing.T) {
			checks := credential.Checks{Admit: []credential.Check{credential.OAuth2}}
			got, err := checks.Verify(kycbridge.Credentials{OAuth2: c.of}, bearing(c.token, now.Add(c.after)))
			if c.admit {
				if got != credential.PlacementOAuth2 || err != nil {
					t.Fatalf("%q, %v", got, err)
				}
				return
			}
			if !errors.Is(err, kycbridge.ErrUnauthenticated) || !strings.Contains(err.Error(), c.why) {
				t.Errorf("%q, %v; want %q", got, err, c.why)
			}
			if strings.Contains(err.Error(), mac[:8]) {
				t.Errorf("the error repeats the token: %v", err)
			}
		})
	}
}

// TestTokenMACBits: another character in the MAC, or another value of any of its bits, makes a token that
// is not accepted.
func TestTokenMACBits(t *testing.T) {
	now := time.Unix(1772442005, 0)
	here := issuing("ondato/acme")
	token := credential.IssueToken(here, here.Clients[0], now)
	admits := func(token string) bool {
		return credential.OAuth2(kycbridge.Credentials{OAuth2: here}, bearing(token, now)) != ""
	}
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/"
	for i := len(token) - base64.RawURLEncoding.EncodedLen(32); i < len(token); i++ {
		for _, c := range letters {
			other := token[:i] + string(c) + token[i+1:]
			if other != token && admits(other) {
				t.Errorf("character %d as %c admits", i, c)
			}
		}
	}
	if !admits(token) {
		t.Error("the token itself does not admit")
	}
}

// TestFindClient: id and secret belong together, and neither may be empty.
func TestFindClient(t *testing.T) {
	o := issuing("ondato/acme")
	o.Clients = append(o.Clients, kycbridge.OAuth2Client{ID: "blank"}, kycbridge.OAuth2Client{Secret: "nameless"})
	for name, c := range map[string]struct {
		id, secret string
		want       bool
	}{
		"the first":            {"one", "secret-1", true},
		"rotated, old":         {"two", "secret-2-old", true},
		"rotated, new":         {"two", "secret-2-new", true},
		"of another":           {"one", "secret-2-old", false},
		"wrong":                {"one", "secret-2", false},
		"empty":                {"one", "", false},
		"empty configured":     {"blank", "", false},
		"no id":                {"", "nameless", false},
		"another case":         {"ONE", "secret-1", false},
		"unknown":              {"three", "secret-1", false},
		"longer than a secret": {"one", "secret-1 ", false},
	} {
		if got, ok := credential.FindClient(o, c.id, c.secret); ok != c.want || ok && got.ID != c.id {
			t.Errorf("%s: %v, %t", name, got.ID, ok)
		}
	}
}

// FuzzAccessToken: only an issued token admits, and no text makes the parser fail.
func FuzzAccessToken(f *testing.F) {
	now := time.Unix(1772442005, 0)
	here := issuing("ondato/acme")
	issued := map[string]bool{}
	for _, client := range here.Clients {
		token := credential.IssueToken(here, client, now)
		issued[token] = true
		f.Add(token)
		f.Add(token[:len(token)-1])
	}
	for _, seed := range []string{"", "kyc1.", "kyc1..", "kyc1.1.A", "kyc1.9999999999999.AAAA",
		"kyc1.-1." + strings.Repeat("A", 43)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		got := credential.OAuth2(kycbridge.Credentials{OAuth2: here}, bearing(token, now))
		trimmed := strings.TrimLeft(strings.Trim(token, " \t"), " ")
		if (got != "") != issued[trimmed] {
			t.Errorf("%q: %q", token, got)
		}
	})
}
