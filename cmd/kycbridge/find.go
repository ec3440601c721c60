package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"kycbridge"
	"kycbridge/internal/archive"
)

// findFlags are the flags of find.
type findFlags struct {
	payloadFlags
	asJSON, rebuild bool
	shown           string // the id in messages
}

func findCommand(environ []string) *cobra.Command {
	o := findFlags{payloadFlags: newPayloadFlags(environ)}
	cmd := &cobra.Command{
		Use:   "find ID|-",
		Short: "Find a verification by any id, and show its history",
		Long: `Find a verification by any id: the verification id, your external reference, one of the
provider's, or that of a payload; whole, or its beginning as tables print it (at least 4
characters of a verification id, at least 8 of others).

With - the ID is read from standard input. Write an id that is about a person, such as an
e-mail address, in this way: every user of the machine can read the arguments of a command.

If one is found, its timeline is printed: payloads in order, the revisions they led to
and the changes in each, or why there is none, and whether the provider is still polled. If
several are found, they are listed.

Ids are looked up in an index of digests, which is updated within a second or two.
--rebuild creates it again from the stored messages.`,
		Example: `  kycbridge find case-4711 --config kyc.yaml
  kycbridge find 786513b3 --token-file ./token --json
  kycbridge find - --config kyc.yaml < reference.txt`,
		Args: func(cmd *cobra.Command, args []string) error {
			if o.rebuild && len(args) == 0 || !o.rebuild && len(args) == 1 {
				return nil
			}
			if o.rebuild {
				return usage(cmd, "find --rebuild builds the index of all ids, so it takes no ID")
			}
			return usage(cmd, fmt.Sprintf("find takes one ID, not %d", len(args)))
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.rebuild {
				return o.with(cmd, func(ctx context.Context, s store) error { return rebuild(ctx, cmd, s) })
			}
			id, err := searchedID(cmd, args[0])
			if err != nil {
				return err
			}
			o.shown = id
			if args[0] == "-" {
				o.shown = "in standard input"
			}
			return o.find(cmd, id)
		},
	}
	f := cmd.Flags()
	o.add(f)
	f.BoolVar(&o.asJSON, "json", false, "print the result as one JSON object")
	f.BoolVar(&o.rebuild, "rebuild", false, "create the index of ids again from the stored messages")
	return cmd
}

// longestID limits an id that is read from standard input, in bytes.
const longestID = 4096

// searchedID is the id of a command line, or the one in standard input for "-".
func searchedID(cmd *cobra.Command, arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	raw, err := io.ReadAll(io.LimitReader(interruptible(cmd.Context(), cmd.InOrStdin()), longestID+1))
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(raw))
	if id == "" || len(raw) > longestID || strings.ContainsAny(id, "\r\n") {
		return "", usage(cmd, "standard input must hold one line, the ID")
	}
	return id, nil
}

// find searches for an id and prints the matches.
func (o *findFlags) find(cmd *cobra.Command, text string) error {
	if strings.TrimSpace(text) == "" {
		return usage(cmd, "the ID is empty: write one, or its beginning")
	}
	return o.reach(cmd, func(ctx context.Context, c *apiClient) error {
		var r archive.SearchResult
		q := request{method: http.MethodGet, path: "/v1/verifications", query: url.Values{"q": {text}, "timeline": {"true"}}}
		if err := c.object(ctx, q, &r); err != nil {
			return err
		}
		return o.show(cmd, r, text, 0)
	}, func(ctx context.Context, s store) error {
		r, err := s.Search(ctx, text, true)
		if errors.Is(err, kycbridge.ErrAmbiguous) {
			return errors.New("too many ids begin like this: write more characters, or the whole id")
		}
		if err != nil {
			return err
		}
		lag, err := s.Indexing.Lag(ctx)
		if err != nil {
			return err
		}
		return o.show(cmd, r, text, lag.Total())
	})
}

// show prints the matches.
func (o *findFlags) show(cmd *cobra.Command, r archive.SearchResult, text string, behind int) error {
	if len(r.Found) == 0 {
		err := nothingHas(r, text, o.shown)
		if behind > 0 && len(r.Erased) == 0 {
			err = fmt.Errorf("%w; %s are not in the index yet: try again, or write --rebuild", err,
				plural(behind, "stored message"))
		}
		return err
	}
	if o.asJSON {
		return line(cmd.OutOrStdout(), r)
	}
	s := screenOf(cmd.OutOrStdout(), o.environ)
	if r.Timeline == nil {
		return printFound(s, r.Found)
	}
	return printTimeline(s, r.Found[0], *r.Timeline)
}

