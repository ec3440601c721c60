package rest

import (
	"context"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"kycbridge"
	"kycbridge/test/wait"
)

// scripted answers with its statuses one after another, repeats the last one, and records the times of the
// calls.
type scripted struct {
	*httptest.Server
	mu       sync.Mutex
	statuses []int
	header   http.Header
	body     string
	at       []time.Time
}

func serve(t *testing.T, statuses ...int) *scripted {
	s := &scripted{statuses: statuses, header: http.Header{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.at = append(s.at, time.Now())
		status := s.statuses[0]
		if len(s.statuses) > 1 {
			s.statuses = s.statuses[1:]
		}
		for name, values := range s.header {
			w.Header()[name] = values
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, s.body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *scripted) calls() int { return len(s.times()) }

func (s *scripted) times() []time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.at)
}

func quick() Options {
	return Options{RequestsPerSecond: 1000, Concurrency: 8, Timeout: 2 * time.Second * wait.Slowdown}
}

func asError(t *testing.T, err error) *kycbridge.ProviderError {
	t.Helper()
	var e *kycbridge.ProviderError
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no ProviderError", err)
	}
	return e
}

func TestRetries(t *testing.T) {
	tests := map[string]struct {
		call     Call
		statuses []int
		calls    int
		kind     kycbridge.ProviderErrorKind // "": it succeeds
	}{
		"once":                         {Call{}, []int{200}, 1, ""},
		"repeated until it works":      {Call{Repeat: true}, []int{500, 503, 200}, 3, ""},
		"repeated three times at most": {Call{Repeat: true}, []int{500}, 3, kycbridge.ProviderUnavailable},
		"not repeated":                 {Call{}, []int{500}, 1, kycbridge.ProviderUnavailable},
		"repeated on a status":         {Call{RepeatOn: []int{503}}, []int{503, 200}, 2, ""},
		"not repeated on another":      {Call{RepeatOn: []int{503}}, []int{500}, 1, kycbridge.ProviderUnavailable},
		"status that does not pass":    {Call{Repeat: true}, []int{400}, 1, kycbridge.ProviderInvalid},
		"credentials":                  {Call{Repeat: true}, []int{401}, 1, kycbridge.ProviderCredentials},
		"forbidden":                    {Call{Repeat: true}, []int{403}, 1, kycbridge.ProviderForbidden},
		"not found":                    {Call{Repeat: true}, []int{404}, 1, kycbridge.ProviderNotFound},
		"gone":                         {Call{Repeat: true}, []int{410}, 1, kycbridge.ProviderNotFound},
		"timeout of theirs":            {Call{Repeat: true}, []int{408, 200}, 2, ""},
		"rate":                         {Call{Repeat: true}, []int{429, 200}, 2, ""},
		"redirect":                     {Call{Repeat: true}, []int{302}, 3, kycbridge.ProviderMalformed},
		"answer that cannot be read": {Call{Repeat: true, Check: func(Answer) error { return errors.New("bad") }},
			[]int{200}, 3, kycbridge.ProviderMalformed},
		"the same, not to be repeated": {Call{Check: func(Answer) error { return errors.New("bad") }}, []int{200}, 1,
			kycbridge.ProviderMalformed},
		"kind of the check's own":       {Call{Repeat: true, Check: pending}, []int{200}, 1, kycbridge.ProviderPending},
		"kind as explained":             {Call{Repeat: true, Explain: unavailable}, []int{400, 200}, 2, ""},
		"explained, repeated on status": {Call{RepeatOn: []int{409}, Explain: unavailable}, []int{409, 200}, 2, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, tt.statuses...)
			tt.call.Name, tt.call.Method, tt.call.URL = "ask", http.MethodPost, s.URL
			_, err := New(quick()).Do(t.Context(), tt.call)
			if tt.kind == "" && err != nil || s.calls() != tt.calls {
				t.Fatalf("error %v after %d calls", err, s.calls())
			}
			if tt.kind == "" {
				return
			}
			if e := asError(t, err); e.Kind != tt.kind || e.Call != "ask" || tt.kind != kycbridge.ProviderPending &&
				(!e.Sent || e.Status == 0) {
				t.Errorf("got %+v", e)
			}
		})
	}
}

func pending(Answer) error {
	return &kycbridge.ProviderError{Kind: kycbridge.ProviderPending, Call: "ask"}
}

