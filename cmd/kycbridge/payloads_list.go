package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

// screenful is the default number of payloads on a terminal.
const screenful = 100

// listFlags are the flags of list.
type listFlags struct {
	filterFlags
	newest         int
	asJSON, follow bool
}

func listCommand(o *payloadFlags) *cobra.Command {
	var f listFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List stored payloads",
		Long: `List stored payloads: accepted, quarantined and refused ones.

On a terminal ids are shortened and the newest 100 are shown, the newest first; -n sets the
number. Otherwise ids are whole, each status is listed oldest first, and there is no limit.
kycbridge find and payloads show accept the ids that are printed here, and show accepts status
and sequence as well. --follow continues with new payloads.`,
		Example: `  kycbridge payloads list --status quarantined --reason schema --since 24h
  kycbridge payloads list --verification 1f2d3c4b --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(time.Now())
			if err == nil {
				err = f.check()
			}
			if err != nil {
				return usage(cmd, err.Error())
			}
			screen := screenOf(cmd.OutOrStdout(), o.environ)
			if screen.width > 0 && !cmd.Flags().Changed("limit") && !f.asJSON && !f.follow && f.newest == 0 {
				f.newest = screenful
			}
			return o.reach(cmd, func(ctx context.Context, c *apiClient) error {
				if err := c.resolve(ctx, &filter); err != nil {
					return err
				}
				return f.list(ctx, cmd, screen, filter, c.list)
			}, func(ctx context.Context, s store) error {
				if err := s.resolve(ctx, &filter); err != nil {
					return err
				}
				return f.list(ctx, cmd, screen, filter, s.List)
			})
		},
	}
	f.add(cmd.Flags(), append(selecting, "limit")...)
	cmd.Flags().IntVarP(&f.newest, "newest", "n", 0, "only the newest, this `many`, the newest first")
	cmd.Flags().BoolVarP(&f.follow, "follow", "f", false, "continue with new payloads")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print each as a JSON object, one per line")
	return cmd
}

// check refuses invalid combinations.
func (f *listFlags) check() error {
	switch {
	case f.newest < 0:
		return errors.New("-n: write a number, 0 for all")
	case f.newest > 0 && f.follow:
		return errors.New("-n shows stored entries and --follow new ones; write one of the two, or --since with --follow")
	case f.newest > 0 && f.Limit > 0:
		return errors.New("-n takes the newest and --limit the oldest; write one of the two")
	case f.follow && f.Limit > 0:
		return errors.New("--limit and --follow cannot be combined; write one of the two")
	}
	return nil
}

// lister passes the payloads that a filter selects, each status oldest first.
type lister func(ctx context.Context, f archive.Filter, each func(archive.Entry) error) error

// list prints the selected payloads.
func (f *listFlags) list(ctx context.Context, cmd *cobra.Command, s screen, filter archive.Filter, from lister) error {
	w, flush := output(cmd.OutOrStdout())
	s.w = w
	t := table{screen: s, account: 8}
	print := t.print
	if f.asJSON {
		print = func(e archive.Entry) error { return line(w, e) }
	}
	n := 0
	counted := func(e archive.Entry) error { n++; return print(e) }
	var err error
	switch {
	case f.newest > 0:
		n, err = f.newestFirst(ctx, s, filter, from, print)
	case f.follow:
		read, stop := untilUnread(ctx, cmd.OutOrStdout())
		err = following(read, filter, from, func(e archive.Entry) error { return errors.Join(counted(e), flush()) })
		err = cmp.Or(read.Err(), err) // an ended context may have shown as an error of the store
		stop()
	default:
		err = from(ctx, filter, counted)
	}
	if err := errors.Join(err, flush()); err != nil {
		return err
	}
	if n == 0 {
		note(cmd, "no stored payload matches")
	}
	return nil
}

// newestFirst prints the newest payloads of all statuses, the newest first, and returns how many there are.
func (f *listFlags) newestFirst(
	ctx context.Context, s screen, filter archive.Filter, from lister, print func(archive.Entry) error,
) (int, error) {
	var newest []archive.Entry
	for _, window := range windows {
		q := filter
		if since := time.Now().Add(-window); window > 0 && since.After(q.Since) {
			q.Since = since
		}
		newest = nil
		if err := f.gather(ctx, q, from, &newest); err != nil {
			return 0, err
		}
		if len(newest) >= f.newest || q.Since.Equal(filter.Since) {
			break
		}
	}
	if !f.asJSON && s.width > 0 {
		return len(newest), printEntries(s, newest)
	}
	for _, e := range newest {
		if err := print(e); err != nil {
			return 0, err
		}
	}
	return len(newest), nil
}

// windows are the ages that are searched for the newest, in turn until there are enough; 0 is all.
var windows = [...]time.Duration{time.Hour, 24 * time.Hour, 7 * 24 * time.Hour, 0}

// gather collects the newest selected payloads, the newest first.
func (f *listFlags) gather(ctx context.Context, filter archive.Filter, from lister, newest *[]archive.Entry) error {
	err := from(ctx, filter, func(e archive.Entry) error {
		if *newest = append(*newest, e); len(*newest) >= 2*f.newest+screenful {
			*newest = latest(*newest, f.newest)
		}
		return nil
	})
	*newest = latest(*newest, f.newest)
	return err
}

// latest are the n newest entries, the newest first.
func latest(entries []archive.Entry, n int) []archive.Entry {
	slices.SortStableFunc(entries, func(a, b archive.Entry) int { return cmp.Compare(b.ReceivedAt, a.ReceivedAt) })
	return entries[:min(n, len(entries))]
}

// followEvery is how often a following list checks for more.
const followEvery = time.Second

// following prints the existing payloads and then new ones, until ctx ends.
func following(ctx context.Context, filter archive.Filter, from lister, print func(archive.Entry) error) error {
	seen := map[string]uint64{} // by status, the last sequence
	for began := false; ; began = true {
		err := from(ctx, filter, func(e archive.Entry) error {
			began = true
			if e.Seq <= seen[e.Status] {
				return nil
			}
			seen[e.Status] = e.Seq
			at := event.ParseInstant(e.ReceivedAt)
			if recent := at.Add(-time.Minute); recent.After(filter.Since) {
				filter.Since = recent // older ones are already printed
			}
			return print(e)
		})
		switch away, ok := errors.AsType[apiAway](err); {
		case ok && began:
			return fmt.Errorf("the connection to the admin API at %s was lost: %s; start the command again when kycbridge "+
				"serve runs there", away.base, away.why)
		case err != nil:
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followEvery):
		}
	}
}

// printEntries prints a table that fits the screen.
func printEntries(s screen, entries []archive.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	return s.print(entryTable(entries))
}

// entryTable is a table of payloads.
func entryTable(entries []archive.Entry) (columns []column, rows [][]cell) {
	columns = []column{{name: "RECEIVED"}, {name: "STATUS"}, {name: "SEQ", right: true}, {name: "PROVIDER"},
		{name: "ACCOUNT", spare: 1},
		{name: "VERIFICATION"}, {name: "VIA", spare: 3}, {name: "PAYLOAD"}, {name: "BYTES", right: true, spare: 4},
		{name: "REASON", spare: 2}, {name: "EVENT", least: 12, spare: 5}}
	for _, e := range entries {
		rows = append(rows, []cell{{shortTime(e.ReceivedAt), dimHue}, {e.Status, statusHue(e.Status)},
			{strconv.FormatUint(e.Seq, 10), ""},
			{e.Provider, ""}, {e.Account, ""}, {orNone(shortID(e.VerificationID)), ""}, {e.Via, ""}, {shortPayload(e), ""},
			{strconv.Itoa(e.Bytes), ""}, {orNone(e.Reason), ""}, {orNone(cmp.Or(e.Event, e.Addressed)), ""}})
	}
	return columns, rows
}

// statusHue is the colour of the status of a payload.
func statusHue(status string) hue {
	switch status {
	case archive.StatusQuarantined, archive.StatusRefused:
		return badHue
	case archive.StatusIgnored:
		return dimHue
	}
	return plainHue
}

// shortDigest is the length of a digest prefix that identifies a payload.
const shortDigest = 12

// shortPayload is a payload id in the short form of find and show: without provider and account, and with
// a shortened digest.
func shortPayload(e archive.Entry) string {
	id := strings.TrimPrefix(e.PayloadID, e.Provider+"."+e.Account+".")
	if digest, ok := strings.CutPrefix(id, "sha256:"); ok {
		return digest[:min(len(digest), shortDigest)]
	}
	return id
}

// line writes a value as one line of JSON.
func line(w io.Writer, v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := w.Write(printableJSON(b.Bytes()))
	return err
}

// printableJSON is the same JSON with escapes for the characters that control a terminal or change the direction of
// text. JSON itself demands escapes only below U+0020.
func printableJSON(b []byte) []byte {
	if !bytes.ContainsFunc(b, controls) {
		return b
	}
	out := make([]byte, 0, len(b)+64)
	for _, r := range string(b) {
		switch {
		case !controls(r):
			out = utf8.AppendRune(out, r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

func controls(r rune) bool { return r != '\n' && !unicode.IsPrint(r) && r != utf8.RuneError }

// table prints entries in columns, below a header, as they arrive.
type table struct {
	screen
	account int // width of the account column; it grows with longer names
	begun   bool
}

const entryColumns = "%-20s  %-11s  %7s  %-8s  %-*s  %-*s  %-8s  %7s  %-12s  %-32s  %s"

func (t *table) print(e archive.Entry) error {
	wide, id, verification := 36, e.PayloadID, e.VerificationID
	if t.width > 0 {
		wide, id, verification = 12, shortPayload(e), shortID(e.VerificationID)
	}
	if !t.begun {
		t.begun = true
		t.account = columnFor(t.account, e.Account)
		head := fmt.Sprintf(entryColumns, "RECEIVED", "STATUS", "SEQ", "PROVIDER", t.account, "ACCOUNT", wide,
			"VERIFICATION", "VIA", "BYTES", "REASON", "EVENT", "PAYLOAD")
		if _, err := fmt.Fprintln(t.w, t.paint(head, headHue)); err != nil {
			return err
		}
	}
	t.account = columnFor(t.account, e.Account)
	name := cmp.Or(e.Event, e.Addressed) // a callback to an unknown account has no other name
	if t.width > 0 {
		name = shortenMiddle(name, 32)
	}
	text := fmt.Sprintf(entryColumns, shortTime(e.ReceivedAt), e.Status, strconv.FormatUint(e.Seq, 10), e.Provider,
		t.account, shortenMiddle(e.Account, t.account),
		wide, orNone(verification), e.Via, strconv.Itoa(e.Bytes), orNone(e.Reason), orNone(name), id)
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

// printOne prints a payload as JSON or as text.
func printOne(cmd *cobra.Command, shown archive.Shown, asJSON bool) error {
	if asJSON {
		return line(cmd.OutOrStdout(), shown)
	}
	return printShown(cmd.OutOrStdout(), shown)
}

// find reads the payload with an id, or with a status and a sequence.
func find(ctx context.Context, s store, f archive.Filter, seq uint64) (kycbridge.Kept, error) {
	if seq == 0 {
		k, err := s.Get(ctx, f)
		if errors.Is(err, kycbridge.ErrNotFound) {
			return k, fmt.Errorf("no stored payload has the id %s", printable(f.ID))
		}
		return k, err
	}
	shelf := map[string]kycbridge.Shelf{archive.StatusQuarantined: kycbridge.ShelfQuarantine,
		archive.StatusRefused: kycbridge.ShelfRefused}[f.Status]
	if shelf == "" {
		shelf = kycbridge.ShelfPayloads
	}
	k, err := s.Shelves.KeptAt(ctx, shelf, seq)
	if errors.Is(err, kycbridge.ErrNotFound) {
		return k, fmt.Errorf("no %s payload has the sequence %d", f.Status, seq)
	}
	return k, err
}
