package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kycbridge"
	"kycbridge/internal/archive"
)

// purgeFlags are the flags of purge.
type purgeFlags struct {
	filterFlags
	older               string
	dryRun, yes, asJSON bool
}

func purgeCommand(o *payloadFlags) *cobra.Command {
	var f purgeFlags
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Permanently erase one verification, or payloads of some age",
		Long: `Erase permanently, overwriting the bytes on disk. It asks for confirmation, or accepts --yes.

--verification erases everything of one person's verification: payloads of every status,
events, timers and receipts. A record of the erasure, its time and its amount is kept.
--older-than erases payloads of some age that the other flags select; events and
unprocessed payloads are kept.`,
		Example: `  kycbridge payloads purge --verification 1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0 --dry-run
  kycbridge payloads purge --older-than 8760h --provider ondato --yes --why retention`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, before, err := f.check(cmd, time.Now())
			if err != nil {
				return usage(cmd, err.Error())
			}
			if err := o.needReason("a purge erases permanently"); err != nil && !f.dryRun {
				return usage(cmd, err.Error())
			}
			if err := requireTerminal(cmd, f.yes, f.dryRun, "a purge erases permanently"); err != nil {
				return err
			}
			return o.with(cmd, func(ctx context.Context, s store) error {
				if err := s.resolve(ctx, &f.Filter); err != nil {
					return err
				}
				if f.older == "" {
					return f.one(ctx, cmd, s)
				}
				return f.old(ctx, cmd, s, filter, before)
			})
		},
	}
	g := cmd.Flags()
	g.SortFlags = false
	g.StringVar(&f.Verification, "verification", "", "erase everything of the verification with this `id`")
	g.StringVar(&f.older, "older-than", "",
		"erase payloads received before this `time`: an age such as 8760h, or RFC 3339")
	f.add(g, "provider", "account", "id", "via", "status", "reason", "event")
	o.addWhy(cmd, "all but --dry-run, as soon as a token or certificate has a name")
	g.BoolVar(&f.dryRun, "dry-run", false, "count and erase nothing")
	g.BoolVar(&f.yes, "yes", false, "do not ask")
	g.BoolVar(&f.asJSON, "json", false, "print the result as JSON")
	return cmd
}

// check is the filter of the flags and the limiting time, or their fault.
func (f *purgeFlags) check(cmd *cobra.Command, now time.Time) (archive.Filter, time.Time, error) {
	filter, err := f.filter(now)
	if err != nil {
		return filter, time.Time{}, err
	}
	before, err := parseUntil("--older-than", f.older, now)
	switch {
	case err != nil:
		return filter, before, err
	case f.Verification == "" && f.older == "":
		return filter, before, errors.New("write --verification ID to erase one person, or --older-than AGE for retention")
	case f.Verification != "" && f.older != "":
		return filter, before, errors.New(
			"--verification erases everything of one person and --older-than old payloads; write one of the two")
	case filter.Status == archive.StatusIgnored:
		return filter, before, errors.New("--status ignored: purge takes accepted, quarantined or refused")
	case before.After(now):
		return filter, before, fmt.Errorf("--older-than %s is in the future", f.older)
	}
	if f.yes && isBeginning(f.Verification) {
		return filter, before, errors.New("--yes erases without asking, so write the whole id of the verification, as " +
			"--json shows it")
	}
	if f.Verification != "" {
		for _, name := range []string{"provider", "account", "id", "via", "status", "reason", "event"} {
			if cmd.Flags().Changed(name) {
				return filter, before, fmt.Errorf("--verification erases everything of one person, so --%s has no effect",
					name)
			}
		}
	}
	return filter, before, nil
}

// begin records a purge before it is done.
func (f *purgeFlags) begin(ctx context.Context, s store, filter archive.Filter) error {
	s.use.selects(filter)
	if f.dryRun {
		return nil
	}
	return s.use.begin(ctx)
}

// one erases a verification.
func (f *purgeFlags) one(ctx context.Context, cmd *cobra.Command, s store) error {
	if !f.yes && !f.dryRun {
		would, err := s.Purge(ctx, f.Verification, true)
		if err != nil {
			return err
		}
		fmt.Fprintln(cmd.ErrOrStderr(), erasure(would))
		if err := ask(ctx, cmd, "Erase all of it permanently?"); err != nil {
			return err
		}
	}
	if err := f.begin(ctx, s, archive.Filter{Verification: f.Verification}); err != nil {
		return err
	}
	out, err := s.Purge(ctx, f.Verification, f.dryRun)
	unfinished := errors.Is(err, kycbridge.ErrUnfinished)
	if stopped := broken(ctx, err, "some of it may be erased; run it again"); stopped != nil {
		err = stopped
	}
	if err != nil && (!unfinished || out.VerificationID == "") {
		return err
	}
	return errors.Join(f.printErasure(cmd, out, unfinished), err)
}

