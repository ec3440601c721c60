package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"kycbridge"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
)

// longestWhy is the maximum length of a reason, in characters.
const longestWhy = 500

// addWhy adds the flag for the reason; what names the part of the command that needs it, "" for all of it.
func (o *payloadFlags) addWhy(cmd *cobra.Command, what string) {
	if what != "" {
		what = "; needed for " + what
	}
	cmd.Flags().StringVar(&o.why, "why", "", "`reason`, which the access log records, such as a case number"+what)
}

// needReason is the error of a command without a usable reason. If the configuration names no holders of tokens or
// certificates, the reason is optional, so that scripts from before names were introduced remain valid. If the
// command uses the API, the running process decides.
func (o *payloadFlags) needReason(because string) error {
	if strings.TrimSpace(o.why) == "" && !o.namesHolders() {
		return nil
	}
	return o.needReasonIn("why", because)
}

// namesHolders reports whether the configuration names holders of tokens or certificates. The command reports a
// faulty configuration.
func (o *payloadFlags) namesHolders() bool {
	if o.remote() {
		return false
	}
	config, err := app.LoadConfig(o.file, o.environ, app.ProviderCatalog())
	return err == nil && config.Admin.NamesHolders()
}

// needReasonIn is needReason for a reason in another flag.
func (o *payloadFlags) needReasonIn(flag, because string) error {
	o.why = strings.TrimSpace(o.why)
	switch {
	case o.why == "":
		return fmt.Errorf("%s, so say why: write --%s with a reason, which the access log records", because, flag)
	case utf8.RuneCountInString(o.why) > longestWhy, !utf8.ValidString(o.why),
		strings.ContainsFunc(o.why, unicode.IsControl):
		return fmt.Errorf("--%s takes 1 to %d characters in one line", flag, longestWhy)
	}
	return nil
}

// use is the record of a command that opens the store itself.
type use struct {
	kycbridge.Access
	log   archive.AccessLog
	flags map[string]any // what limits or widens the use: a dry run, values about a person
}

// newUse creates the record of a command.
func newUse(cmd *cobra.Command, log archive.AccessLog, why string) *use {
	name := cmd.Name()
	if parent := cmd.Parent(); parent != nil && parent.HasParent() {
		name += "_" + parent.Name()
	}
	flags := map[string]any{}
	for flag, word := range map[string]string{"dry-run": "dry_run", "reveal": "reveal"} {
		if on, err := cmd.Flags().GetBool(flag); err == nil && on {
			flags[word] = true
		}
	}
	return &use{log: log, flags: flags, Access: kycbridge.Access{Time: time.Now().UTC(), ID: rand.Text(),
		By: "os:" + systemUser(), Operation: "command_" + name, Filter: kycbridge.FilterWords(flags),
		Reason: strings.TrimSpace(why)}}
}

// systemUser is the user of the operating system who runs the command.
func systemUser() string {
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return strconv.Itoa(os.Getuid())
}

// about records which verification a command is about.
func (u *use) about(provider, account, verificationID string) {
	u.Provider, u.Account, u.VerificationID = provider, account, verificationID
}

// selects records what a command selects.
func (u *use) selects(f archive.Filter) {
	u.about(f.Provider, f.Account, f.Verification)
	words := maps.Clone(u.flags)
	for name, values := range queryOf(f) {
		words[name] = values[0]
	}
	u.Filter = kycbridge.FilterWords(words)
}

// accepts records, durably and before it is done, that a report accepts what it lists as missing: from then on
// nothing else shows that a loss was reported.
func (u *use) accepts(ctx context.Context) error {
	u.Filter = strings.TrimSpace(kycbridge.FilterWords(map[string]any{"accept": true}) + " " + u.Filter)
	return u.begin(ctx)
}

// begin stores the record durably, before the command reveals or erases anything.
func (u *use) begin(ctx context.Context) error {
	begun := u.Access
	begun.Result = kycbridge.AccessBegun
	if err := u.log.StoreAccess(ctx, begun); err != nil {
		return fmt.Errorf("nothing was done, because the access log takes no record: %w", err)
	}
	return nil
}

// finish stores the record of a command that has ended, and returns whether it was stored.
func (u *use) finish(cmd *cobra.Command, err error) (recorded bool) {
	u.Result = "done"
	if err != nil && !errors.Is(err, errIncompleteReport) { // which is a result
		u.Result = "failed"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), 5*time.Second)
	defer cancel()
	return u.log.StoreAccess(ctx, u.Access) == nil
}

// accessFlags are the flags of access list.
type accessFlags struct {
	by, verification, since, until string
	limit, newest                  int
	asJSON                         bool
}

func accessCommand(environ []string) *cobra.Command {
	flags := newPayloadFlags(environ)
	o := &flags
	cmd := group(&cobra.Command{
		Use:   "access",
		Short: "Read who used the API, the console and the commands, and why",
	})
	o.add(cmd.PersistentFlags())
	cmd.AddCommand(accessListCommand(o))
	return cmd
}

