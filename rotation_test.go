package kycbridge_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/normalize/ondato"
	"kycbridge/normalize/signzy"
)

// keepsAll is a log that accepts everything.
type keepsAll struct{}

func (keepsAll) Append(context.Context, kycbridge.Payload) (kycbridge.Stored, error) {
	return kycbridge.Stored{}, nil
}

// TestWhichCredentialAdmitted: a receipt tells the place of the credential that admitted a callback.
func TestWhichCredentialAdmitted(t *testing.T) {
	type creds = kycbridge.Credentials
	both := map[string][2]creds{} // each kind with its new credential, and with its old one
	both["basic"] = [2]creds{
		{Basic: []kycbridge.BasicCredential{{Username: "u", Password: "new"}}},
		{Basic: []kycbridge.BasicCredential{{Username: "u", Password: "old"}}}}
	both["bearer"] = [2]creds{{Bearer: []string{"new"}}, {Bearer: []string{"old"}}}
	both["header"] = [2]creds{
		{Headers: []kycbridge.HeaderCredential{{Name: "X-Key", Value: "new"}}},
		{Headers: []kycbridge.HeaderCredential{{Name: "X-Key", Value: "old"}}}}
	both["url token"] = [2]creds{{URLTokens: []string{"new"}}, {URLTokens: []string{"old"}}}
	both["hmac"] = [2]creds{
		{HMAC: kycbridge.HMACCredential{Secrets: []string{"new"}}}, {HMAC: kycbridge.HMACCredential{Secrets: []string{"old"}}}}
	both["oauth2"] = [2]creds{oauth2("new"), oauth2("old")}
	both["key"] = [2]creds{{Keys: []string{"new"}}, {Keys: []string{"old"}}}
	for kind, c := range both {
		verify, present := ondato.Verify, ondato.Present
		if kind == "key" {
			verify, present = signzy.Verify, signzy.Present
		}
		rotating := creds{
			Basic: append(c[0].Basic, c[1].Basic...), Bearer: append(c[0].Bearer, c[1].Bearer...),
			Headers:   append(c[0].Headers, c[1].Headers...),
			URLTokens: append(c[0].URLTokens, c[1].URLTokens...), Keys: append(c[0].Keys, c[1].Keys...),
		}
		rotating.HMAC.Secrets = append(c[0].HMAC.Secrets, c[1].HMAC.Secrets...)
		rotating.OAuth2 = c[0].OAuth2
		rotating.OAuth2.Clients = append(c[0].OAuth2.Clients, c[1].OAuth2.Clients...)
		for i, want := range []string{kycbridge.CredentialFirst, kycbridge.CredentialLater} {
			if got := receiptOf(t, verify, present, rotating, c[i]); got.Credential != want || got.Placement == "" {
				t.Errorf("%s: credential %q at %q, want %q", kind, got.Credential, got.Placement, want)
			}
		}
		if got := receiptOf(t, verify, present, c[1], c[1]); got.Credential != kycbridge.CredentialFirst {
			t.Errorf("%s alone: credential %q", kind, got.Credential)
		}
		if got := receiptOf(t, verify, present, c[0], c[1]); got.Credential != "" {
			t.Errorf("%s, refused: credential %q", kind, got.Credential)
		}
	}
	// A request may contain the old credential of one kind and the first of another: the old one is in use.
	two := creds{Basic: append(both["basic"][0].Basic, both["basic"][1].Basic...), URLTokens: []string{"t"}}
	sent := creds{Basic: both["basic"][1].Basic, URLTokens: []string{"t"}}
	withToken := func(c creds, h http.Header, q url.Values, b []byte, at time.Time) bool {
		q.Set("token", "t")
		return ondato.Present(c, h, q, b, at)
	}
	if got := receiptOf(t, ondato.Verify, withToken, two, sent); got.Credential != kycbridge.CredentialLater {
		t.Errorf("two kinds: credential %q", got.Credential)
	}
}

func oauth2(secret string) kycbridge.Credentials {
	return kycbridge.Credentials{OAuth2: kycbridge.OAuth2Credential{Audience: "p/acme", Lifetime: time.Hour,
		Clients: []kycbridge.OAuth2Client{{ID: "c", Secret: secret}}}}
}

// receiptOf sends a callback with sent to an account with admitted.
func receiptOf(
	t *testing.T, verify func(kycbridge.Credentials, kycbridge.Request) (string, error),
	present func(kycbridge.Credentials, http.Header, url.Values, []byte, time.Time) bool,
	admitted, sent kycbridge.Credentials,
) kycbridge.Receipt {
	t.Helper()
	r := kycbridge.Request{Header: http.Header{}, Query: url.Values{}, Body: []byte(`{"id":"a-1"}`), ReceivedAt: time.Now()}
	if !present(sent, r.Header, r.Query, r.Body, r.ReceivedAt) {
		t.Fatal("the credential cannot be presented")
	}
	a := &kycbridge.Account{Name: "acme", Credentials: admitted, Provider: kycbridge.Provider{
		Name: "p", Verify: verify,
		Read: document.NewReader([]string{"id"}, document.Forms{}).Decode,
		Identify: func(doc document.Object, _ event.Via) kycbridge.Identity {
			return kycbridge.Identity{Reference: doc.Text("id"), Document: doc}
		},
		Validate: func(string, document.Object) []kycbridge.FieldError { return nil },
	}}
	in := &kycbridge.Intake{Log: keepsAll{}, Refusals: ignores{}}
	receipt, err := in.Receive(t.Context(), a, r)
	if (err == nil) != (receipt.Status == kycbridge.ReceiptAccepted) {
		t.Fatal(receipt, err)
	}
	return receipt
}

// ignores keeps no refusal.
type ignores struct{}

func (ignores) Refuse(context.Context, kycbridge.Payload, kycbridge.Request, string) {}
