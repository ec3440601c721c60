package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kycbridge/test/bench/body"
)

const (
	warmUp       = 500             // payloads before the measurement
	eventTimeout = 2 * time.Minute // for the remaining events after everything has been answered
	settle       = 300 * time.Millisecond
)

// sample is one measurement of one contender. Faults are answers and counts that must not occur.
type sample struct {
	Contender    string   `json:"contender"`
	Body         string   `json:"body"`
	Repetition   int      `json:"repetition"`
	Answered     int      `json:"answered"`
	AnsweredRate float64  `json:"answered_per_second"`
	EventRate    float64  `json:"until_last_event_per_second"`
	Behind       int      `json:"events_behind"`
	P50          float64  `json:"answer_p50_ms"`
	P99          float64  `json:"answer_p99_ms"`
	Processor    float64  `json:"processor_ms_per_payload,omitempty"`
	Memory       float64  `json:"resident_mib"`
	PacedRate    float64  `json:"paced_per_second,omitempty"`
	PacedP50     float64  `json:"paced_answer_p50_ms,omitempty"`
	PacedP99     float64  `json:"paced_answer_p99_ms,omitempty"`
	DelayP50     float64  `json:"paced_event_p50_ms,omitempty"` // from the receipt to a subscriber
	DelayP99     float64  `json:"paced_event_p99_ms,omitempty"`
	Faults       []string `json:"faults,omitempty"`
}

// visit starts a contender in an empty folder, measures it and ends it.
func visit(ctx context.Context, c contender, b body.Body, o options, p programs, dir string) (sample, error) {
	s, err := c.start(ctx, p, o, dir)
	if s != nil {
		defer s.stop()
	}
	if err != nil {
		return sample{}, err
	}
	l := &load{addrs: s.callbacks, body: b, connections: o.connections}
	warm := l.send(ctx, func(n int64) bool { return n <= warmUp })
	events := c.streams[len(c.streams)-1]
	if _, err := s.waitFor(ctx, events, l.answered); err != nil {
		return sample{}, err
	}
	syscall.Sync() // so that earlier writes are not flushed during the measurement
	before, err := s.processor()
	if err != nil {
		return sample{}, err
	}
	end := time.Now().Add(o.duration)
	sent := l.send(ctx, func(int64) bool { return ctx.Err() == nil && time.Now().Before(end) })
	if len(sent.took) == 0 {
		return sample{}, fmt.Errorf("no callback was answered 200: %v", sent.faults)
	}
	stored, err := s.stored(ctx, events)
	if err != nil {
		return sample{}, err
	}
	m := sample{Contender: c.name, Body: b.Provider, Behind: max(0, l.answered-stored)}
	last, err := s.waitFor(ctx, events, l.answered)
	if err != nil {
		return sample{}, err
	}
	m.answers(sent, last)
	if err := m.resources(ctx, s, o, before); err != nil {
		return sample{}, err
	}
	if o.share > 0 {
		if err := m.paced(ctx, c, s, l, o); err != nil {
			return sample{}, err
		}
	}
	more, err := faults(ctx, c, s, l.answered, warm, sent)
	m.Faults = append(m.Faults, more...)
	return m, err
}

// answers adds the rates and the response times.
func (m *sample) answers(sent sending, lastEvent time.Time) {
	m.Answered = len(sent.took)
	m.AnsweredRate = math.Round(float64(m.Answered) / sent.last.Sub(sent.began).Seconds())
	m.EventRate = math.Round(float64(m.Answered) / lastEvent.Sub(sent.began).Seconds())
	m.P50, m.P99 = percentiles(sent.took)
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// resources adds processor time and memory, after the work that follows the last event.
func (m *sample) resources(ctx context.Context, s *service, o options, before time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(settle):
	}
	after, err := s.processor()
	if err != nil {
		return err
	}
	if o.slow == 0 { // strace adds to it
		m.Processor = milliseconds(after-before) / float64(m.Answered)
		m.Processor = math.Round(m.Processor*10000) / 10000
	}
	m.Memory, err = s.memory()
	return err
}

// waitFor waits until a stream holds this number of messages, for eventTimeout at most, and returns the time. It is
// no error if messages are missing: faults reports them.
func (s *service) waitFor(ctx context.Context, stream string, messages int) (time.Time, error) {
	deadline := time.Now().Add(eventTimeout)
	for {
		stored, err := s.stored(ctx, stream)
		now := time.Now()
		if err != nil || stored >= messages || now.After(deadline) {
			return now, err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// faults lists answers other than 200 and streams without exactly one message for each answer 200.
func faults(ctx context.Context, c contender, s *service, answered int, sendings ...sending) ([]string, error) {
	var out []string
	for _, one := range sendings {
		for what, times := range one.faults {
			out = append(out, fmt.Sprintf("%s, %d times", what, times))
		}
	}
	for _, stream := range c.streams {
		stored, err := s.stored(ctx, stream)
		if err != nil {
			return nil, err
		}
		if stored != answered {
			out = append(out, fmt.Sprintf("%s holds %d messages for %d answers 200", stream, stored, answered))
		}
	}
	slices.Sort(out)
	return out, nil
}

// processor is the processor time of the processes so far.
func (s *service) processor() (total time.Duration, err error) {
	const tick = 10 * time.Millisecond // the unit of Linux for processor times, on every machine
	for _, p := range s.processes {
		raw, err := os.ReadFile(p.proc("stat"))
		if err != nil {
			return 0, err
		}
		fields := bytes.Fields(raw[bytes.LastIndexByte(raw, ')')+1:]) // the first of these is field 3 of the file
		if len(fields) < 13 {
			return 0, fmt.Errorf("processor time of %s: unexpected text %q", p.name, raw)
		}
		for _, field := range fields[11:13] { // user and system
			ticks, err := strconv.Atoi(string(field))
			if err != nil {
				return 0, fmt.Errorf("processor time of %s: %w", p.name, err)
			}
			total += time.Duration(ticks) * tick
		}
	}
	return total, nil
}

// memory is the resident memory of the processes, in MiB.
func (s *service) memory() (total float64, err error) {
	for _, p := range s.processes {
		raw, err := os.ReadFile(p.proc("status"))
		if err != nil {
			return 0, err
		}
		_, value, _ := strings.Cut(string(raw), "VmRSS:")
		var kib float64
		if _, err := fmt.Sscan(value, &kib); err != nil {
			return 0, fmt.Errorf("memory of %s: %w", p.name, err)
		}
		total += kib / 1024
	}
	return math.Round(total), nil
}

func (p *process) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), file)
}
