package console

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"kycbridge/internal/archive"
)

// reportPace limits the payloads that a report reads per second, so that callbacks are not delayed.
const reportPace = 20_000

// reports builds reports, one at a time, and keeps the last one.
type reports struct {
	running sync.WaitGroup
	done    atomic.Int64 // payloads examined so far

	mu     sync.Mutex
	busy   bool
	last   *archive.Report
	at     time.Time
	took   time.Duration
	failed bool
}

// reportView is the report and the charts of the last day.
type reportView struct {
	Busy   bool
	Done   int64
	Failed bool
	Report *archive.Report
	At     time.Time
	Took   time.Duration
	Rows   []archive.Row
	Cut    int // rows that are not shown
	Charts []chart
}

// maxReportRows limits the rows of the report, and the losses, on a page.
const maxReportRows = 100

func (c *Console) reportPage(v visit) error {
	view := reportView{Charts: c.Day.charts()}
	r := &c.report
	r.mu.Lock()
	view.Busy, view.Done, view.Failed = r.busy, r.done.Load(), r.failed
	view.Report, view.At, view.Took = r.last, r.at, r.took
	r.mu.Unlock()
	if view.Report != nil {
		rows := view.Report.Rows
		view.Rows, view.Cut = rows[max(0, len(rows)-maxReportRows):], max(0, len(rows)-maxReportRows)
	}
	return c.show(v, "report", "Report", view)
}

// charts are the charts of the last day over all accounts.
func (d *Day) charts() []chart {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	days := make([]*accountDay, 0, len(d.accounts))
	for _, a := range d.accounts {
		days = append(days, a)
	}
	return []chart{
		chartOf("Callbacks", now, days, callbackSeries),
		chartOf("Verdicts", now, days, verdictSeries),
		chartOf("From receipt to event", now, days, delaySeries),
	}
}

// startReport starts a report in the background; a second request is ignored while one runs.
func (c *Console) startReport(v visit) error {
	a, err := c.Archive()
	if err != nil {
		return err
	}
	r := &c.report
	r.mu.Lock()
	begin := !r.busy && c.background.Err() == nil
	if begin {
		r.busy = true
		r.done.Store(0)
		r.running.Go(func() { c.account(a) })
	}
	r.mu.Unlock()
	if begin {
		c.Logger.Info("console report started", zap.String("by", v.by))
	}
	http.Redirect(v.w, v.r, "/console/report", http.StatusSeeOther)
	return nil
}

// account builds the report and keeps it.
func (c *Console) account(a *archive.Archive) {
	began := c.Now()
	report, err := a.Account(c.background, archive.Filter{}, limitRate(c.background, &c.report.done))
	r := &c.report
	r.mu.Lock()
	defer r.mu.Unlock()
	r.busy, r.failed = false, err != nil
	if err != nil {
		if c.background.Err() == nil {
			c.Logger.Warn("console report failed", zap.Error(err))
		}
		return
	}
	report.Lost = report.Lost[:min(len(report.Lost), maxReportRows)]
	report.Missing = report.Missing[:min(len(report.Missing), maxReportRows)]
	r.last, r.at, r.took = &report, c.Now(), c.Now().Sub(began)
}

// limitRate counts progress, and limits the read rate to reportPace.
func limitRate(ctx context.Context, done *atomic.Int64) func(int) {
	began := time.Now()
	return func(n int) {
		done.Store(int64(n))
		if early := time.Duration(n)*time.Second/reportPace - time.Since(began); n%256 == 0 && early > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(early):
			}
		}
	}
}

// Verdict is the report in one sentence.
func (v reportView) Verdict() string {
	if v.Report == nil {
		return ""
	}
	return v.Report.Verdict()
}

// Sequence is the progress of a report, as text.
func (v reportView) Sequence() string { return fmt.Sprintf("%d payloads read so far", v.Done) }
