package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"golang.org/x/sys/unix"
)

// paced sends callbacks at a share of the rate that was just measured, for as long as before, and adds to m how long
// answers and events took.
func (m *sample) paced(ctx context.Context, c contender, s *service, l *load, o options) error {
	m.PacedRate = m.EventRate * o.share / 100
	l.pace(m.PacedRate)
	delays, err := s.subscribe(c.subject)
	if err != nil {
		return err
	}
	end := time.Now().Add(o.duration)
	sent := l.send(ctx, func(int64) bool { return ctx.Err() == nil && time.Now().Before(end) })
	if _, err := s.waitFor(ctx, c.streams[len(c.streams)-1], l.answered); err != nil {
		return err
	}
	for fault, times := range sent.faults {
		m.Faults = append(m.Faults, fmt.Sprintf("%s, %d times at %.0f a second", fault, times, m.PacedRate))
	}
	m.PacedP50, m.PacedP99 = percentiles(sent.took)
	m.DelayP50, m.DelayP99 = percentiles(delays())
	return nil
}

// percentiles are the median and what 99 of 100 do not exceed, in milliseconds; 0 without times.
func percentiles(took []time.Duration) (median, p99 float64) {
	if len(took) == 0 {
		return 0, 0
	}
	slices.Sort(took)
	return milliseconds(took[len(took)/2]), milliseconds(took[len(took)*99/100])
}

// subscribe subscribes to the events of kycbridge. delays returns the times from the receipt of a payload to the
// subscriber. A contender whose events have no such time has no subject.
func (s *service) subscribe(subject string) (delays func() []time.Duration, err error) {
	if subject == "" {
		return func() []time.Duration { return nil }, nil
	}
	var mu sync.Mutex
	var all []time.Duration
	sub, err := s.nats.Subscribe(subject, func(m *nats.Msg) {
		now := time.Now()
		_, rest, _ := bytes.Cut(m.Data, []byte(`"received_at":"`))
		text, _, _ := bytes.Cut(rest, []byte(`"`))
		at, err := time.Parse(time.RFC3339Nano, string(text))
		if err != nil {
			return // the count of events is checked in the stream
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, now.Sub(at))
	})
	if err != nil {
		return nil, err
	}
	return func() []time.Duration {
		_ = sub.Unsubscribe() // the connection is closed soon
		mu.Lock()
		defer mu.Unlock()
		return all
	}, sub.SetPendingLimits(-1, -1)
}

// apart restricts this process to the last processor, and returns the command that starts a program on the others.
func apart() ([]string, error) {
	last := runtime.NumCPU() - 1
	if last < 1 {
		return nil, fmt.Errorf("-apart needs two processors or more: this machine has %d", last+1)
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		return nil, fmt.Errorf("-apart starts programs with taskset, which is not installed: %w", err)
	}
	var own unix.CPUSet
	own.Set(last)
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil, err
	}
	for _, thread := range threads { // a later thread inherits it
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			return nil, err
		}
		if err := unix.SchedSetaffinity(id, &own); err != nil {
			return nil, fmt.Errorf("-apart: %w", err)
		}
	}
	runtime.GOMAXPROCS(1)
	return []string{"taskset", "-c", fmt.Sprintf("0-%d", last-1)}, nil
}
