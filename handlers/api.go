package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"golang.org/x/time/rate"

	"kycbridge"
	"kycbridge/event"
)

// DefaultAPITimeout is the limit of one provider call of the admin API.
const DefaultAPITimeout = 60 * time.Second

const (
	apiMaxRequest = 1 << 20          // bytes of a watch or a review
	apiMaxStep    = 15 << 20         // bytes of a step with its images
	apiMaxMedia   = 200 << 20        // bytes of an image or video
	apiMediaTime  = 15 * time.Minute // for an image or video
	apiReference  = 1024             // bytes of a reference in a path, at most
	apiSend       = 40 * time.Second // for storing the result of a start, and the response
	apiReceive    = 2 * time.Minute  // for the body of a request
)

// Starter starts a verification at the account's provider and has it watched. The key is the caller's
// idempotency key, "" for none; the fingerprint distinguishes another request under the same key from a
// repeated one. An error wraps a *kycbridge.ProviderError, ErrKeyReused, ErrKeyPending, ErrUnsupported or
// ErrUnavailable (nothing was sent), or is a *kycbridge.UnwatchedError. After any other error the response
// states that a verification may have been created.
type Starter interface {
	Start(ctx context.Context, a *kycbridge.Account, r kycbridge.StartRequest, key,
		fingerprint string) (kycbridge.StartReceipt, error)
}

// Submitter sends a part of a verification, once, and has the verification polled soon afterwards. The
// error of send is returned unchanged; any other is a *kycbridge.UnwatchedError.
type Submitter interface {
	Submit(ctx context.Context, a *kycbridge.Account, reference string, send func(context.Context) error) error
}

// Watcher watches a verification that was started elsewhere. When it returns, the watch is durable.
type Watcher interface {
	Watch(ctx context.Context, a *kycbridge.Account, w kycbridge.WatchRequest) (verificationID string, err error)
}

// States reads the state of a verification. It returns ErrNotFound if the verification has none.
type States interface {
	State(ctx context.Context, k kycbridge.Key) (*event.Data, error)
}

// MediaOpener opens an image or video of a verification. It returns ErrNotFound if the state of the
// verification has no such medium.
type MediaOpener interface {
	Media(ctx context.Context, a *kycbridge.Account, m kycbridge.MediaRef) (kycbridge.MediaAnswer, error)
}

// APIOptions configures AddAPI. Options without a default are required.
type APIOptions struct {
	Accounts Accounts
	// Holders returns those that may use the API; it is called for each request. If it returns none, every
	// route except the description is 404.
	Holders   func() Holders
	Access    AccessLog // nil: operations that demand a reason are refused, as they cannot be recorded
	Starter   Starter
	Submitter Submitter
	Watcher   Watcher
	States    States
	Media     MediaOpener

	// Decode reads a JSON object; Validate checks it against a component of the OpenAPI document.
	Decode   func(body []byte) (any, []kycbridge.FieldError)
	Validate func(component string, doc any) []kycbridge.FieldError
	// ValidateStart checks {external_reference, person, options} against the requirements of the account's
	// provider; nil: no check.
	ValidateStart func(a *kycbridge.Account, doc any) []kycbridge.FieldError

	MaxStart int64  // bytes of the body of a start; 0: DefaultMaxStart
	SpoolDir string // folder for the documents of large starts while they are sent; "": the system's temporary folder

	// CompareConfig compares the configuration in its files with the one in use.
	CompareConfig func() any

	OpenAPI []byte           // what GET /v1/openapi.json serves
	Logger  *zap.Logger      // nil: no log
	Timeout time.Duration    // for a provider's call; 0: DefaultAPITimeout
	Now     func() time.Time // nil: time.Now

	// ObserveStranger is called for each request without a valid token or certificate, for metrics; may be nil.
	ObserveStranger func()
}

