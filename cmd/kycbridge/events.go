package main

import (
	"errors"
	"fmt"
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
		Long: `Read published events from NATS, as any consumer would: oldest first, one a line.

The columns are time, provider, account, the beginning of the verification id, revision,
status, outcome of the decision, and why: the provider's event, status detail, reasons.
--json prints the whole event.

Without --follow it prints what is there and ends.`,
		Example: `  kycbridge events --subject 'kyc.event.v1.*.*.completed.>' --since 24h
  kycbridge events --url nats://nats.example.com:4222 --user onboarding --password-file ./password --follow --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if o.Since, err = parseSince(since, time.Now()); err != nil {
				return usage(cmd, err.Error())
			}
			if err = oneCredential(o); err != nil {
				return usage(cmd, err.Error())
			}
			out := printer{w: cmd.OutOrStdout(), asJSON: asJSON, account: 12}
			return app.ReadEvents(cmd.Context(), o, out.print)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.URL, "url", "nats://127.0.0.1:4222", "NATS `server` to read from")
	f.StringVar(&o.User, "user", "", "`name` of a NATS user")
	f.StringVar(&o.PasswordFile, "password-file", "", "`file` with the password of --user")
	f.StringVar(&o.CredentialsFile, "creds", "", "NATS credentials `file` (JWT and seed)")
	f.StringVar(&o.Stream, "stream", "KYC_EVENTS", "event `stream`")
	f.StringVar(&o.Subject, "subject", "", "only events on this `subject`; wildcards are * and >")
	f.StringVar(&since, "since", "", "only events published since this `time`: RFC 3339, or an age such as 24h or 7d")
	f.BoolVarP(&o.Follow, "follow", "f", false, "go on with events as they come")
	f.BoolVar(&asJSON, "json", false, "print each event as its CloudEvent, one a line")
	return cmd
}

// oneCredential refuses half a credential and two of them.
func oneCredential(o app.ReadOptions) error {
	switch {
	case (o.User == "") != (o.PasswordFile == ""):
		return errors.New("--user and --password-file go together")
	case o.User != "" && o.CredentialsFile != "":
		return errors.New("--creds stands beside --user; write one of the two")
	}
	return nil
}

// parseSince reads an instant or an age. An empty text is the beginning.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		if t.After(now) {
			return time.Time{}, fmt.Errorf("--since %s lies ahead; leave it away to read everything, write --follow to wait for more", s)
		}
		return t, nil
	}
	if age, err := kycbridge.ParseAge(s); err == nil {
		return now.Add(-age), nil
	}
	return time.Time{}, fmt.Errorf("--since %s: write an RFC 3339 time such as 2026-03-02T09:00:00Z, or an age such as 24h or 7d", s)
}
