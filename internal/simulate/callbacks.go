package simulate

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"
)

// Message is a callback ready to be sent.
type Message struct {
	URL    string
	Header http.Header // Content-Type and credentials
	Body   []byte
	// Sign, if set, adds the headers that depend on the time of the delivery.
	Sign func(h http.Header, body []byte, at time.Time)
	// Void, if set, is called before each delivery: true cancels the callback, because what it reports
	// never happened. It is called without mu.
	Void func() bool
	// Taken, if set, is called with the time when the callback was accepted. It is called without mu.
	Taken func(at time.Time)
}

// delivery is a message to be delivered.
type delivery struct {
	message Message
	after   time.Duration // in simulated time, from now or from the release
}

// Send delivers a callback after a simulated time, and retries on the provider's schedule until it is
// accepted. The caller does not hold mu; deliveries run in the background until Close.
func (s *Server) Send(m Message, after time.Duration) {
	if m.URL == "" {
		return
	}
	s.mu.Lock()
	o := s.Callbacks
	copies := 1
	if s.Rand.Float64() < o.Duplicates {
		copies = 2
	}
	if s.Rand.Float64() < o.Late {
		after += time.Minute
	}
	if o.Shuffle {
		after += time.Duration(s.Rand.Float64() * float64(30*time.Second))
	}
	var begin []*delivery
	for range copies {
		d := &delivery{message: m, after: after}
		s.stats.Waiting++
		if s.released {
			begin = append(begin, d)
		} else {
			s.withheld = append(s.withheld, d)
		}
	}
	s.mu.Unlock()
	for _, d := range begin {
		s.run(d)
	}
}

// Release sends the withheld callbacks; later ones are sent immediately.
func (s *Server) Release() {
	s.mu.Lock()
	waiting := s.withheld
	s.withheld, s.released = nil, true
	s.mu.Unlock()
	for _, d := range waiting {
		s.run(d)
	}
}

// run delivers until the callback is accepted or its schedule ends.
func (s *Server) run(d *delivery) {
	s.mu.Lock() // because Close waits for deliveries that began before it
	defer s.mu.Unlock()
	if s.life.Err() != nil {
		return
	}
	s.running.Go(func() {
		taken, wait := false, d.after
		for attempt := 0; ; attempt++ {
			if !s.pause(wait) {
				return
			}
			if d.message.Void != nil && d.message.Void() {
				s.mu.Lock()
				defer s.mu.Unlock()
				s.stats.Waiting--
				return
			}
			if taken = s.deliver(d.message); taken || attempt >= len(s.provider.Retries) {
				break
			}
			wait = s.provider.Retries[attempt]
		}
		if taken && d.message.Taken != nil {
			d.message.Taken(time.Now())
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.stats.Waiting--
		if taken {
			s.stats.Accepted++
		} else {
			s.stats.GivenUp++
		}
	})
}

// deliver sends a callback once.
func (s *Server) deliver(m Message) bool {
	ctx, cancel := context.WithTimeout(s.life, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(m.Body))
	if err != nil {
		return false
	}
	for name, values := range m.Header {
		req.Header[name] = values
	}
	if m.Sign != nil {
		m.Sign(req.Header, m.Body, time.Now())
	}
	s.mu.Lock()
	s.stats.Callbacks++
	s.mu.Unlock()
	res, err := s.Client.Do(req)
	if err != nil {
		s.answered(0, nil)
		return false
	}
	body, _ := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	res.Body.Close()
	s.answered(res.StatusCode, body)
	if res.StatusCode == http.StatusUnauthorized {
		s.forgetToken()
	}
	return s.provider.Delivered(res.StatusCode)
}

// answered reports the answer to a delivery.
func (s *Server) answered(status int, body []byte) {
	if s.Answered != nil && s.life.Err() == nil {
		s.Answered(status, body)
	}
}

// pause waits for a simulated time; false if the server was closed.
func (s *Server) pause(d time.Duration) bool {
	t := time.NewTimer(s.Clock(d))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-s.life.Done():
		return false
	}
}
