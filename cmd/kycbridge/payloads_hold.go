package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kycbridge/internal/archive"
)

// holdFlags are the flags of hold and release.
type holdFlags struct {
	filterFlags
	until  string
	asJSON bool
}

func holdCommand(o *payloadFlags) *cobra.Command {
	var f holdFlags
	cmd := &cobra.Command{
		Use:   "hold",
		Short: "Hold what is stored about a verification: nothing of it is erased",
		Long: `Hold what is stored about a verification. While it is held, nothing of it is erased: neither
by age nor by a purge, which names the reason of the hold. A new hold replaces the one before.
Replays and imports are not affected.`,
		Example: `  kycbridge payloads hold --verification 1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0 --reason "case 4711"
  kycbridge payloads hold --verification 1f2d3c4b --reason "case 4711" --until 2027-03-02T00:00:00Z`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			until, err := f.end(time.Now())
			if err != nil {
				return usage(cmd, err.Error())
			}
			if cmd.Flags().Changed("reason") && cmd.Flags().Changed("why") {
				return usage(cmd, "--reason and --why are the same; write one of the two")
			}
			if err := o.needReasonIn("reason", "a hold stops erasures"); err != nil {
				return usage(cmd, err.Error())
			}
			return f.change(cmd, o, "/v1/payloads/hold", until, func(ctx context.Context, s store) (archive.Held, error) {
				return s.Hold(ctx, f.Verification, o.why, s.use.By, until)
			})
		},
	}
	f.addTo(cmd, "hold the verification with this `id`")
	cmd.Flags().StringVar(&o.why, "reason", "", "`why` it is held, such as a case number; the access log records it")
	cmd.Flags().StringVar(&o.why, "why", "", "`reason`, the same as --reason")
	cmd.Flags().StringVar(&f.until, "until", "",
		"the hold ends by itself at this `time`: RFC 3339, or a date such as 2027-03-02, at its beginning in UTC")
	return cmd
}

func releaseCommand(o *payloadFlags) *cobra.Command {
	var f holdFlags
	cmd := &cobra.Command{
		Use:     "release",
		Short:   "Release the hold on a verification",
		Long:    "Release the hold on a verification. What is older than its retention is erased soon afterwards.",
		Example: `  kycbridge payloads release --verification 1f2d3c4b --why "case 4711 is closed"`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := f.end(time.Now()); err != nil {
				return usage(cmd, err.Error())
			}
			if err := o.needReasonIn("why", "a release permits erasures"); err != nil {
				return usage(cmd, err.Error())
			}
			return f.change(cmd, o, "/v1/payloads/release", time.Time{},
				func(ctx context.Context, s store) (archive.Held, error) {
					return s.Release(ctx, f.Verification, o.why, s.use.By)
				})
		},
	}
	f.addTo(cmd, "release the verification with this `id`")
	o.addWhy(cmd, "a release")
	return cmd
}

// addTo adds the flags that hold and release share.
func (f *holdFlags) addTo(cmd *cobra.Command, verification string) {
	g := cmd.Flags()
	f.flags = g
	g.SortFlags = false
	g.StringVar(&f.Verification, "verification", "", verification)
	g.BoolVar(&f.asJSON, "json", false, "print the hold as JSON")
}

// end checks the flags and returns when the hold ends by itself.
func (f *holdFlags) end(now time.Time) (until time.Time, err error) {
	if _, err := f.filter(now); err != nil {
		return until, err
	}
	if f.Verification == "" {
		return until, errors.New("write --verification ID")
	}
	if f.until == "" {
		return until, nil
	}
	if until, err = time.Parse(time.RFC3339, f.until); err != nil {
		if until, err = time.Parse(time.DateOnly, f.until); err != nil {
			return until, fmt.Errorf("--until %s: write a date such as 2027-03-02, or an RFC 3339 time", f.until)
		}
	}
	if !until.After(now) {
		return until, fmt.Errorf("--until %s is not in the future", f.until)
	}
	return until, nil
}

