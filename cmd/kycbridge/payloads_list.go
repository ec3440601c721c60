package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kycbridge"
	"kycbridge/internal/archive"
)

// screenful is how many payloads a terminal is shown unless it asks for more.
const screenful = 100

func listCommand(o *payloadFlags) *cobra.Command {
	var f filterFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List stored payloads",
		Long: `List stored payloads: accepted, quarantined and refused ones, each oldest first.

On a terminal ids are shortened and the list ends after 100; elsewhere they are whole and
it does not. kycbridge payloads show takes an id, or status and sequence.`,
		Example: `  kycbridge payloads list --status quarantined --reason schema --since 24h
  kycbridge payloads list --verification 1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0 --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(time.Now())
			if err != nil {
				return usage(cmd, err.Error())
			}
			cut := !cmd.Flags().Changed("limit") && !asJSON && terminal(cmd.OutOrStdout())
			if cut {
				filter.Limit = screenful + 1
			}
			return o.with(cmd, func(ctx context.Context, s store) error {
				return list(ctx, cmd, s, filter, cut, asJSON)
			})
		},
	}
	f.add(cmd.Flags(), append(selecting, "limit")...)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each as a JSON object, one a line")
	return cmd
}

// list prints what the filter selects; cut leaves the last one out, which says that there are more.
func list(ctx context.Context, cmd *cobra.Command, s store, f archive.Filter, cut, asJSON bool) error {
	w, flush := output(cmd.OutOrStdout())
	t := table{w: w, short: terminal(cmd.OutOrStdout()), account: 8}
	n := 0
	err := s.List(ctx, f, func(e archive.Entry) error {
		if n++; cut && n > screenful {
			return nil
		}
		if asJSON {
			return line(w, e)
		}
		return t.print(e)
	})
	if err := errors.Join(err, flush()); err != nil {
		return err
	}
	switch {
	case n == 0:
		note(cmd, "nothing is stored that fits")
	case cut && n > screenful:
		note(cmd, "there are more than %d: narrow the list, or write --limit 0", screenful)
	}
	return nil
}

// line writes a value as JSON, one line.
func line(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// table prints entries in columns, below a head.
type table struct {
	w       io.Writer
	short   bool // for a terminal: ids are shortened
	account int  // width of the account column; it grows with the names that come
	begun   bool
}

const entryColumns = "%-20s  %-11s  %7s  %-8s  %-*s  %-*s  %-8s  %7s  %-12s  %-32s  %s"

func (t *table) print(e archive.Entry) error {
	wide := 36
	if t.short {
		wide = 12
	}
	if !t.begun {
		t.begun = true
		t.account = columnFor(t.account, e.Account)
		head := fmt.Sprintf(entryColumns, "RECEIVED", "STATUS", "SEQ", "PROVIDER", t.account, "ACCOUNT", wide, "VERIFICATION", "VIA", "BYTES", "REASON", "EVENT", "PAYLOAD")
		if _, err := fmt.Fprintln(t.w, head); err != nil {
			return err
		}
	}
	t.account = columnFor(t.account, e.Account)
	id, verification, event := e.PayloadID, e.VerificationID, e.Event
	if t.short {
		id = squeeze(strings.TrimPrefix(id, e.Provider+"."+e.Account+"."), 24)
		verification = verification[:min(len(verification), wide)]
		event = squeeze(event, 32)
	}
	event = cmp.Or(event, e.Addressed) // a callback that met no account has no other name
	text := fmt.Sprintf(entryColumns, shortTime(e.ReceivedAt), e.Status, strconv.FormatUint(e.Seq, 10), e.Provider, t.account, squeeze(e.Account, t.account),
		wide, orNone(verification), e.Via, strconv.Itoa(e.Bytes), orNone(e.Reason), orNone(event), id)
	_, err := fmt.Fprintln(t.w, strings.TrimRight(printable(text), " "))
	return err
}

// orNone keeps an empty column visible.
func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

func showCommand(o *payloadFlags) *cobra.Command {
	var f filterFlags
	var seq uint64
	var reveal, asJSON bool
	cmd := &cobra.Command{
		Use:   "show [ID]",
		Short: "Show one stored payload: how it came, its body, what became of it",
		Long: `Show one stored payload: its metadata, how it was authenticated, its body, the events that
it led to or why there are none, and what is wrong with a quarantined one.

What may be about a person is masked unless --reveal is written, which is logged. Secrets
that a provider echoes are hidden always. In place of an id a payload may be named by its
status and sequence, as a list shows them.`,
		Example: `  kycbridge payloads show ondato.acme.7d0f1c9e-evt-1
  kycbridge payloads show --status quarantined --seq 12 --reveal`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return usage(cmd, fmt.Sprintf("show takes one id, not %d", len(args)))
			case len(args) == 1 && seq != 0:
				return usage(cmd, "an id stands beside --seq; write one of the two")
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
			if err != nil {
				return usage(cmd, err.Error())
			}
			return o.with(cmd, func(ctx context.Context, s store) error {
				return show(ctx, cmd, s, filter, seq, reveal, asJSON)
			})
		},
	}
	f.add(cmd.Flags(), "status")
	cmd.Flags().Uint64Var(&seq, "seq", 0, "`sequence` of the payload among those of --status")
	cmd.Flags().BoolVar(&reveal, "reveal", false, "print what is about a person as it stands there")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

// show prints one payload.
func show(ctx context.Context, cmd *cobra.Command, s store, f archive.Filter, seq uint64, reveal, asJSON bool) error {
	k, err := find(ctx, s, f, seq)
	if err != nil {
		return err
	}
	if reveal {
		s.log.Warn("payload revealed", revealed(k)...)
	}
	shown, err := s.Show(ctx, k, reveal)
	if err != nil {
		return err
	}
	if asJSON {
		return line(cmd.OutOrStdout(), shown)
	}
	return printShown(cmd.OutOrStdout(), shown)
}

// find reads the payload of an id, or of a sequence on the shelf of a status.
func find(ctx context.Context, s store, f archive.Filter, seq uint64) (kycbridge.Kept, error) {
	if seq == 0 {
		k, err := s.Get(ctx, f)
		if errors.Is(err, kycbridge.ErrNotFound) {
			return k, fmt.Errorf("no stored payload has the id %s", printable(f.ID))
		}
		return k, err
	}
	shelf := map[string]kycbridge.Shelf{archive.StatusQuarantined: kycbridge.ShelfQuarantine, archive.StatusRefused: kycbridge.ShelfRefused}[f.Status]
	if shelf == "" {
		shelf = kycbridge.ShelfPayloads
	}
	k, err := s.Shelves.KeptAt(ctx, shelf, seq)
	if errors.Is(err, kycbridge.ErrNotFound) {
		return k, fmt.Errorf("no %s payload has the sequence %d", f.Status, seq)
	}
	return k, err
}
