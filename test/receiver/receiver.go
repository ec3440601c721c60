// Package receiver receives the callbacks of simulated providers in tests.
package receiver

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// Receiver is an HTTP server that records callbacks.
type Receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []Callback
	answer func(n int) int
}

// Callback is one delivery.
type Callback struct {
	Header http.Header
	Body   string
	At     time.Time
}

// New returns a receiver that runs until the test ends. answer is the status of the n-th callback, from 0;
// nil: 200.
func New(t *testing.T, answer func(n int) int) *Receiver {
	t.Helper()
	r := &Receiver{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		status := http.StatusOK
		if r.answer != nil {
			status = r.answer(len(r.got))
		}
		r.got = append(r.got, Callback{req.Header.Clone(), string(body), time.Now()})
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

// Callbacks returns the deliveries so far.
func (r *Receiver) Callbacks() []Callback {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// Bodies returns the bodies of the deliveries so far.
func (r *Receiver) Bodies() []string {
	var out []string
	for _, c := range r.Callbacks() {
		out = append(out, c.Body)
	}
	return out
}
