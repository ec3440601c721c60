package handlers

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
)

// DefaultReadyTimeout is the limit of all readiness checks together.
const DefaultReadyTimeout = 2 * time.Second

// AdminOptions configures NewAdmin. Its zero value serves /healthz and a /readyz that is always ready.
type AdminOptions struct {
	// Ready are the required parts of the service, by name. A check returns an error while its part is not
	// ready and respects the deadline of its context.
	Ready        map[string]func(context.Context) error
	ReadyTimeout time.Duration // 0: DefaultReadyTimeout
	Metrics      http.Handler  // of /metrics; nil: 404
	Console      http.Handler  // of / and everything below /console/; nil: 404
	KeySet       []byte        // the public keys that sign events, at /.well-known/jwks.json; nil: 404
	Logger       *zap.Logger   // nil: no log
}

// NewAdmin returns the routes for operators: /healthz, /readyz, /metrics and the key set, all without credentials, and
// the console, which has its own sign-in. Further routes authenticate their callers themselves; errors of
// their handlers are answered by the same table as those of callbacks.
func NewAdmin(o AdminOptions) *echo.Echo {
	if o.ReadyTimeout <= 0 {
		o.ReadyTimeout = DefaultReadyTimeout
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	e := newEcho()
	e.Use(recovery(o.Logger))
	read := []string{http.MethodGet, http.MethodHead}
	e.Match(read, "/healthz", healthy, now)
	e.Match(read, "/readyz", ready(o), now)
	if o.KeySet != nil {
		e.Match(read, "/.well-known/jwks.json", func(c echo.Context) error {
			c.Response().Header().Set("Cache-Control", "max-age=300")
			writeBody(c.Response(), http.StatusOK, "application/jwk-set+json", o.KeySet)
			return nil
		})
	}
	if o.Metrics != nil {
		e.Match(read, "/metrics", echo.WrapHandler(o.Metrics), now)
	}
	if o.Console != nil {
		e.Match(read, "/", echo.WrapHandler(o.Console))
		e.Any("/console/*", echo.WrapHandler(o.Console))
	}
	return e
}

// now says that an answer is about this moment: a cache would report a state of minutes ago.
func now(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		c.Response().Header().Set("Cache-Control", "no-store")
		return next(c)
	}
}

// healthy reports only that the process runs.
func healthy(c echo.Context) error {
	writeBody(c.Response(), http.StatusOK, "application/json", []byte(`{"status":"ok"}`))
	return nil
}

// ready answers 200, or 503 with the names of the parts that are not ready. The reasons are only logged.
func ready(o AdminOptions) echo.HandlerFunc {
	var limiter repeatLimiter
	return func(c echo.Context) error {
		ctx, cancel := context.WithTimeout(c.Request().Context(), o.ReadyTimeout)
		defer cancel()
		failing := failingParts(ctx, o.Ready)
		if len(failing) == 0 {
			limiter.due("")
			return healthy(c)
		}
		names := make([]string, 0, len(failing))
		fields := make([]zap.Field, 0, len(failing))
		for name, err := range failing {
			names = append(names, name)
			fields = append(fields, zap.String(name, err.Error()))
		}
		slices.Sort(names)
		if limiter.due(strings.Join(names, " ")) {
			o.Logger.Warn("not ready", zap.Dict("failing", fields...))
		}
		problemFor(errNotReady).write(c.Response(), appendNames(nil, "failing", names))
		return nil
	}
}

// repeatInterval is how often a lasting condition is logged: load balancers check several times a second.
const repeatInterval = time.Minute

// repeatLimiter limits how often the same condition is logged.
type repeatLimiter struct {
	mu   sync.Mutex
	what string
	at   time.Time
}

// due reports whether a condition is to be logged.
func (n *repeatLimiter) due(what string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if what == n.what && time.Since(n.at) < repeatInterval {
		return false
	}
	n.what, n.at = what, time.Now()
	return true
}

// failingParts runs all checks concurrently and waits for all of them.
func failingParts(ctx context.Context, checks map[string]func(context.Context) error) map[string]error {
	var (
		mu      sync.Mutex
		wg      sync.WaitGroup
		failing = map[string]error{}
	)
	for name, check := range checks {
		wg.Go(func() {
			if err := checked(ctx, check); err != nil {
				mu.Lock()
				defer mu.Unlock()
				failing[name] = err
			}
		})
	}
	wg.Wait()
	return failing
}

// checked runs one check; a panic counts as not ready.
func checked(ctx context.Context, check func(context.Context) error) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = panicked(cause)
		}
	}()
	return check(ctx)
}

// appendNames appends ,"member":["a","b"].
func appendNames(b []byte, member string, names []string) []byte {
	b = append(b, ',')
	b = appendString(b, member)
	b = append(b, ':', '[')
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, name)
	}
	return append(b, ']')
}

// recovery answers a panic of a handler as an internal fault and logs it.
func recovery(log *zap.Logger) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			var t requestLog
			err := t.run(func() error { return next(c) })
			if t.stack != nil {
				log.Error("admin request", zap.String("route", c.Path()), zap.Error(err), zap.ByteString("stack", t.stack))
			}
			return err
		}
	}
}
