package handlers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"kycbridge"
	"kycbridge/event"
)

// DefaultAPITimeout is how long one request of the admin API may take at a provider.
const DefaultAPITimeout = 60 * time.Second

const (
	apiMaxRequest = 1 << 20          // bytes of a watch or a review
	apiMaxStep    = 15 << 20         // bytes of a step with its images
	apiMaxMedia   = 200 << 20        // bytes of an image or video
	apiMediaTime  = 15 * time.Minute // for an image or video
	apiReference  = 1024             // bytes of a reference in a path, at most
	apiSend       = 40 * time.Second // for writing down what the provider has made, and the answer
	apiReceive    = 2 * time.Minute  // for the body of a request
)

// Starter starts a verification at the account's provider and has it watched. The key is the
// caller's idempotency key, "" for none; the fingerprint tells another request under the same key
// from a repeated one. An error wraps a *kycbridge.ProviderError, ErrKeyReused, ErrKeyPending,
// ErrUnsupported or ErrUnavailable (nothing was sent), or is a *kycbridge.UnwatchedError. After any
// other one the caller is told that a verification may have been made.
type Starter interface {
	Start(ctx context.Context, a *kycbridge.Account, r kycbridge.StartRequest, key, fingerprint string) (kycbridge.StartReceipt, error)
}

// Submitter sends what belongs to a verification, once, and has the verification looked at soon
// afterwards. The error of send comes back as it is; any other is a *kycbridge.UnwatchedError.
type Submitter interface {
	Submit(ctx context.Context, a *kycbridge.Account, reference string, send func(context.Context) error) error
}

// Watcher has a verification watched that was started elsewhere. When it returns, that is durable.
type Watcher interface {
	Watch(ctx context.Context, a *kycbridge.Account, w kycbridge.WatchRequest) (verificationID string, err error)
}

// States knows what is known of a verification. It returns ErrNotFound if that is nothing.
type States interface {
	State(ctx context.Context, k kycbridge.Key) (*event.Data, error)
}

// MediaOpener opens an image or video of a verification. It returns ErrNotFound if the state of the
// verification names none of that kind.
type MediaOpener interface {
	Media(ctx context.Context, a *kycbridge.Account, m kycbridge.MediaRef) (kycbridge.MediaAnswer, error)
}

// APIOptions configures AddAPI. Those without a default are needed.
type APIOptions struct {
	Accounts  kycbridge.Accounts
	Tokens    []string // that admit; none: every route but the description is 404
	Starter   Starter
	Submitter Submitter
	Watcher   Watcher
	States    States
	Media     MediaOpener

	// Decode reads a JSON object; Validate checks it against a component of the OpenAPI document.
	Decode   func(body []byte) (any, []kycbridge.FieldError)
	Validate func(component string, doc any) []kycbridge.FieldError
	// ValidateStart checks {external_reference, person, options} against what the account's provider
	// must have; nil: nothing.
	ValidateStart func(a *kycbridge.Account, doc any) []kycbridge.FieldError

	MaxStart int64  // bytes of the body of a start; 0: DefaultMaxStart
	SpoolDir string // where the documents of large starts lie while they are sent; "": the system's folder for such files

	OpenAPI []byte           // what GET /v1/openapi.json serves
	Logger  *zap.Logger      // nil: no log
	Timeout time.Duration    // for a provider's call; 0: DefaultAPITimeout
	Now     func() time.Time // nil: time.Now
}

// AddAPI adds the admin API to an echo that NewAdmin made. Its routes are those of the OpenAPI
// document; all but that document's own stand behind a bearer token.
func AddAPI(e *echo.Echo, o APIOptions) {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultAPITimeout
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MaxStart <= 0 {
		o.MaxStart = DefaultMaxStart
	}
	if o.SpoolDir == "" {
		o.SpoolDir = os.TempDir()
	}
	s := &api{APIOptions: o, admit: RequireBearer(o.Tokens)(func(echo.Context) error { return nil })}
	s.bodies.left.Store(bodyBudget)
	s.spooled.left.Store(apiStartsAtOnce * o.MaxStart)
	const verification = "/v1/verifications/:provider/:account/:reference"
	e.GET("/v1/openapi.json", s.describe)
	e.POST("/v1/verifications", s.edge(operation{name: "start", unsure: "may_have_started"}, s.start))
	e.POST("/v1/watches", s.edge(operation{name: "watch"}, s.watch))
	e.GET(verification, s.edge(operation{name: "state"}, s.state))
	e.GET(verification+"/media/:ref", s.edge(operation{name: "media"}, s.media))
	e.POST(verification+"/steps/:step", s.edge(operation{name: "step", unsure: "may_have_submitted"}, s.step))
	e.POST(verification+"/complete", s.edge(operation{name: "complete", unsure: "may_have_submitted"}, s.complete))
	e.POST(verification+"/review", s.edge(operation{name: "review", unsure: "may_have_submitted"}, s.review))
}