// AddAPI adds the admin API to an echo of NewAdmin. Its routes are those of the OpenAPI document; all but
// that document's own require a token or certificate with the right of the operation.
func AddAPI(e *echo.Echo, o APIOptions) {
	if o.Timeout <= 0 {
		o.Timeout = DefaultAPITimeout
	}
	if o.MaxStart <= 0 {
		o.MaxStart = DefaultMaxStart
	}
	if o.SpoolDir == "" {
		o.SpoolDir = os.TempDir()
	}
	s := newAPI(o)
	s.spooled.left.Store(maxLargeStarts * o.MaxStart)
	const verification = "/v1/verifications/:provider/:account/:reference"
	e.GET("/v1/openapi.json", s.describe)
	add := func(method, path string, o operation, w work) { e.Add(method, path, s.handle(o, w)) }
	start := operation{name: "start", right: kycbridge.RightStart, unsure: "may_have_started"}
	submit := func(name string) operation {
		return operation{name: name, right: kycbridge.RightStart, unsure: "may_have_submitted"}
	}
	add(http.MethodGet, "/v1/config/diff", operation{name: "diff_config", right: kycbridge.RightRead}, s.compareConfig)
	add(http.MethodPost, "/v1/verifications", start, s.start)
	add(http.MethodPost, "/v1/watches", operation{name: "watch", right: kycbridge.RightStart}, s.watch)
	add(http.MethodGet, verification, operation{name: "state", right: kycbridge.RightRead}, s.state)
	add(http.MethodGet, verification+"/media/:ref",
		operation{name: "media", right: kycbridge.RightReveal, demanding: true}, s.media)
	add(http.MethodPost, verification+"/steps/:step", submit("step"), s.step)
	add(http.MethodPost, verification+"/complete", submit("complete"), s.complete)
	add(http.MethodPost, verification+"/review", submit("review"), s.review)
}

// newAPI is an API without routes.
func newAPI(o APIOptions) *api {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Accounts == nil {
		o.Accounts = kycbridge.Accounts{}
	}
	if o.Holders == nil {
		o.Holders = func() Holders { return Holders{} }
	}
	if o.ObserveStranger == nil {
		o.ObserveStranger = func() {}
	}
	s := &api{APIOptions: o, strangers: sampler{limit: rate.NewLimiter(refusalLines, refusalBurst)}}
	s.bodies.left.Store(bodyBudget)
	return s
}

// api is the admin API.
type api struct {
	APIOptions
	bodies    budget  // in memory
	spooled   budget  // in files
	strangers sampler // of the log lines of requests without a valid token
}

// operation is one API operation.
type operation struct {
	name      string
	right     kycbridge.Right
	demanding bool // it needs a reason, and is recorded before it is done
	query     bool // it reads the parameters of the query; else there may be none
	// unsure is the member of a problem that states that a failed request may have been processed; "" if it
	// can be repeated safely.
	unsure string
}

// work handles a request. It writes the response itself unless it returns an error.
type work func(echo.Context, *requestLog) error

// handle authenticates, checks the right, runs w, answers an error, logs one line and records the access.
func (s *api) handle(o operation, w work) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		t := &requestLog{operation: o}
		c.Response().Header().Set("Cache-Control", "no-store")
		err := s.admit(c, t)
		if err == nil {
			err = o.checkQuery(c.Request().URL.RawQuery)
		}
		if err == nil {
			err = t.run(func() error { return w(c, t) })
		}
		if t.stack != nil {
			err = t.markOutcomeUnknown(err)
		}
		switch {
		case err == nil:
			t.status = c.Response().Status
		case c.Response().Committed:
			t.status, t.outcome = c.Response().Status, "broken"
			defer abortConnection(c.Response()) // after the line in the log
		default:
			t.outcome, t.status = t.refuse(c.Response(), err)
		}
		t.took = time.Since(began)
		s.log(t, err)
		s.note(t, err)
		return nil
	}
}

// checkQuery refuses a query that cannot be read, and one that the operation would ignore: without it the operation
// would be about more than the caller has selected.
func (o operation) checkQuery(raw string) error {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return InvalidRequest("", "the query of the URL cannot be read: write & between parameters, and encode other "+
			"characters with %")
	}
	if o.query || len(q) == 0 {
		return nil
	}
	first := slices.Min(slices.Collect(maps.Keys(q)))
	return InvalidRequest("/"+first, "is not a known parameter: this request takes none")
}