// printFound lists the matches.
func printFound(s screen, found []archive.Found) error {
	columns := []column{{name: "TIME", spare: 1}, {name: "PROVIDER"}, {name: "ACCOUNT"}, {name: "VERIFICATION"},
		{name: "REV", right: true, spare: 2}, {name: "STATUS", least: 10}, {name: "OUTCOME"}, {name: "FOUND BY", spare: 3},
		{name: "PAYLOAD"}}
	var rows [][]cell
	for _, f := range found {
		status := f.Status
		if f.VerificationID == "" || f.Status == "" {
			status = orNone(f.PayloadStatus)
		}
		id := f.VerificationID
		if s.width > 0 {
			id = shortID(id)
		}
		rows = append(rows, []cell{{shortTime(f.At), dimHue}, {f.Provider, ""}, {f.Account, ""}, {orNone(id), ""},
			{revisionOf(f.Revision), ""},
			{status, ""}, verdict(orNone(f.Outcome), f.Final), {foundBy(f.By), dimHue}, {orNone(f.PayloadID), ""}})
	}
	return s.print(columns, rows)
}

// foundBy names a kind of id.
func foundBy(k kycbridge.IndexKind) string {
	words := map[kycbridge.IndexKind]string{kycbridge.IndexVerification: "verification id",
		kycbridge.IndexExternal:  "external reference",
		kycbridge.IndexReference: "provider's reference", kycbridge.IndexPayload: "payload id"}
	return words[k]
}

