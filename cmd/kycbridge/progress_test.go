package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"kycbridge/event"
	"kycbridge/internal/archive"
)

// TestProgress: a bar shows the share of a known total, counts without one, and is cleared for other
// output.
func TestProgress(t *testing.T) {
	var silent *progress
	silent.set(1)
	silent.clear()
	if newProgress(&bytes.Buffer{}, "x", 3) != nil {
		t.Error("a bar without a terminal")
	}
	for name, c := range map[string]struct {
		total int64
		want  string
	}{"known": {10, "(9/10"}, "unknown": {0, "(20/-"}} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			bar := drawn(&out, "replay", c.total)
			for _, n := range []int64{1, 20} {
				bar.set(n)
				time.Sleep(110 * time.Millisecond) // a bar is drawn ten times a second at most
			}
			bar.set(20)
			if !strings.Contains(out.String(), "replay") || !strings.Contains(out.String(), c.want) {
				t.Errorf("%q", out.String())
			}
			var results bytes.Buffer
			before := out.Len()
			fmt.Fprintln(above{&results, bar}, "a result")
			if results.String() != "a result\n" || out.Len() == before {
				t.Errorf("the bar stands in the way of %q", results.String())
			}
		})
	}
}

// TestEnds: only a signal, and a closed reader, end a command quietly.
func TestEnds(t *testing.T) {
	interruptedContext, stop := context.WithCancel(t.Context())
	stop()
	lost := fmt.Errorf("read stream: %w", context.Canceled)
	if err := ended(t.Context(), lost); quietPipe(err) == nil || !strings.Contains(err.Error(), "was lost") {
		t.Errorf("a lost connection: %v", err)
	}
	slow := fmt.Errorf("keep payloads out of the log: %w", context.DeadlineExceeded)
	if err := ended(t.Context(), slow); quietPipe(err) == nil || !strings.Contains(err.Error(), "did not answer in time") {
		t.Errorf("a store that does not answer: %v", err)
	}
	refused := fmt.Errorf("look up stream: %w", nats.ErrReconnectBufExceeded) // of a server that has stopped
	if err := ended(t.Context(), refused); !errors.Is(err, errStoreLost) {
		t.Error(err)
	}
	if err := ended(interruptedContext, lost); quietPipe(err) != nil {
		t.Errorf("a signal: %v", err)
	}
	if err := broken(interruptedContext, lost, "go on"); quietPipe(err) == nil || err.Error() != "interrupted: go on" {
		t.Errorf("work that a signal stopped: %v", err)
	}
	unread, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	unread.Close()
	defer out.Close()
	_, closed := fmt.Fprintln(out, "x")
	if err := broken(t.Context(), closed, "go on"); quietPipe(closed) != nil || quietPipe(err) == nil ||
		err.Error() != "the output was closed: go on" {
		t.Errorf("work whose reader has gone: %v", err)
	}
	gone := fmt.Errorf("the connection has ended: %w", &net.OpError{Op: "write", Net: "tcp",
		Err: os.NewSyscallError("write", syscall.EPIPE)})
	if err := broken(t.Context(), gone, "go on"); quietPipe(gone) == nil || err != nil {
		t.Errorf("a broken connection counts as a closed output: %v", err)
	}
	if err := errors.Join(broken(t.Context(), nil, "x"), broken(t.Context(), errors.New("other"), "x"),
		broken(t.Context(), lost, "x")); err != nil {
		t.Errorf("%v", err)
	}
}

// TestInterruptible: a blocked read ends with its context.
func TestInterruptible(t *testing.T) {
	waiting, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	ctx, stop := context.WithCancel(t.Context())
	r := interruptible(ctx, waiting)
	time.AfterFunc(10*time.Millisecond, stop)
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	whole, err := io.ReadAll(interruptible(t.Context(), strings.NewReader("all of it")))
	if err != nil || string(whole) != "all of it" {
		t.Errorf("%q %v", whole, err)
	}
}

// TestPrintReport: the sums of the table are correct, and losses are listed below it.
func TestPrintReport(t *testing.T) {
	row := archive.Row{Day: "2026-03-02", Provider: "ondato", Account: "acme", Received: 5, Accepted: 4, WithEvent: 1,
		NoEvent:     map[string]int{"ignored": 1, "unchanged": 1},
		Quarantined: map[string]int{"schema": 1}, Lost: 1}
	total := row
	total.Day, total.Provider, total.Account = "", "", ""
	r := archive.Report{Rows: []archive.Row{row}, Total: total, LostAll: 3,
		Lost: []archive.Loss{{Entry: archive.Entry{ReceivedAt: event.Instant(time.Unix(0, 0)), PayloadID: "p\x1b[2J"},
			Why: "why"}}}
	var b bytes.Buffer
	if err := printReport(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"DAY         PROVIDER  ACCOUNT  RECEIVED  ",
		"\n2026-03-02  ondato    acme     5         4         1           2 ", "\ntotal ",
		"\nwithout event: 1 ignored, 1 unchanged\n", "\nlost:\n  1970-01-01T00:00:00Z  p?[2J  -: why\n  and 2 more\n"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, &b)
		}
	}
}
