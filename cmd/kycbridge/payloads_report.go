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
	"kycbridge/internal/ledger"
)

// errIncompleteReport ends a report with losses.
var errIncompleteReport = errors.New("something is missing: see the report")

// reportFlags are the flags of report.
type reportFlags struct {
	filterFlags
	asJSON, accept bool
	checkpoints    []string // files
}

func reportCommand(o *payloadFlags) *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report",
		Short: "Account for every stored payload; exit code 1 if something is missing",
		Long: `Account for every stored payload, by the day on which it was received (UTC), provider and
account: accepted ones led to an event, to none for a recorded reason, or are
still to be processed. Any other payload is lost: it is listed, and the exit code is 1.

Without a filter every stored message is read as well. Messages that are gone for a reason
other than age or erasure, that cannot be read, or whose body was altered,
are listed as missing with stream and sequence, and with the verification if dispositions
or events name it; the exit code is 1. After you have handled a loss, --accept removes it
from the next reports.

EVENTS are those published on that day, OVERDUE the open sessions whose deadline passed.

A second table shows what the schemas did not contain when the payloads were processed: fields,
and values of enumerations; never the value of anything else.`,
		Example: `  kycbridge payloads report --since 720h
  kycbridge payloads report --json | jq .lost_all`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(time.Now())
			if err != nil {
				return usage(cmd, err.Error())
			}
			f.Filter = filter
			if err := o.needReason("--accept ends the report of a loss"); err != nil && f.accept && !o.remote() {
				return usage(cmd, err.Error())
			}
			return o.reach(cmd, func(ctx context.Context, c *apiClient) error { return f.remote(ctx, cmd, c) },
				func(ctx context.Context, s store) error { return f.local(ctx, cmd, s) })
		},
	}
	f.add(cmd.Flags(), "provider", "account", "verification", "since", "until")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print the report as one JSON object")
	cmd.Flags().BoolVar(&f.accept, "accept", false,
		"accept the listed loss: the next report omits these messages")
	o.addWhy(cmd, "--accept, as soon as a token or certificate has a name")
	cmd.Flags().StringArrayVar(&f.checkpoints, "checkpoint", nil,
		"`file` with a checkpoint of the tamper-evident log that was kept elsewhere; repeatable")
	return cmd
}

// remote has a running process build the report.
func (f *reportFlags) remote(ctx context.Context, cmd *cobra.Command, c *apiClient) error {
	if len(f.checkpoints) > 0 {
		return usage(cmd, "--checkpoint needs --config or --store instead of the API")
	}
	if f.accept {
		return usage(cmd, "--accept writes to the store, so it needs --config or --store instead of the API")
	}
	if err := c.resolve(ctx, &f.Filter); err != nil {
		return err
	}
	r, err := c.report(ctx, f.Filter)
	if err != nil {
		return err
	}
	return printAccount(cmd, r, f.asJSON)
}

// local builds the report from the store.
func (f *reportFlags) local(ctx context.Context, cmd *cobra.Command, s store) (err error) {
	if err := s.resolve(ctx, &f.Filter); err != nil {
		return err
	}
	if len(f.checkpoints) > 0 && (s.Ledger == nil || f.Filter != archive.Filter{}) {
		return usage(cmd, "--checkpoint needs integrity.log in the configuration, and no filter")
	}
	if s.Witness.Checkpoints, err = readCheckpoints(f.checkpoints); err != nil {
		return err
	}
	return report(ctx, cmd, s, f.Filter, f.accept, f.asJSON)
}

// readCheckpoints reads files with checkpoints.
func readCheckpoints(files []string) (out [][]byte, err error) {
	for _, file := range files {
		signed, err := readInput(file, nil, apiLargest)
		if err != nil {
			return nil, fmt.Errorf("--checkpoint: %w", err)
		}
		if !ledger.IsSigned(signed) {
			return nil, fmt.Errorf("--checkpoint %s: the file contains no checkpoint; kycbridge log checkpoint prints one", file)
		}
		out = append(out, signed)
	}
	return out, nil
}

// report builds the report for the filter and prints it; accept accepts the missing messages.
func report(ctx context.Context, cmd *cobra.Command, s store, f archive.Filter, accept, asJSON bool) error {
	bar := newProgress(cmd.ErrOrStderr(), "report", 0)
	r, err := s.Account(ctx, f, func(done int) { bar.set(int64(done)) })
	bar.clear()
	if err != nil {
		if ctx.Err() != nil {
			return errors.New("interrupted: there is no result") // no output would look like a report without losses
		}
		return err
	}
	err = printAccount(cmd, r, asJSON)
	if accept && errors.Is(err, errIncompleteReport) {
		if err := acceptMissing(ctx, cmd, s, f, r); err != nil {
			return err
		}
	}
	return err
}