// api is the admin API.
type api struct {
	APIOptions
	admit   echo.HandlerFunc
	bodies  budget // in memory
	spooled budget // in files
}

// operation is one thing that can be asked.
type operation struct {
	name string
	// unsure is the member of a problem which says that a failed request may have been worked on; ""
	// where sending it again does no harm.
	unsure string
}

// call gathers what is known of one request, for its log line.
type call struct {
	operation
	account        *kycbridge.Account // nil while none has been found
	verificationID string
	bytes          int64 // of the request's body, or of the media sent
	outcome        string
	status         int
	stack          []byte // of a panic
}

// work is one way to work on a request. It answers by itself unless it returns an error.
type work func(echo.Context, *call) error

// edge admits, works, answers an error and logs one line.
func (s *api) edge(o operation, w work) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		t := &call{operation: o}
		c.Response().Header().Set("Cache-Control", "no-store")
		err := s.admit(c)
		if err == nil {
			err = w.recovered(c, t)
		}
		switch {
		case err == nil:
			t.status = c.Response().Status
		case c.Response().Committed:
			t.status, t.outcome = c.Response().Status, "broken"
			hangUp(c.Response())
		default:
			t.outcome, t.status = t.refuse(c.Response(), err)
		}
		s.log(t, err, time.Since(began))
		return nil
	}
}

// recovered turns a panic of the work into an error.
func (w work) recovered(c echo.Context, t *call) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err, t.stack = t.uncertain(panicked(cause)), debug.Stack()
		}
	}()
	return w(c, t)
}

// log writes the line of a request. It holds no part of the body, path, header or answer.
func (s *api) log(t *call, err error, took time.Duration) {
	level := zapcore.InfoLevel
	switch {
	case t.status >= http.StatusInternalServerError:
		level = zapcore.ErrorLevel
	case err != nil:
		level = zapcore.WarnLevel
	}
	entry := s.Logger.Check(level, "admin request")
	if entry == nil {
		return
	}
	provider, account := unknown, unknown
	if t.account != nil {
		provider, account = t.account.Provider.Name, t.account.Name
	}
	fields := []zap.Field{
		zap.String("operation", t.name),
		zap.String("provider", provider),
		zap.String("account", account),
		zap.String("verification_id", t.verificationID),
		zap.Int64("bytes", t.bytes),
		zap.String("outcome", t.outcome),
		zap.Int("status", t.status),
		zap.Duration("took", took),
	}
	if err != nil {
		fields = append(fields, zap.String("error", err.Error()))
	}
	if t.stack != nil {
		fields = append(fields, zap.ByteString("stack", t.stack))
	}
	entry.Write(fields...)
}

// describe serves the OpenAPI document.
func (s *api) describe(c echo.Context) error {
	writeBody(c.Response(), http.StatusOK, "application/json", s.OpenAPI)
	return nil
}

// find looks an account up by the names that a caller gave.
func (s *api) find(t *call, provider, account string) (*kycbridge.Account, error) {
	a, err := s.Accounts.Find(provider, account)
	if err != nil {
		return nil, errNoAccount
	}
	t.account = a
	return a, nil
}

// verification finds the account and the reference that a path names.
func (s *api) verification(c echo.Context, t *call) (*kycbridge.Account, string, error) {
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

// param is a part of the path as the caller meant it. Echo leaves the escapes in where the path has
// some that are not usual, such as that of a slash, and has none left elsewhere.
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

// unsupported says why an account lacks an ability: it lacks them all, or its provider does.
func unsupported(a *kycbridge.Account) error {
	api := a.API
	if api.Fetch == nil && api.Start == nil && api.Step == nil && api.Complete == nil && api.Review == nil && api.Media == nil {
		return errNoAPI
	}
	return kycbridge.ErrUnsupported
}

// patient lets a request take longer than the server allows the short ones. A server that cannot
// tell keeps to its own times.
func patient(c echo.Context, receive, answer time.Duration) {
	now, control := time.Now(), http.NewResponseController(c.Response())
	_ = control.SetReadDeadline(now.Add(receive))
	_ = control.SetWriteDeadline(now.Add(answer))
}

// lasting is a context for what must come to its end even if the caller hangs up: a verification
// that was made has to be put down somewhere.
func (s *api) lasting(c echo.Context) (context.Context, context.CancelFunc) {
	return s.lastingFor(c, s.Timeout)
}

// lastingFor is lasting with another time for the provider.
func (s *api) lastingFor(c echo.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	patient(c, apiReceive, timeout+apiSend)
	return context.WithTimeout(context.WithoutCancel(c.Request().Context()), timeout)
}

// hangUp ends the connection under an answer that cannot be completed, so that nobody takes its
// beginning for the whole.
func hangUp(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		conn.Close()
	}
}

// sendJSON answers with a value. Links keep their & as it is.
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
