package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
)

// replayFlags are the flags of replay.
type replayFlags struct {
	filterFlags
	to                          string
	rate                        float64
	workers                     int
	dryRun, yes, reveal, asJSON bool
}

func replayCommand(o *payloadFlags) *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Process stored payloads again, with the current schemas and mapping",
		Long: `Process stored payloads again, with the current schemas and mapping, and publish a revision of
each verification that differs, and of no other. With --status quarantined
the payloads are validated again, with --status refused they are authenticated again with
the current secrets; those that pass move to the payload log.

It may run beside serve, be interrupted with Ctrl-C, and run twice. --dry-run prints what
would differ. --to sends every event of the selected verifications to another subject, or
to a file, for a consumer that rebuilds, and publishes nothing.`,
		Example: `  kycbridge payloads replay --dry-run --provider ondato --since 720h
  kycbridge payloads replay --status quarantined --reason schema --yes
  kycbridge payloads replay --to ./events.ndjson`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd, o) },
	}
	f.addTo(cmd, o)
	return cmd
}

// addTo adds the flags to the command.
func (f *replayFlags) addTo(cmd *cobra.Command, o *payloadFlags) {
	g := cmd.Flags()
	f.add(g, append(selecting, "limit")...)
	g.Uint64Var(&f.From, "from", 0, "first `sequence`, to continue after an interruption")
	g.BoolVar(&f.dryRun, "dry-run", false, "print what would differ and change nothing")
	g.StringVar(&f.to, "to", "", "send the events to this `subject` or file instead of the event stream; a file contains "+
		"a / or ends in .ndjson or .json, - is standard output")
	g.Float64Var(&f.rate, "rate", 0, "at most this `many` payloads a second; 0 is no limit")
	g.IntVar(&f.workers, "workers", archive.DefaultWorkers, "how `many` verifications are processed concurrently")
	o.addWhy(cmd, "--reveal and --to")
	g.BoolVar(&f.reveal, "reveal", false, "print differences in personal values unmasked")
	g.BoolVar(&f.yes, "yes", false, "do not ask")
	g.BoolVar(&f.asJSON, "json", false, "print each result as a JSON object, one per line, and the summary last")
}

// run checks the flags, asks if anything would change, and replays.
func (f *replayFlags) run(cmd *cobra.Command, o *payloadFlags) error {
	filter, err := f.check(time.Now())
	switch {
	case err != nil:
	case f.reveal:
		err = o.needReason("--reveal prints values about persons")
	case f.to != "" && !f.dryRun:
		err = o.needReason("--to sends whole events, with values about persons")
	}
	if err != nil {
		return usage(cmd, err.Error())
	}
	// A file changes nothing in the stores.
	silent := f.to != "" && !archive.IsSubject(f.to)
	if err := requireTerminal(cmd, f.yes || silent, f.dryRun, "a replay changes what consumers see"); err != nil {
		return err
	}
	app.TuneMemory()
	return o.with(cmd, func(ctx context.Context, s store) error {
		if f.to != "" && !silent {
			if err := app.ForeignSubject(s.config, f.to); err != nil {
				return usage(cmd, "--to "+printable(f.to)+": "+err.Error())
			}
		}
		if err := s.resolve(ctx, &filter); err != nil {
			return err
		}
		r := replay{replayFlags: *f, cmd: cmd, store: s, filter: filter}
		if !f.yes && !f.dryRun && !silent {
			if startMore, err := r.ask(ctx); err != nil || !startMore {
				return err
			}
		}
		return r.run(ctx)
	})
}

// check is the filter of the flags, or their fault.
func (f *replayFlags) check(now time.Time) (archive.Filter, error) {
	filter, err := f.filter(now)
	switch {
	case err != nil:
		return filter, err
	case f.rate < 0 || math.IsNaN(f.rate) || math.IsInf(f.rate, 0):
		return filter, errors.New("--rate is a number of payloads a second, or 0")
	case f.workers < 1 || f.workers > 256:
		return filter, errors.New("--workers is a number from 1 to 256")
	}
	filter = app.Replayable(filter)
	if kept := filter.Status == archive.StatusQuarantined || filter.Status == archive.StatusRefused; kept && f.to != "" {
		return filter, fmt.Errorf("--to sends the events of accepted payloads, and %s ones have none", filter.Status)
	}
	return filter, nil
}

