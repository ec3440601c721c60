package main

import (
	"io"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows on a terminal how far a long operation has come. Elsewhere, and as nil, it is
// silent.
type progress struct {
	bar   *progressbar.ProgressBar
	total int64
}

// newProgress shows what is being counted; a total of 0 is not known.
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
		progressbar.OptionSetSpinnerChangeInterval(0), // else it would leave a goroutine behind
		progressbar.OptionClearOnFinish(),
	)}
}

// set says how much is done.
func (p *progress) set(done int64) {
	if p == nil {
		return
	}
	if p.total > 0 {
		// At the end the bar would go; what is at the end of what was there may go on.
		done = min(done, p.total-1)
	}
	_ = p.bar.Set64(done)
}

// clear takes the bar off the line, for something else to be written there.
func (p *progress) clear() {
	if p != nil {
		_ = p.bar.Clear()
	}
}

// above writes lines where a bar may stand.
type above struct {
	io.Writer
	bar *progress
}

func (a above) Write(b []byte) (int, error) {
	a.bar.clear()
	return a.Writer.Write(b)
}

// terminal reports whether a person sits at a stream.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