func accessListCommand(o *payloadFlags) *cobra.Command {
	var f accessFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the access log",
		Long: `List the access log: who used the API, the console and the commands, when, for which
verification, why, and with which result. What demands a reason has a record with the
result begun before it is done, and another one afterwards. FILTER shows what was selected, and
dry_run=true where nothing was changed. Over the API a purge without confirm=true only counts.

On a terminal the newest 100 are shown, the newest first; -n sets the number. Otherwise the
oldest come first, and there is no limit.`,
		Example: `  kycbridge access list --config kyc.yaml --since 7d --by alice
  kycbridge access list --verification 786513b3-69c4-5dfa-afc2-55ed2d4345cf --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			q, err := f.query(cmd, time.Now())
			if err != nil {
				return usage(cmd, err.Error())
			}
			if screenOf(cmd.OutOrStdout(), o.environ).width > 0 && !cmd.Flags().Changed("limit") && !f.asJSON &&
				!cmd.Flags().Changed("newest") {
				f.newest = screenful
			}
			return o.reach(cmd, func(ctx context.Context, c *apiClient) error {
				return f.list(ctx, cmd, q, c.accesses)
			}, func(ctx context.Context, s store) error {
				s.use.VerificationID = q.VerificationID
				return f.list(ctx, cmd, q, s.AccessLog.Accesses)
			})
		},
	}
	g := cmd.Flags()
	g.SortFlags = false
	g.StringVar(&f.by, "by", "", "only of this `name` of a token or certificate, or os: and a user")
	g.StringVar(&f.verification, "verification", "", "only those about the verification with this `id`")
	g.StringVar(&f.since, "since", "", "only since this `time`: RFC 3339, or an age such as 24h or 7d")
	g.StringVar(&f.until, "until", "", "only before this `time`: RFC 3339, or an age such as 24h or 7d")
	g.IntVar(&f.limit, "limit", 0, "at most this `many`; 0 is all")
	g.IntVarP(&f.newest, "newest", "n", 0, "only the newest, this `many`, the newest first")
	g.BoolVar(&f.asJSON, "json", false, "print each as a JSON object, one per line")
	return cmd
}

// list prints the selected records.
func (f *accessFlags) list(
	ctx context.Context, cmd *cobra.Command, q kycbridge.AccessQuery,
	from func(context.Context, kycbridge.AccessQuery, func(kycbridge.Access) error) error,
) error {
	print, flush := f.printer(cmd)
	if f.newest == 0 {
		return errors.Join(from(ctx, q, print), flush())
	}
	var newest []kycbridge.Access // a few more than are printed
	err := from(ctx, q, func(a kycbridge.Access) error {
		if newest = append(newest, a); len(newest)/2 >= f.newest {
			newest = slices.Delete(newest, 0, len(newest)-f.newest)
		}
		return nil
	})
	for i := len(newest) - 1; i >= max(0, len(newest)-f.newest) && err == nil; i-- {
		err = print(newest[i])
	}
	return errors.Join(err, flush())
}

// query is what the flags select, or their fault.
func (f *accessFlags) query(cmd *cobra.Command, now time.Time) (q kycbridge.AccessQuery, err error) {
	if err := noneEmpty(cmd.Flags()); err != nil {
		return q, err
	}
	switch {
	case f.newest < 0:
		return q, errors.New("-n: write a number, 0 for all")
	case f.newest > 0 && f.limit > 0:
		return q, errors.New("-n takes the newest and --limit the oldest; write one of the two")
	}
	q.By, q.VerificationID, q.Limit = f.by, f.verification, f.limit
	if err := (archive.Filter{Verification: f.verification, Limit: f.limit}).Check(); err != nil {
		return q, err
	}
	if q.Since, err = parseSince(f.since, now); err != nil {
		return q, err
	}
	q.Until, err = parseUntil("--until", f.until, now)
	return q, err
}

// printer prints records as they come: as JSON, or one per line below a header.
func (f *accessFlags) printer(cmd *cobra.Command) (print func(kycbridge.Access) error, flush func() error) {
	w, flush := output(cmd.OutOrStdout())
	if f.asJSON {
		return func(a kycbridge.Access) error { return line(w, a) }, flush
	}
	const columns = "%-20s  %-16s  %-26s  %-36s  %-16s  %-14s  %s\n"
	begun := false
	return func(a kycbridge.Access) error {
		if !begun {
			begun = true
			if _, err := fmt.Fprintf(w, columns, "TIME", "BY", "OPERATION", "VERIFICATION", "RESULT", "FILTER",
				"REASON"); err != nil {
				return err
			}
		}
		_, err := fmt.Fprintf(w, columns, a.Time.UTC().Format(time.RFC3339), printable(a.By), printable(a.Operation),
			orNone(printable(a.VerificationID)), printable(a.Result), orNone(printable(a.Filter)),
			orNone(printable(a.Reason)))
		return err
	}, flush
}

// accesses reads the access log through the API.
func (c *apiClient) accesses(ctx context.Context, q kycbridge.AccessQuery, each func(kycbridge.Access) error) error {
	values := url.Values{}
	for name, value := range map[string]string{"by": q.By, "verification": q.VerificationID, "since": instantOf(q.Since),
		"until": instantOf(q.Until)} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if q.Limit > 0 {
		values.Set("limit", strconv.Itoa(q.Limit))
	}
	return c.lines(ctx, request{method: http.MethodGet, path: "/v1/access", query: values}, func(line []byte) error {
		var a kycbridge.Access
		if err := json.Unmarshal(line, &a); err != nil {
			return errors.New("the admin API did not answer with the access log")
		}
		return each(a)
	})
}
