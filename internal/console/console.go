// Package console is the operators' web interface: the history of a verification, why a callback was
// quarantined or refused, the effect of a replay, live activity, and whether every payload is accounted
// for.
// Pages are rendered on the server and work without script; one script module adds the live view. Nothing
// is loaded from another host. Personal values are masked unless an operator states a reason, which is
// logged. Every page reads a limited part of the store.
// is logged. Every page reads a bounded part of the store, however much is stored.
package console

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"io/fs"
	"net/http"
	"strings"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"kycbridge"
	"kycbridge/internal/archive"
)

// Prefix is the path of all pages except the redirect at /.
const Prefix = "/console/"

// Listener passes events as they are published, until ctx ends.
type Listener interface {
	Listen(ctx context.Context, each func(kycbridge.PublishedEvent), missed func(n int)) error
}

// Account is a configured account, without its secrets.
type Account struct {
	Provider    string
	Name        string
	Environment string
	Address     string   // the callback URL for the provider; without public_url only the path
	Credentials []string // accepted kinds of callback credentials
	API         bool     // the provider can be polled
	Limit       string   // of calls, as text
}

// Options configure the console.
type Options struct {
	Tokens   func() []string                  // the valid tokens; none: sign-in is not possible
	Accounts func() []Account                 // nil: none
	Archive  func() (*archive.Archive, error) // the error wraps kycbridge.ErrUnavailable
	Listener Listener
	Day      *Day
	Version  string
	Logger   *zap.Logger
	Now      func() time.Time // nil: time.Now
}

// Console is the web interface. It is an http.Handler for / and everything below Prefix.
type Console struct {
	Options
	sessions   sessions
	live       *live
	report     reports
	pages      pages
	mux        http.Handler
	background context.Context // the context of background work
	end        context.CancelFunc
}

//go:embed templates/*.html assets/*
var files embed.FS

// New creates a console. Close ends its background work.
func New(o Options) *Console {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Day == nil {
		o.Day = NewDay(o.Now)
	}
	if o.Accounts == nil {
		o.Accounts = func() []Account { return nil }
	}
	c := &Console{Options: o, pages: parsePages()}
	c.background, c.end = context.WithCancel(context.Background())
	c.sessions.now, c.sessions.failed = o.Now, rate.Sometimes{First: 5, Interval: time.Minute}
	c.live = newLive(c.background, o.Listener, o.Logger)
	o.Day.setLive(c.live)
	c.mux = c.routes()
	return c
}

// Close ends live views and a running report.
func (c *Console) Close() {
	c.report.mu.Lock() // nothing starts between the cancellation and the wait
	c.live.mu.Lock()
	c.end()
	c.live.mu.Unlock()
	c.report.mu.Unlock()
	c.live.wait()
	c.report.running.Wait()
}

// ServeHTTP serves a page.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setSecurityHeaders(w.Header())
	c.mux.ServeHTTP(w, r)
}

// setSecurityHeaders sets the security headers of every response.
func setSecurityHeaders(h http.Header) {
	h.Set(
		"Content-Security-Policy",
		"default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
	)
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.redirectToFirstPage)
	mux.HandleFunc("GET /console/{$}", c.redirectToFirstPage)
	mux.HandleFunc("GET /console/assets/{name}", c.asset)
	mux.HandleFunc("GET /console/sign-in", c.signInPage)
	mux.HandleFunc("POST /console/sign-in", c.signIn)
	mux.HandleFunc("POST /console/sign-out", c.change(c.signOut))
	mux.HandleFunc("GET /console/verifications", c.view(c.verifications))
	mux.HandleFunc("GET /console/sessions", c.view(c.openSessions))
	mux.HandleFunc("POST /console/search", c.change(c.search))
	const one = "/console/verifications/{provider}/{account}/{id}"
	mux.HandleFunc("GET "+one, c.view(c.verification))
	mux.HandleFunc("POST "+one+"/reveal", c.change(c.revealVerification))
	mux.HandleFunc("POST "+one+"/preview", c.change(c.previewReplay))
	mux.HandleFunc("POST "+one+"/replay", c.change(c.replayOne))
	mux.HandleFunc("GET /console/quarantine", c.view(c.groups))
	mux.HandleFunc("GET /console/quarantine/group", c.view(c.group))
	mux.HandleFunc("POST /console/quarantine/preview", c.change(c.previewMany))
	mux.HandleFunc("POST /console/quarantine/admit", c.change(c.admitMany))
	const payload = "/console/payloads/{status}/{seq}"
	mux.HandleFunc("GET "+payload, c.view(c.payload))
	mux.HandleFunc("POST "+payload+"/reveal", c.change(c.revealPayload))
	mux.HandleFunc("POST "+payload+"/admit", c.change(c.admitOne))
	mux.HandleFunc("GET /console/live", c.view(c.livePage))
	mux.HandleFunc("GET /console/live/stream", c.view(c.liveStream))
	mux.HandleFunc("GET /console/providers", c.view(c.providers))
	mux.HandleFunc("GET /console/report", c.view(c.reportPage))
	mux.HandleFunc("POST /console/report", c.change(c.startReport))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { c.fail(w, r, nil, kycbridge.ErrNotFound) })
	return http.NewCrossOriginProtection().Handler(mux)
}

