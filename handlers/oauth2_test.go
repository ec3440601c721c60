package handlers

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"kycbridge"
	"kycbridge/normalize/credential"
)

// tokenServer serves callbacks of accounts with OAuth 2 clients.
type tokenServer struct {
	*httptest.Server
	callbacks *Callbacks
	logs      *observer.ObservedLogs
	mu        sync.Mutex
	outcomes  []string
}

func newTokenServer(t *testing.T, change func(*CallbackOptions)) *tokenServer {
	t.Helper()
	core, logs := observer.New(zap.DebugLevel)
	s := &tokenServer{logs: logs}
	account := func(name string, clients ...kycbridge.OAuth2Client) *kycbridge.Account {
		return &kycbridge.Account{Name: name, Provider: kycbridge.Provider{Name: "ondato", Verify: verifyOAuth2},
			Credentials: kycbridge.Credentials{OAuth2: kycbridge.OAuth2Credential{
				Audience: "ondato/" + name, Clients: clients, Lifetime: 10 * time.Minute}}}
	}
	near := account("near", kycbridge.OAuth2Client{ID: "near", Secret: "near-secret"})
	near.AllowIPs = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	o := CallbackOptions{
		Accounts: kycbridge.Accounts{
			{Provider: "ondato", Account: "acme"}: account("acme",
				kycbridge.OAuth2Client{ID: "acme", Secret: "secret-old"}, kycbridge.OAuth2Client{ID: "acme", Secret: "secret-new"},
				kycbridge.OAuth2Client{ID: "odd id", Secret: "p+s:%/"}),
			{Provider: "ondato", Account: "other"}: account("other", kycbridge.OAuth2Client{ID: "other", Secret: "other-secret"}),
			{Provider: "ondato", Account: "near"}:  near,
		},
		Receiver: tokenReceiver{},
		Logger:   zap.New(core),
		ObserveToken: func(o Outcome) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.outcomes = append(s.outcomes, o.Provider+"/"+o.Account+" "+o.Outcome)
		},
		Observe: func(o Outcome) {
			if o.Outcome == tokenIssued {
				t.Error("a token was counted as a callback")
			}
		},
	}
	if change != nil {
		change(&o)
	}
	s.callbacks = NewCallbacks(o)
	s.Server = httptest.NewServer(s.callbacks)
	t.Cleanup(s.Close)
	return s
}

func verifyOAuth2(c kycbridge.Credentials, r kycbridge.Request) (string, error) {
	return credential.Verify(c, r, credential.OAuth2)
}

// tokenReceiver authenticates and stores nothing.
type tokenReceiver struct{}

func (tokenReceiver) Receive(_ context.Context, a *kycbridge.Account, r kycbridge.Request) (kycbridge.Receipt, error) {
	placement, err := a.Provider.Verify(a.Credentials, r)
	return kycbridge.Receipt{Status: kycbridge.ReceiptAccepted, PayloadID: "p", Placement: placement}, err
}

// tokenAnswer is the status and the header of an answer.
type tokenAnswer struct {
	StatusCode int
	Header     http.Header
}

// request sends a request for a token with a form.
func (s *tokenServer) request(t *testing.T, header http.Header, form string) (tokenAnswer, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+TokenPath, strings.NewReader(form))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for name, values := range header {
		r.Header[name] = values
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(raw, &doc); err != nil {
		t.Errorf("%s: %v", raw, err)
	}
	return tokenAnswer{res.StatusCode, res.Header}, doc
}

// callback posts a callback with a token.
func (s *tokenServer) callback(t *testing.T, account, token string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/webhooks/ondato/"+account,
		strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

func basic(user, password string) http.Header {
	return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}}
}

