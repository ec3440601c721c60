package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
)

// payloadFlags select the stored payloads: in a store, or through the API of a running process.
type payloadFlags struct {
	environ []string
	file    string
	access  app.StoreAccess
	api     apiFlags
	why     string // the reason, for the access log
}

func newPayloadFlags(environ []string) payloadFlags {
	return payloadFlags{environ: environ, api: apiFlags{environ: environ}}
}

// add adds the flags.
func (o *payloadFlags) add(f *pflag.FlagSet) {
	o.addStore(f)
	o.api.addTo(f)
	f.Lookup("api").Usage = "`address` of the admin API of a running process, to use that instead of the store"
	f.Lookup("token-file").Usage = "`file` with an admin token in its first line, to use the API (" + apiVariable + " or " +
		apiDefault + ") instead of the store"
}

// addStore adds the flags of a store.
func (o *payloadFlags) addStore(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVarP(&o.file, "config", "c", "", "configuration `file` (YAML): accounts, names, store")
	f.StringVar(&o.access.URL, "store", "", "NATS `server` with the store and the events, instead of the configured one")
	f.StringVar(&o.access.User, "user", "", "`name` of a NATS user")
	f.StringVar(&o.access.PasswordFile, "password-file", "", "`file` with the password of --user")
	f.StringVar(&o.access.CredentialsFile, "creds", "", "NATS credentials `file` (JWT and seed)")
}

// remote reports whether the API of a running process is used.
func (o *payloadFlags) remote() bool { return o.api.named() }

// reach uses the API of a running process if the flags name one, else the store.
func (o *payloadFlags) reach(
	cmd *cobra.Command, remote func(context.Context, *apiClient) error, local func(context.Context, store) error,
) error {
	if !o.remote() {
		err := o.with(cmd, local)
		if errors.Is(err, app.ErrForbidden) {
			err = fmt.Errorf("%w, or use its API with --api and --token-file", err)
		}
		return err
	}
	if o.file != "" || o.access != (app.StoreAccess{}) {
		return usage(cmd, "--api and --token-file use a running process, which has its own configuration and store; omit "+
			"--config, --store and their flags")
	}
	client, err := o.api.client()
	if err != nil {
		return usage(cmd, err.Error())
	}
	client.reason = o.why
	return remote(cmd.Context(), client)
}

func payloadsCommand(environ []string) *cobra.Command {
	flags := newPayloadFlags(environ)
	o := &flags
	cmd := group(&cobra.Command{
		Use:   "payloads",
		Short: "List, replay, move, erase, hold and account for stored payloads",
		Long: `List, replay, move, erase, hold and account for stored payloads.

The configuration names the accounts and the store. For an embedded store the commands
connect to the running process, or, if there is none, open the data directory. --store
names another server instead. With --api or --token-file list, show, report, hold, release
and holds use the admin API of a running process and need no configuration and no permission
to read its files; the others always open the store.`,
		Example: `  kycbridge payloads list --config kyc.yaml --status quarantined --since 24h
  kycbridge payloads replay --config kyc.yaml --dry-run
  kycbridge payloads report --config kyc.yaml`,
	})
	o.add(cmd.PersistentFlags())
	cmd.AddCommand(listCommand(o), showCommand(o), replayCommand(o), exportCommand(o), importCommand(o),
		bundleCommand(o), purgeCommand(o), holdCommand(o), releaseCommand(o), holdsCommand(o), retentionCommand(o),
		reportCommand(o))
	return cmd
}

// store is an opened archive, with its configuration.
type store struct {
	*archive.Archive
	config *app.Config
	log    *zap.Logger
	use    *use
}

