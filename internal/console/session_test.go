package console

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/internal/archive"
)

// consoleFixture is a console without a store, with configurable tokens and clock.
type consoleFixture struct {
	*Console
	tokens   []string
	now      time.Time
	accesses accesses
	granted  map[string]kycbridge.Rights // by token
}

// valid are the tokens, with all rights or those in granted.
func (f *consoleFixture) valid() []kycbridge.AdminToken {
	all := tokensOf(f.tokens...)
	for i, text := range f.tokens {
		if rights, ok := f.granted[text]; ok {
			all[i].Name, all[i].Rights = "name-of-"+text, rights
		}
	}
	return all
}

func tokensOf(texts ...string) (all []kycbridge.AdminToken) {
	for _, text := range texts {
		if text != "" {
			all = append(all, kycbridge.NamelessToken(len(all)+1, text))
		}
	}
	return all
}

// accesses is an access log in memory. With an error it stores nothing.
type accesses struct {
	mu  sync.Mutex
	all []kycbridge.Access
	err error
}

func (l *accesses) StoreAccess(_ context.Context, a kycbridge.Access) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.all = append(l.all, a)
	}
	return l.err
}

func (l *accesses) NoteAccess(a kycbridge.Access) { _ = l.StoreAccess(context.Background(), a) }

func (l *accesses) take() []kycbridge.Access {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	return all
}

func newConsoleFixture(t *testing.T, tokens ...string) *consoleFixture {
	t.Helper()
	f := &consoleFixture{tokens: tokens, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	f.Console = New(Options{Tokens: f.valid, Access: &f.accesses, Now: func() time.Time { return f.now },
		Archive: func() (*archive.Archive, error) { return nil, kycbridge.ErrUnavailable }})
	t.Cleanup(f.Close)
	return f
}

// ask sends a request with a cookie, if there is one.
func (f *consoleFixture) ask(
	method, path string,
	form url.Values,
	cookie *http.Cookie,
	edit ...func(*http.Request),
) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(form.Encode()))
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if cookie != nil {
		r.AddCookie(cookie)
	}
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	return w.Result()
}

func (f *consoleFixture) signIn(t *testing.T, token string) *http.Cookie {
	t.Helper()
	res := f.ask("POST", "/console/sign-in", url.Values{"token": {token}}, nil)
	defer res.Body.Close()
	if len(res.Cookies()) != 1 {
		t.Fatalf("signing in: %s without a cookie", res.Status)
	}
	return res.Cookies()[0]
}

// in reports whether the cookie opens a page.
func (f *consoleFixture) in(cookie *http.Cookie) bool {
	res := f.ask("GET", "/console/providers", nil, cookie)
	defer res.Body.Close()
	return res.StatusCode == http.StatusOK
}

func TestSessionEnds(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, f *consoleFixture, cookie *http.Cookie){
		"its token is withdrawn": func(_ *testing.T, f *consoleFixture, _ *http.Cookie) { f.tokens = []string{"another"} },
		"it is idle": func(_ *testing.T, f *consoleFixture, _ *http.Cookie) {
			f.now = f.now.Add(sessionIdle + time.Second)
		},
		"signing out":              func(t *testing.T, f *consoleFixture, c *http.Cookie) { f.out(t, c) },
		"all tokens are withdrawn": func(_ *testing.T, f *consoleFixture, _ *http.Cookie) { f.tokens = []string{""} },
		"half a day, though used": func(t *testing.T, f *consoleFixture, c *http.Cookie) {
			for range 13 {
				f.now = f.now.Add(sessionIdle - time.Minute)
				f.in(c)
			}
		},
		"many others begin": func(t *testing.T, f *consoleFixture, _ *http.Cookie) {
			for range maxSessions {
				f.now = f.now.Add(time.Second)
				f.signIn(t, "token-b")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newConsoleFixture(t, "token-a", "token-b")
			cookie := f.signIn(t, "token-a")
			if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != Prefix ||
				strings.Contains(cookie.Value, "token") {
				t.Errorf("cookie %+v", cookie)
			}
			if !f.in(cookie) {
				t.Fatal("not signed in")
			}
			end(t, f, cookie)
			if f.in(cookie) {
				t.Error("the session goes on")
			}
			if n := len(f.sessions.byID); n > maxSessions {
				t.Errorf("%d sessions are kept", n)
			}
		})
	}
}

func (f *consoleFixture) out(t *testing.T, cookie *http.Cookie) {
	t.Helper()
	res := f.ask(
		"POST",
		"/console/sign-out",
		url.Values{"csrf": {f.sessions.find(cookie.Value, f.valid()).csrf}},
		cookie,
	)
	defer res.Body.Close()
	if res.StatusCode != http.StatusSeeOther {
		t.Errorf("signing out: %s", res.Status)
	}
}