// log writes the line of a request, with the name of the token or certificate and the stated reason. Requests
// without a valid token are counted, and some of them are logged.
func (s *api) log(t *requestLog, err error) {
	level, omitted := zapcore.InfoLevel, zap.Skip()
	if errors.Is(err, errToken) {
		s.ObserveStranger()
		due, skipped := s.strangers.pass()
		if !due {
			return
		}
		if skipped > 0 {
			omitted = zap.Int("not_logged", skipped)
		}
	}
	switch {
	case t.status >= http.StatusInternalServerError:
		level = zapcore.ErrorLevel
	case err != nil:
		level = zapcore.WarnLevel
	}
	if entry := s.Logger.Check(level, "admin request"); entry != nil {
		by, reason := zap.Skip(), zap.Skip()
		if t.use != nil {
			by = zap.String("by", t.use.By)
			if t.use.Reason != "" {
				reason = zap.String("reason", t.use.Reason)
			}
		}
		t.write(entry, err, zap.String("operation", t.name), by, reason, omitted)
	}
}

// describe serves the OpenAPI document.
func (s *api) describe(c echo.Context) error {
	writeBody(c.Response(), http.StatusOK, "application/json", s.OpenAPI)
	return nil
}

// find looks an account up by the names in a request.
func (s *api) find(t *requestLog, provider, account string) (*kycbridge.Account, error) {
	a, err := s.Accounts.Find(provider, account)
	if err != nil {
		return nil, errNoAccount
	}
	t.account = a
	return a, nil
}

// verification finds the account and the reference in a path.
func (s *api) verification(c echo.Context, t *requestLog) (*kycbridge.Account, string, error) {
	a, err := s.find(t, param(c, "provider"), param(c, "account"))
	if err != nil {
		return nil, "", err
	}
	reference := a.Provider.Canonical(param(c, "reference"))
	if reference == "" || len(reference) > apiReference {
		return nil, "", errNoVerification
	}
	t.verificationID = event.VerificationID(a.Provider.Name, a.Name, reference)
	return a, reference, nil
}

// param is a decoded path parameter. Echo leaves escapes in a path with unusual ones, such as that of a
// slash, and decodes all others.
func param(c echo.Context, name string) string {
	value := c.Param(name)
	if c.Request().URL.RawPath == "" {
		return value
	}
	if plain, err := url.PathUnescape(value); err == nil {
		return plain
	}
	return value
}

// unsupported states why an account lacks an ability: it has no API, or its provider does not offer it.
func unsupported(a *kycbridge.Account) error {
	api := a.API
	if api.Fetch == nil && api.Start == nil && api.Step == nil && api.Complete == nil && api.Review == nil &&
		api.Media == nil {
		return errNoAPI
	}
	return kycbridge.ErrUnsupported
}

// extendDeadlines gives a request more time than the server's defaults. A server without deadlines keeps
// its own limits.
func extendDeadlines(c echo.Context, receive, answer time.Duration) {
	now, control := time.Now(), http.NewResponseController(c.Response())
	_ = control.SetReadDeadline(now.Add(receive))
	_ = control.SetWriteDeadline(now.Add(answer))
}

// detached is a context for work that must finish even if the caller disconnects: a verification that was
// created has to be stored.
func (s *api) detached(c echo.Context) (context.Context, context.CancelFunc) {
	return s.detachedFor(c, s.Timeout)
}

// detachedFor is detached with another limit for the provider.
func (s *api) detachedFor(c echo.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	extendDeadlines(c, apiReceive, timeout+apiSend)
	return context.WithTimeout(context.WithoutCancel(c.Request().Context()), timeout)
}

// abortConnection closes the connection of an incomplete response, so that it is not taken for complete.
func abortConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2: the server resets the stream
	}
	conn.Close()
}

// sendJSON responds with a value. The & in links is not escaped.
func sendJSON(c echo.Context, status int, value any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return fmt.Errorf("write answer: %w: %w", errFault, err)
	}
	writeBody(c.Response(), status, "application/json", bytes.TrimSpace(b.Bytes()))
	return nil
}
