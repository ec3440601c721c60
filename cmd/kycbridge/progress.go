package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows the progress of a long operation on a terminal. Elsewhere, and as nil, it prints nothing.
type progress struct {
	bar   *progressbar.ProgressBar
	total int64
}

// newProgress shows a progress with its unit; a total of 0 is unknown.
func newProgress(to io.Writer, what string, total int64) *progress {
	if !terminal(to) {
		return nil
	}
	return drawn(to, what, total)
}

// drawn is a progress on any writer.
func drawn(to io.Writer, what string, total int64) *progress {
	most := total
	if most <= 0 {
		most = -1
	}
	return &progress{total: total, bar: progressbar.NewOptions64(most,
		progressbar.OptionSetWriter(to),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(30),
		progressbar.OptionShowCount(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetSpinnerChangeInterval(0), // prevents a leaked goroutine
		progressbar.OptionClearOnFinish(),
	)}
}

// set sets the progress.
func (p *progress) set(done int64) {
	if p == nil {
		return
	}
	if p.total > 0 {
		// A complete bar would disappear; the operation may continue after the initial end.
		done = min(done, p.total-1)
	}
	_ = p.bar.Set64(done)
}

// clear removes the bar from the line, before other output.
func (p *progress) clear() {
	if p != nil {
		_ = p.bar.Clear()
	}
}

// above writes lines above a bar.
type above struct {
	io.Writer
	bar *progress
}

func (a above) Write(b []byte) (int, error) {
	a.bar.clear()
	return a.Writer.Write(b)
}

// terminal reports whether a stream is a terminal.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
