// Package simulate holds simulated providers: HTTP servers with the documented APIs, tokens that
// expire, rate limits, documented errors, slow and broken answers, scripted people, and callbacks
// with real authentication, duplicated, late, reordered and repeated on each provider's schedule.
// Life can run faster than the clock. Everything in it is synthetic.
//
// A simulated provider is a Provider value, made in the folder simulated/ of its room. What it shares with
// the others (time, people, callbacks, faults, counting) is in this package's Server.
package simulate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options say how a simulated provider behaves. The zero value is a well-behaved one in real time
// that sends no callbacks.
type Options struct {
	Listen      string  // "" is a free port of 127.0.0.1
	Speed       float64 // how much faster than the clock life runs; 0 is 1
	CallbackURL string  // where callbacks go, unless a start names another address; "" nowhere
	Callbacks   CallbackOptions
	Person      string        // who takes a verification whose external reference names nobody; "" is approve
	Limit       int           // calls answered in any one second, beyond which 429; 0: no limit
	TokenLife   time.Duration // by the clock, not sped up; 0 is an hour
	Faults      Faults
	Credentials Credentials
	Seed        uint64
	// Answered, if set, is told what each delivery of a callback was answered; status 0 is no answer.
	Answered func(status int, body []byte)
	// Client delivers callbacks and fetches the tokens for them; nil: http.DefaultClient.
	Client *http.Client
}

// Credentials are what the simulated provider accepts on its API and presents on callbacks. What is
// empty has the documented shape of a synthetic value (see each provider).
type Credentials struct {
	User, Password string // of the API: username and password, key and secret, client id and secret
	Token          string // of the API, where it takes one that does not change
	Callback       string // bearer token, basic password, header value or key presented on callbacks
	HMAC           string // sign callbacks with this secret, where the provider can; "": with the other kind
	OAuth2         OAuth2 // fetch tokens for callbacks, where the provider can; its zero value: no
}

// OAuth2 is a client of kycbridge's token endpoint. Its secret is Credentials.Callback.
type OAuth2 struct{ TokenURL, ClientID string }

// CallbackOptions say how callbacks are delivered.
type CallbackOptions struct {
	Duplicates float64 // share that is delivered twice
	Late       float64 // share that comes a life minute late
	Shuffle    bool    // callbacks of one verification may overtake each other
	Withhold   bool    // nothing is sent before Release
}

// Faults are shares of API calls, 0 to 1, that go wrong; token calls are left alone.
type Faults struct {
	Error500    float64 // the provider's documented 500
	HTML        float64 // a gateway's HTML page, with 502
	RateLimited float64 // 429 with Retry-After: 1
	Slow        float64 // the answer takes SlowBy
	Broken      float64 // the connection ends in the middle of the answer
	SlowBy      time.Duration
}

// Canned is an answer given in place of the real one.
type Canned struct {
	Status      int
	ContentType string
	Header      http.Header
	Body        []byte
}

// Provider is what differs between simulated providers.
type Provider struct {
	Name string
	// Routes adds the documented API to mux. Every handler is wrapped by Server.Call.
	Routes func(s *Server, mux *http.ServeMux)
	// Fault500 and Fault429 are the provider's documented bodies for a call by name.
	Fault500, Fault429 func(call string) Canned
	// Begin makes a verification for a person, as if somebody had started it elsewhere.
	Begin func(s *Server, externalReference, person string) (reference string)
	// Retries are the provider's waits between deliveries of one callback, in life time.
	Retries []time.Duration
	// Delivered reports whether an answer ends the deliveries.
	Delivered func(status int) bool
	// API and Auth are what kycbridge's configuration calls so: how s is reached, and what admits its
	// callbacks.
	API  func(s *Server) map[string]string
	Auth func(c Credentials) string
	// OAuth2 reports that callbacks can present an access token (Credentials.OAuth2).
	OAuth2 bool
	// Settings are further lines of the account's configuration, indented by four, without which the
	// people's ends cannot be told.
	Settings string
}

