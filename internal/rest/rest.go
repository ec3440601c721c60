// Package rest calls the APIs of providers. Calls are limited in time, size, rate and number, and are
// repeated only if that is safe. All failures have one error type, whose kind reports the cause. One
// Client serves one account.
package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go"
	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/failsafe-go/failsafe-go/retrypolicy"

	"kycbridge"
)

const (
	defaultTimeout = 15 * time.Second
	defaultRate    = 5

	defaultAnswer = 1 << 20 // bytes; answers are documents of some KB
	maxRetries    = 2
	firstPause    = 200 * time.Millisecond
	longPause     = 3 * time.Second // a call is not repeated if the provider requires a longer pause
	// longestHold is for how long one answer 429 stops all calls of an account. If the provider requires more, the next
	// call is answered 429 again. An absurd value must not silence an account for a day.
	longestHold = 15 * time.Minute

	breakerShare   = 0.5 // share of failed calls within breakerPeriod that opens the breaker
	breakerCalls   = 10
	breakerPeriod  = 30 * time.Second
	breakerPause   = 10 * time.Second
	mediaTimeout   = 5 * time.Minute
	errorBodyBytes = 64 << 10
)

// DefaultConcurrency is the maximum number of concurrent calls of one account if its options do not set it.
const DefaultConcurrency = 4

// Options limit the calls of one account. A zero value means a conservative default.
type Options struct {
	Timeout           time.Duration // of one attempt
	RequestsPerSecond float64       // never exceeded in any second, as counted by the provider
	Concurrency       int           // calls under way at once
	Secrets           []string      // removed from the error texts of the provider
	MaxAnswer         int           // maximum size of an answer in bytes; files are not limited by it
	Proxy             *url.URL      // nil: no proxy, even if the environment sets one
	Transport         http.RoundTripper
	// Observe is called after every attempt with the provider's name of the call, the outcome (ok, or a
	// kycbridge.ProviderErrorKind) and the duration.
	Observe func(call, outcome string, took time.Duration)
	// Paused is called with true when so many calls have failed that none is sent for now, and with false
	// when calls are sent again.
	Paused func(bool)
}

// Client calls one provider with one account's limits. It may be used by several goroutines.
type Client struct {
	http    *http.Client
	options Options
	limit   *limit
	breaker circuitbreaker.CircuitBreaker[any]
}

// New makes a client.
func New(o Options) *Client {
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.RequestsPerSecond <= 0 {
		o.RequestsPerSecond = defaultRate
	}
	if o.Concurrency <= 0 {
		o.Concurrency = DefaultConcurrency
	}
	if o.MaxAnswer <= 0 {
		o.MaxAnswer = defaultAnswer
	}
	if o.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.Proxy = http.ProxyURL(o.Proxy) // never a proxy that only the environment sets
		t.MaxIdleConnsPerHost, t.MaxConnsPerHost = o.Concurrency, 0
		t.ResponseHeaderTimeout = o.Timeout
		o.Transport = t
	}
	if o.Paused == nil {
		o.Paused = func(bool) {}
	}
	return &Client{
		http: &http.Client{
			Transport: o.Transport,
			// A redirect would turn a POST into a GET and send credentials to another address.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		options: o,
		limit:   newLimit(o.RequestsPerSecond, o.Concurrency),
		breaker: circuitbreaker.NewBuilder[any]().
			WithFailureRateThreshold(breakerShare, breakerCalls, breakerPeriod).
			WithDelay(breakerPause).WithJitterFactor(.2).WithSuccessThreshold(1).
			OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
				o.Paused(e.NewState == circuitbreaker.OpenState)
			}).Build(),
	}
}

