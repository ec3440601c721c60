package client_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/internal/rest"
	"kycbridge/internal/simulate"
	kwikid "kycbridge/normalize/kwikid/client"
	"kycbridge/test/wait"
)

// token is an answer of generate_token whose JWT has these claims.
func token(claims string) simulate.Canned {
	jwt := "x." + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".x"
	return answer(200, `{"Token": "`+jwt+`", "status_code": 200, "success": true}`)
}

func fetch(t *testing.T, r rig, id string) error {
	t.Helper()
	_, err := r.api.Fetch(bg(t), kycbridge.Query{Reference: id})
	return err
}

func kindOf(err error) kycbridge.ProviderErrorKind {
	var e *kycbridge.ProviderError
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

// A token is renewed when a tenth of its life is left. A call that takes longer than that, because the machine is
// busy, may arrive with a token that has expired; the provider refuses it and the token is renewed.
func TestTokenIsRenewedBeforeItExpires(t *testing.T) {
	t.Parallel()
	const life = 2 * time.Second
	late := 0
	r := newRig(t, simulate.Options{TokenLife: life}, rest.Options{})
	id := r.server.Begin(sampleUser, "")
	for start := time.Now(); time.Since(start) < 2*life; {
		begun := time.Now()
		if err := fetch(t, r, id); err != nil {
			t.Fatal(err)
		}
		if time.Since(begun) > life/10 {
			late++
		}
	}
	stats := r.server.Stats()
	if stats.Answers[401] > late {
		t.Errorf("%d calls went out with an expired token, %d were late", stats.Answers[401], late)
	}
	if n := stats.Calls[callToken]; n < 2 || n > 4+late {
		t.Errorf("%d tokens within %v", n, 2*life)
	}
}

func TestTokenIsRenewedOnceWhenRefused(t *testing.T) {
	for name, claims := range map[string]string{"no exp": `{}`, "unreadable": `{`, "exp is text": `{"exp": "soon"}`,
		"far": `{"exp": 4102444800}`} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, simulate.Options{}, rest.Options{})
			id := r.server.Begin(sampleUser, "")
			r.server.Can(callToken, token(claims))
			if err := fetch(t, r, id); err != nil {
				t.Fatal(err)
			}
			if stats := r.server.Stats(); stats.Calls[callToken] != 2 || stats.Calls[callDetails] != 2 {
				t.Errorf("calls %v", stats.Calls)
			}
		})
	}
	t.Run("refused again", func(t *testing.T) {
		r := newRig(t, simulate.Options{}, rest.Options{})
		r.server.Can(callToken, token(`{}`), token(`{"jti": 2}`))
		if err := fetch(t, r, firstSession); kindOf(err) != kycbridge.ProviderCredentials {
			t.Error(err)
		}
		if stats := r.server.Stats(); stats.Calls[callToken] != 2 || stats.Calls[callDetails] != 2 {
			t.Errorf("calls %v", stats.Calls)
		}
	})
	t.Run("sendLink", func(t *testing.T) { // a 401 means that no session was created
		r := newRig(t, simulate.Options{}, rest.Options{})
		r.server.Can(callToken, token(`{}`))
		if _, err := r.api.Start(bg(t), linkStart()); err != nil {
			t.Fatal(err)
		}
	})
}

func TestOneRenewalAtATime(t *testing.T) {
	r := newRig(t, simulate.Options{}, rest.Options{})
	id := r.server.Begin(sampleUser, "")
	var revoked atomic.Value // the token that is refused from now on
	revoked.Store("")
	r.wire.hook = func(req *http.Request) (*http.Response, error) {
		if auth := req.Header.Get("auth"); auth == "" || auth != revoked.Load() {
			return nil, nil
		}
		return &http.Response{StatusCode: http.StatusUnauthorized, Header: http.Header{},
			Body: io.NopCloser(strings.NewReader(`{"message": "Token is invalid"}`))}, nil
	}
	for _, want := range []int{1, 2, 3} {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if err := fetch(t, r, id); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := r.server.Stats().Calls[callToken]; n != want {
			t.Errorf("%d calls for tokens, want %d", n, want)
		}
		requests := r.wire.of(pathDetails + id)
		revoked.Store(requests[len(requests)-1].header.Get("auth"))
	}
}