// printErasure prints what was erased, and what was left.
func (f *purgeFlags) printErasure(cmd *cobra.Command, out archive.Erasure, unfinished bool) error {
	if f.asJSON {
		return line(cmd.OutOrStdout(), struct {
			DryRun bool `json:"dry_run"`
			archive.Erasure
		}{f.dryRun, out})
	}
	text := erasure(out)
	switch {
	case unfinished:
		text += "\nnot everything is erased"
	case f.dryRun:
		text += "\nnothing was erased"
	case out.Empty() && out.Before != nil && out.Before.Unfinished:
		text += "\nnothing was left to erase: the earlier erasure is finished now"
	case out.Empty():
		text += "\nthere was nothing to erase"
	default:
		text += "\nerased"
	}
	_, err := fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}

// erasure lists the erased parts of a verification.
func erasure(e archive.Erasure) string {
	t := e.Tombstone
	text := fmt.Sprintf("verification %s of %s %s: %s, %d quarantined, %d refused, %s, %s", t.VerificationID, t.Provider,
		t.Account,
		plural(t.Payloads, "payload"), t.Quarantined, t.Refused, plural(t.Events, "event"),
		plural(t.Watches, "timer or receipt"))
	text = strings.Replace(text, "timer or receipts", "timers or receipts", 1)
	if e.Before != nil {
		text += "; erased before, at " + e.Before.At.UTC().Format(time.RFC3339)
		if e.Before.Unfinished {
			text += ", and not finished"
		}
	}
	if left := e.Text(); left != "" {
		text += "\n" + left
	}
	return text
}

// old erases payloads older than an age.
func (f *purgeFlags) old(
	ctx context.Context, cmd *cobra.Command, s store, filter archive.Filter, before time.Time,
) error {
	if !f.yes && !f.dryRun {
		counts, err := f.sweep(ctx, cmd, s, filter, before, true)
		if err != nil {
			return err
		}
		if err := printCounts(cmd.ErrOrStderr(), counts, true); err != nil {
			return err
		}
		if err := ask(ctx, cmd, "Erase them permanently?"); err != nil {
			return err
		}
	}
	filter.Until = before
	if err := f.begin(ctx, s, filter); err != nil {
		return err
	}
	filter.Until = time.Time{}
	counts, err := f.sweep(ctx, cmd, s, filter, before, f.dryRun)
	if stopped := broken(ctx, err, "some are erased; run it again for the rest"); stopped != nil {
		return stopped
	}
	var unfinished *kycbridge.UnfinishedError
	if err != nil && !errors.As(err, &unfinished) {
		return err
	}
	if f.asJSON {
		out := oldErasure{DryRun: f.dryRun, Before: before.UTC().Format(time.RFC3339), Payloads: counts}
		if unfinished != nil {
			out.Left = unfinished.Left
		}
		return errors.Join(line(cmd.OutOrStdout(), out), err)
	}
	return errors.Join(printCounts(cmd.OutOrStdout(), counts, f.dryRun), err)
}

// oldErasure is the erasure of payloads of some age, as JSON.
type oldErasure struct {
	Before   string         `json:"before"`
	DryRun   bool           `json:"dry_run"`
	Payloads map[string]int `json:"payloads"`
	kycbridge.Left
}

// sweep erases or counts, with a progress bar.
func (f *purgeFlags) sweep(
	ctx context.Context, cmd *cobra.Command, s store, filter archive.Filter, before time.Time, dryRun bool,
) (map[string]int, error) {
	bar := newProgress(cmd.ErrOrStderr(), "purge", 0)
	defer bar.clear()
	return s.PurgeOld(ctx, filter, before, dryRun, func(done int) { bar.set(int64(done)) })
}

func printCounts(w io.Writer, counts map[string]int, dryRun bool) error {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[what], what))
	}
	text := "no payload is that old"
	if len(parts) > 0 {
		text = map[bool]string{true: "would be erased: ", false: "erased: "}[dryRun] + strings.Join(parts, "; ")
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