// Server is one running simulated provider.
type Server struct {
	Options
	provider Provider
	listener net.Listener
	http     *http.Server
	begun    time.Time
	running  sync.WaitGroup
	stop     context.CancelFunc
	life     context.Context

	mu       sync.Mutex
	canned   map[string][]Canned
	stats    Stats
	recent   []time.Time // calls of the last second
	withheld []*delivery
	released bool
	serial   int
	token    accessToken

	// Rand is made of the seed, and State is the provider's own. Both are guarded by Lock.
	Rand  *rand.Rand
	State any
}

// Lock and Unlock guard what changes in the server and in the provider's own state.
func (s *Server) Lock() { s.mu.Lock() }

// Unlock ends what Lock began.
func (s *Server) Unlock() { s.mu.Unlock() }

// Stats are what a simulated provider has seen.
type Stats struct {
	Calls        map[string]int // by the provider's name of the call
	Answers      map[int]int    // by status
	MostInSecond int            // the most calls within any one second
	AfterEnd     int            // result calls for a verification whose end had been told before
	Callbacks    int            // deliveries made
	Accepted     int            // callbacks that were answered as the provider wants it
	GivenUp      int            // callbacks whose schedule ran out
	Waiting      int            // callbacks on their way, withheld ones included
}

// Start runs a simulated provider until Close.
func Start(p Provider, o Options) (*Server, error) {
	if o.Speed <= 0 {
		o.Speed = 1
	}
	if o.TokenLife <= 0 {
		o.TokenLife = time.Hour
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	if o.Person == "" {
		o.Person = Approve
	}
	if o.Client == nil {
		o.Client = http.DefaultClient
	}
	var lc net.ListenConfig
	listener, err := lc.Listen(context.Background(), "tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for simulated %s: %w", p.Name, err)
	}
	life, stop := context.WithCancel(context.Background())
	s := &Server{
		Options: o, provider: p, listener: listener, begun: time.Now(), stop: stop, life: life,
		Rand: rand.New(rand.NewPCG(o.Seed, 1)), canned: map[string][]Canned{}, released: !o.Callbacks.Withhold,
		stats: Stats{Calls: map[string]int{}, Answers: map[int]int{}},
	}
	mux := http.NewServeMux()
	p.Routes(s, mux)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	s.running.Go(func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			stop()
		}
	})
	return s, nil
}

// Close ends the server and every delivery.
func (s *Server) Close() {
	s.mu.Lock()
	s.stop()
	s.mu.Unlock()
	_ = s.http.Close()
	s.running.Wait()
}

// URL is the base address of the API.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Name is the provider's.
func (s *Server) Name() string { return s.provider.Name }

// Begin makes a verification as if somebody had started it elsewhere, and returns its reference. An
// empty person is the default one.
func (s *Server) Begin(externalReference, person string) string {
	return s.provider.Begin(s, externalReference, person)
}

// Can gives the next calls of this name the canned answers, one each, before any other rule.
func (s *Server) Can(call string, answers ...Canned) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.canned[call] = append(s.canned[call], answers...)
}

// Stats returns what has been seen so far.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.stats
	out.Calls, out.Answers = map[string]int{}, map[int]int{}
	for k, v := range s.stats.Calls {
		out.Calls[k] = v
	}
	for k, v := range s.stats.Answers {
		out.Answers[k] = v
	}
	return out
}

// Now is the time of life: it runs Speed times as fast as the clock, from the start of the server.
func (s *Server) Now() time.Time {
	return s.begun.Add(time.Duration(float64(time.Since(s.begun)) * s.Speed))
}

// OnClock is when a moment of life comes by the clock. What is told to others is told so: they would
// take times that lie ahead of their own for false.
func (s *Server) OnClock(life time.Time) time.Time {
	return s.begun.Add(s.Clock(life.Sub(s.begun)))
}

// Clock is how long d of life takes by the clock.
func (s *Server) Clock(d time.Duration) time.Duration {
	return time.Duration(float64(d) / s.Speed)
}

// Next numbers what is made, from 1. The caller holds the lock.
func (s *Server) Next() int {
	s.serial++
	return s.serial
}

// ToldEnd counts a result call for a verification that was answered with its end; told says that this end
// has been answered before. The caller holds the lock.
func (s *Server) ToldEnd(told bool) {
	if told {
		s.stats.AfterEnd++
	}
}