// A start that fails before the link is requested has created nothing.
func TestStartWithoutATokenIsNotSent(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulate.Options{}, rest.Options{})
	failed := answer(500, `{}`)
	r.server.Can(callToken, failed, failed, failed)
	_, err := r.api.Start(bg(t), linkStart())
	var e *kycbridge.ProviderError
	if !errors.As(err, &e) || e.Kind != kycbridge.ProviderUnavailable || e.Sent {
		t.Errorf("%+v", e)
	}
	if n := r.server.Stats().Calls[callLink]; n != 0 {
		t.Errorf("%d links", n)
	}
}

func TestSendLinkIsSentOnce(t *testing.T) {
	t.Parallel()
	t.Run("500", func(t *testing.T) {
		r := newRig(t, simulate.Options{}, rest.Options{})
		r.server.Can(callLink, canned(t, 500, "send-link-error-500.json"))
		_, err := r.api.Start(bg(t), linkStart())
		if kindOf(err) != kycbridge.ProviderUnavailable || r.server.Stats().Calls[callLink] != 1 {
			t.Errorf("%v after %d calls", err, r.server.Stats().Calls[callLink])
		}
	})
	t.Run("timeout", func(t *testing.T) {
		slow := simulate.Faults{Slow: 1, SlowBy: 20 * time.Second}
		r := newRig(t, simulate.Options{Faults: slow},
			rest.Options{Timeout: wait.Reach, RequestsPerSecond: 1000, Concurrency: 4})
		_, err := r.api.Start(bg(t), linkStart())
		var e *kycbridge.ProviderError
		if !errors.As(err, &e) || e.Kind != kycbridge.ProviderUnreachable || !e.Sent || len(r.wire.of(pathSendLink)) != 1 {
			t.Errorf("%+v after %d calls", e, len(r.wire.of(pathSendLink)))
		}
	})
	t.Run("broken answer", func(t *testing.T) {
		r := newRig(t, simulate.Options{Faults: simulate.Faults{Broken: 1}}, rest.Options{})
		_, err := r.api.Start(bg(t), linkStart())
		if k := kindOf(err); k != kycbridge.ProviderUnreachable && k != kycbridge.ProviderMalformed ||
			r.server.Stats().Calls[callLink] != 1 {
			t.Errorf("%v after %d calls", err, r.server.Stats().Calls[callLink])
		}
	})
	t.Run("gateway page", func(t *testing.T) {
		r := newRig(t, simulate.Options{Faults: simulate.Faults{HTML: 1}}, rest.Options{})
		_, err := r.api.Start(bg(t), linkStart())
		if kindOf(err) != kycbridge.ProviderUnavailable || r.server.Stats().Calls[callLink] != 1 {
			t.Errorf("%v after %d calls", err, r.server.Stats().Calls[callLink])
		}
	})
	t.Run("connection refused", func(t *testing.T) {
		r := newRig(t, simulate.Options{}, rest.Options{})
		var refused atomic.Int32
		r.wire.hook = func(req *http.Request) (*http.Response, error) {
			if req.URL.Path == pathSendLink && refused.Add(1) <= 2 {
				return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
			}
			return nil, nil
		}
		if _, err := r.api.Start(bg(t), linkStart()); err != nil {
			t.Fatal(err)
		}
		if n := len(r.wire.of(pathSendLink)); n != 3 || r.server.Stats().Calls[callLink] != 1 {
			t.Errorf("%d attempts, %d calls", n, r.server.Stats().Calls[callLink])
		}
	})
}