func TestSignInNeedsAValidToken(t *testing.T) {
	for name, tokens := range map[string][]string{
		"a token": nil, "a token that is not empty": {""}, "the right one": {"token-a"},
	} {
		f := newConsoleFixture(t, tokens...)
		for _, given := range []string{"", "token", "token-b", "token-a "} {
			res := f.ask("POST", "/console/sign-in", url.Values{"token": {given}}, nil)
			res.Body.Close()
			if res.StatusCode != http.StatusUnauthorized || len(res.Cookies()) > 0 {
				t.Errorf("without %s, with %q: %s", name, given, res.Status)
			}
		}
	}
}

// TestChangesNeedTheSessionsForm: every route that changes or reveals something refuses forms of another
// site, or of another session.
func TestChangesNeedTheSessionsForm(t *testing.T) {
	f := newConsoleFixture(t, "token-a")
	mine, other := f.signIn(t, "token-a"), f.signIn(t, "token-a")
	csrf := f.sessions.find(mine.Value, f.valid()).csrf
	foreign := f.sessions.find(other.Value, f.valid()).csrf
	const one = "/console/verifications/ondato/acme/00000000-0000-5000-8000-000000000000"
	for _, path := range []string{
		"/console/sign-out", "/console/search", one + "/reveal", one + "/preview", one + "/replay",
		"/console/quarantine/preview", "/console/quarantine/admit", "/console/payloads/quarantined/1/reveal",
		"/console/payloads/quarantined/1/admit", "/console/report",
	} {
		for name, form := range map[string]url.Values{
			"no token": {}, "a wrong one": {"csrf": {"x"}}, "that of another session": {"csrf": {foreign}},
		} {
			res := f.ask("POST", path, form, mine)
			res.Body.Close()
			if res.StatusCode != http.StatusForbidden {
				t.Errorf("%s with %s: %s", path, name, res.Status)
			}
		}
		res := f.ask(
			"POST",
			path,
			url.Values{"csrf": {csrf}},
			mine,
			func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		)
		res.Body.Close()
		if res.StatusCode != http.StatusForbidden {
			t.Errorf("%s from another site: %s", path, res.Status)
		}
		res = f.ask("GET", path, nil, mine)
		res.Body.Close()
		if path != "/console/report" && res.StatusCode < 400 {
			t.Errorf("GET %s: %s", path, res.Status)
		}
		res = f.ask("POST", path, url.Values{"csrf": {csrf}}, nil)
		res.Body.Close()
		if res.Header.Get("Location") != "/console/sign-in" {
			t.Errorf("%s without a session: %s", path, res.Status)
		}
	}
}

// TestFailuresSayWhatToDo: a page that does not exist keeps the search that its text refers to, and a form that a
// browser sends to another address than its own is refused with the reason.
func TestFailuresSayWhatToDo(t *testing.T) {
	f := newConsoleFixture(t, "token-a")
	cookie := f.signIn(t, "token-a")
	for name, c := range map[string]struct {
		method, path string
		cookie       *http.Cookie
		want         string
		has          bool
	}{
		"unknown page":          {"GET", "/console/search", cookie, `action="/console/search"`, true},
		"unknown page, outside": {"GET", "/console/search", nil, `action="/console/search"`, false},
		"another address":       {"POST", "/console/sign-in", nil, "must pass the header Host unchanged", true},
	} {
		res := f.ask(c.method, c.path, nil, c.cookie, func(r *http.Request) { r.Header.Set("Origin", "http://inside:8081") })
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode < 400 || strings.Contains(string(body), c.want) != c.has ||
			!strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
			t.Errorf("%s: %s %v\n%s", name, res.Status, err, body)
		}
	}
}

// TestSecurityHeaders: pages, failures, redirects and assets.
func TestSecurityHeaders(t *testing.T) {
	f := newConsoleFixture(t, "token-a")
	cookie := f.signIn(t, "token-a")
	want := map[string]string{
		"Content-Security-Policy":    "default-src 'self'",
		"X-Content-Type-Options":     "nosniff",
		"X-Frame-Options":            "DENY",
		"Referrer-Policy":            "no-referrer",
		"Cross-Origin-Opener-Policy": "same-origin",
	}
	for path, status := range map[string]int{
		"/": 303, "/console/": 303, "/console/sign-in": 303, "/console/providers": 200, "/console/nothing": 404,
		"/console/verifications": 503, "/console/assets/console.css": 200, "/console/assets/console.js": 200,
		"/console/assets/none.css":        404,
		"/console/assets/..%2fconsole.go": 404, "/console/payloads/quarantined/1": 503} {
		res := f.ask("GET", path, nil, cookie)
		res.Body.Close()
		if res.StatusCode != status {
			t.Errorf("%s: %s, %d is expected", path, res.Status, status)
		}
		for name, value := range want {
			if !strings.HasPrefix(res.Header.Get(name), value) {
				t.Errorf("%s: %s is %q", path, name, res.Header.Get(name))
			}
		}
		if !strings.Contains(path, "assets") && res.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be kept: %q", path, res.Header.Get("Cache-Control"))
		}
	}
}