// Call is one call of a provider's API.
type Call struct {
	Name   string // the provider's name of the call: get_details
	Method string
	URL    string
	Header http.Header // credentials included
	Body   []byte
	Files  []kycbridge.File // replace their marks in Body; streamed, not held in memory
	// Repeat: a second call does no harm, so the call is repeated after a temporary failure.
	Repeat bool
	// RepeatOn lists statuses after which the call may be repeated even without Repeat, because the
	// provider documents that it has done nothing.
	RepeatOn []int
	// Explain reads the provider's error body into e, whose Kind and Status are already set from the
	// HTTP status. It may change the kind. nil: the body is ignored.
	Explain func(e *kycbridge.ProviderError, body []byte)
	// Check returns an error for an invalid 2xx answer; nil: every answer is valid. An error that is not a
	// *kycbridge.ProviderError becomes one of kind malformed.
	Check func(Answer) error

	aside bool // to another host than the API's, so it does not count for the circuit breaker
}

// Answer is a provider's 2xx answer.
type Answer struct {
	Status      int
	ContentType string
	Body        []byte
}

// JSON is the body without a byte order mark.
func (a Answer) JSON() []byte { return bytes.TrimPrefix(a.Body, byteOrderMark) }

// Decode reads the answer as JSON into v.
func (a Answer) Decode(v any) error {
	if err := json.Unmarshal(a.JSON(), v); err != nil {
		return errors.New("the answer is not the JSON that was expected") // err may quote it
	}
	return nil
}

// Lenient is like Decode, for an answer that is passed on: a member of an unexpected JSON type counts as
// absent.
func (a Answer) Lenient(v any) error {
	err := json.Unmarshal(a.JSON(), v)
	var kind *json.UnmarshalTypeError
	if err == nil || errors.As(err, &kind) && kind.Field != "" {
		return nil
	}
	return errors.New("the answer is not the JSON that was expected") // err may quote it
}

// byteOrderMark may precede a body. It has no meaning in UTF-8.
var byteOrderMark = []byte("\xef\xbb\xbf")

// Do sends a call and returns the answer, or a *kycbridge.ProviderError. If ctx ends while the call
// waits for its turn, the error wraps the cause of that too.
func (c *Client) Do(ctx context.Context, call Call) (Answer, error) {
	retry := retrypolicy.NewBuilder[Answer]().
		HandleIf(func(_ Answer, err error) bool { return c.again(call, err) }).
		WithMaxRetries(maxRetries).
		WithBackoff(firstPause, longPause).WithJitterFactor(.5).
		ReturnLastFailure().
		Build()
	return failsafe.With[Answer](retry).WithContext(ctx).Get(func() (Answer, error) { return c.once(ctx, call) })
}

// again reports whether a failed call is repeated now.
func (c *Client) again(call Call, err error) bool {
	var e *kycbridge.ProviderError
	if !errors.As(err, &e) || !e.Passing() || e.RetryAfter > longPause {
		return false
	}
	switch e.Kind {
	case kycbridge.ProviderPaused, kycbridge.ProviderPending:
		return false
	}
	return call.Repeat || !e.Sent || slices.Contains(call.RepeatOn, e.Status)
}

// once makes one attempt within the limits. It removes secrets from the provider's error texts, which
// may quote the request.
func (c *Client) once(ctx context.Context, call Call) (Answer, error) {
	answer, err := c.attempt(ctx, call)
	var e *kycbridge.ProviderError
	if errors.As(err, &e) {
		without := call.hider(c.options.Secrets)
		e.Message, e.Code = Clean(without.Replace(e.Message)), Clean(without.Replace(e.Code))
		for i, f := range e.Fields {
			e.Fields[i] = kycbridge.FieldError{Path: without.Replace(f.Path), Message: without.Replace(f.Message)}
		}
	}
	return answer, err
}

// shortestHidden is the length of the shortest value of a header that counts as a secret.
const shortestHidden = 6