// with opens the archive, uses it and closes it.
func (o *payloadFlags) with(cmd *cobra.Command, work func(ctx context.Context, s store) error) error {
	if o.remote() {
		return usage(cmd, cmd.Name()+" opens the store itself, and not the API of a running process: omit --api, "+
			"--token-file and their flags, and write --config, or --store")
	}
	config, err := o.config(cmd)
	if err != nil {
		return err
	}
	log, _, err := newLogger(config.Log, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	// Connection failures are reported by the error of the command.
	a, closeStore, err := app.OpenArchive(cmd.Context(), config, o.access, zap.NewNop())
	if err != nil {
		return o.withoutConfig(ended(cmd.Context(), fromNATS(err, otherStore)))
	}
	defer closeStore()
	u := newUse(cmd, a.AccessLog, o.why)
	err = ended(cmd.Context(), work(cmd.Context(), store{a, config, log, u}))
	recorded := u.finish(cmd, err)
	switch {
	case !recorded && errors.Is(err, errStoreLost):
		return fmt.Errorf("%w; the access log has no record of how it ended", err)
	case !recorded:
		fmt.Fprintln(cmd.ErrOrStderr(), "kycbridge: the access log has taken no record of this command")
	}
	return err
}

// otherStore is the remedy of fromNATS for commands that open a store.
const otherStore = "is this the address of the NATS server with the store?"

// withKeys opens the keys of the store, uses them and closes the store.
func (o *payloadFlags) withKeys(cmd *cobra.Command, work func(context.Context, *app.KeyStore) error) error {
	config, err := o.config(cmd)
	if err != nil {
		return err
	}
	k, closeStore, err := app.OpenKeys(cmd.Context(), config, o.access, zap.NewNop())
	if err != nil {
		return ended(cmd.Context(), fromNATS(err, otherStore))
	}
	defer closeStore()
	return ended(cmd.Context(), work(cmd.Context(), k))
}

// withoutConfig adds to an error of the store that no configuration was named, which is the usual reason.
func (o *payloadFlags) withoutConfig(err error) error {
	if err == nil || o.file != "" || o.access.URL != "" || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w (without --config FILE the defaults are used)", err)
}

// config checks the flags of a store and reads the configuration.
func (o *payloadFlags) config(cmd *cobra.Command) (*app.Config, error) {
	if err := oneCredential(app.ReadOptions{User: o.access.User, PasswordFile: o.access.PasswordFile,
		CredentialsFile: o.access.CredentialsFile}); err != nil {
		return nil, usage(cmd, err.Error())
	}
	if o.access.URL == "" && o.access.User+o.access.CredentialsFile != "" {
		return nil, usage(cmd, "--user, --password-file and --creds require --store; the configuration contains its own")
	}
	if err := credentialFiles(o.access.PasswordFile, o.access.CredentialsFile); err != nil {
		return nil, usage(cmd, err.Error())
	}
	if o.access.URL != "" {
		address, err := natsAddress("--store", o.access.URL)
		if err != nil {
			return nil, usage(cmd, err.Error())
		}
		o.access.URL = address
	}
	config, err := app.LoadConfig(o.file, o.environ, app.ProviderCatalog())
	if err == nil && o.access.URL == "" {
		err = config.CheckFiles()
	}
	return config, err
}

// errStoreLost is the error of a command whose connection to the store was lost.
var errStoreLost = errors.New("the connection to the store was lost: kycbridge serve, or its NATS server, has " +
	"stopped or cannot be reached; completed work is kept, so start the command again when it runs")

// ended replaces errors that do not explain the cause: an operation that stops with the connection to the
// store is cancelled, as by a signal, or refused by the library, and one that the store does not answer exceeds its
// deadline.
func ended(ctx context.Context, err error) error {
	switch {
	case err == nil || ctx.Err() != nil:
		return err
	case errors.Is(err, context.Canceled) || app.ConnectionLost(err):
		return errStoreLost
	case errors.Is(err, context.DeadlineExceeded):
		return errors.New("the store did not answer in time; completed work is kept, so run the command again")
	}
	return err
}

// broken is the error of work that a signal or a closed reader has interrupted, with the next steps; nil
// for any other error. It wraps nothing that would end the command quietly.
func broken(ctx context.Context, err error, next string) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return errors.New("interrupted: " + next)
	case quietPipe(err) == nil && !errors.Is(err, context.Canceled):
		return errors.New("the output was closed: " + next)
	}
	return nil
}

// filterFlags are the flags that select payloads.
type filterFlags struct {
	archive.Filter
	since, until string

	flags *pflag.FlagSet // of the command
}

// add adds the named flags to a command.
func (o *filterFlags) add(f *pflag.FlagSet, names ...string) {
	o.flags = f
	f.SortFlags = false
	for _, name := range names {
		switch name {
		case "provider":
			f.StringVar(&o.Provider, name, "", "only of this `provider`")
		case "account":
			f.StringVar(&o.Account, name, "", "only of this `account`")
		case "verification":
			f.StringVar(&o.Verification, name, "", "only of the verification with this `id`")
		case "id":
			f.StringVar(&o.ID, name, "", "only the payload with this `id`")
		case "via":
			f.StringVar(&o.Via, name, "", "only those from this `source`: callback, poll, fetch, start, deadline")
		case "status":
			f.StringVar(&o.Status, name, "", "only of this `status`: "+strings.Join(archive.Statuses(), ", "))
		case "reason":
			f.StringVar(&o.Reason, name, "",
				"only those quarantined for this `reason`: malformed, schema, unidentified, foreign, unmapped")
		case "event":
			f.StringVar(&o.Event, name, "", "only those with this `name` of the provider's message")
		case "since":
			f.StringVar(&o.since, name, "", "only those received since this `time`: RFC 3339, or an age such as 24h or 7d")
		case "until":
			f.StringVar(&o.until, name, "", "only those received before this `time`: RFC 3339, or an age such as 24h or 7d")
		case "limit":
			f.IntVar(&o.Limit, name, 0, "at most this `many`; 0 is all")
		}
	}
}

