package publisher

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"kycbridge/event"
)

// TestFlushesAreShared: callers that arrive while a flush runs share the next one, which begins after
// their arrival.
func TestFlushesAreShared(t *testing.T) {
	t.Parallel()
	var flushes atomic.Int32
	begin, end := make(chan struct{}), make(chan struct{})
	f := &flusher{sync: func() error {
		flushes.Add(1)
		begin <- struct{}{}
		<-end
		return nil
	}}
	var first, later sync.WaitGroup
	first.Go(func() { must(t, f.wait(t.Context())) })
	<-begin
	var returned atomic.Int32
	for range 50 {
		later.Go(func() {
			must(t, f.wait(t.Context()))
			returned.Add(1)
		})
	}
	eventually(t, "the next flush has callers", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.next != nil
	})
	end <- struct{}{}
	first.Wait()
	<-begin
	if n := returned.Load(); n != 0 {
		t.Errorf("%d callers returned with a flush that began before they came", n)
	}
	close(end)
	for flushing := true; flushing; { // a caller may have arrived after the second flush began
		select {
		case <-begin:
		case <-time.After(100 * time.Millisecond):
			flushing = f.busy()
		}
	}
	later.Wait()
	if n := flushes.Load(); n > 4 {
		t.Errorf("%d flushes for 51 callers", n)
	}
}

// TestFlushesApart: between the beginnings of two flushes passes more time if several callers share them, and a caller
// that comes after a pause is served at once.
func TestFlushesApart(t *testing.T) {
	for callers, want := range map[int]time.Duration{1: flushesApart, 2: flushesApart, 3: sharedFlushesApart,
		100: sharedFlushesApart} {
		if got := (&flush{callers: callers}).apart(); got != want {
			t.Errorf("%d callers: %s apart, want %s", callers, got, want)
		}
	}
	for workers, apart := range map[int]time.Duration{1: flushesApart, 16: sharedFlushesApart} {
		gaps := gapsOfFlushes(t, workers)
		if median := gaps[len(gaps)/2]; median < apart {
			t.Errorf("%d workers: half of the flushes began %s apart or less, want %s", workers, median, apart)
		}
	}
	f := &flusher{sync: func() error { return nil }}
	var waits []time.Duration
	for range 9 {
		began := time.Now()
		must(t, f.wait(t.Context()))
		waits = append(waits, time.Since(began))
		eventually(t, "the pause after the flush is over", func() bool { return !f.busy() })
	}
	if fastest := slices.Min(waits); fastest >= flushesApart { // one may be slow because of other tests
		t.Errorf("a single caller waits %s", fastest)
	}
}

// gapsOfFlushes are the times between the beginnings of flushes that workers share, each worker for 50 flushes in a
// row; the shortest first.
func gapsOfFlushes(t *testing.T, workers int) (gaps []time.Duration) {
	t.Helper()
	var last time.Time
	f := &flusher{sync: func() error { // one at a time
		if now := time.Now(); !last.IsZero() {
			gaps = append(gaps, now.Sub(last))
		}
		last = time.Now()
		return nil
	}}
	var working sync.WaitGroup
	for range workers {
		working.Go(func() {
			for range 50 {
				must(t, f.wait(t.Context()))
			}
		})
	}
	working.Wait()
	slices.Sort(gaps)
	return gaps
}

func (f *flusher) busy() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running
}

// TestAFailedFlushIsFinal: after a failed flush nothing is durable any more, even if the next one would
// succeed. A flush that hangs does not hold a caller beyond its time.
func TestAFailedFlushIsFinal(t *testing.T) {
	t.Parallel()
	results := []error{nil, errNoBlocks, nil, errors.Join(errNotFlushed, syscall.EIO), nil, nil}
	var n int
	f := &flusher{sync: func() error { n++; return results[n-1] }}
	for i, want := range []error{nil, errNoBlocks, nil, errNotFlushed, errNotFlushed, errNotFlushed} {
		if err := f.wait(t.Context()); !errors.Is(err, want) {
			t.Errorf("flush %d: %v, want %v", i+1, err, want)
		}
	}
	release := make(chan struct{})
	defer close(release)
	hanging := &flusher{sync: func() error { <-release; return nil }}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := hanging.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a disk that hangs: %v", err)
	}
}

// TestFlushes flushes a folder in which files appear, are replaced and are removed.
func TestFlushes(t *testing.T) {
	t.Parallel()
	b := newBlockFiles(t.TempDir())
	block := func(n int) string { return filepath.Join(b.folder, strconv.Itoa(n)+".blk") }
	write := func(numbers ...int) {
		for _, n := range numbers {
			must(t, os.WriteFile(block(n), []byte("message"), 0o600))
		}
	}
	if err := b.sync(); !errors.Is(err, errNoBlocks) {
		t.Errorf("an empty folder: %v", err)
	}
	write(3, 12)
	must(t, os.WriteFile(filepath.Join(b.folder, "index.db"), nil, 0o600))
	for _, step := range []struct {
		name string
		do   func()
		last uint64
	}{
		{"the first flush", func() {}, 12},
		{"nothing new", func() {}, 12},
		{"the next file", func() { write(13) }, 13},
		{"several new files", func() { write(14, 15, 16) }, 16},
		{"a replaced file", func() {
			must(t, os.WriteFile(block(16)+".tmp", []byte("message"), 0o600))
			must(t, os.Rename(block(16)+".tmp", block(16)))
		}, 16},
		{"the last file was removed", func() { must(t, os.Remove(block(16))) }, 15},
		{"it begins anew", func() {
			for _, n := range []int{3, 12, 13, 14, 15} {
				must(t, os.Remove(block(n)))
			}
			write(1)
		}, 1},
	} {
		step.do()
		must(t, b.sync())
		info, err := os.Stat(block(int(step.last)))
		must(t, err)
		if b.last != step.last || b.inode != info.Sys().(*syscall.Stat_t).Ino {
			t.Errorf("%s: flushed up to %d.blk, want %d.blk", step.name, b.last, step.last)
		}
	}
}

