package handlers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/labstack/echo/v4"
	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"kycbridge"
)

// CallbackPath is the route that providers post to.
const CallbackPath = "/webhooks/:provider/:account"

// The defaults of CallbackOptions.
const (
	DefaultMaxBody     = kycbridge.DefaultMaxBody // bytes
	DefaultConcurrency = 256
	DefaultTimeout     = 10 * time.Second
)

const (
	// slotWait is how long a request waits for another to finish. Where more connections send than are served, many
	// senders repeat a refused request at once, and refusing takes the processor time that the others need.
	slotWait  = 500 * time.Millisecond
	firstRead = 4 << 10 // bytes of memory for a body of which nothing was received

	// The body of a refused request is read and discarded up to these limits, so that a sender that reads
	// only after it has written everything receives the response instead of a reset.
	maxDiscard  = 16 << 20
	discardTime = 3 * time.Second

	unknownAccountInterval = time.Minute // how often callbacks for unknown accounts are logged
)

// Receiver authenticates, validates and stores a callback. It returns a receipt only when the payload is
// durable, an error that wraps ErrUnauthenticated if no credential is valid, and respects the deadline of
// its context. Any other error is treated as an internal fault. It may keep the body.
type Receiver interface {
	Receive(ctx context.Context, account *kycbridge.Account, r kycbridge.Request) (kycbridge.Receipt, error)
}

// Accounts are the configured accounts, which a reload of the configuration replaces.
type Accounts interface {
	kycbridge.AccountFinder
	All() kycbridge.Accounts
}

// CallbackOptions configures NewCallbacks. Accounts and Receiver are required, the rest has defaults.
type CallbackOptions struct {
	Accounts       Accounts
	Receiver       Receiver
	Logger         *zap.Logger      // nil: no log
	CallbackLimits                  // of the start; SetLimits replaces them
	MaxBody        int64            // bytes; 0: DefaultMaxBody
	Now            func() time.Time // nil: time.Now
	Observe        func(Outcome)    // called once per request, for metrics; may be nil
	ObserveToken   func(Outcome)    // called once per request for an access token, for metrics; may be nil
	// KeepUnknown stores callbacks to unknown accounts; may be nil.
	KeepUnknown func(ctx context.Context, provider, account string, r kycbridge.Request)
}

// Callbacks serves POST /webhooks/{provider}/{account}, and POST /oauth2/token for the providers that fetch a
// token first. The http.Server limits how long a caller may take to send (ReadTimeout).
type Callbacks struct {
	echo            *echo.Echo
	options         CallbackOptions
	limits          atomic.Pointer[limits]
	tokens          *rate.Limiter // of the access tokens that are issued
	bodies          budget
	draining        atomic.Bool
	refusals        sampler // of the log lines of refused callbacks
	unknownAccounts sampler // of the log line about callbacks for unknown accounts
}

// NewCallbacks returns the callback handler.
func NewCallbacks(o CallbackOptions) *Callbacks {
	h := &Callbacks{echo: newEcho(), options: o.withDefaults()}
	h.SetLimits(o.CallbackLimits)
	h.tokens = rate.NewLimiter(tokenRate, tokenBurst)
	h.bodies.left.Store(max(bodyBudget, 2*h.options.MaxBody))
	h.refusals = sampler{limit: rate.NewLimiter(refusalLines, refusalBurst)}
	h.unknownAccounts = sampler{limit: rate.NewLimiter(rate.Every(unknownAccountInterval), 1)}
	h.echo.POST(CallbackPath, h.handle(h.receive))
	h.echo.POST(CallbackPath+"/", h.handle(h.receive))
	h.echo.RouteNotFound(CallbackPath, h.handle(h.wrongMethod)) // the path matches, the method does not
	h.echo.RouteNotFound(CallbackPath+"/", h.handle(h.wrongMethod))
	for _, path := range []string{TokenPath, TokenPath + "/"} {
		h.echo.POST(path, h.token)
		h.echo.RouteNotFound(path, h.handle(h.wrongMethod))
	}
	missed := h.handle(h.noRoute)
	// handle responds itself: only errors of the router get here.
	h.echo.HTTPErrorHandler = func(_ error, c echo.Context) { _ = missed(c) }
	return h
}

func (o CallbackOptions) withDefaults() CallbackOptions {
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.MaxBody <= 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(Outcome) {}
	}
	if o.ObserveToken == nil {
		o.ObserveToken = func(Outcome) {}
	}
	return o
}

// ServeHTTP makes Callbacks the handler of an http.Server. The decoded path counts, independent of
// percent-encoding. After a chunked body the connection is closed: if the request also declared a length,
// two readers of that connection may disagree about where it ended (RFC 9112, section 6.3), and net/http
// does not report it.
func (h *Callbacks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawPath != "" {
		plain := *r.URL
		plain.RawPath = ""
		r = r.WithContext(r.Context())
		r.URL = &plain
	}
	if len(r.TransferEncoding) > 0 {
		w.Header().Set("Connection", "close")
	}
	h.echo.ServeHTTP(w, r)
}

// Drain answers every later request with 503 and Connection: close. Running requests continue. It cannot
// be undone.
func (h *Callbacks) Drain() { h.draining.Store(true) }

// Ready returns an error while draining; it fits into AdminOptions.Ready.
func (h *Callbacks) Ready(context.Context) error {
	if h.draining.Load() {
		return errDraining
	}
	return nil
}

