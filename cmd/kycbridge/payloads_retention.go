package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kycbridge"
	"kycbridge/internal/archive"
)

func retentionCommand(o *payloadFlags) *cobra.Command {
	var dryRun, yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "retention",
		Short: "Remove what is older than its retention, or count it",
		Long: `Remove what is older than its retention and not held, as the running service does by itself every
ten minutes, and print how much of each account and class that was. Accounts that are not configured
here are included, with the retention that they have, or last had, in a running service. If none is
known, the longest retention of all accounts counts.`,
		Example: "  kycbridge payloads retention --config kyc.yaml --dry-run",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.needReason("the retention erases permanently"); err != nil && !dryRun {
				return usage(cmd, err.Error())
			}
			if err := requireTerminal(cmd, yes, dryRun, "the retention erases permanently"); err != nil {
				return err
			}
			return o.with(cmd, func(ctx context.Context, s store) error {
				if !dryRun {
					if !yes {
						if err := ask(ctx, cmd, "Erase what is older than its retention?"); err != nil {
							return err
						}
					}
					if err := s.use.begin(ctx); err != nil {
						return err
					}
				}
				all, err := s.Retain(ctx, dryRun, true)
				if stopped := broken(ctx, err, "some is erased; run it again for the rest"); stopped != nil {
					return stopped
				}
				if err != nil && !errors.Is(err, kycbridge.ErrUnfinished) {
					return err
				}
				return errors.Join(printAges(cmd.OutOrStdout(), all, err, dryRun, asJSON), err)
			})
		},
	}
	o.addWhy(cmd, "all but --dry-run, as soon as a token or certificate has a name")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "count and erase nothing")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each account and class as a JSON object, one per line")
	return cmd
}

// printAges prints what was removed, and of an unfinished retention what is left: as JSON in a last object.
func printAges(w io.Writer, all []archive.Aging, err error, dryRun, asJSON bool) error {
	if asJSON {
		for _, a := range all {
			if err := line(w, a); err != nil {
				return err
			}
		}
		if unfinished, ok := errors.AsType[*kycbridge.UnfinishedError](err); ok {
			return line(w, unfinished.Left)
		}
		return nil
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "everything is kept for ever")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "CLASS\tPROVIDER\tACCOUNT\tRETENTION\t"+map[bool]string{true: "DUE", false: "REMOVED"}[dryRun]+
		"\tHELD\tPENDING")
	for _, a := range all {
		provider, account := a.Provider, a.Account
		if provider == "" {
			provider, account = "(others)", "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%d\t%d", a.Class, provider, account, inDays(a.Age), a.Due, a.Held, a.Pending)
		if a.Unread > 0 {
			fmt.Fprintf(t, "\tunread, kept: %d", a.Unread)
		}
		fmt.Fprintln(t)
	}
	return t.Flush()
}

// inDays is a duration in days, as the configuration has it, if it is a number of whole days.
func inDays(duration string) string {
	d, err := time.ParseDuration(duration)
	if err != nil || d == 0 || d%(24*time.Hour) != 0 {
		return duration
	}
	return fmt.Sprintf("%dd", d/(24*time.Hour))
}