// selecting are the flags of every command for many payloads.
var selecting = []string{"provider", "account", "verification", "id", "via", "status", "reason", "event", "since",
	"until"}

// filter is the filter of the flags, or their fault.
func (o *filterFlags) filter(now time.Time) (f archive.Filter, err error) {
	f = o.Filter
	if err := noneEmpty(o.flags); err != nil {
		return f, err
	}
	if f.Since, err = parseSince(o.since, now); err != nil {
		return f, err
	}
	if f.Until, err = parseUntil("--until", o.until, now); err != nil {
		return f, err
	}
	ways := []event.Via{"", event.ViaCallback, event.ViaPoll, event.ViaFetch, event.ViaStart, event.ViaDeadline}
	if !slices.Contains(ways, event.Via(f.Via)) {
		return f, fmt.Errorf("--via %s: payloads come by callback, poll, fetch, start or deadline", f.Via)
	}
	if !f.Since.IsZero() && !f.Until.IsZero() && !f.Since.Before(f.Until) {
		return f, errors.New("--since is after --until, so nothing is selected")
	}
	checked := f
	if isBeginning(f.Verification) {
		checked.Verification = "" // it is completed when the store is open
	}
	return f, checked.Check()
}

// noneEmpty refuses a flag with an empty value, such as an unset variable of a script: without the flag
// the command would apply to everything.
func noneEmpty(flags *pflag.FlagSet) (err error) {
	flags.Visit(func(f *pflag.Flag) {
		if err == nil && f.Value.Type() == "string" && f.Value.String() == "" {
			err = fmt.Errorf("--%s is empty: write a value, or omit the flag", f.Name)
		}
	})
	return err
}

// parseUntil parses an instant or an age; an empty text is no instant.
func parseUntil(flag, s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	if age, err := kycbridge.ParseAge(s); err == nil {
		return now.Add(-age), nil
	}
	return time.Time{}, fmt.Errorf(
		"%s %s: write an RFC 3339 time such as 2026-03-02T09:00:00Z, or an age such as 24h or 7d", flag, s)
}

// output is the destination of results: buffered, except for a terminal.
func output(to io.Writer) (w io.Writer, flush func() error) {
	if terminal(to) {
		return to, func() error { return nil }
	}
	b := bufio.NewWriterSize(to, 1<<15)
	return b, b.Flush
}

// requireTerminal refuses a change that cannot be confirmed interactively.
func requireTerminal(cmd *cobra.Command, yes, dryRun bool, what string) error {
	if yes || dryRun || terminal(cmd.InOrStdin()) {
		return nil
	}
	return usage(cmd, what+", and there is no terminal to confirm it: write --yes, or --dry-run to see the effect")
}

// errDeclined means the answer no.
var errDeclined = errors.New("cancelled: nothing was changed")

// ask asks for confirmation; only yes confirms.
func ask(ctx context.Context, cmd *cobra.Command, question string) error {
	fmt.Fprint(cmd.ErrOrStderr(), question+" [y/N] ")
	said, err := bufio.NewReader(interruptible(ctx, cmd.InOrStdin())).ReadString('\n')
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr())
	}
	switch strings.ToLower(strings.TrimSpace(said)) {
	case "y", "yes":
		return nil
	}
	return errDeclined
}

// interruptible reads r until ctx ends. A read of a terminal or pipe cannot be cancelled: it ends with the
// process.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	out, in := io.Pipe()
	go func() {
		_, err := io.Copy(in, r)
		in.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) })
	return out
}

// plural is a number with its noun.
func plural(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "y"):
		return fmt.Sprintf("%d %sies", n, strings.TrimSuffix(one, "y"))
	}
	return fmt.Sprintf("%d %ss", n, one)
}

// note prints a hint to a terminal, and nothing to a pipe.
func note(cmd *cobra.Command, format string, args ...any) {
	if w, ok := cmd.ErrOrStderr().(*os.File); ok && terminal(w) {
		fmt.Fprintf(w, format+"\n", args...)
	}
}