// receive processes a callback in the HTTP layer. It records in t the fields of the log line.
func (h *Callbacks) receive(c echo.Context, t *requestLog) (kycbridge.Receipt, error) {
	r, receivedAt := c.Request(), h.options.Now().UTC()
	if h.draining.Load() {
		return kycbridge.Receipt{}, errDraining
	}
	limits := h.limits.Load()
	if !limits.allow() {
		return kycbridge.Receipt{}, errBusy
	}
	account, err := h.options.Accounts.Find(c.Param("provider"), c.Param("account"))
	if err != nil {
		h.keepUnknownAccount(c, t, c.Param("provider"), c.Param("account"))
		return kycbridge.Receipt{}, err
	}
	t.account = account
	if !addressAllowed(r, account.AllowIPs, limits.TrustedProxies) {
		return kycbridge.Receipt{}, errAddress
	}
	if !account.Provider.AnyMediaType && !isJSON(r.Header) {
		return kycbridge.Receipt{}, errMediaType
	}
	if !kycbridge.KnownEncoding(r.Header) {
		return kycbridge.Receipt{}, errEncoding
	}
	memory := share{of: &h.bodies}
	defer memory.release()
	body, err := readBody(r, h.options.MaxBody, &memory)
	t.bytes = int64(len(body))
	if err != nil {
		return kycbridge.Receipt{}, err
	}
	if err := limits.acquire(r.Context()); err != nil {
		return kycbridge.Receipt{}, err
	}
	defer limits.release()
	return h.store(r.Context(), limits.Timeout, account,
		kycbridge.Request{Header: r.Header, Query: query(r.URL), Body: body, ReceivedAt: receivedAt,
			Certificate: clientCertificate(r, receivedAt)})
}

// store passes the callback to the Receiver. The body is complete, so a caller that disconnects no longer
// cancels it: a provider may never send it again. An error other than of authentication is internal, and
// so is a receipt of an unknown status.
func (h *Callbacks) store(
	ctx context.Context, timeout time.Duration, account *kycbridge.Account, r kycbridge.Request,
) (kycbridge.Receipt, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	receipt, err := h.options.Receiver.Receive(ctx, account, r)
	if err == nil && !isConclusive(receipt) {
		return receipt, fmt.Errorf("receipt without a known status: %w", errFault)
	}
	if errors.Is(err, kycbridge.ErrNotFound) {
		return receipt, fmt.Errorf("receive: %w: %w", errFault, err)
	}
	return receipt, err
}

func isConclusive(receipt kycbridge.Receipt) bool {
	switch receipt.Status {
	case kycbridge.ReceiptAccepted, kycbridge.ReceiptDuplicate, kycbridge.ReceiptQuarantined:
		return true
	}
	return false
}

// isJSON reports whether a request declares a JSON body, or no type.
func isJSON(h http.Header) bool {
	contentType := h.Get("Content-Type")
	if contentType == "" {
		return true
	}
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType = strings.TrimSpace(mediaType)
	const suffix = "+json"
	return strings.EqualFold(mediaType, "application/json") || strings.EqualFold(mediaType, "text/json") ||
		len(mediaType) > len(suffix) && strings.EqualFold(mediaType[len(mediaType)-len(suffix):], suffix)
}

// readBody reads a body of at most limit bytes into memory of a share. It returns errTooLarge for a longer
// one, as soon as the length is known, errInterrupted for a truncated one, and errBusy if there is no
// memory for it. Memory is taken for what was received, not for what was declared: otherwise headers alone,
// of a few thousand connections that send no body, would take all of it, and every callback would be refused.
func readBody(r *http.Request, limit int64, memory *share) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, errTooLarge
	}
	size := int(min(max(r.ContentLength, 511), firstRead-1) + 1)
	if !memory.take(size) {
		return nil, errBusy
	}
	body := make([]byte, 0, size)
	reader := io.LimitReader(r.Body, limit+1)
	for {
		n, err := reader.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case int64(len(body)) > limit:
			return body, errTooLarge
		case err == io.EOF:
			return body, nil
		case err != nil:
			return body, fmt.Errorf("read body: %w", errInterrupted)
		}
		if len(body) == cap(body) {
			size := grown(cap(body), r.ContentLength)
			if !memory.take(size - cap(body)) {
				return body, errBusy
			}
			body = append(make([]byte, 0, size), body...)
		}
	}
}

// grown is the next size of a full buffer: twice as large, or the rest of the declared length if that is less. One
// byte beyond that length lets the end be read.
func grown(size int, declared int64) int {
	if left := declared + 1 - int64(size); left > 0 && left < int64(size) {
		return size + int(left)
	}
	return 2 * size
}

// query parses the query of a URL. Most URLs have none.
func query(u *url.URL) url.Values {
	if u.RawQuery == "" {
		return nil
	}
	return u.Query()
}

// wrongMethod refuses every method but POST. The log and the metrics name the account of the path: its provider may be
// set up with another method.
func (h *Callbacks) wrongMethod(c echo.Context, t *requestLog) (kycbridge.Receipt, error) {
	c.Response().Header().Set("Allow", http.MethodPost)
	// The router keeps no parameters of a path whose method does not match.
	if parts := strings.Split(c.Request().URL.Path, "/"); len(parts) >= 4 {
		if account, err := h.options.Accounts.Find(parts[2], parts[3]); err == nil {
			t.account = account
		}
	}
	return kycbridge.Receipt{}, errMethod
}

// noRoute handles requests without a route. A possible callback to a mistyped address is stored.
func (h *Callbacks) noRoute(c echo.Context, t *requestLog) (kycbridge.Receipt, error) {
	if c.Request().Method == http.MethodPost && !h.draining.Load() && h.limits.Load().allow() {
		h.keepUnknownAccount(c, t, "", "")
	}
	return kycbridge.Receipt{}, kycbridge.ErrNotFound
}