// hider replaces secrets: the configured ones, and the headers with the credential of a call, such as a token or the
// encoded user and password, whole and without the scheme.
func (call Call) hider(secrets []string) *strings.Replacer {
	all := slices.Clone(secrets)
	for name, values := range call.Header {
		if name == "Accept" || name == "Content-Type" {
			continue
		}
		for _, value := range values {
			_, credential, _ := strings.Cut(value, " ")
			for _, text := range []string{value, credential} {
				if len(text) >= shortestHidden {
					all = append(all, text)
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b string) int { return len(b) - len(a) }) // one may be a part of another
	var pairs []string
	for _, secret := range all {
		if secret != "" {
			pairs = append(pairs, secret, "[secret]")
		}
	}
	return strings.NewReplacer(pairs...)
}

func (c *Client) attempt(ctx context.Context, call Call) (Answer, error) {
	timeout := c.options.Timeout
	for _, f := range call.Files {
		timeout += Uploading(f.Size)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout+c.limit.patience())
	defer cancel()
	res, done, err := c.send(ctx, call, timeout)
	if err != nil {
		return Answer{}, err
	}
	body, readErr := io.ReadAll(io.LimitReader(res.Body, int64(c.options.MaxAnswer)+1))
	res.Body.Close()
	answer := Answer{Status: res.StatusCode, ContentType: res.Header.Get("Content-Type"), Body: body}
	switch {
	case readErr != nil:
		err = &kycbridge.ProviderError{Kind: kycbridge.ProviderUnreachable, Call: call.Name, Status: res.StatusCode,
			Sent: true, Err: bare(readErr)}
	case len(body) > c.options.MaxAnswer:
		err = malformed(call, res.StatusCode, fmt.Errorf("the answer is larger than %d bytes", c.options.MaxAnswer))
	case call.Check != nil:
		if err = call.Check(answer); err != nil {
			var e *kycbridge.ProviderError
			if !errors.As(err, &e) {
				err = malformed(call, res.StatusCode, err)
			}
		}
	}
	done(err)
	if err != nil {
		return Answer{}, err
	}
	return answer, nil
}

// Open sends a call whose answer is a stream: an image or a video. The caller closes its body.
func (c *Client) Open(ctx context.Context, call Call) (*http.Response, error) {
	call.aside = true
	res, done, err := c.send(ctx, call, mediaTimeout)
	if err != nil {
		return nil, err
	}
	done(nil) // the provider has counted the call; a slow reader must not delay the account's other calls
	return res, nil
}

// stream calls end when it is closed.
type stream struct {
	io.ReadCloser
	end func()
}

func (s *stream) Close() error {
	err := s.ReadCloser.Close()
	if s.end != nil {
		s.end()
		s.end = nil
	}
	return err
}

// send waits for the account's turn and sends the call. A status other than 2xx is an error. done must
// be called when the answer has been read.
func (c *Client) send(
	ctx context.Context, call Call, timeout time.Duration,
) (_ *http.Response, done func(error), err error) {
	if !call.aside && c.breaker.IsOpen() && c.breaker.RemainingDelay() > 0 {
		return nil, nil, c.paused(call)
	}
	release, err := c.limit.acquire(ctx, call.Name)
	if err != nil {
		return nil, nil, err
	}
	if !call.aside && !c.breaker.TryAcquirePermit() {
		release()
		return nil, nil, c.paused(call)
	}
	start := time.Now()
	end := func(err error) {
		release()
		c.record(call, err, time.Since(start))
	}
	defer func() {
		if err != nil {
			end(err)
		}
	}()
	var sent atomic.Bool
	trace := &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }}
	ctx, cancel := context.WithTimeout(httptrace.WithClientTrace(ctx, trace), timeout)
	req, err := call.request(ctx)
	if err != nil {
		cancel()
		return nil, nil, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		cancel()
		return nil, nil, &kycbridge.ProviderError{Kind: kycbridge.ProviderUnreachable, Call: call.Name, Sent: sent.Load(),
			NoAnswer: noAnswer(err), Err: bare(err)}
	}
	if res.StatusCode < 200 || res.StatusCode > 299 {
		defer cancel()
		return nil, nil, c.refusal(call, res)
	}
	res.Body = &stream{ReadCloser: res.Body, end: cancel}
	return res, end, nil
}

