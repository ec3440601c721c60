package oracle

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"net/http"
	"sync"
	"time"
)

// Senders deliver verifications like providers: a callback that is not answered 200 is repeated.
type Senders struct {
	ctx     context.Context // ends when sending must stop
	bridges []*Bridge
	ledger  *Ledger
	client  *http.Client
	lines   chan struct{} // limits concurrent requests
	running sync.WaitGroup
}

const atOnce = 24

func newSenders(ctx context.Context, bridges []*Bridge, ledger *Ledger) *Senders {
	transport := &http.Transport{MaxIdleConnsPerHost: atOnce, MaxConnsPerHost: 2 * atOnce}
	return &Senders{ctx: ctx, bridges: bridges, ledger: ledger, lines: make(chan struct{}, atOnce),
		client: &http.Client{Timeout: 20 * time.Second, Transport: transport}}
}

// Play delivers all of v without waiting for it.
func (s *Senders) Play(v *Verification) {
	s.ledger.open(v)
	all := v.deliveries()
	v.add(len(all))
	if v.InOrder {
		s.running.Go(func() {
			for _, d := range all {
				s.untilTaken(d)
				v.add(-1)
			}
		})
		return
	}
	if v.Watched {
		s.running.Go(func() { s.watch(v) })
	}
	for _, d := range all {
		s.running.Go(func() { s.play(d) })
	}
}

// play delivers d and its repeats.
func (s *Senders) play(d *Delivery) {
	defer d.Of.add(-1)
	if !pause(s.ctx, d.Delay) || !s.untilTaken(d) {
		return
	}
	for _, later := range d.Repeats {
		if !pause(s.ctx, later) {
			return
		}
		s.once(d)
	}
}

// untilTaken repeats d until it is answered 200.
func (s *Senders) untilTaken(d *Delivery) bool {
	for s.ctx.Err() == nil {
		if s.once(d) {
			return true
		}
		pause(s.ctx, 200*time.Millisecond)
	}
	return false
}

// once sends d to one of the processes.
func (s *Senders) once(d *Delivery) (taken bool) {
	select {
	case s.lines <- struct{}{}:
		defer func() { <-s.lines }()
	case <-s.ctx.Done():
		return false
	}
	try, sent := d.sending(), time.Now()
	code, body, err := s.post(s.bridges[where(d, try, len(s.bridges))], d)
	if err != nil {
		return false
	}
	s.ledger.note(code, body)
	if code != http.StatusOK {
		return false
	}
	a := Answer{Sent: sent, At: time.Now()}
	if json.Unmarshal(body, &a) != nil {
		a.Status = "no JSON"
	}
	d.answered(a)
	return true
}

// where is the index of the process for an attempt. It is the same for the same seed.
func where(d *Delivery, try, of int) int {
	h := fnv.New32a()
	fmt.Fprint(h, d.Digest, try)
	return int(h.Sum32() % uint32(of))
}

func (s *Senders) post(b *Bridge, d *Delivery) (code int, answer []byte, err error) {
	r, err := http.NewRequestWithContext(s.ctx, http.MethodPost, "http://"+b.callbacks+"/webhooks/"+d.Account,
		bytes.NewReader(d.Body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	authorize(r, d.Account)
	return s.do(r)
}

func (s *Senders) do(r *http.Request) (code int, answer []byte, err error) {
	resp, err := s.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// watch requests a watch of v until it is accepted.
func (s *Senders) watch(v *Verification) {
	body, err := json.Marshal(object{"provider": v.Provider, "account": "seen", "reference": v.Reference})
	if err != nil {
		return // values of these types always encode
	}
	for s.ctx.Err() == nil {
		r, err := http.NewRequestWithContext(s.ctx, http.MethodPost, "http://"+s.bridges[0].admin+"/v1/watches",
			bytes.NewReader(body))
		if err != nil {
			return
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+adminToken)
		if code, _, err := s.do(r); err == nil && code == http.StatusAccepted {
			return
		}
		pause(s.ctx, 300*time.Millisecond)
	}
}

// pause waits for d. It returns false if ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