// printTimeline prints one verification: its current state, then its history, oldest first.
func printTimeline(s screen, f archive.Found, t archive.Timeline) error {
	pairs := []string{"verification", t.VerificationID, "provider", t.Provider, "account", t.Account, "found by",
		foundBy(f.By)}
	for _, name := range slices.Sorted(maps.Keys(t.References)) {
		pairs = append(pairs, name, t.References[name])
	}
	if t.Revision > 0 {
		pairs = append(pairs, "state",
			strings.Join(slices.DeleteFunc([]string{revisionOf(t.Revision), t.Status, t.StatusDetail,
				s.paint(verdict(t.Outcome, t.Final).text, verdict(t.Outcome, t.Final).hue)},
				func(w string) bool { return w == "" }), " "))
	} else {
		pairs = append(pairs, "state", "no event yet")
	}
	if t.Open != nil {
		text := "the provider is polled until " + shortTime(t.Open.Deadline)
		if t.Open.Failures > 0 {
			text += fmt.Sprintf("; the last %s failed", plural(t.Open.Failures, "poll"))
		}
		pairs = append(pairs, "open", text)
	}
	switch {
	case t.Unfinished:
		pairs = append(pairs, "erased", "partly, at "+shortTime(t.Erased)+"; run the purge again")
	case t.Erased != "":
		pairs = append(pairs, "erased", "at "+shortTime(t.Erased)+"; the entries below are newer")
	}
	width := 0
	for i := 0; i < len(pairs); i += 2 {
		width = max(width, len(pairs[i]))
	}
	for i := 0; i < len(pairs); i += 2 {
		value := pairs[i+1]
		if pairs[i] != "state" { // contains colours, and nothing from outside
			value = printable(value)
		}
		if _, err := fmt.Fprintf(s.w, "%-*s  %s\n", width, pairs[i], value); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintln(s.w); err != nil {
		return err
	}
	first := firstRevision(t)
	for _, step := range t.Steps {
		if err := printStep(s, step, step.Revision == first); err != nil {
			return err
		}
	}
	if t.Cut {
		_, err := fmt.Fprintln(s.w, "The list is not complete.")
		return err
	}
	return nil
}

// firstRevision is the revision with which a history begins: after an erasure it is not 1.
func firstRevision(t archive.Timeline) int {
	i := slices.IndexFunc(t.Steps, func(s archive.Step) bool { return s.Revision > 0 })
	if i < 0 || t.Cut {
		return 1
	}
	return t.Steps[i].Revision
}

// mostChanges limits the printed changes of one revision.
const mostChanges = 8

// printStep prints one step of a timeline. Of the first revision it lists no changes: everything in it is new.
func printStep(s screen, step archive.Step, isFirst bool) error {
	at := s.paint(shortTime(step.At), dimHue)
	if step.Kind != archive.StepEvent {
		_, err := fmt.Fprintln(s.w, at+"  "+printable(fmt.Sprintf("%-11s  %s  %s", step.Via, orNone(step.Event),
			step.PayloadID))+"  "+s.outcomeText(step))
		for _, e := range step.Errors {
			if err == nil {
				_, err = fmt.Fprintln(s.w, "    "+printable(e.Path+" "+e.Message))
			}
		}
		return err
	}
	v := verdict(step.Outcome, step.Final)
	words := []string{at, s.paint(fmt.Sprintf("%-11s", revisionOf(step.Revision)), headHue), printable(step.Status)}
	if step.StatusDetail != "" {
		words = append(words, printable(step.StatusDetail))
	}
	words = append(words, s.paint(v.text, v.hue))
	if len(step.Reasons) > 0 {
		words = append(words, printable(strings.Join(step.Reasons, " · ")))
	}
	if _, err := fmt.Fprintln(s.w, strings.Join(words, "  ")); err != nil || isFirst {
		return err
	}
	for i, d := range step.Changed {
		if i == mostChanges {
			_, err := fmt.Fprintf(s.w, "    and %s more; --json shows all\n", plural(len(step.Changed)-i, "change"))
			return err
		}
		text := printable(fmt.Sprintf("    %s: %s → %s", d.Path, written(d.Before), written(d.After)))
		if s.width > 0 {
			text = cut(text, s.width)
		}
		if _, err := fmt.Fprintln(s.w, s.paint(text, dimHue)); err != nil {
			return err
		}
	}
	return nil
}

// outcomeText describes the result of a payload.
func (s screen) outcomeText(step archive.Step) string {
	switch {
	case step.Kind == archive.StepQuarantine:
		return s.paint("quarantined: "+printable(step.Reason), badHue)
	case step.Pending:
		return s.paint("not processed yet", waitHue)
	case step.Revision > 0:
		return "→ " + revisionOf(step.Revision)
	case step.NoEvent != "":
		return s.paint("no event: "+printable(step.NoEvent), dimHue)
	}
	return s.paint("its disposition is not recorded", waitHue)
}

// rebuild rebuilds the index.
func rebuild(ctx context.Context, cmd *cobra.Command, s store) error {
	lag, err := s.Indexing.Lag(ctx)
	if err != nil {
		return err
	}
	bar := newProgress(cmd.ErrOrStderr(), "index", 0)
	err = s.Indexing.Rebuild(ctx, func(left kycbridge.IndexLag) {
		if bar != nil && bar.total == 0 {
			bar = newProgress(cmd.ErrOrStderr(), "index", int64(max(left.Total(), lag.Total())))
		}
		if bar != nil {
			bar.set(bar.total - int64(left.Total()))
		}
	})
	bar.clear()
	if stopped := broken(ctx, err, "the index is incomplete; serve completes it, or run it again"); stopped != nil {
		return stopped
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(cmd.OutOrStdout(), "the index of ids is rebuilt\n")
	return err
}

// shortestBeginning is the shortest searched beginning of a verification id, characters.
const shortestBeginning = 4

// nothingHas is the error of a search for text without a match; shown is text as the message repeats it.
func nothingHas(r archive.SearchResult, text, shown string) error {
	if len(r.Erased) > 0 {
		var all []string
		for _, e := range r.Erased {
			text := fmt.Sprintf("%s of %s %s, erased at %s", e.VerificationID, e.Provider, e.Account,
				e.At.UTC().Format(time.RFC3339))
			if e.Unfinished {
				text += " and not finished: run the purge again"
			}
			all = append(all, text)
		}
		return fmt.Errorf("the id %s is that of an erased verification: %s", printable(shown), strings.Join(all, "; "))
	}
	if utf8.RuneCountInString(text) < shortestBeginning {
		return fmt.Errorf("nothing has exactly the id %s; to search by a beginning, write at least %d characters of a "+
			"verification id, or 8 of another id", printable(shown), shortestBeginning)
	}
	return fmt.Errorf("no verification or payload has the id %s, or one that begins with it", printable(shown))
}