// paused is the error of a call that is not sent while the circuit breaker is open.
func (c *Client) paused(call Call) error {
	return &kycbridge.ProviderError{Kind: kycbridge.ProviderPaused, Call: call.Name,
		RetryAfter: max(c.breaker.RemainingDelay(), time.Second)}
}

// request is the HTTP request of a call.
func (call Call) request(ctx context.Context) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, call.Method, call.URL, bytes.NewReader(call.Body))
	if err != nil {
		return nil, &kycbridge.ProviderError{Kind: kycbridge.ProviderInvalid, Call: call.Name,
			Err: errors.New("the address of the call cannot be built")}
	}
	call.fill(req)
	for name, values := range call.Header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", "kycbridge")
	return req, nil
}

// fill sets the body of a request that contains files or is empty.
func (call Call) fill(req *http.Request) {
	switch {
	case len(call.Files) > 0:
		b := newBody(call.Body, call.Files)
		req.Body, req.ContentLength = b.open(), b.size
		req.GetBody = func() (io.ReadCloser, error) { return b.open(), nil }
	case len(call.Body) == 0:
		// Otherwise net/http repeats the request itself if a kept-alive connection breaks, outside the limit.
		req.Body, req.GetBody = io.NopCloser(strings.NewReader("")), nil
	}
}

// isRead reports whether a call reads from the API.
func (call Call) isRead() bool {
	return !call.aside && (call.Method == "" || call.Method == http.MethodGet)
}

// refusal returns the error for an answer other than 2xx.
func (c *Client) refusal(call Call, res *http.Response) error {
	defer res.Body.Close()
	var body []byte
	if res.StatusCode != http.StatusSwitchingProtocols { // then it is the connection itself, which no timeout ends
		body, _ = io.ReadAll(io.LimitReader(res.Body, errorBodyBytes))
	}
	e := &kycbridge.ProviderError{Kind: kindOf(res.StatusCode), Call: call.Name, Status: res.StatusCode,
		RetryAfter: retryAfter(res.Header, time.Now()), Sent: true}
	body = bytes.TrimPrefix(body, byteOrderMark)
	if e.Kind == kycbridge.ProviderNotFound && call.isRead() && len(body) > 0 && !json.Valid(body) {
		e.Kind = kycbridge.ProviderUnavailable // a page of a gateway in front of the API, which knows no sessions
	}
	if call.Explain != nil {
		// Before texts are shortened: a part of a secret is one too.
		call.Explain(e, []byte(call.hider(c.options.Secrets).Replace(string(body))))
	}
	switch {
	case e.Kind == kycbridge.ProviderRateLimited:
		c.limit.hold(min(max(e.RetryAfter, firstPause), longestHold))
	case e.RetryAfter > 0 && e.RetryAfter <= longPause:
		c.limit.hold(e.RetryAfter) // a longer one ends the call; the caller may repeat it
	}
	return e
}

// record reports the outcome of an attempt to the breaker and the observer.
func (c *Client) record(call Call, err error, took time.Duration) {
	outcome := "ok"
	var e *kycbridge.ProviderError
	if errors.As(err, &e) {
		outcome = string(e.Kind)
	}
	if !call.aside {
		c.judge(kycbridge.ProviderErrorKind(outcome), err)
	}
	if c.options.Observe != nil {
		c.options.Observe(call.Name, outcome, took)
	}
}

// judge reports the outcome of a call to the breaker.
func (c *Client) judge(kind kycbridge.ProviderErrorKind, err error) {
	switch kind {
	case kycbridge.ProviderUnavailable, kycbridge.ProviderUnreachable, kycbridge.ProviderMalformed:
		if errors.Is(err, context.Canceled) && c.breaker.IsClosed() {
			return // the caller cancelled; the provider has not failed
		}
		c.breaker.RecordFailure()
	default:
		c.breaker.RecordSuccess()
	}
}

// bare removes the URL from an error of net/http: it may contain a token.
func bare(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
