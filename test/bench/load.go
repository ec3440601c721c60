package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"kycbridge/test/bench/body"
)

// answerTimeout is how long a callback waits for its answer.
const answerTimeout = 30 * time.Second

// load sends callbacks, the next on each connection after the answer to the previous one. It shares the processors
// with the measured service, so it is cheap: the bytes of requests are prepared, and only ids change.
type load struct {
	addrs       []string // one after the other for each connection
	body        body.Body
	connections int
	sent        atomic.Int64            // numbers the payloads, so that each has its own verification
	answered    int                     // answers 200 of all sendings
	due         func(n int64) time.Time // when a callback is sent; nil: after the last answer
}

// sending is the outcome of one sending.
type sending struct {
	took        []time.Duration // of each answer 200
	began, last time.Time       // last is when the last answer came
	faults      map[string]int  // number of occurrences of each other answer and error
}

// send sends callbacks until more returns false.
func (l *load) send(ctx context.Context, more func(n int64) bool) sending {
	each := make([]sending, l.connections)
	all := sending{began: time.Now(), faults: map[string]int{}}
	var work sync.WaitGroup
	for i := range each {
		work.Go(func() {
			if err := l.sendOne(ctx, l.addrs[i%len(l.addrs)], &each[i], more); err != nil {
				each[i].fault(err.Error())
			}
		})
	}
	work.Wait()
	for _, one := range each {
		all.took = append(all.took, one.took...)
		if one.last.After(all.last) {
			all.last = one.last
		}
		for fault, times := range one.faults {
			all.faults[fault] += times
		}
	}
	l.answered += len(all.took)
	return all
}

func (s *sending) fault(what string) {
	if s.faults == nil {
		s.faults = map[string]int{}
	}
	s.faults[what]++
}

// sendOne sends over one connection.
func (l *load) sendOne(ctx context.Context, addr string, s *sending, more func(n int64) bool) error {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	request := fmt.Appendf(nil, "POST /webhooks/%s/acme HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"+
		"Authorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", l.body.Provider, token, l.body.Size())
	head := len(request)
	request = append(request, l.body.Next(0)...)
	answers := bufio.NewReader(conn)
	for n := l.sent.Add(1); more(n); n = l.sent.Add(1) {
		l.body.Renew(request[head:], int(n))
		began := l.moment(n)
		if err := conn.SetDeadline(began.Add(answerTimeout)); err != nil {
			return err
		}
		if _, err := conn.Write(request); err != nil {
			return fmt.Errorf("send a callback: %w", err)
		}
		status, err := readAnswer(answers)
		if err != nil {
			return fmt.Errorf("read an answer: %w", err)
		}
		s.last = time.Now()
		if status != 200 {
			s.fault(fmt.Sprintf("answer %d", status))
			continue
		}
		s.took = append(s.took, s.last.Sub(began))
	}
	return nil
}

// pace makes later callbacks due at so many a second.
func (l *load) pace(perSecond float64) {
	first, began := l.sent.Load()+1, time.Now()
	l.due = func(n int64) time.Time {
		return began.Add(time.Duration(float64(n-first) / perSecond * float64(time.Second)))
	}
}

// moment waits until a callback is due and returns the time from which its answer counts: if all connections were
// busy, the callback should have been sent earlier.
func (l *load) moment(n int64) time.Time {
	now := time.Now()
	if l.due == nil {
		return now
	}
	due := l.due(n)
	if due.Before(now) {
		return due
	}
	time.Sleep(due.Sub(now))
	return time.Now()
}

// readAnswer reads one HTTP answer and returns its status.
func readAnswer(r *bufio.Reader) (status int, err error) {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return 0, fmt.Errorf("%q is no HTTP answer", line)
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, fmt.Errorf("status of an answer: %w", err)
	}
	length := -1
	for {
		if line, err = r.ReadSlice('\n'); err != nil {
			return status, err
		}
		if line = bytes.TrimRight(line, "\r\n"); len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return status, fmt.Errorf("length of an answer: %w", err)
			}
		}
	}
	if length < 0 {
		return status, errors.New("an answer has no Content-Length")
	}
	_, err = r.Discard(length)
	return status, err
}
