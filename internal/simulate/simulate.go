// Package simulate runs simulated providers: HTTP servers with the documented APIs, tokens that
// expire, rate limits, documented errors, slow and broken answers, scripted people, and callbacks
// with real authentication that are duplicated, late, reordered and retried on each provider's schedule.
// Simulated time can run faster than real time. All data is synthetic.
//
// A simulated provider is a Provider value, made in the folder simulated/ of the provider's package. The
// functions that all of them share (time, people, callbacks, faults, counting) are in Server.
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

// Options configure a simulated provider. The zero value is a provider without faults, in real time,
// that sends no callbacks.
type Options struct {
	Listen      string  // "": a free port of 127.0.0.1
	Speed       float64 // of simulated time, as a multiple of real time; 0 is 1
	CallbackURL string  // for callbacks, unless a start contains another address; "": none are sent
	Callbacks   CallbackOptions
	Person      string        // for a verification whose external reference names no person; "" is approve
	Limit       int           // calls answered in any one second, beyond which 429; 0: no limit
	TokenLife   time.Duration // in real time; 0 is an hour
	Faults      Faults
	Credentials Credentials
	Seed        uint64
	// Answered, if set, is called with the answer to each delivery of a callback; status 0 means no answer.
	Answered func(status int, body []byte)
	// Client delivers callbacks and fetches the tokens for them; nil: http.DefaultClient.
	Client *http.Client
}

// Credentials are those that the simulated provider accepts on its API and presents on callbacks. An
// empty field means a synthetic value of the documented form (see each provider).
type Credentials struct {
	User, Password string // of the API: username and password, key and secret, client id and secret
	Token          string // of the API, if it accepts a fixed one
	Callback       string // bearer token, basic password, header value or key presented on callbacks
	HMAC           string // signs callbacks, if the provider supports it; "": the other kind of credential
	OAuth2         OAuth2 // fetches tokens for callbacks, if the provider supports it; zero: no tokens
}

// OAuth2 is a client of kycbridge's token endpoint. Its secret is Credentials.Callback.
type OAuth2 struct{ TokenURL, ClientID string }

// CallbackOptions configure the delivery of callbacks.
type CallbackOptions struct {
	Duplicates float64 // share that is delivered twice
	Late       float64 // share that is sent one simulated minute late
	Shuffle    bool    // callbacks of one verification may overtake each other
	Withhold   bool    // nothing is sent before Release
}

// Faults are the shares of API calls, 0 to 1, that fail in each way. Token calls get no faults.
type Faults struct {
	Error500    float64 // the provider's documented 500
	HTML        float64 // a gateway's HTML page, with 502
	RateLimited float64 // 429 with Retry-After: 1
	Slow        float64 // the answer takes SlowBy
	Broken      float64 // the connection ends in the middle of the answer
	SlowBy      time.Duration
}

// Canned is an answer that replaces the regular one.
type Canned struct {
	Status      int
	ContentType string
	Header      http.Header
	Body        []byte
}

// Provider is the part that differs between simulated providers.
type Provider struct {
	Name string
	// Routes adds the documented API to mux. Every handler is wrapped by Server.Call.
	Routes func(s *Server, mux *http.ServeMux)
	// Fault500 and Fault429 are the provider's documented bodies for a call by name.
	Fault500, Fault429 func(call string) Canned
	// Begin creates a verification for a person, as if it had been started outside kycbridge.
	Begin func(s *Server, externalReference, person string) (reference string)
	// Retries are the provider's waits between deliveries of one callback, in simulated time.
	Retries []time.Duration
	// Delivered reports whether an answer ends the deliveries.
	Delivered func(status int) bool
	// API and Auth return the sections api and auth of kycbridge's configuration: how to call s, and how to
	// authenticate its callbacks.
	API  func(s *Server) map[string]string
	Auth func(c Credentials) string
	// OAuth2 reports that callbacks can present an access token (Credentials.OAuth2).
	OAuth2 bool
	// Settings are further lines of the account's configuration, indented by four, that the outcomes of
	// the people require.
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

	// Rand, IDs and State, the state of the provider, are guarded by Lock. Both sources are seeded with Options.Seed.
	// IDs is for the ids of verifications alone: they must not depend on how many calls came before.
	Rand  *rand.Rand
	IDs   *rand.Rand
	State any
}

// Lock locks the mutable state of the server and of the provider.
func (s *Server) Lock() { s.mu.Lock() }

// Unlock releases the lock.
func (s *Server) Unlock() { s.mu.Unlock() }

// Stats are the counters of a simulated provider.
type Stats struct {
	Calls        map[string]int // by the provider's name of the call
	Answers      map[int]int    // by status
	MostInSecond int            // the most calls within any one second
	AfterEnd     int            // result calls for a verification whose end was already reported
	Callbacks    int            // deliveries made
	Accepted     int            // callbacks with an answer that the provider accepts
	GivenUp      int            // callbacks that were not accepted at the last retry
	Waiting      int            // callbacks to be delivered, including withheld ones
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
		Rand: rand.New(rand.NewPCG(o.Seed, 1)), IDs: rand.New(rand.NewPCG(o.Seed, 2)),
		canned: map[string][]Canned{}, released: !o.Callbacks.Withhold,
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

// Name is the provider's name.
func (s *Server) Name() string { return s.provider.Name }

// Begin creates a verification as if it had been started outside kycbridge, and returns its
// reference. An empty person is the default one.
func (s *Server) Begin(externalReference, person string) string {
	return s.provider.Begin(s, externalReference, person)
}

// Can queues canned answers for the next calls of this name, one each. They precede any other rule.
func (s *Server) Can(call string, answers ...Canned) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.canned[call] = append(s.canned[call], answers...)
}

// Stats returns a copy of the counters.
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

// Now is the simulated time: it runs Speed times as fast as real time, from the start of the server.
func (s *Server) Now() time.Time {
	return s.begun.Add(time.Duration(float64(time.Since(s.begun)) * s.Speed))
}

// OnClock converts a simulated time to real time. Answers and callbacks contain real times: their
// receivers would consider a time in the future invalid.
func (s *Server) OnClock(life time.Time) time.Time {
	return s.begun.Add(s.Clock(life.Sub(s.begun)))
}

// Clock converts a simulated duration to real time.
func (s *Server) Clock(d time.Duration) time.Duration {
	return time.Duration(float64(d) / s.Speed)
}

// Next returns the next serial number, from 1. The caller holds the lock.
func (s *Server) Next() int {
	s.serial++
	return s.serial
}

// ToldEnd counts a result call in Stats.AfterEnd if told is true: an earlier answer has already reported
// the end of the verification. The caller holds the lock.
func (s *Server) ToldEnd(told bool) {
	if told {
		s.stats.AfterEnd++
	}
}