// TestFlushesCoverWhatWasThere: while a flush runs, the server appends to the last file, begins new files and removes
// others. A flush covers everything that was appended before it began.
func TestFlushesCoverWhatWasThere(t *testing.T) {
	t.Parallel()
	for seed := range uint64(20) {
		source := rand.New(rand.NewPCG(seed, 1))
		s := &appendingServer{T: t, Rand: source, folder: t.TempDir(), durable: map[uint64]int64{}}
		s.grow()
		b := newBlockFiles(s.folder)
		b.datasync = s.datasync
		for range 10 {
			s.act()
			there := maps.Clone(s.sizes)
			must(t, b.sync())
			for n, size := range there {
				if _, isThere := s.sizes[n]; isThere && s.durable[n] < size {
					t.Fatalf("seed %d: %d of %d bytes of %d.blk are flushed", seed, s.durable[n], size, n)
				}
			}
		}
	}
}

// appendingServer writes files as the embedded server does, also while one of them is flushed.
type appendingServer struct {
	*testing.T
	*rand.Rand

	folder  string
	last    uint64
	sizes   map[uint64]int64
	durable map[uint64]int64 // flushed bytes
}

// grow appends a message to the last file, or begins the next one with it.
func (s *appendingServer) grow() {
	s.Helper()
	if s.last == 0 || s.IntN(3) == 0 {
		s.last++
	}
	f, err := os.OpenFile(filepath.Join(s.folder, fmt.Sprint(s.last, ".blk")), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	must(s.T, err)
	_, err = f.WriteString("message")
	must(s.T, errors.Join(err, f.Close()))
	if s.sizes == nil {
		s.sizes = map[uint64]int64{}
	}
	s.sizes[s.last] += int64(len("message"))
}

// act appends some messages, and removes a file that is not the last one.
func (s *appendingServer) act() {
	s.Helper()
	for range s.IntN(4) {
		s.grow()
	}
	if n := s.Uint64N(s.last) + 1; n < s.last && s.IntN(4) == 0 {
		if err := os.Remove(filepath.Join(s.folder, fmt.Sprint(n, ".blk"))); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.Fatal(err)
		}
		delete(s.sizes, n)
	}
}

// datasync flushes what a file contains when the flush begins.
func (s *appendingServer) datasync(f *os.File) error {
	s.Helper()
	info, err := f.Stat()
	must(s.T, err)
	n, err := strconv.ParseUint(strings.TrimSuffix(filepath.Base(f.Name()), ".blk"), 10, 64)
	must(s.T, err)
	s.durable[n] = info.Size()
	s.act()
	return nil
}

// TestOtherProcessesFlush: if a command reaches the store through the port of the process that runs it,
// that process flushes what the command stores, and the command gets an error if the flush fails.
func TestOtherProcessesFlush(t *testing.T) {
	t.Parallel()
	server, store, _ := start(t, t.TempDir())
	c, err := Connect(t.Context(), Dial{Name: "tool", Options: server.Dial()}, testMaxBody, zap.NewNop())
	must(t, err)
	defer c.Close()
	if _, remote := c.disk.(*remoteDisk); !remote || !c.sharesFlush {
		t.Fatalf("it flushes by %T", c.disk)
	}
	must(t, c.disk.flush(t.Context(), testNames.events()))
	must(t, c.disk.flushAll(t.Context()))
	if err := c.disk.flush(t.Context(), "NO_SUCH_STREAM"); err == nil {
		t.Error("a stream without files is flushed")
	}
	server.flushing.Close()
	// The request may still be sent to the closed connection, and is then never answered.
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if err := c.disk.flush(short, testNames.events()); err == nil {
		t.Error("a request that nobody answers counts as a flush")
	}
	server.disk.mu.Lock()
	server.disk.byStream[testNames.payloads()] = &flusher{sync: func() error { return errNotFlushed }}
	server.disk.mu.Unlock()
	if _, err := store.Append(t.Context(), payload("idv", "e1", "{}")); !errors.Is(err, errNotFlushed) {
		t.Errorf("a payload that was not flushed: %v", err)
	}
	if !store.payloads.health.failing() {
		t.Error("a failed flush does not count as a failed write")
	}
}

// unwritable is a disk that takes nothing.
type unwritable struct{ disk }

func (unwritable) flush(context.Context, string) error { return errNotFlushed }

// TestUnflushedEventsAreNotRead: an event could not be flushed. The server shows it, but it does not count as published
// until a flush succeeds.
func TestUnflushedEventsAreNotRead(t *testing.T) {
	t.Parallel()
	_, _, bus := start(t, t.TempDir())
	p := payload("idv", "e1", `{}`)
	e, body := eventOf(p, 1)
	intact := bus.disk
	bus.disk = unwritable{intact}
	if err := bus.Publish(t.Context(), key(p), sealed(event.KindUpdated, e, body), 0); !errors.Is(err, errNotFlushed) {
		t.Fatalf("published on a disk that takes nothing: %v", err)
	}
	if last, err := bus.Last(t.Context(), key(p), true); !errors.Is(err, errNotFlushed) {
		t.Errorf("it counts as published: %+v, %v", last.Data, err)
	}
	bus.disk = intact
	if last, err := bus.Last(t.Context(), key(p), true); err != nil || last.Data == nil {
		t.Errorf("after a flush: %+v, %v", last.Data, err)
	}
}