func unavailable(e *kycbridge.ProviderError, _ []byte) { e.Kind = kycbridge.ProviderUnavailable }

func TestAnswersAndHeaders(t *testing.T) {
	s := serve(t, 201)
	s.body, s.header = `{"a": 1}`, http.Header{"Content-Type": {"application/json"}}
	var outcomes []string
	o := quick()
	o.Observe = func(call, outcome string, took time.Duration) {
		outcomes = append(outcomes, call+" "+outcome)
		if took <= 0 {
			t.Error("it took no time")
		}
	}
	a, err := New(o).Do(t.Context(), Call{Name: "ask", URL: s.URL})
	var into struct{ A int }
	if err != nil || a.Status != 201 || a.ContentType != "application/json" || a.Decode(&into) != nil || into.A != 1 {
		t.Errorf("error %v, answer %+v", err, a)
	}
	if len(outcomes) != 1 || outcomes[0] != "ask ok" {
		t.Errorf("observed %v", outcomes)
	}
	if err := (Answer{Body: []byte(`{"secret": `)}).Decode(&into); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func TestSentTellsWhetherItMayHaveArrived(t *testing.T) {
	release := make(chan struct{})
	hangs := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hangs.Close()
	defer close(release)
	breaks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "{")
		panic(http.ErrAbortHandler)
	}))
	defer breaks.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		panic(http.ErrAbortHandler)
	}))
	defer silent.Close()
	tls := httptest.NewUnstartedServer(nil)
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	for name, tt := range map[string]struct {
		url  string
		sent bool
	}{
		"refused":         {"http://127.0.0.1:1", false},
		"no such host":    {"http://nobody.invalid", false},
		"untrusted TLS":   {tls.URL, false},
		"no answer":       {hangs.URL, true},
		"closed":          {silent.URL, true},
		"cut in the body": {breaks.URL, true},
	} {
		t.Run(name, func(t *testing.T) {
			o := quick()
			o.Timeout = wait.Reach
			_, err := New(o).Do(t.Context(), Call{Name: "ask", Method: http.MethodPost, URL: tt.url})
			if e := asError(t, err); e.Kind != kycbridge.ProviderUnreachable || e.Sent != tt.sent {
				t.Errorf("got %+v", e)
			}
		})
	}
	_, err := New(quick()).Do(t.Context(), Call{Name: "ask", URL: "http://a b/"})
	if e := asError(t, err); e.Kind != kycbridge.ProviderInvalid || e.Sent {
		t.Errorf("got %+v", e)
	}
}

// A request that was not sent may be sent again, even if the call must not be repeated.
func TestRefusedConnectionsAreTriedAgain(t *testing.T) {
	s := serve(t, 200)
	var dials atomic.Int32
	o := quick()
	o.Transport = &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials.Add(1) < 3 {
			address = "127.0.0.1:1"
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}
	if _, err := New(o).Do(t.Context(), Call{Name: "ask", Method: http.MethodPost, URL: s.URL}); err != nil ||
		s.calls() != 1 {
		t.Errorf("error %v after %d calls", err, s.calls())
	}
}

// jitter delays requests on their way to the provider and answers on their way back.
type jitter struct{ longest time.Duration }

func (j jitter) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(rand.N(j.longest))
	res, err := http.DefaultTransport.RoundTrip(r)
	time.Sleep(rand.N(j.longest))
	return res, err
}

// mostWithin is the largest number of calls within any window.
func mostWithin(at []time.Time, window time.Duration) int {
	slices.SortFunc(at, time.Time.Compare)
	most, from := 0, 0
	for i := range at {
		for at[i].Sub(at[from]) >= window {
			from++
		}
		most = max(most, i-from+1)
	}
	return most
}

func TestLimitIsStrictUnderJitter(t *testing.T) {
	for name, tt := range map[string]struct {
		perSecond float64
		calls     int
		window    time.Duration
		most      int
	}{
		"10 a second":  {10, 25, time.Second, 10},
		"2.5 a second": {2.5, 6, time.Second, 2},
		"one in two":   {.5, 2, 2 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, 200)
			c := New(Options{RequestsPerSecond: tt.perSecond, Concurrency: 20, Transport: jitter{200 * time.Millisecond}})
			var all sync.WaitGroup
			for range tt.calls {
				all.Go(func() {
					if _, err := c.Do(t.Context(), Call{Name: "ask", URL: s.URL}); err != nil {
						t.Error(err)
					}
				})
			}
			all.Wait()
			if got := mostWithin(s.times(), tt.window); got > tt.most || s.calls() != tt.calls {
				t.Errorf("%d of %d calls within %v", got, s.calls(), tt.window)
			}
		})
	}
}

