package simulated

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"kycbridge/internal/simulate"
	"kycbridge/test/wait"
)

func started(t *testing.T, p simulate.Provider, o simulate.Options) *simulate.Server {
	t.Helper()
	s, err := simulate.Start(p, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// eventually waits for a condition.
func eventually(t *testing.T, condition func() bool) {
	t.Helper()
	wait.For(t, 10*time.Second, "it happens", condition)
}

// receiver takes callbacks.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	got    []callback
	answer func(n int) int // status of the n-th callback, from 0; nil: 200
}

type callback struct {
	Header http.Header
	Body   string
	At     time.Time
}

func newReceiver(t *testing.T, answer func(n int) int) *receiver {
	t.Helper()
	r := &receiver{answer: answer}
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
		r.got = append(r.got, callback{req.Header.Clone(), string(body), time.Now()})
		w.WriteHeader(status)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) callbacks() []callback {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

func (r *receiver) bodies() []string {
	var out []string
	for _, c := range r.callbacks() {
		out = append(out, c.Body)
	}
	return out
}
