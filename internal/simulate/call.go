package simulate

import (
	"net/http"
	"strconv"
	"time"
)

// Call wraps a handler of the API: it counts and limits calls, and makes them fail as configured in the
// options. A token call is counted and limited, but gets no faults.
func (s *Server) Call(name string, token bool, handle http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		canned, slow, broken := s.admit(name, token)
		if slow > 0 {
			select {
			case <-time.After(slow):
			case <-r.Context().Done():
				return
			case <-s.life.Done(): // the context of a request does not end with the connection before its body is read
				panic(http.ErrAbortHandler)
			}
		}
		out := &counted{ResponseWriter: w, status: http.StatusOK, broken: broken}
		if canned != nil {
			canned.Write(out)
		} else {
			handle(out, r)
		}
		s.mu.Lock()
		s.stats.Answers[out.status]++
		s.mu.Unlock()
		if broken {
			panic(http.ErrAbortHandler)
		}
	}
}

// admit counts a call and decides whether and how it fails.
func (s *Server) admit(name string, token bool) (canned *Canned, slow time.Duration, broken bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.Calls[name]++
	now := time.Now()
	for len(s.recent) > 0 && now.Sub(s.recent[0]) >= time.Second {
		s.recent = s.recent[1:]
	}
	s.recent = append(s.recent, now)
	s.stats.MostInSecond = max(s.stats.MostInSecond, len(s.recent))
	if waiting := s.canned[name]; len(waiting) > 0 {
		s.canned[name] = waiting[1:]
		return &waiting[0], 0, false
	}
	limited := func() *Canned {
		c := s.provider.Fault429(name)
		if c.Header == nil {
			c.Header = http.Header{}
		}
		c.Header.Set("Retry-After", "1")
		return &c
	}
	if s.Limit > 0 && len(s.recent) > s.Limit {
		return limited(), 0, false
	}
	if token {
		return nil, 0, false
	}
	f, dice := s.Faults, s.Rand.Float64()
	below := func(share float64) bool {
		dice -= share
		return dice < 0 && share > 0
	}
	switch {
	case below(f.Error500):
		c := s.provider.Fault500(name)
		return &c, 0, false
	case below(f.HTML):
		return &Canned{Status: http.StatusBadGateway, ContentType: "text/html",
			Body: []byte("<html><body><h1>502 Bad Gateway</h1></body></html>")}, 0, false
	case below(f.RateLimited):
		return limited(), 0, false
	case below(f.Slow):
		return nil, f.SlowBy, false
	case below(f.Broken):
		return nil, 0, true
	}
	return nil, 0, false
}

// Write answers a call with c.
func (c *Canned) Write(w http.ResponseWriter) {
	for name, values := range c.Header {
		w.Header()[name] = values
	}
	if c.ContentType != "" {
		w.Header().Set("Content-Type", c.ContentType)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(c.Body)))
	w.WriteHeader(c.Status)
	_, _ = w.Write(c.Body)
}

// counted records the status, and ends a broken answer in its middle.
type counted struct {
	http.ResponseWriter
	status int
	broken bool
}

func (c *counted) WriteHeader(status int) {
	c.status = status
	if c.broken {
		c.Header().Del("Content-Length")
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counted) Write(b []byte) (int, error) {
	if c.broken {
		n, err := c.ResponseWriter.Write(b[:len(b)/2])
		if flusher, ok := c.ResponseWriter.(http.Flusher); ok {
			flusher.Flush()
		}
		return n, err
	}
	return c.ResponseWriter.Write(b)
}

// Cut reports whether an answer will end in its middle, so that its content does not reach the client.
func Cut(w http.ResponseWriter) bool {
	c, ok := w.(*counted)
	return ok && c.broken
}

// Answer writes JSON.
func Answer(w http.ResponseWriter, status int, body []byte) {
	(&Canned{Status: status, ContentType: "application/json", Body: body}).Write(w)
}
