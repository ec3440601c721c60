package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kycbridge/internal/app"
	"kycbridge/internal/archive"
)

// errUnsound is the end of a report that misses something.
var errUnsound = errors.New("something is missing: see the report")

func reportCommand(o *payloadFlags) *cobra.Command {
	var f filterFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Account for every stored payload; exit code 1 if something is missing",
		Long: `Account for every stored payload, by the day on which it was received (UTC), provider and
account: accepted ones led to an event, to none for a reason that is written down, or are
still to be worked. What is neither is lost: it is listed, and the exit code is 1.

EVENTS are those published on that day, OVERDUE the open sessions whose deadline passed.

A second table shows what the schemas did not know when the payloads were worked: fields, and
words where the known ones are listed; never the value of anything else.`,
		Example: `  kycbridge payloads report --since 720h
  kycbridge payloads report --json | jq .lost_all`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(time.Now())
			if err != nil {
				return usage(cmd, err.Error())
			}
			return o.with(cmd, func(ctx context.Context, s store) error {
				bar := newProgress(cmd.ErrOrStderr(), "report", 0)
				r, err := s.Account(ctx, filter, func(done int) { bar.set(int64(done)) })
				bar.clear()
				if err != nil {
					if ctx.Err() != nil {
						return errors.New("interrupted: nothing was found out") // silence would read as sound
					}
					return err
				}
				if asJSON {
					err = line(cmd.OutOrStdout(), app.Verified(r))
				} else {
					err = printReport(cmd.OutOrStdout(), r)
				}
				if err == nil && !r.Sound() {
					err = errUnsound
				}
				return err
			})
		},
	}
	f.add(cmd.Flags(), "provider", "account", "verification", "since", "until")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the report as one JSON object")
	return cmd
}

// printReport prints the table, what the counts are made of, the losses and the verdict.
func printReport(w io.Writer, r archive.Report) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DAY\tPROVIDER\tACCOUNT\tRECEIVED\tACCEPTED\tWITH EVENT\tWITHOUT\tPENDING\tQUARANTINED\tREFUSED\tEVENTS\tOVERDUE\tLOST")
	total := r.Total
	total.Day, total.Provider, total.Account = "total", "", ""
	for _, row := range append(slices.Clone(r.Rows), total) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", row.Day, row.Provider, row.Account, row.Received, row.Accepted, row.WithEvent,
			sumOf(row.NoEvent), row.Pending, sumOf(row.Quarantined), row.Refused, row.Events, row.Overdue, row.Lost)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(r.Total.NoEvent) > 0 {
		fmt.Fprintln(&b, "\nwithout event: "+countsOf(r.Total.NoEvent))
	}
	if len(r.Total.Quarantined) > 0 {
		fmt.Fprintln(&b, "quarantined: "+countsOf(r.Total.Quarantined))
	}
	if err := printNew(&b, r.New); err != nil {
		return err
	}
	if len(r.Lost) > 0 {
		fmt.Fprintln(&b, "\nlost:")
	}
	for _, l := range r.Lost {
		fmt.Fprintln(&b, "  "+printable(fmt.Sprintf("%s  %s  %s: %s", shortTime(l.ReceivedAt), l.PayloadID, orNone(l.VerificationID), l.Why)))
	}
	if more := r.LostAll - len(r.Lost); more > 0 {
		fmt.Fprintf(&b, "  and %d more\n", more)
	}
	fmt.Fprintln(&b, "\n"+r.Verdict())
	_, err := io.WriteString(w, b.String())
	return err
}

// printNew prints what the schemas did not know.
func printNew(w io.Writer, all []archive.New) error {
	if len(all) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nnew, which the schema does not know:")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PROVIDER\tPOINTER\tKIND\tVALUE\tPAYLOADS\tFIRST SEEN\tLAST SEEN")
	for _, n := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", n.Provider, printable(n.Pointer), n.Kind, orNone(printable(n.Value)), n.Payloads, shortTime(n.FirstSeen), shortTime(n.LastSeen))
	}
	return t.Flush()
}

func sumOf(counts map[string]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

func countsOf(counts map[string]int) string {
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[what], what))
	}
	return strings.Join(parts, ", ")
}
