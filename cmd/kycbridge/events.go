package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"kycbridge"
	"kycbridge/internal/app"
)

func eventsCommand() *cobra.Command {
	o := app.ReadOptions{}
	var since string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Read published events, as any consumer would",
		Long: `Read published events from NATS, as any consumer would.

Without --follow it prints what is there and ends.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := parseSince(since, time.Now())
			if err != nil {
				return err
			}
			o.Since = from
			out := cmd.OutOrStdout()
			return quietPipe(app.ReadEvents(cmd.Context(), o, func(body []byte) error {
				return printEvent(out, body, asJSON)
			}))
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.URL, "url", "nats://127.0.0.1:4222", "NATS `server` to read from")
	f.StringVar(&o.CredentialsFile, "creds", "", "credentials `file` for NATS")
	f.StringVar(&o.Stream, "stream", "KYC_EVENTS", "event `stream`")
	f.StringVar(&o.Subject, "subject", "", "only events on this `subject`, wildcards allowed (kyc.event.v1.*.*.completed.>)")
	f.StringVar(&since, "since", "", "only events since this `time`: RFC 3339, or an age such as 24h")
	f.BoolVarP(&o.Follow, "follow", "f", false, "go on with events as they come")
	f.BoolVar(&asJSON, "json", false, "print each event as its CloudEvent, one a line")
	return cmd
}

// parseSince reads an instant or an age. An empty text is the beginning.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if age, err := time.ParseDuration(s); err == nil && age >= 0 {
		return now.Add(-age), nil
	}
	return time.Time{}, fmt.Errorf("--since %s: write an RFC 3339 time such as 2026-03-02T09:00:00Z, or an age such as 24h", s)
}

// printEvent writes one event as a line.
func printEvent(w io.Writer, body []byte, asJSON bool) error {
	if asJSON {
		_, err := fmt.Fprintf(w, "%s\n", body)
		return err
	}
	e, err := kycbridge.DecodeEvent(body)
	if err != nil {
		_, err = fmt.Fprintln(w, "an event that cannot be read; look at it with --json")
		return err
	}
	_, err = fmt.Fprintln(w, eventLine(e))
	return err
}

// eventLine is an event for a person's eyes: no person data, whatever the profile.
func eventLine(e kycbridge.Event) string {
	d := e.Data
	verdict := string(d.Decision.Outcome)
	if d.Decision.Final {
		verdict += " (final)"
	}
	line := fmt.Sprintf("%-20s  %-7s %-10s %s r%-2d  %-14s %-18s %s", shortTime(e.Time), d.Provider.Name, d.Account,
		d.VerificationID[:min(8, len(d.VerificationID))], d.Revision, d.Status, verdict, d.Provider.Event.Name)
	if d.StatusDetail != "" {
		line += " · " + d.StatusDetail
	}
	for _, r := range d.Reasons {
		line += " · " + r.Code
	}
	return line
}

func shortTime(s string) string {
	t := kycbridge.ParseInstant(s)
	return t.Format(time.RFC3339)
}

// quietPipe takes the end of a reader (| head) for the end of the work.
func quietPipe(err error) error {
	if errors.Is(err, context.Canceled) || isBrokenPipe(err) {
		return nil
	}
	return err
}

// statusWord reads the status of an answered callback.
func statusWord(r io.Reader) (string, error) {
	var answer struct {
		Status string `json:"status"`
	}
	err := json.NewDecoder(r).Decode(&answer)
	return answer.Status, err
}