// visit is one request of a signed-in operator.
type visit struct {
	*session
	w http.ResponseWriter
	r *http.Request
}

// work answers a visit, or returns an error before it has written anything.
type work func(v visit) error

// view is a page that changes nothing.
func (c *Console) view(do work) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := c.session(r)
		if s == nil {
			http.Redirect(w, r, "/console/sign-in", http.StatusSeeOther)
			return
		}
		if err := do(visit{s, w, r}); err != nil {
			c.fail(w, r, s, err)
		}
	}
}

const (
	maxForm       = 256 << 10       // bytes of a form
	replayTimeout = 2 * time.Minute // for a replay of many
)

// change is a request that changes or reveals something: it requires the session's form token.
func (c *Console) change(do work) http.HandlerFunc {
	return c.view(func(v visit) error {
		v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
		if err := v.r.ParseForm(); err != nil {
			return errForm
		}
		if !same(v.r.PostFormValue("csrf"), v.csrf) {
			return errForm
		}
		extendDeadlines(v.w, c.Now().Add(replayTimeout))
		return do(v)
	})
}

// extendDeadlines gives a request more time than the server's defaults; zero: no limit. A server without
// deadlines keeps its own limits.
func extendDeadlines(w http.ResponseWriter, until time.Time) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(until) // it would end the request's context
	_ = control.SetWriteDeadline(until)
}

// errForm means that a form does not belong to this session.
var errForm = errors.New("form is not of this session")

// errInput is an invalid form; its text is shown.
type errInput string

func (e errInput) Error() string { return string(e) }

// failure is the message of an error page.
type failure struct {
	status        int
	title, advice string
}

// failureOf converts an error to a message with a remedy. An unknown error is an internal fault.
func failureOf(err error) failure {
	var input errInput
	switch {
	case errors.As(err, &input):
		return failure{http.StatusUnprocessableEntity, "That cannot be done", string(input)}
	case errors.Is(err, errForm):
		return failure{
			http.StatusForbidden,
			"This form is out of date",
			"Go back, load the page again and send it once more.",
		}
	case errors.Is(err, kycbridge.ErrNotFound):
		return failure{
			http.StatusNotFound,
			"Nothing is stored here",
			"It may have expired, been erased, or been admitted meanwhile. Search for it by an id.",
		}
	case errors.Is(err, kycbridge.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return failure{
			http.StatusServiceUnavailable,
			"The store does not answer",
			"Load the page again in a moment. /readyz names the missing part.",
		}
	}
	return failure{
		http.StatusInternalServerError,
		"The request failed",
		"The reason is in the log, in the line \"console request failed\". Load the page again.",
	}
}

// fail answers an error with a page.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, s *session, err error) {
	if r.Context().Err() != nil {
		return // the client has disconnected
	}
	f := failureOf(err)
	if f.status >= http.StatusInternalServerError {
		c.Logger.Warn("console request failed", zap.String("route", r.Pattern), zap.Error(err))
	}
	c.render(w, s, f.status, "failure", f.title, f.advice)
}

// redirectToFirstPage redirects to the first page.
func (c *Console) redirectToFirstPage(w http.ResponseWriter, r *http.Request) {
	to := "/console/sign-in"
	if c.session(r) != nil {
		to = "/console/verifications"
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// asset serves a file of the console. Its address contains its digest, so that browsers may cache it.
func (c *Console) asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	body, err := files.ReadFile("assets/" + name)
	types := map[string]string{
		".css": "text/css; charset=utf-8",
		".js":  "text/javascript; charset=utf-8",
		".svg": "image/svg+xml",
	}
	mediaType := types[name[max(0, strings.LastIndexByte(name, '.')):]]
	if err != nil || mediaType == "" {
		c.fail(w, r, nil, kycbridge.ErrNotFound)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	if r.URL.Query().Get("v") == Digest() {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	_, _ = w.Write(body)
}

// Digest is the digest of all templates and assets: it shows whether pictures are of the current pages.
func Digest() string {
	sum := sha256.New()
	_ = fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := files.ReadFile(path)
		sum.Write([]byte(path))
		sum.Write(body)
		return err
	})
	return hex.EncodeToString(sum.Sum(nil))[:16]
}