// change places or releases a hold and prints it.
func (f *holdFlags) change(
	cmd *cobra.Command, o *payloadFlags, path string, until time.Time,
	local func(ctx context.Context, s store) (archive.Held, error),
) error {
	return o.reach(cmd, func(ctx context.Context, c *apiClient) error {
		if err := c.resolve(ctx, &f.Filter); err != nil {
			return err
		}
		doc := map[string]any{"verification": f.Verification}
		if !until.IsZero() {
			doc["until"] = until.UTC().Format(time.RFC3339)
		}
		body, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		var held archive.Held
		if err := c.object(ctx, request{method: http.MethodPost, path: path, body: bytes.NewReader(body),
			mediaType: "application/json"}, &held); err != nil {
			return err
		}
		return f.print(cmd.OutOrStdout(), held)
	}, func(ctx context.Context, s store) error {
		if err := s.resolve(ctx, &f.Filter); err != nil {
			return err
		}
		s.use.selects(f.Filter)
		if err := s.use.begin(ctx); err != nil {
			return err
		}
		held, err := local(ctx, s)
		if err != nil {
			return err
		}
		return f.print(cmd.OutOrStdout(), held)
	})
}

// print prints a hold that was just changed.
func (f *holdFlags) print(w io.Writer, h archive.Held) error {
	if f.asJSON {
		return line(w, h)
	}
	text := fmt.Sprintf("verification %s of %s %s: %s", h.VerificationID, h.Provider, h.Account, holdState(h))
	switch at := h.Erased.UTC().Format(time.RFC3339); {
	case h.Unfinished:
		text += "\nit was partly erased at " + at + ": the hold keeps what is left, and what came afterwards"
	case !h.Erased.IsZero():
		text += "\nit was erased at " + at + ": the hold keeps only what came afterwards"
	}
	if len(h.Limited) > 0 {
		text += "\nwarning: the server removes old messages of " + strings.Join(h.Limited, " and ") +
			" itself, also held ones: see kycbridge's log"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}

// holdState is the state of a hold in words.
func holdState(h archive.Held) string {
	switch {
	case h.Active && h.Until.IsZero():
		return "held until it is released"
	case h.Active:
		return "held until " + h.Until.UTC().Format(time.RFC3339)
	case h.Released.Equal(h.Ended):
		return "released at " + h.Ended.UTC().Format(time.RFC3339)
	}
	return "ended at " + h.Ended.UTC().Format(time.RFC3339)
}

func holdsCommand(o *payloadFlags) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "holds",
		Short: "List holds, oldest first, also those that have ended",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return o.reach(cmd, func(ctx context.Context, c *apiClient) error {
				var all []archive.Held
				err := c.lines(ctx, request{method: http.MethodGet, path: "/v1/payloads/holds"}, func(line []byte) error {
					var h archive.Held
					if err := json.Unmarshal(line, &h); err != nil {
						return errors.New("the admin API did not answer with a list of holds")
					}
					all = append(all, h)
					return nil
				})
				if err != nil {
					return err
				}
				return printHolds(cmd.OutOrStdout(), all, asJSON)
			}, func(ctx context.Context, s store) error {
				all, err := s.ListHolds(ctx)
				if err != nil {
					return err
				}
				return printHolds(cmd.OutOrStdout(), all, asJSON)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each as a JSON object, one per line")
	return cmd
}

func printHolds(w io.Writer, all []archive.Held, asJSON bool) error {
	if asJSON {
		for _, h := range all {
			if err := line(w, h); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no verification is held")
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "SINCE\tVERIFICATION\tPROVIDER\tACCOUNT\tSTATE\tBY\tREASON")
	for _, h := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", h.Since.UTC().Format(time.RFC3339), h.VerificationID, h.Provider,
			h.Account, holdState(h), printable(h.By), printable(h.Reason))
	}
	return t.Flush()
}
