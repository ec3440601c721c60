package handlers

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"kycbridge"
)

func TestAdminRoutes(t *testing.T) {
	all := &sink{}
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("m 1")) })
	check := func(err error) func(context.Context) error { return func(context.Context) error { return err } }
	slow := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	broken := func(context.Context) error { panic("p") }
	down := map[string]func(context.Context) error{"store": check(errors.New("inside")), "bus": slow, "poll": broken,
		"intake": check(nil)}
	for _, c := range []struct {
		name, method, path string
		options            AdminOptions
		status             int
		body               string // contained
	}{
		{"alive", "GET", "/healthz", AdminOptions{Ready: down}, 200, `{"status":"ok"}`},
		{"alive, HEAD", "HEAD", "/healthz", AdminOptions{}, 200, ""},
		{"ready, nothing to check", "GET", "/readyz", AdminOptions{}, 200, `{"status":"ok"}`},
		{"ready", "GET", "/readyz", AdminOptions{Ready: map[string]func(context.Context) error{"a": check(nil)}}, 200,
			`{"status":"ok"}`},
		{"not ready", "GET", "/readyz", AdminOptions{Ready: down, ReadyTimeout: 20 * time.Millisecond, Logger: all.logger()},
			503, `"failing":["bus","poll","store"]`},
		{"metrics", "GET", "/metrics", AdminOptions{Metrics: metrics}, 200, "m 1"},
		{"no metrics", "GET", "/metrics", AdminOptions{}, 404, "not_found"},
		{"unknown", "GET", "/v1/x", AdminOptions{}, 404, "not_found"},
		{"method", "POST", "/healthz", AdminOptions{}, 405, "method_not_allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := do(t, c.method, serve(t, NewAdmin(c.options))+c.path, nil, nil)
			if got.status != c.status || !strings.Contains(got.body, c.body) || strings.Contains(got.body, "inside") {
				t.Errorf("%d %s", got.status, got.body)
			}
			if kept := got.header.Get("Cache-Control"); c.status == 200 && kept != "no-store" {
				t.Errorf("Cache-Control is %q: a cache before the port would report an old state", kept)
			}
		})
	}
	if line := all.String(); strings.Count(line, "\n") != 1 || !strings.Contains(line, `"store":"inside"`) {
		t.Errorf("log: %s", line)
	}
}

func TestHolders(t *testing.T) {
	for _, c := range []struct {
		name          string
		tokens        []string
		authorization string
		status        int
	}{
		{"right", []string{"one", "two"}, "Bearer one", 200},
		{"rotated, scheme of any case", []string{"one", "two"}, "bEARER two", 200},
		{"wrong", []string{"one"}, "Bearer two", 401},
		{"none", []string{"one"}, "", 401},
		{"empty", []string{"one", ""}, "Bearer ", 401},
		{"raw", []string{"one"}, "one", 401},
		{"basic", []string{"one"}, "Basic b25lOm9uZQ==", 401},
		{"no tokens", nil, "Bearer one", 404},
		{"only empty tokens", []string{""}, "Bearer ", 404},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := NewAdmin(AdminOptions{})
			e.GET("/v1/x", func(ctx echo.Context) error {
				if _, err := holdersOf(c.tokens...)().of(ctx); err != nil {
					return err
				}
				return ctx.NoContent(200)
			})
			got := do(t, "GET", serve(t, e)+"/v1/x", nil,
				func(r *http.Request) { r.Header.Set("Authorization", c.authorization) })
			if got.status != c.status {
				t.Errorf("%d %s", got.status, got.body)
			}
			if challenge := got.header.Get("WWW-Authenticate"); (challenge == `Bearer realm="kycbridge"`) != (c.status == 401) {
				t.Errorf("WWW-Authenticate %q", challenge)
			}
		})
	}
}

// TestAdminErrors: errors and panics of further routes.
func TestAdminErrors(t *testing.T) {
	all := &sink{}
	e := NewAdmin(AdminOptions{Logger: all.logger()})
	e.GET("/found", func(echo.Context) error { return kycbridge.ErrNotFound })
	e.GET("/away", func(echo.Context) error { return kycbridge.ErrUnavailable })
	e.GET("/panic", func(echo.Context) error { panic("value of a panic") })
	base := serve(t, e)
	wantProblem(t, do(t, "GET", base+"/found", nil, nil), 404, "not_found")
	wantProblem(t, do(t, "GET", base+"/away", nil, nil), 503, "unavailable")
	wantProblem(t, do(t, "GET", base+"/panic", nil, nil), 503, "fault")
	if line := all.String(); !strings.Contains(line, `"route":"/panic"`) || strings.Contains(line, "value of a panic") {
		t.Errorf("log: %s", line)
	}
}

func TestNotReadyIsLoggedOnceWhileItLasts(t *testing.T) {
	all := &sink{}
	var fault error
	address := serve(t, NewAdmin(AdminOptions{Logger: all.logger(),
		Ready: map[string]func(context.Context) error{"store": func(context.Context) error { return fault }}}))
	for _, now := range []error{nil, errors.New("one"), errors.New("one"), errors.New("two"), nil, errors.New("one"),
		errors.New("one")} {
		fault = now
		do(t, "GET", address+"/readyz", nil, nil)
	}
	if n := strings.Count(all.String(), "not ready"); n != 2 {
		t.Errorf("%d lines: %s", n, all.String())
	}
}