func TestConcurrencyIsBounded(t *testing.T) {
	var now, most atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		time.Sleep(20 * time.Millisecond)
	}))
	defer s.Close()
	o := quick()
	o.Concurrency = 2
	c := New(o)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { _, _ = c.Do(t.Context(), Call{Name: "ask", URL: s.URL}) })
	}
	all.Wait()
	if most.Load() > 2 {
		t.Errorf("%d calls at once", most.Load())
	}
}

// canned is a transport that needs no network, for tests inside a synctest bubble.
type canned func() (status int, header http.Header)

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	status, header := c()
	if status == 0 {
		return nil, errors.New("no route")
	}
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

func TestBreakerOpensAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status, calls := 500, 0
		o := quick()
		o.Transport = canned(func() (int, http.Header) { calls++; return status, nil })
		c := New(o)
		ask := func() error {
			_, err := c.Do(t.Context(), Call{Name: "ask", URL: "http://provider.example"})
			return err
		}
		for range breakerCalls {
			if e := asError(t, ask()); e.Kind != kycbridge.ProviderUnavailable {
				t.Fatalf("got %+v", e)
			}
		}
		e := asError(t, ask())
		if e.Kind != kycbridge.ProviderPaused || e.Sent || e.RetryAfter <= 0 || !c.breaker.IsOpen() || calls != breakerCalls {
			t.Fatalf("got %+v after %d calls", e, calls)
		}
		time.Sleep(2 * breakerPause)
		if e := asError(t, ask()); e.Kind != kycbridge.ProviderUnavailable {
			t.Errorf("the probe: %+v", e)
		}
		if e := asError(t, ask()); e.Kind != kycbridge.ProviderPaused {
			t.Errorf("after a probe that failed: %+v", e)
		}
		time.Sleep(2 * breakerPause)
		status = 200
		for range 2 {
			if err := ask(); err != nil || c.breaker.IsOpen() {
				t.Errorf("after a probe that worked: %v", err)
			}
		}
		time.Sleep(5 * time.Second) // until the calls that count within the limit no longer count
	})
}

func TestRefusalsDoNotOpenTheBreaker(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404} {
		s := serve(t, status)
		c := New(quick())
		for range 2 * breakerCalls {
			_, _ = c.Do(t.Context(), Call{Name: "ask", URL: s.URL})
		}
		if c.breaker.IsOpen() {
			t.Errorf("%d pauses the account", status)
		}
	}
}

func TestCallersThatLeaveDoNotOpenTheBreaker(t *testing.T) {
	release := make(chan struct{})
	var arrived atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { arrived.Add(1); <-release }))
	defer s.Close()
	defer close(release)
	o := quick()
	o.Concurrency = 2 * breakerCalls
	c := New(o)
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 2 * breakerCalls {
		all.Go(func() {
			_, err := c.Do(ctx, Call{Name: "ask", URL: s.URL})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
		})
	}
	until(t, func() bool { return arrived.Load() == 2*breakerCalls })
	cancel()
	all.Wait()
	if c.breaker.IsOpen() {
		t.Error("paused")
	}
}

// until polls for a condition.
func until(t *testing.T, met func() bool) {
	t.Helper()
	wait.For(t, 5*time.Second, "it happens", met)
}

func TestRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Time
		first, wish := 429, "2"
		o := quick()
		o.Transport = canned(func() (int, http.Header) {
			at = append(at, time.Now())
			if len(at) == 1 {
				return first, http.Header{"Retry-After": {wish}}
			}
			return 200, nil
		})
		for _, status := range []int{429, 503} {
			at, first, wish = nil, status, "2"
			_, err := New(o).Do(t.Context(), Call{Name: "ask", URL: "http://provider.example", Repeat: true})
			if err != nil || len(at) != 2 || at[1].Sub(at[0]) < 2*time.Second {
				t.Errorf("%d: error %v, calls at %v", status, err, at)
			}
		}
		at, first, wish = nil, 429, "60"
		c := New(o)
		_, err := c.Do(t.Context(), Call{Name: "ask", URL: "http://provider.example", Repeat: true})
		if e := asError(t, err); e.RetryAfter != time.Minute || len(at) != 1 {
			t.Errorf("got %+v after %d calls", e, len(at))
		}
		begin := time.Now()
		_, err = c.Do(t.Context(), Call{Name: "other", URL: "http://provider.example"})
		if e := asError(t, err); e.Kind != kycbridge.ProviderRateLimited || e.Sent || e.RetryAfter < 55*time.Second ||
			time.Since(begin) > time.Second*wait.Slowdown {
			t.Errorf("during the pause: %+v after %v", e, time.Since(begin))
		}
		time.Sleep(time.Minute)
		if _, err = c.Do(t.Context(), Call{Name: "ask", URL: "http://provider.example"}); err != nil {
			t.Errorf("after the pause: %v", err)
		}
		time.Sleep(5 * time.Second)
	})
}

// Calls that wait for their turn when the provider requests a pause also wait for the end of the pause.
func TestPauseHoldsWhoeverWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var at []time.Time
		c := New(Options{RequestsPerSecond: 10, Concurrency: 1, Transport: canned(func() (int, http.Header) {
			mu.Lock()
			defer mu.Unlock()
			if at = append(at, time.Now()); len(at) == 1 {
				return 429, http.Header{"Retry-After": {"3"}}
			}
			return 200, nil
		})})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() { _, _ = c.Do(t.Context(), Call{Name: "ask", URL: "http://provider.example"}) })
		}
		all.Wait()
		for _, later := range at[1:] {
			if later.Sub(at[0]) < 3*time.Second {
				t.Errorf("a call after %v", later.Sub(at[0]))
			}
		}
		time.Sleep(5 * time.Second)
	})
}

// TestAnAbsurdPause: one answer 429 that asks for days does not stop the calls of an account for longer than a quarter
// of an hour.
func TestAnAbsurdPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := 0
		c := New(Options{Transport: canned(func() (int, http.Header) {
			if answers++; answers == 1 {
				return 429, http.Header{"Retry-After": {"99999999"}}
			}
			return 200, nil
		})})
		ask := func() error {
			_, err := c.Do(t.Context(), Call{Name: "ask", URL: "http://provider.example"})
			return err
		}
		if e := asError(t, ask()); e.Kind != kycbridge.ProviderRateLimited {
			t.Fatal(e)
		}
		time.Sleep(longestHold - time.Minute)
		if e := asError(t, ask()); e.Kind != kycbridge.ProviderRateLimited || answers != 1 {
			t.Errorf("during the pause: %v, %d calls", e, answers)
		}
		time.Sleep(time.Minute)
		if err := ask(); err != nil {
			t.Errorf("after the pause: %v", err)
		}
	})
}

func TestRetryAfterForms(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"": 0, "x": 0, "-1": 0, "0": 0, "7": 7 * time.Second, "9999999": 24 * time.Hour,
		"99999999999999999999": 24 * time.Hour, "-99999999999999999999": 0,
		"Mon, 02 Mar 2026 09:00:30 GMT": 30 * time.Second, "Mon, 02 Mar 2026 08:00:00 GMT": 0,
		"Mon, 02 Mar 2030 08:00:00 GMT": 24 * time.Hour,
	} {
		if got := retryAfter(http.Header{"Retry-After": {value}}, now); got != want {
			t.Errorf("%q is %v", value, got)
		}
	}
	// A provider's clock that is wrong by hours.
	for _, theirs := range []time.Time{now.Add(-5 * time.Hour), now, now.Add(5 * time.Hour)} {
		h := http.Header{"Date": {theirs.Format(http.TimeFormat)},
			"Retry-After": {theirs.Add(time.Minute).Format(http.TimeFormat)}}
		if got := retryAfter(h, now); got != time.Minute {
			t.Errorf("a minute of a clock at %v is %v", theirs, got)
		}
	}
}