// replay is one run of the command.
type replay struct {
	replayFlags
	cmd    *cobra.Command
	store  store
	filter archive.Filter
}

// options are the options of the library. Progress is by sequence if the log is read.
func (r *replay) options(bar *progress) archive.ReplayOptions {
	return archive.ReplayOptions{Filter: r.filter, DryRun: r.dryRun, PerSecond: r.rate, Workers: r.workers,
		Progress: func(done int, through uint64) {
			if bar != nil && bar.total > 0 {
				bar.set(int64(through))
			} else {
				bar.set(int64(done))
			}
		}}
}

// bar is the progress of a run: the position in the log if that is read, else a count.
func (r *replay) bar(ctx context.Context) *progress {
	total := int64(0)
	if accepted := r.filter.Status != archive.StatusQuarantined && r.filter.Status != archive.StatusRefused; accepted &&
		r.filter.Limit == 0 {
		if position, err := r.store.DispositionLog.Position(ctx); err == nil {
			total = int64(position.Last)
		}
	}
	return newProgress(r.cmd.ErrOrStderr(), "replay", total)
}

// ask counts the changes and asks for confirmation.
func (r *replay) ask(ctx context.Context) (startMore bool, err error) {
	dry := *r
	dry.dryRun = true
	bar := r.bar(ctx)
	o := dry.options(bar)
	if r.to != "" {
		o.To = func(context.Context, *event.Event) error { return nil }
	}
	sum, err := r.store.Replay(ctx, o, func(archive.Replayed) error { return nil })
	bar.clear()
	if err != nil {
		return false, err
	}
	stderr := r.cmd.ErrOrStderr()
	fmt.Fprintln(stderr, summary(sum, true))
	switch {
	case r.to != "" && sum.Events > 0:
		err = ask(ctx, r.cmd, fmt.Sprintf("Send %s to %s?", plural(sum.Events, "event"), r.to))
	case r.to == "" && sum.Results[archive.ResultChanged] > 0:
		err = ask(ctx, r.cmd, fmt.Sprintf("Publish %s?", plural(sum.Results[archive.ResultChanged], "revision")))
	case r.to == "" && sum.Results[archive.ResultAdmitted] > 0:
		err = ask(ctx, r.cmd, fmt.Sprintf("Move %s to the payload log?",
			plural(sum.Results[archive.ResultAdmitted], "payload")))
	default:
		fmt.Fprintln(stderr, "there is nothing to do")
		return false, nil
	}
	return err == nil, err
}

// run replays and prints the results.
func (r *replay) run(ctx context.Context) error {
	results := r.cmd.OutOrStdout()
	if r.to == "-" {
		results = r.cmd.ErrOrStderr() // the events go to standard output
	}
	bar := r.bar(ctx)
	w, flush := output(results)
	w = above{w, bar}
	o := r.options(bar)
	closeTarget := func() error { return nil }
	if r.to != "" {
		var err error
		if o.To, closeTarget, err = r.target(); err != nil {
			return err
		}
	}
	r.store.use.selects(r.filter)
	if r.reveal {
		if err := r.store.use.begin(ctx); err != nil {
			return err
		}
		r.store.log.Warn("differences revealed", zap.Any("filter", r.filter))
	}
	sum, err := r.store.Replay(ctx, o, func(result archive.Replayed) error { return r.print(w, result) })
	bar.clear()
	err = errors.Join(err, closeTarget())
	if err == nil {
		err = r.sum(w, sum)
	}
	if err = errors.Join(err, flush()); err == nil {
		return nil
	}
	if r.dryRun && ctx.Err() == nil {
		return err
	}
	next := "completed work is kept; run it again"
	if sum.Through > 0 {
		next = fmt.Sprintf("completed work is kept; continue with --from %d", sum.Through)
	}
	if stopped := broken(ctx, err, next); stopped != nil {
		return stopped
	}
	return fmt.Errorf("%w (%s)", ended(ctx, err), next)
}

