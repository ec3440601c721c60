package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"
)

// watchFlags are the flags of watch.
type watchFlags struct {
	apiFlags
	provider, account, reference string
	external, deadline           string
	asJSON                       bool
}

func watchCommand(environ []string) *cobra.Command {
	o := watchFlags{apiFlags: apiFlags{environ: environ}}
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Watch a verification that was started elsewhere, with a running kycbridge",
		Long: `Watch a verification that was started elsewhere: the running kycbridge polls its
provider until it ends or the deadline passes, and publishes its events. The same watch
may be requested again.`,
		Example: `  kycbridge watch --provider kwikid --account acme --reference s-77 --deadline 72h --token-file ./token`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := o.body(time.Now())
			if err != nil {
				return usage(cmd, err.Error())
			}
			client, err := o.client()
			if err != nil {
				return usage(cmd, err.Error())
			}
			return watch(cmd.Context(), client, body, o.asJSON, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.provider, "provider", "", "`name` of the provider")
	f.StringVar(&o.account, "account", "", "`name` of the account")
	f.StringVar(&o.reference, "reference", "", "the provider's `id` of the verification")
	f.StringVar(&o.external, "external-reference", "", "your own `id` of the case; every event repeats it")
	f.StringVar(&o.deadline, "deadline", "",
		"`time` until which to poll: RFC 3339, or a duration such as 72h; default: the account's")
	o.add(cmd)
	f.BoolVar(&o.asJSON, "json", false, "print the receipt as JSON")
	return cmd
}

// body is the request in the format of the API.
func (o *watchFlags) body(now time.Time) ([]byte, error) {
	if err := needed("provider", o.provider, "account", o.account, "reference", o.reference); err != nil {
		return nil, err
	}
	until, err := parseDeadline(o.deadline, now)
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		Provider  string `json:"provider"`
		Account   string `json:"account"`
		Reference string `json:"reference"`
		External  string `json:"external_reference,omitempty"`
		Deadline  string `json:"deadline,omitempty"`
	}{o.provider, o.account, o.reference, o.external, until})
}

// watch sends the request and prints the receipt.
func watch(ctx context.Context, c *apiClient, body []byte, asJSON bool, stdout io.Writer) error {
	got, err := c.post(ctx, "/v1/watches", bytes.NewReader(body), "", http.StatusAccepted)
	if err != nil {
		return err
	}
	var receipt struct {
		VerificationID string `json:"verification_id"`
		Status         string `json:"status"`
	}
	if json.Unmarshal(got.body, &receipt) != nil || receipt.VerificationID == "" {
		return fmt.Errorf("%s answered without a receipt; name the address of the admin API with --api", c.base)
	}
	if asJSON {
		_, err := fmt.Fprintf(stdout, "%s\n", bytes.TrimSpace(got.body))
		return err
	}
	return labelled(stdout, "verification", receipt.VerificationID, "status", receipt.Status)
}

// parseDeadline parses an instant or a span from now. An empty text stays empty.
func parseDeadline(s string, now time.Time) (string, error) {
	if s == "" {
		return "", nil
	}
	until, err := time.Parse(time.RFC3339, s)
	if err != nil {
		span, err := time.ParseDuration(s)
		if err != nil {
			return "", fmt.Errorf("--deadline %s: write an RFC 3339 time such as 2026-03-05T09:00:00Z, "+
				"or a duration such as 72h",
				s)
		}
		until = now.Add(span)
	}
	if !until.After(now) {
		return "", fmt.Errorf("--deadline %s is in the past; write a time in the future", s)
	}
	return until.UTC().Format(time.RFC3339), nil
}