func TestNoErrorHoldsTheURL(t *testing.T) {
	cut := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer cut.Close()
	s := serve(t, 500)
	s.body, s.header = "s3cret", http.Header{"Location": {"http://s3cret.example"}}
	for _, url := range []string{cut.URL, s.URL, "http://127.0.0.1:1", "http://a b", "s3cret://x"} {
		_, err := New(quick()).Do(t.Context(),
			Call{Name: "ask", URL: url + "/?token=s3cret", Header: http.Header{"Authorization": {"s3cret"}}})
		res, opened := New(quick()).Open(t.Context(), Call{Name: "ask", URL: url + "/?token=s3cret"})
		if opened == nil {
			res.Body.Close()
		}
		for _, err := range []error{err, opened} {
			if asError(t, err).Call != "ask" {
				t.Errorf("%v does not name its call", err)
			}
			for ; err != nil && !strings.HasPrefix(url, "s3cret"); err = errors.Unwrap(err) {
				if strings.Contains(err.Error(), "s3cret") {
					t.Errorf("%s: %q", url, err)
				}
			}
		}
	}
}

func TestCancelledContexts(t *testing.T) {
	s := serve(t, 500)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(quick()).Do(ctx, Call{Name: "ask", URL: s.URL, Repeat: true}); !errors.Is(err, context.Canceled) ||
		s.calls() != 0 {
		t.Errorf("error %v after %d calls", err, s.calls())
	}
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	begin := time.Now()
	c := New(quick())
	c.limit.hold(time.Minute)
	if _, err := c.Do(ctx, Call{Name: "ask", URL: s.URL, Repeat: true}); err == nil || s.calls() != 0 ||
		time.Since(begin) > 2*time.Second*wait.Slowdown {
		t.Errorf("error %v after %d calls", err, s.calls())
	}
}

// A caller that leaves while it waits releases its slot.
func TestPlacesAreGivenBack(t *testing.T) {
	s := serve(t, 200)
	c := New(Options{RequestsPerSecond: 1000, Concurrency: 1})
	for range 2000 {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, _ = c.Do(ctx, Call{Name: "ask", URL: s.URL})
	}
	if _, err := c.Do(t.Context(), Call{Name: "ask", URL: s.URL}); err != nil {
		t.Error(err)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	s := serve(t, 200)
	s.body = strings.Repeat("x", defaultAnswer)
	if a, err := New(quick()).Do(t.Context(), Call{Name: "ask", URL: s.URL}); err != nil || len(a.Body) != defaultAnswer {
		t.Errorf("error %v, %d bytes", err, len(a.Body))
	}
	s.body += "x"
	_, err := New(quick()).Do(t.Context(), Call{Name: "ask", URL: s.URL})
	if e := asError(t, err); e.Kind != kycbridge.ProviderMalformed {
		t.Errorf("got %+v", e)
	}
	refused := serve(t, 400)
	refused.body = strings.Repeat("x", 2*errorBodyBytes)
	read := 0
	_, err = New(quick()).Do(t.Context(),
		Call{Name: "ask", URL: refused.URL, Explain: func(e *kycbridge.ProviderError, body []byte) {
			read = len(body)
			e.Message = string(body)
		}})
	if e := asError(t, err); read != errorBodyBytes || len(e.Message) != maxMessage {
		t.Errorf("%d bytes read, %d told", read, len(e.Message))
	}
}

// The body of a 101 is the connection, which no timeout of a request ends.
func TestAnotherProtocolIsRefused(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { conn.Close() })
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	}))
	t.Cleanup(s.Close)
	c, failed := New(Options{Concurrency: 1, RequestsPerSecond: 1000}), make(chan error, 1)
	for range 2 { // the second one needs the slot of the first
		go func() {
			_, err := c.Do(t.Context(), Call{Name: "ask", URL: s.URL})
			failed <- err
		}()
		select {
		case err := <-failed:
			if e := asError(t, err); e.Kind != kycbridge.ProviderMalformed || e.Status != http.StatusSwitchingProtocols {
				t.Errorf("got %+v", e)
			}
		case <-time.After(5 * time.Second * wait.Slowdown):
			t.Fatal("the call does not end")
		}
	}
}