// sum prints the summary.
func (r *replay) sum(w io.Writer, sum archive.Summary) error {
	if r.asJSON {
		return line(w, map[string]archive.Summary{"summary": sum})
	}
	_, err := fmt.Fprintln(w, summary(sum, r.dryRun))
	return err
}

// print prints one result.
func (r *replay) print(w io.Writer, result archive.Replayed) error {
	if !r.reveal {
		result = app.WithoutValues(result)
	}
	if r.asJSON {
		return line(w, result)
	}
	var b bytes.Buffer
	words := []string{fmt.Sprintf("%-9s", result.Result), result.Provider, result.Account}
	for _, word := range []string{result.VerificationID, result.PayloadID, result.Reason} {
		if word != "" {
			words = append(words, word)
		}
	}
	if result.Revision > 0 {
		words = append(words, fmt.Sprintf("r%d", result.Revision))
	}
	fmt.Fprintln(&b, printable(strings.Join(words, "  ")))
	for _, d := range result.Differences {
		fmt.Fprintln(&b, printable(fmt.Sprintf("    %s: %s → %s", d.Path, written(d.Before), written(d.After))))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// written is a value as JSON; an absent value has a fixed text.
func written(v any) string {
	if v == nil {
		return "nothing"
	}
	var b strings.Builder
	if err := line(&b, v); err != nil {
		return "?"
	}
	return strings.TrimSpace(b.String())
}

// summary is the actual or predicted result of a replay, in one line.
func summary(s archive.Summary, dryRun bool) string {
	text := plural(s.Payloads, "payload")
	if s.Verifications > 0 {
		text += " of " + plural(s.Verifications, "verification")
	}
	var counts []string
	for _, result := range slices.Sorted(maps.Keys(s.Results)) {
		counts = append(counts, fmt.Sprintf("%d %s", s.Results[result], result))
	}
	if len(counts) > 0 {
		text += ": " + strings.Join(counts, ", ")
	}
	switch {
	case s.Results[archive.ResultWouldSend] > 0:
		return text + "; " + plural(s.Events, "event") + " in all"
	case s.Results[archive.ResultSent] > 0:
		return text + "; " + plural(s.Events, "event") + " sent"
	case dryRun:
		return text + "; nothing was changed"
	}
	return text + "; " + plural(s.Events, "revision") + " published"
}

// target opens the destination of --to.
func (r *replay) target() (to func(context.Context, *event.Event) error, closeTarget func() error, err error) {
	none := func() error { return nil }
	switch {
	case archive.IsSubject(r.to):
		return r.store.ToSubject(r.to), none, nil
	case r.to == "-":
		w, flush := output(r.cmd.OutOrStdout())
		return r.toWriter(w), flush, nil
	case r.dryRun:
		return func(context.Context, *event.Event) error { return nil }, none, nil
	}
	mode := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if r.From == 0 {
		mode |= os.O_EXCL
	}
	f, err := os.OpenFile(r.to, mode, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil, nil, fmt.Errorf("%s exists already: name another file, or write --from to continue it", r.to)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("--to: %w", unwritable(r.to, err))
	}
	return r.toWriter(f), f.Close, nil
}

// toWriter writes events, one per line. Every line is one write, so that an interruption leaves no partial
// line.
func (r *replay) toWriter(w io.Writer) func(context.Context, *event.Event) error {
	var mu sync.Mutex
	return func(_ context.Context, e *event.Event) error {
		b, err := r.store.Bus.Encode(e)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		_, err = w.Write(append(b, '\n'))
		return err
	}
}