// acceptMissing accepts what a report lists, and prints what the next one still lists.
func acceptMissing(ctx context.Context, cmd *cobra.Command, s store, f archive.Filter, r archive.Report) error {
	s.use.selects(f)
	if err := s.use.accepts(ctx); err != nil {
		return err
	}
	n, err := s.AcceptMissing(ctx, r.Missing)
	if err != nil {
		return err
	}
	shortened, err := s.AcceptShortened(ctx, r.Log)
	if err != nil {
		return err
	}
	if err := s.Records.AcceptLostRecords(ctx, r.LostRecords); err != nil {
		return err
	}
	what := plural(n, "missing message")
	if shortened > 0 {
		what += " and " + plural(shortened, "shorter stream")
	}
	if lost := len(r.LostRecords); lost > 0 {
		what += " and " + plural(lost, "incomplete record stream")
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "%s accepted; the next report omits them\n", what)
	stored := 0
	for _, m := range r.Missing {
		if m.IsStored() {
			stored++
		}
	}
	if stored > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s stored and listed again: restore a copy, or erase the verification\n",
			plural(stored, "altered or unreadable message"))
	}
	return nil
}

// printAccount prints a report; its error means that something is missing.
func printAccount(cmd *cobra.Command, r archive.Report, asJSON bool) (err error) {
	if asJSON {
		err = line(cmd.OutOrStdout(), app.Verified(r))
	} else {
		err = printReport(cmd.OutOrStdout(), r)
	}
	if err != nil || r.Sound() {
		return err
	}
	return errIncompleteReport
}

// printReport prints the table, the parts of the counts, the losses and the verdict.
func printReport(w io.Writer, r archive.Report) error {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "DAY\tPROVIDER\tACCOUNT\tRECEIVED\tACCEPTED\tWITH EVENT\tWITHOUT\t"+
		"PENDING\tQUARANTINED\tREFUSED\tEVENTS\tOVERDUE\tLOST")
	total := r.Total
	total.Day, total.Provider, total.Account = "total", "", ""
	for _, row := range append(slices.Clone(r.Rows), total) {
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", row.Day, row.Provider, row.Account,
			row.Received, row.Accepted, row.WithEvent,
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
	printAging(&b, r)
	printLosses(&b, r)
	printLostRecords(&b, r)
	printAudit(&b, r.Log)
	fmt.Fprintln(&b, "\n"+r.Verdict())
	_, err := io.WriteString(w, b.String())
	return err
}

// printAging prints the holds and what the retention has removed and will remove.
func printAging(b *strings.Builder, r archive.Report) {
	due, held := 0, 0
	for _, a := range r.Aging {
		due += a.Due
		held += a.Held
	}
	if r.Holds+r.Removed+due+held == 0 {
		return
	}
	fmt.Fprintf(b, "\nretention: %d removed until now, %d to be removed, %d older and held; %s\n", r.Removed, due, held,
		plural(r.Holds, "verification")+" held")
}

// printLosses lists lost and missing payloads.
func printLosses(b *strings.Builder, r archive.Report) {
	if len(r.Lost) > 0 {
		fmt.Fprintln(b, "\nlost:")
	}
	for _, l := range r.Lost {
		text := fmt.Sprintf("%s  %s  %s: %s", shortTime(l.ReceivedAt), l.PayloadID, orNone(l.VerificationID), l.Why)
		fmt.Fprintln(b, "  "+printable(text))
	}
	if more := r.LostAll - len(r.Lost); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
	if len(r.Missing) > 0 {
		fmt.Fprintln(b, "\nmissing:")
	}
	for _, m := range r.Missing {
		fmt.Fprintln(b, "  "+printable(m.Line()))
	}
	if more := r.MissingAll - len(r.Missing); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}

// printLostRecords prints which holds and tombstones are lost, and what follows from it.
func printLostRecords(b *strings.Builder, r archive.Report) {
	if len(r.LostRecords) == 0 {
		return
	}
	fmt.Fprintln(b, "\nlost records:")
	for _, l := range r.LostRecords {
		fmt.Fprintln(b, "  "+printable(l.String()))
	}
	fmt.Fprintln(b, "Place the holds again, or restore the streams; then --accept allows erasures and imports again.")
}

// printAudit prints the comparison with the tamper-evident log.
func printAudit(b *strings.Builder, log *archive.LogAudit) {
	if log == nil {
		return
	}
	fmt.Fprintf(b, "\ntamper-evident log: %s, %d of them signed by %s, the last at %s\n", plural(int(log.Leaves), "entry"),
		log.Signed, plural(log.Checkpoints, "checkpoint"), shortTime(log.At.Format(time.RFC3339)))
	for _, f := range log.Faults {
		fmt.Fprintf(b, "  %s %d: %s\n", f.What, f.Seq, f.Why)
	}
	if more := log.FaultsAll - len(log.Faults); more > 0 {
		fmt.Fprintf(b, "  and %d more\n", more)
	}
}

// printNew prints the new values.
func printNew(w io.Writer, all []archive.New) error {
	if len(all) == 0 {
		return nil
	}
	fmt.Fprintln(w, "\nnew, which the schema does not know:")
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "PROVIDER\tPOINTER\tKIND\tVALUE\tPAYLOADS\tFIRST SEEN\tLAST SEEN")
	for _, n := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", n.Provider, printable(n.Pointer), n.Kind, orNone(printable(n.Value)),
			n.Payloads, shortTime(n.FirstSeen), shortTime(n.LastSeen))
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