// TestTokens: a client gets a token of its own account with each of the two ways to authenticate, and the errors
// are those of RFC 6749.
func TestTokens(t *testing.T) {
	const grant = "grant_type=client_credentials"
	post := func(id, secret string) string {
		return grant + "&" + url.Values{"client_id": {id}, "client_secret": {secret}}.Encode()
	}
	merge := func(a, b http.Header) http.Header {
		for k, v := range b {
			a[k] = v
		}
		return a
	}
	for _, c := range []struct {
		name    string
		header  http.Header
		form    string
		account string // at which the token is accepted
		error   string
	}{
		{"in the form", nil, post("acme", "secret-new"), "acme", ""},
		{"in the form, the old secret", nil, post("acme", "secret-old"), "acme", ""},
		{"Basic", basic("acme", "secret-new"), grant, "acme", ""},
		{"Basic, encoded", basic("odd+id", url.QueryEscape("p+s:%/")), grant, "acme", ""},
		{"Basic, plain", basic("odd id", "p+s:%/"), grant, "acme", ""},
		{"Basic, its id in the form too", basic("acme", "secret-new"), grant + "&client_id=acme", "acme", ""},
		{"with a scope", nil, post("acme", "secret-new") + "&scope=webhooks", "acme", ""},
		{"another account's client", nil, post("other", "other-secret"), "other", ""},
		{"charset", http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}},
			post("acme", "secret-new"), "acme", ""},

		{"wrong secret", nil, post("acme", "secret"), "", "invalid_client"},
		{"wrong secret, Basic", basic("acme", "secret"), grant, "", "invalid_client"},
		{"secret of another", nil, post("acme", "other-secret"), "", "invalid_client"},
		{"unknown client", nil, post("nobody", "secret-new"), "", "invalid_client"},
		{"no client", nil, grant, "", "invalid_client"},
		{"no secret", nil, grant + "&client_id=acme", "", "invalid_client"},
		{"empty secret", nil, post("acme", ""), "", "invalid_client"},
		{"Basic without a colon", http.Header{"Authorization": {"Basic YWNtZQ=="}}, grant, "", "invalid_client"},
		{"Basic that is no base64", http.Header{"Authorization": {"Basic ***"}}, grant, "", "invalid_client"},
		{"Bearer", http.Header{"Authorization": {"Bearer x"}}, post("acme", "secret-new"), "", "invalid_client"},
		{"Authorization twice", http.Header{"Authorization": append(basic("acme", "secret-new")["Authorization"], "Basic x")},
			grant, "", "invalid_client"},
		{"both ways", basic("acme", "secret-new"), post("acme", "secret-new"), "", "invalid_request"},
		{"two ids", basic("acme", "secret-new"), grant + "&client_id=other", "", "invalid_request"},
		{"no grant type", nil, "client_id=acme&client_secret=secret-new", "", "invalid_request"},
		{"empty grant type", nil, "grant_type=&client_id=acme&client_secret=secret-new", "", "invalid_request"},
		{"grant type twice", nil, grant + "&" + post("acme", "secret-new"), "", "invalid_request"},
		{"secret twice", nil, post("acme", "secret-new") + "&client_secret=secret-new", "", "invalid_request"},
		{"not a form", nil, "grant_type=%zz", "", "invalid_request"},
		{"JSON", http.Header{"Content-Type": {"application/json"}}, `{"grant_type":"client_credentials"}`, "", "invalid_request"},
		{"compressed", merge(http.Header{"Content-Encoding": {"gzip"}}, nil), post("acme", "secret-new"), "", "invalid_request"},
		{"another grant type", nil, "grant_type=password&username=u&password=p", "", "unsupported_grant_type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTokenServer(t, nil)
			res, doc := s.request(t, c.header, c.form)
			if got := res.Header.Get("Cache-Control"); got != "no-store" {
				t.Errorf("Cache-Control %q", got)
			}
			if got := res.Header.Get("Content-Type"); got != "application/json" {
				t.Errorf("Content-Type %q", got)
			}
			if c.error == "" {
				token, _ := doc["access_token"].(string)
				if res.StatusCode != 200 || doc["token_type"] != "Bearer" || doc["expires_in"] != 600.0 || token == "" {
					t.Fatalf("%d %v", res.StatusCode, doc)
				}
				for _, account := range []string{"acme", "other"} {
					want := map[bool]int{true: 200, false: 401}[account == c.account]
					if got := s.callback(t, account, token); got != want {
						t.Errorf("at %s the token is answered %d", account, got)
					}
				}
				if len(s.outcomes) != 1 || s.outcomes[0] != "ondato/"+c.account+" issued" {
					t.Errorf("counted %v", s.outcomes)
				}
			} else {
				want := map[bool]int{true: 401, false: 400}[c.error == "invalid_client"]
				if res.StatusCode != want || doc["error"] != c.error || doc["error_description"] == "" || len(doc) != 2 {
					t.Errorf("%d %v", res.StatusCode, doc)
				}
				if challenge := res.Header.Get("WWW-Authenticate"); (challenge != "") != (want == 401) {
					t.Errorf("WWW-Authenticate %q", challenge)
				}
				if len(s.outcomes) != 1 || !strings.HasSuffix(s.outcomes[0], " "+c.error) {
					t.Errorf("counted %v", s.outcomes)
				}
			}
			if lines := s.logs.FilterMessage("token request").All(); len(lines) != 1 {
				t.Errorf("%d lines", len(lines))
			} else if c.error == "invalid_client" && lines[0].Level != zap.WarnLevel {
				t.Errorf("a refused client at %s", lines[0].Level)
			}
			for _, entry := range s.logs.All() {
				for _, secret := range []string{"secret-new", "other-secret", "kyc1.", "odd"} {
					if text, _ := json.Marshal(entry.ContextMap()); strings.Contains(string(text), secret) {
						t.Errorf("the log shows %q: %s", secret, text)
					}
				}
			}
		})
	}
}