func TestGetDetailsIsRepeated(t *testing.T) {
	r := newRig(t, simulate.Options{}, rest.Options{})
	id := r.server.Begin(sampleUser, "")
	r.server.Can(callDetails, canned(t, 500, "get-details-error-500.html"),
		simulate.Canned{Status: 502, ContentType: contentHTML, Body: []byte("<html>")})
	if err := fetch(t, r, id); err != nil {
		t.Fatal(err)
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	limited := canned(t, 429, "error-429-rate-limit.json")
	limited.Header = http.Header{"Retry-After": {"1"}}
	r := newRig(t, simulate.Options{}, rest.Options{})
	id := r.server.Begin(sampleUser, "")
	r.server.Can(callDetails, limited)
	start := time.Now()
	if err := fetch(t, r, id); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took < time.Second {
		t.Errorf("repeated after %v", took)
	}
	limited.Header = http.Header{"Retry-After": {"60"}}
	r.server.Can(callDetails, limited)
	err := fetch(t, r, id)
	var e *kycbridge.ProviderError
	if !errors.As(err, &e) || e.Kind != kycbridge.ProviderRateLimited || e.RetryAfter != time.Minute {
		t.Errorf("%+v", e)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	const perSecond = 8
	r := newRig(t, simulate.Options{Limit: perSecond}, rest.Options{RequestsPerSecond: perSecond, Concurrency: 3})
	id := r.server.Begin(sampleUser, "")
	var under, most atomic.Int32
	r.wire.hook = func(*http.Request) (*http.Response, error) {
		n := under.Add(1)
		defer under.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		return nil, nil
	}
	var wg sync.WaitGroup
	for range 25 {
		wg.Go(func() {
			if err := fetch(t, r, id); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	stats := r.server.Stats()
	if stats.MostInSecond > perSecond || stats.Answers[429] != 0 {
		t.Errorf("%d calls in a second, %d refused", stats.MostInSecond, stats.Answers[429])
	}
	if most.Load() > 3 {
		t.Errorf("%d calls at once", most.Load())
	}
}

// Error never repeats a secret or a personal value, whatever the provider or the network returns.
func TestErrorsKeepSecrets(t *testing.T) {
	t.Parallel()
	const secret = "SECRET4711"
	bodies := []string{`{"msg": "` + secret + `", "status": 400, "errors": {"missing_fields": ["` + secret + `"]}}`,
		secret, `{"` + secret, `<html>` + secret}
	for _, status := range []int{200, 302, 400, 401, 403, 404, 429, 500} {
		for _, body := range bodies {
			for _, call := range []string{callToken, callLink, callDetails, callPush} {
				r := newRig(t, simulate.Options{Credentials: simulate.Credentials{Password: secret}}, rest.Options{})
				config := r.config
				config.Password = secret
				client := kwikid.NewClient(config, rest.Options{RequestsPerSecond: 10000, Concurrency: 100})
				c := answer(status, body)
				c.Header = http.Header{"Retry-After": {"60"}} // no retry
				r.server.Can(call, c, c, c)
				ctx := bg(t)
				start := linkStart()
				start.ExternalReference = secret
				_, err1 := client.Start(ctx, start)
				_, err2 := client.Fetch(ctx, kycbridge.Query{Reference: secret})
				for _, err := range []error{err1, err2} {
					if err != nil && (strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), samplePhone) ||
						strings.Contains(fmt.Sprint(errors.Unwrap(err)), secret)) {
						t.Errorf("%s %d: %v", call, status, err)
					}
				}
				r.server.Close()
			}
		}
	}
	client := kwikid.New(kwikid.Config{BaseURL: "http://127.0.0.1:1"}, rest.Options{})
	for _, ref := range []string{"https://127.0.0.1:1/?token=" + secret, "https://" + secret + ".example.com/",
		"http://127.0.0.1:1/" + secret, secret, ":" + secret} {
		if _, err := client.Media(bg(t), kycbridge.MediaRequest{Ref: ref}); err == nil ||
			strings.Contains(err.Error()+fmt.Sprint(errors.Unwrap(err)), secret) {
			t.Errorf("%v", err)
		}
	}
}

func TestPrefixes(t *testing.T) {
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		_, _ = io.WriteString(w, `{"Token": "x", "session_id": "s1", "session_data": {"session_id": "s1"}}`)
	}))
	defer server.Close()
	for prefixes, want := range map[[2]string]string{
		{"a/", "/b"}: "/a/v1/agent/generate_token /a/v1/agent/sendLink/ /b/v1/dkyc/push_user_data " +
			"/a/v1/session/get_details/s/1",
		{"/", "/"}: "/v1/agent/generate_token /v1/agent/sendLink/ /v1/dkyc/push_user_data /v1/session/get_details/s/1",
	} {
		paths = nil
		api := kwikid.New(kwikid.Config{BaseURL: server.URL + "/", AgentPrefix: prefixes[0], AppPrefix: prefixes[1]},
			rest.Options{RequestsPerSecond: 100})
		_, err1 := api.Start(bg(t), linkStart())
		_, err2 := api.Start(bg(t), formsStart(t))
		_, err3 := api.Fetch(bg(t), kycbridge.Query{Reference: "s/1"})
		if err := errors.Join(err1, err2, err3); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(paths, " "); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestReferencesThatAreNoPath(t *testing.T) {
	r := newRig(t, simulate.Options{}, rest.Options{})
	for _, reference := range []string{"", ".", ".."} {
		if err := fetch(t, r, reference); kindOf(err) != kycbridge.ProviderInvalid {
			t.Errorf("%q: %v", reference, err)
		}
	}
	if len(r.wire.requests) != 0 {
		t.Error("a call went out")
	}
}

func TestMedia(t *testing.T) {
	r := newRig(t, simulate.Options{}, rest.Options{})
	if err := fetch(t, r, r.server.Begin(sampleUser, "")); err != nil { // so that there is a token that could leak
		t.Fatal(err)
	}
	got, err := r.api.Media(bg(t), kycbridge.MediaRequest{Ref: r.server.URL() + "/files/selfie.jpg"})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(got.Body)
	if err != nil || got.ContentType != "image/jpeg" || int64(len(body)) != got.Length || len(body) == 0 {
		t.Errorf("%d bytes of %d, %s, %v", len(body), got.Length, got.ContentType, err)
	}
	got.Body.Close()
	if h := r.wire.of("/files/selfie.jpg")[0].header; h.Get("auth") != "" || h.Get("Authorization") != "" {
		t.Error("credentials went with it")
	}
	if _, err := r.api.Media(bg(t),
		kycbridge.MediaRequest{Ref: r.server.URL() + "/files/none"}); kindOf(err) != kycbridge.ProviderNotFound {
		t.Error(err)
	}
}

func TestMediaStaysOnItsHosts(t *testing.T) {
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "/", http.StatusFound)
		}
	}))
	defer other.Close()
	r := newRig(t, simulate.Options{}, rest.Options{})
	for _, ref := range []string{other.URL + "/", "http://files.example.com/x",
		"https://files.example.com.evil.example/x", "file:///etc/passwd", "session_data.selfie_url", ""} {
		if _, err := r.api.Media(bg(t), kycbridge.MediaRequest{Ref: ref}); kindOf(err) != kycbridge.ProviderForbidden {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if asked.Load() != 0 {
		t.Error("another host was asked")
	}
	config := r.config
	config.FileHosts = []string{strings.TrimPrefix(other.URL, "http://")}
	api := kwikid.New(config, rest.Options{})
	res, err := api.Media(bg(t), kycbridge.MediaRequest{Ref: other.URL + "/"})
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if _, err := api.Media(bg(t),
		kycbridge.MediaRequest{Ref: other.URL + "/away"}); kindOf(err) != kycbridge.ProviderMalformed || asked.Load() != 2 {
		t.Errorf("a redirect was followed: %v", err)
	}
}

// The token is for files of the API itself, and is sent only if they are refused without one.
func TestMediaThatWantsTheToken(t *testing.T) {
	var with []string
	guard := func(w http.ResponseWriter, r *http.Request) {
		switch token := r.Header.Get("auth"); {
		case strings.HasSuffix(r.URL.Path, "/generate_token"):
			_, _ = io.WriteString(w, `{"Token": "synthetic-token", "status_code": 200, "success": true}`)
		case token == "":
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"message": "Missing authorization header"}`)
		default:
			with = append(with, r.Host+r.URL.Path)
			_, _ = io.WriteString(w, "synthetic image")
		}
	}
	own, other := httptest.NewServer(http.HandlerFunc(guard)), httptest.NewServer(http.HandlerFunc(guard))
	defer own.Close()
	defer other.Close()
	api := kwikid.New(kwikid.Config{BaseURL: own.URL, AgentPrefix: "/", Username: "kycbridge01", Password: "Example0000",
		FileHosts: []string{strings.TrimPrefix(other.URL, "http://")}}, rest.Options{RequestsPerSecond: 100})
	const file = "/v1/download_content/bucket/images/1/selfie.jpg"
	got, err := api.Media(bg(t), kycbridge.MediaRequest{Ref: own.URL + file})
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(got.Body); err != nil || string(body) != "synthetic image" {
		t.Errorf("%q, %v", body, err)
	}
	got.Body.Close()
	for _, ref := range []string{other.URL + file, own.URL + "/v1/session/get_details/s1",
		own.URL + "/v1/download_content/../session/get_details/s1",
		own.URL + "/v1/download_content/%2e%2e/session/get_details/s1"} {
		if _, err := api.Media(bg(t), kycbridge.MediaRequest{Ref: ref}); kindOf(err) != kycbridge.ProviderCredentials {
			t.Errorf("%s: %v", ref, err)
		}
	}
	if want := []string{strings.TrimPrefix(own.URL, "http://") + file}; !slices.Equal(with, want) {
		t.Errorf("the token went to %q", with)
	}
}

func TestCancelledCallsEnd(t *testing.T) {
	r := newRig(t, simulate.Options{}, rest.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.api.Fetch(ctx, kycbridge.Query{Reference: firstSession}); err == nil {
		t.Error("no error")
	}
}
