// Package console is the operators' web interface: the history of a verification, why a callback was
// quarantined or refused, the effect of a replay, live activity, and whether every payload is accounted
// for.
// Pages are rendered on the server and work without script; one script module adds the live view. Nothing
// is loaded from another host. Personal values are masked unless an operator states a reason, which is
// recorded. Every page reads a bounded part of the store, however much is stored.
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

// AccessLog stores records of the use of the console.
type AccessLog interface {
	// StoreAccess returns when the record is durable.
	StoreAccess(ctx context.Context, a kycbridge.Access) error
	// NoteAccess stores the record soon afterwards, and does not wait.
	NoteAccess(a kycbridge.Access)
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
	Tokens   func() []kycbridge.AdminToken    // the valid tokens; none: sign-in is not possible
	Access   AccessLog                        // nil: nothing is revealed, because it cannot be recorded
	Accounts func() []Account                 // nil: none
	Archive  func() (*archive.Archive, error) // the error wraps kycbridge.ErrUnavailable
	Listener Listener
	Day      *Day
	Version  string
	Logger   *zap.Logger
	Now      func() time.Time // nil: time.Now

	// ObserveStranger is called for each sign-in with a wrong token, for metrics; may be nil.
	ObserveStranger func()
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
	if o.ObserveStranger == nil {
		o.ObserveStranger = func() {}
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

// route is one page or form of signed-in operators.
type route struct {
	pattern string
	name    string            // of the operation in the access log
	rights  []kycbridge.Right // all of them are needed
	do      work
}

// signedIn are the routes that need a session, each with its rights. POST requires the session's form token.
func (c *Console) signedIn() []route {
	const one, payload = "/console/verifications/{provider}/{account}/{id}", "/console/payloads/{status}/{seq}"
	read := []kycbridge.Right{kycbridge.RightRead}
	reveal, replay := append(read[:1:1], kycbridge.RightReveal), append(read[:1:1], kycbridge.RightReplay)
	return []route{
		{"POST /console/sign-out", "sign_out", nil, c.signOut},
		{"GET /console/verifications", "verifications", read, c.verifications},
		{"GET /console/sessions", "sessions", read, c.openSessions},
		{"POST /console/search", "search", read, c.search},
		{"GET " + one, "verification", read, c.verification},
		{"POST " + one + "/reveal", "reveal_verification", reveal, c.revealVerification},
		{"POST " + one + "/preview", "preview_replay", replay, c.previewReplay},
		{"POST " + one + "/replay", "replay", replay, c.replayOne},
		{"GET /console/quarantine", "quarantine", read, c.groups},
		{"GET /console/quarantine/group", "quarantine_group", read, c.group},
		{"POST /console/quarantine/preview", "preview_admission", replay, c.previewMany},
		{"POST /console/quarantine/admit", "admit", replay, c.admitMany},
		{"GET " + payload, "payload", read, c.payload},
		{"POST " + payload + "/reveal", "reveal_payload", reveal, c.revealPayload},
		{"POST " + payload + "/admit", "admit", replay, c.admitOne},
		{"GET /console/live", "live", read, c.livePage},
		{"GET /console/live/stream", "live_stream", read, c.liveStream},
		{"GET /console/providers", "providers", read, c.providers},
		{"GET /console/report", "report", read, c.reportPage},
		{"POST /console/report", "start_report", read, c.startReport},
	}
}

func (c *Console) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", c.redirectToFirstPage)
	mux.HandleFunc("GET /console/{$}", c.redirectToFirstPage)
	mux.HandleFunc("GET /console/assets/{name}", c.asset)
	mux.HandleFunc("GET /console/sign-in", c.signInPage)
	mux.HandleFunc("POST /console/sign-in", c.signIn)
	for _, r := range c.signedIn() {
		mux.HandleFunc(r.pattern, c.handle(r))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { c.fail(w, r, c.session(r), kycbridge.ErrNotFound) })
	protection := http.NewCrossOriginProtection()
	protection.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.fail(w, r, nil, errCrossOrigin)
	}))
	return protection.Handler(mux)
}

// visit is one request of a signed-in operator.
type visit struct {
	*session
	w      *statusWriter
	r      *http.Request
	access *kycbridge.Access
}

// work answers a visit, or returns an error before it has written anything.
type work func(v visit) error

// handle checks the session, the form and the rights of a request, answers it and records the access.
func (c *Console) handle(route route) http.HandlerFunc {
	form := strings.HasPrefix(route.pattern, http.MethodPost)
	return func(w http.ResponseWriter, r *http.Request) {
		s := c.session(r)
		if s == nil {
			http.Redirect(w, r, "/console/sign-in", http.StatusSeeOther)
			return
		}
		v := visit{session: s, w: &statusWriter{ResponseWriter: w}, r: r, access: c.newAccess(s, r, route.name)}
		defer c.note(v)
		err := v.need(route.rights)
		if err == nil && form {
			err = c.checkForm(v)
		}
		if err == nil {
			err = route.do(v)
		}
		if err != nil {
			v.refused(err)
			c.fail(v.w, r, s, err)
		}
	}
}

const (
	maxForm       = 256 << 10       // bytes of a form
	replayTimeout = 2 * time.Minute // for a replay of many
)

// checkForm reads a form, which must be one of the session.
func (c *Console) checkForm(v visit) error {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxForm)
	if err := v.r.ParseForm(); err != nil {
		return errForm
	}
	if !same(v.r.PostFormValue("csrf"), v.csrf) {
		return errForm
	}
	extendDeadlines(v.w, c.Now().Add(replayTimeout))
	return nil
}

// extendDeadlines gives a request more time than the server's defaults; zero: no limit. A server without
// deadlines keeps its own limits.
func extendDeadlines(w http.ResponseWriter, until time.Time) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(until) // the default deadline would end the request's context
	_ = control.SetWriteDeadline(until)
}

// errForm means that a form does not belong to this session.
var errForm = errors.New("form is not of this session")

// errCrossOrigin means that a browser sent a form from another site, or seems to.
var errCrossOrigin = errors.New("form comes from another site")

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
	var missing missingRight
	switch {
	case errors.As(err, &input):
		return failure{http.StatusUnprocessableEntity, "That cannot be done", string(input)}
	case errors.As(err, &missing):
		return failure{
			http.StatusForbidden,
			"Your token does not permit this",
			"It lacks the right " + string(missing) + ". Ask the operator to grant it in admin.tokens, or sign in with " +
				"another token.",
		}
	case errors.Is(err, errUnrecorded):
		return failure{
			http.StatusServiceUnavailable,
			"The access cannot be recorded",
			"Nothing was revealed, because the access log takes no record at the moment. Try again later.",
		}
	case errors.Is(err, errForm):
		return failure{
			http.StatusForbidden,
			"This form is out of date",
			"Go back, load the page again and send it once more.",
		}
	case errors.Is(err, errCrossOrigin):
		return failure{
			http.StatusForbidden,
			"This form comes from another address",
			"Open the console at its own address and try again. A proxy in front of it must pass the header Host unchanged.",
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