// TestTokenLimits: a request for a token is bounded like a callback, and the rate of tokens is limited.
func TestTokenLimits(t *testing.T) {
	const form = "grant_type=client_credentials&client_id=acme&client_secret=secret-new"
	t.Run("too large", func(t *testing.T) {
		s := newTokenServer(t, nil)
		res, doc := s.request(t, nil, form+"&x="+strings.Repeat("x", tokenMaxBody))
		if res.StatusCode != http.StatusRequestEntityTooLarge || doc["type"] != "urn:kycbridge:problem:too_large" {
			t.Errorf("%d %v", res.StatusCode, doc)
		}
	})
	t.Run("address not allowed", func(t *testing.T) {
		s := newTokenServer(t, nil)
		res, doc := s.request(t, nil, "grant_type=client_credentials&client_id=near&client_secret=near-secret")
		if res.StatusCode != http.StatusForbidden || doc["type"] != "urn:kycbridge:problem:address_refused" {
			t.Errorf("%d %v", res.StatusCode, doc)
		}
	})
	t.Run("rate of tokens", func(t *testing.T) {
		s := newTokenServer(t, nil)
		busy := 0
		for range tokenBurst + 50 {
			if res, _ := s.request(t, nil, form); res.StatusCode == http.StatusServiceUnavailable {
				busy++
				if res.Header.Get("Retry-After") == "" {
					t.Error("no Retry-After")
				}
			}
		}
		if busy == 0 {
			t.Error("no limit")
		}
	})
	t.Run("wrong secrets use up no tokens", func(t *testing.T) {
		s := newTokenServer(t, nil)
		for range tokenBurst + 50 {
			s.request(t, nil, form+"x")
		}
		if res, doc := s.request(t, nil, form); res.StatusCode != http.StatusOK {
			t.Errorf("%d %v", res.StatusCode, doc)
		}
		if lines := s.logs.FilterMessage("token request").Len(); lines > 2*refusalBurst {
			t.Errorf("%d lines in the log", lines)
		}
	})
	t.Run("rate of requests", func(t *testing.T) {
		s := newTokenServer(t, func(o *CallbackOptions) { o.RatePerSecond, o.Burst = 0.001, 1 })
		s.request(t, nil, form)
		if res, _ := s.request(t, nil, form); res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%d", res.StatusCode)
		}
	})
	t.Run("draining", func(t *testing.T) {
		s := newTokenServer(t, nil)
		s.callbacks.Drain()
		if res, _ := s.request(t, nil, form); res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("%d", res.StatusCode)
		}
	})
	t.Run("other method", func(t *testing.T) {
		s := newTokenServer(t, nil)
		res, err := http.Get(s.URL + TokenPath)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "POST" {
			t.Errorf("%d %q", res.StatusCode, res.Header.Get("Allow"))
		}
	})
	t.Run("a slash at the end", func(t *testing.T) {
		s := newTokenServer(t, nil)
		res, err := http.Post(s.URL+TokenPath+"/", "application/x-www-form-urlencoded", strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Errorf("%d", res.StatusCode)
		}
	})
	t.Run("secrets in the query", func(t *testing.T) {
		s := newTokenServer(t, nil)
		res, err := http.Post(s.URL+TokenPath+"?"+form, "application/x-www-form-urlencoded", strings.NewReader(""))
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("%d", res.StatusCode)
		}
	})
}

// TestExpiredTokenInLog: the log states that a token has expired; the answer is the same as for every
// refusal.
func TestExpiredTokenInLog(t *testing.T) {
	now := time.Unix(1772442005, 0)
	s := newTokenServer(t, func(o *CallbackOptions) { o.Now = func() time.Time { return now } })
	_, doc := s.request(t, nil, "grant_type=client_credentials&client_id=acme&client_secret=secret-new")
	token := doc["access_token"].(string)
	if got := s.callback(t, "acme", token); got != 200 {
		t.Fatal(got)
	}
	now = now.Add(11 * time.Minute)
	if got := s.callback(t, "acme", token); got != 401 {
		t.Fatal(got)
	}
	lines := s.logs.FilterMessage("callback").FilterLevelExact(zap.WarnLevel).All()
	if len(lines) != 1 || !strings.Contains(lines[0].ContextMap()["error"].(string), "access token expired 1m0s ago") {
		t.Errorf("%v", lines)
	}
}

// FuzzTokenRequest: no form and no header but those with a client's secret gets a token.
func FuzzTokenRequest(f *testing.F) {
	f.Add("", "grant_type=client_credentials&client_id=acme&client_secret=x")
	f.Add("Basic YWNtZTp4", "grant_type=client_credentials")
	f.Add("Basic ", "grant_type=client_credentials&client_id=%00")
	h := NewCallbacks(CallbackOptions{Receiver: tokenReceiver{}, Accounts: kycbridge.Accounts{
		{Provider: "ondato", Account: "acme"}: {Name: "acme", Provider: kycbridge.Provider{Name: "ondato"},
			Credentials: kycbridge.Credentials{OAuth2: kycbridge.OAuth2Credential{
				Clients: []kycbridge.OAuth2Client{{ID: "acme", Secret: "5f3c9e1a7b2d4860"}, {ID: "empty"}}}}},
	}})
	f.Fuzz(func(t *testing.T, authorization, form string) {
		r := httptest.NewRequest(http.MethodPost, TokenPath, strings.NewReader(form))
		r.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		r.Header["Authorization"] = []string{authorization}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code < 400 || w.Code >= 500 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}