// A web page with 404 is a gateway's or a load balancer's, and reports nothing about what a call reads.
func TestAPageSaysNothingAboutASession(t *testing.T) {
	for body, want := range map[string]kycbridge.ProviderErrorKind{
		"": kycbridge.ProviderNotFound, `{"message":"unknown"}`: kycbridge.ProviderNotFound,
		"\ufeff{}": kycbridge.ProviderNotFound, "<html><h1>404</h1>": kycbridge.ProviderUnavailable,
		"404 page not found\n": kycbridge.ProviderUnavailable, "default backend - 404": kycbridge.ProviderUnavailable,
	} {
		s := serve(t, http.StatusNotFound)
		s.body = body
		for method, want := range map[string]kycbridge.ProviderErrorKind{
			http.MethodGet: want, http.MethodPost: kycbridge.ProviderNotFound, // which created nothing
		} {
			_, err := New(quick()).Do(t.Context(), Call{Name: "ask", Method: method, URL: s.URL})
			if e := asError(t, err); e.Kind != want {
				t.Errorf("%s, %q: got %+v", method, body, e)
			}
		}
		res, err := New(quick()).Open(t.Context(), Call{Name: "file", URL: s.URL})
		if err == nil {
			res.Body.Close()
		}
		if e := asError(t, err); e.Kind != kycbridge.ProviderNotFound {
			t.Errorf("file, %q: got %+v", body, e)
		}
	}
}

// What a token endpoint answers is not about the session or the request of the call that needs the token.
func TestATokenEndpointKnowsNoSessions(t *testing.T) {
	for kind, want := range map[kycbridge.ProviderErrorKind]kycbridge.ProviderErrorKind{
		kycbridge.ProviderNotFound:    kycbridge.ProviderUnavailable,
		kycbridge.ProviderInvalid:     kycbridge.ProviderForbidden,
		kycbridge.ProviderCredentials: kycbridge.ProviderCredentials,
	} {
		token := NewToken(func(context.Context) (string, time.Time, error) {
			return "", time.Time{}, &kycbridge.ProviderError{Kind: kind, Call: "token", Sent: true}
		})
		_, err := token.With(t.Context(), nil)
		if e := asError(t, err); e.Kind != want || e.Sent {
			t.Errorf("%s: got %+v", kind, e)
		}
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " a ": "a", "a\r\n\tb": "a b", "<html>x": "", " \n<html>": "", "a\x00b": "a b", "a\u2028b": "a b",
		"a\u0085b": "a b",
		"ä\xffz":   "ä?z", strings.Repeat("ä", 200): strings.Repeat("ä", 150), "x" + strings.Repeat("ä", 200): "x" +
			strings.Repeat("ä", 149),
	} {
		if got := Clean(in); got != want {
			t.Errorf("%q is %q", in, got)
		}
	}
}

func TestOpenStreams(t *testing.T) {
	s := serve(t, 200)
	s.body, s.header = "image", http.Header{"Content-Type": {"image/jpeg"}}
	o := quick()
	o.Concurrency = 1
	c := New(o)
	for range 3 { // there is one slot: each close must release it
		res, err := c.Open(t.Context(), Call{Name: "file", URL: s.URL})
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || string(body) != "image" {
			t.Errorf("error %v, %q", err, body)
		}
		res.Body.Close()
		res.Body.Close()
	}
	s = serve(t, 404)
	if res, err := c.Open(t.Context(), Call{Name: "file", URL: s.URL}); err == nil {
		res.Body.Close()
		t.Error("no error")
	} else if e := asError(t, err); e.Kind != kycbridge.ProviderNotFound {
		t.Errorf("got %+v", e)
	}
}

func TestTokenIsRenewedByOneCaller(t *testing.T) {
	var renewals atomic.Int32
	var valid atomic.Value
	valid.Store("token-1")
	token := NewToken(func(context.Context) (string, time.Time, error) {
		renewals.Add(1)
		time.Sleep(10 * time.Millisecond)
		return valid.Load().(string), time.Time{}, nil
	})
	use := func() {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				_, err := token.With(t.Context(), func(v string) (Answer, error) {
					if v != valid.Load() {
						return Answer{}, &kycbridge.ProviderError{Kind: kycbridge.ProviderCredentials}
					}
					return Answer{}, nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	if use(); renewals.Load() != 1 {
		t.Errorf("%d renewals at first", renewals.Load())
	}
	valid.Store("token-2")
	if use(); renewals.Load() != 2 {
		t.Errorf("%d renewals after a refusal", renewals.Load())
	}
}

func TestTokenLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		renewals := 0
		token := NewToken(func(context.Context) (string, time.Time, error) {
			renewals++
			return "t", time.Now().Add(10 * time.Minute), nil
		})
		ask := func() { _, _ = token.With(t.Context(), func(string) (Answer, error) { return Answer{}, nil }) }
		ask()
		time.Sleep(9 * time.Minute)
		if ask(); renewals != 1 {
			t.Errorf("%d renewals while it was good", renewals)
		}
		time.Sleep(40 * time.Second)
		if ask(); renewals != 2 {
			t.Errorf("%d renewals before it expired", renewals)
		}
	})
}

