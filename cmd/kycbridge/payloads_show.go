package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

func showCommand(o *payloadFlags) *cobra.Command {
	var f filterFlags
	var seq uint64
	var reveal, asJSON bool
	cmd := &cobra.Command{
		Use:   "show [ID]",
		Short: "Show one stored payload: its source, its body, its result",
		Long: `Show one stored payload: its metadata, how it was authenticated, its body, the events that
it led to or why there are none, and what is wrong with a quarantined one.

Personal values are masked unless --reveal is written with a reason in --why, which the access
log records. Secrets that a provider echoes are always hidden. Instead of an id, a payload may be named by its
status and sequence, as a list shows them.`,
		Example: `  kycbridge payloads show ondato.acme.7d0f1c9e-evt-1
  kycbridge payloads show --status quarantined --seq 12 --reveal --why "case 4711"`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return usage(cmd, fmt.Sprintf("show takes one id, not %d", len(args)))
			case len(args) == 1 && seq != 0:
				return usage(cmd, "an id and --seq cannot be combined; write one of the two")
			case len(args) == 0 && (seq == 0 || f.Status == ""):
				return usage(cmd, "name a payload by its id, or by --status and --seq")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				f.ID = args[0]
			}
			filter, err := f.filter(time.Now())
			if err == nil && reveal {
				err = o.needReason("--reveal shows values about a person")
			}
			if err != nil {
				return usage(cmd, err.Error())
			}
			return o.reach(cmd, func(ctx context.Context, c *apiClient) error {
				if seq != 0 {
					return usage(cmd, "--seq is a position in a store; with the API name the payload by its id")
				}
				shown, err := c.show(ctx, filter, reveal)
				if err != nil {
					return err
				}
				return printOne(cmd, shown, asJSON)
			}, func(ctx context.Context, s store) error {
				return show(ctx, cmd, s, filter, seq, reveal, asJSON)
			})
		},
	}
	f.add(cmd.Flags(), "status")
	cmd.Flags().Uint64Var(&seq, "seq", 0, "`sequence` of the payload among those of --status")
	cmd.Flags().BoolVar(&reveal, "reveal", false, "print personal values unmasked")
	o.addWhy(cmd, "--reveal")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

// show prints one payload.
func show(ctx context.Context, cmd *cobra.Command, s store, f archive.Filter, seq uint64, reveal, asJSON bool) error {
	k, err := find(ctx, s, f, seq)
	if err != nil {
		return err
	}
	s.use.about(k.Provider, k.Account, k.VerificationID)
	if reveal {
		if err := s.use.begin(ctx); err != nil {
			return err
		}
		s.log.Warn("payload revealed", revealed(k)...)
	}
	shown, err := s.Show(ctx, k, reveal)
	if err != nil {
		return err
	}
	return printOne(cmd, shown, asJSON)
}

// revealed is the log entry when personal data is shown.
func revealed(k kycbridge.Kept) []zap.Field {
	return []zap.Field{zap.String("provider", k.Provider), zap.String("account", k.Account),
		zap.String("payload_id", k.ID)}
}

// printShown prints a payload as text: labels, then the body.
func printShown(w io.Writer, s archive.Shown) error {
	status := s.Status
	if s.Pending {
		status += ", not processed yet"
	}
	pairs := []string{
		"payload", s.PayloadID,
		"status", status + after(": ", s.Reason),
		"sequence", strconv.FormatUint(s.Seq, 10),
		"provider", s.Provider,
		"account", s.Account,
		"addressed", s.Addressed,
		"verification", s.VerificationID,
		"reference", s.Reference,
		"event", s.Event,
		"received", shortTime(s.ReceivedAt) + after(" via ", s.Via),
		"authenticated", authenticated(s),
		"part", s.Part,
		"trigger", s.Trigger,
		"size", plural(s.Bytes, "byte") + after(" of ", s.ContentType),
		"digest", s.Digest,
	}
	for _, name := range slices.Sorted(maps.Keys(s.Headers)) {
		pairs = append(pairs, "header", name+": "+s.Headers[name])
	}
	for _, worked := range s.Worked {
		pairs = append(pairs, "led to", ledTo(worked))
		for _, v := range worked.New {
			pairs = append(pairs, "new", printable(v.Kind+" "+v.Pointer+after(": ", v.Value)))
		}
	}
	for _, e := range s.Errors {
		place := e.Path
		if place == "" {
			place = "the body"
		}
		pairs = append(pairs, "error", place+" "+e.Message)
	}
	if s.Masked {
		pairs = append(pairs, "body", "masked; --reveal shows it")
	}
	if err := labelled(w, pairs...); err != nil {
		return err
	}
	return printBody(w, s)
}

// authenticated describes how a payload was admitted.
func authenticated(s archive.Shown) string {
	switch {
	case s.Status == archive.StatusRefused:
		return "no"
	case s.Admitted != "":
		return "by " + s.Admitted
	case s.Via != string(event.ViaCallback):
		return "fetched by kycbridge"
	}
	return ""
}

// ledTo is the result of one processing attempt.
func ledTo(w archive.Worked) string {
	if w.Revision == 0 {
		return "no event: " + w.NoEvent
	}
	words := []string{"revision " + strconv.Itoa(w.Revision)}
	for _, word := range []string{w.Status, w.Outcome} {
		if word != "" {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ") + after(", event ", w.EventID)
}

// printBody prints a body line by line, without terminal control characters.
func printBody(w io.Writer, s archive.Shown) error {
	text := s.Text
	if s.Body != nil {
		var b bytes.Buffer
		if err := json.Indent(&b, s.Body, "", "  "); err != nil {
			return err
		}
		text = b.String()
	}
	for l := range strings.Lines(text) {
		if _, err := fmt.Fprintln(w, printable(strings.TrimRight(l, "\r\n"))); err != nil {
			return err
		}
	}
	return nil
}