func TestTokenThatIsRefusedTwice(t *testing.T) {
	renewals, uses := 0, 0
	token := NewToken(func(context.Context) (string, time.Time, error) { renewals++; return "t", time.Time{}, nil })
	_, err := token.With(t.Context(), func(string) (Answer, error) {
		uses++
		return Answer{}, &kycbridge.ProviderError{Kind: kycbridge.ProviderCredentials}
	})
	if e := asError(t, err); e.Kind != kycbridge.ProviderCredentials || renewals != 2 || uses != 2 {
		t.Errorf("got %+v after %d renewals and %d uses", e, renewals, uses)
	}
	broken := NewToken(func(context.Context) (string, time.Time, error) {
		return "", time.Time{}, &kycbridge.ProviderError{Kind: kycbridge.ProviderUnreachable}
	})
	if _, err := broken.With(t.Context(), nil); asError(t, err).Kind != kycbridge.ProviderUnreachable {
		t.Error(err)
	}
}

// If a new token is refused too, a further one does not help: the provider is asked for none at each call.
func TestTokenThatIsRefusedAlways(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		renewals := 0
		token := NewToken(func(context.Context) (string, time.Time, error) {
			renewals++
			return strconv.Itoa(renewals), time.Time{}, nil
		})
		refuse := func() error {
			_, err := token.With(t.Context(), func(string) (Answer, error) {
				return Answer{}, &kycbridge.ProviderError{Kind: kycbridge.ProviderCredentials, Call: "ask"}
			})
			return err
		}
		for range 10 {
			if e := asError(t, refuse()); e.Kind != kycbridge.ProviderCredentials || e.Call != "ask" {
				t.Errorf("got %+v", e)
			}
		}
		if renewals != 2 {
			t.Errorf("%d renewals at once", renewals)
		}
		time.Sleep(refusedPause + time.Second)
		if _ = refuse(); renewals != 3 {
			t.Errorf("%d renewals after the pause", renewals)
		}
	})
}

// TestEchoedCredentials: a provider that repeats the request in its error does not make a credential known, neither as
// it was configured nor as a header contained it, and no part of it either.
func TestEchoedCredentials(t *testing.T) {
	const key, basic, token = "synthetic-secret-key", "Basic c3ludGhldGljOnNlY3JldA==", "synthetic-access-token"
	for _, before := range []int{0, maxMessage - 10} {
		s := serve(t, http.StatusBadRequest)
		s.body = strings.Repeat("x", before) + key + ", " + basic + ", Bearer " + token + ", application/json"
		client := New(Options{Secrets: []string{"", key}})
		_, err := client.Do(t.Context(), Call{Name: "start", Method: http.MethodPost, URL: s.URL, Body: []byte("{}"),
			Header: http.Header{"Authorization": {basic}, "Auth": {"Bearer " + token}, "Content-Type": {"application/json"}},
			Explain: func(e *kycbridge.ProviderError, body []byte) {
				e.Message, e.Code = Clean(string(body)), string(body)
				e.Fields = []kycbridge.FieldError{{Path: "/a", Message: string(body)}}
			}})
		failed, ok := errors.AsType[*kycbridge.ProviderError](err)
		if !ok {
			t.Fatal(err)
		}
		said := failed.Message + failed.Code + failed.Fields[0].Message
		for _, secret := range []string{key, basic, basic[len("Basic "):], token} {
			if strings.Contains(said, secret[:9]) {
				t.Errorf("%q is in %q", secret, said)
			}
		}
		if !strings.Contains(failed.Fields[0].Message, "application/json") {
			t.Errorf("too much was removed: %q", said)
		}
	}
}
