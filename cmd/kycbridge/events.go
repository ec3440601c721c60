package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
)

// eventFlags are the flags of events.
type eventFlags struct {
	app.ReadOptions
	since  string
	asJSON bool
	keys   string
	// decrypt are files with private keys.
	decrypt []string

	keysTLS tlsFlags // of the URL in keys
	eventFilter
}

// eventFilter selects events. Empty fields match everything.
type eventFilter struct{ provider, account, outcome, status, external, verification string }

func eventsCommand(environ []string) *cobra.Command {
	o := eventFlags{}
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Read published events, as any consumer would",
		Long: `Read published events from NATS, as any consumer would, one per line.

The columns are time, provider, account, the beginning of the verification id, revision,
status, outcome of the decision, and cause: the provider's event, status detail, reasons.
--json prints the whole event. kycbridge find accepts the ids that are printed here.

On a terminal the newest 100 are shown, the newest first; -n sets the number. Otherwise all
are printed, the oldest first. With --follow it continues with new events.

With --keys every event must be signed by one of the service's keys, and the first that is
not ends the command with an error.

With --decrypt events of accounts with pii: encrypted are printed as with pii: full. One that
none of the private keys decrypts is printed as it is, and the command ends with an error.`,
		Example: `  kycbridge events --provider ondato --outcome rejected -n 20
  kycbridge events --subject 'kyc.event.v1.*.*.completed.>' --since 24h
  kycbridge events --keys http://127.0.0.1:8081/.well-known/jwks.json --since 24h
  kycbridge events --decrypt ./consumer.pem --json -n 1
  kycbridge events --url nats://nats.example.com:4222 --user onboarding --password-file ./password --follow --json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd, environ) },
	}
	o.add(cmd.Flags())
	return cmd
}

// run reads the events and prints them.
func (o *eventFlags) run(cmd *cobra.Command, environ []string) (err error) {
	if o.Since, err = parseSince(o.since, time.Now()); err != nil {
		return usage(cmd, err.Error())
	}
	if err = cmp.Or(noneEmpty(cmd.Flags()), o.check(), readable(&o.ReadOptions)); err != nil {
		return usage(cmd, err.Error())
	}
	d := decrypter{complain: cmd.ErrOrStderr()}
	if d.keys, err = readPrivateKeys(o.decrypt); err != nil {
		return err
	}
	if o.eventFilter != (eventFilter{}) {
		o.Match = func(body []byte) bool { return o.has(d.try(body)) }
	}
	if o.keys != "" {
		keys, err := readKeySet(cmd.Context(), &o.keysTLS, o.keys)
		if err != nil {
			return err
		}
		o.Check = checkSignature(keys)
	}
	s := screenOf(cmd.OutOrStdout(), environ)
	if s.width > 0 && !o.Follow && !o.asJSON && !cmd.Flags().Changed("newest") {
		o.Newest = screenful
	}
	out := printer{screen: s, asJSON: o.asJSON, account: 12}
	ctx, stop := cmd.Context(), func() {}
	if o.Follow {
		ctx, stop = untilUnread(ctx, cmd.OutOrStdout())
	}
	defer stop()
	err = app.ReadEvents(ctx, o.ReadOptions, d.wrap(out.print))
	if ctx.Err() != nil && cmd.Context().Err() == nil {
		err = nil // nobody reads the output any more
	}
	return cmp.Or(fromNATS(err, otherURL), d.result())
}

// add adds the flags, in the order in which help shows them.
func (o *eventFlags) add(f *pflag.FlagSet) {
	f.SortFlags = false
	f.StringVar(&o.URL, "url", "nats://127.0.0.1:4222", "NATS `server` to read from")
	f.StringVar(&o.User, "user", "", "`name` of a NATS user")
	f.StringVar(&o.PasswordFile, "password-file", "", "`file` with the password of --user")
	f.StringVar(&o.CredentialsFile, "creds", "", "NATS credentials `file` (JWT and seed)")
	f.StringVar(&o.Stream, "stream", "KYC_EVENTS", "event `stream`")
	f.StringVar(&o.Subject, "subject", "", "only events on this `subject`; wildcards are * and >")
	f.StringVar(&o.provider, "provider", "", "only of this `provider`")
	f.StringVar(&o.account, "account", "", "only of this `account`")
	f.StringVar(&o.outcome, "outcome", "", "only with this `outcome`: "+strings.Join(words(event.Outcomes()), ", "))
	f.StringVar(&o.status, "status", "", "only in this `status`: "+strings.Join(words(event.Statuses()), ", "))
	f.StringVar(&o.external, "case", "", "only with this external `reference`")
	f.StringVar(&o.verification, "verification", "", "only of the verification with this `id`, or one that begins with it")
	f.StringVar(&o.since, "since", "", "only events published since this `time`: RFC 3339, or an age such as 24h or 7d")
	f.IntVarP(&o.Newest, "newest", "n", 0, "only the newest, this `many`, the newest first")
	f.BoolVarP(&o.Follow, "follow", "f", false, "continue with new events")
	f.StringVar(&o.keys, "keys", "", "check signatures with this JSON Web Key Set, a `file` or URL")
	o.keysTLS.addCA(f, "keys-")
	f.StringArrayVar(&o.decrypt, "decrypt", nil, "decrypt with the private keys in this `file`; may be repeated")
	f.BoolVar(&o.asJSON, "json", false, "print each event as its CloudEvent, one per line")
}

// check refuses invalid combinations, and filters that no event can match.
func (o *eventFlags) check() error {
	if err := (archive.Filter{Provider: o.provider, Account: o.account}).Check(); err != nil {
		return err
	}
	switch {
	case strings.Trim(o.verification, "0123456789abcdefABCDEF-") != "":
		return fmt.Errorf("--verification %q: write an id, or its beginning: hexadecimal digits and - only", o.verification)
	case o.outcome != "" && !slices.Contains(event.Outcomes(), event.Outcome(o.outcome)):
		return fmt.Errorf("--outcome %s: there is no such outcome; write one of %s", o.outcome,
			strings.Join(words(event.Outcomes()), ", "))
	case o.status != "" && !slices.Contains(event.Statuses(), event.Status(o.status)):
		return fmt.Errorf("--status %s: there is no such status; write one of %s", o.status,
			strings.Join(words(event.Statuses()), ", "))
	case o.Newest < 0:
		return errors.New("-n: write a number, 0 for all")
	case o.Newest > 0 && o.Follow:
		return errors.New("-n shows stored entries and --follow new ones; write one of the two, or --since with --follow")
	}
	return nil
}

// has reports whether the filter selects an event. An unreadable one is shown only without a filter.
func (f eventFilter) has(body []byte) bool {
	e, err := event.Decode(body)
	d := e.Data
	return err == nil &&
		(f.provider == "" || f.provider == d.Provider.Name) &&
		(f.account == "" || f.account == d.Account) &&
		(f.outcome == "" || f.outcome == string(d.Decision.Outcome)) &&
		(f.status == "" || f.status == string(d.Status)) &&
		(f.external == "" || f.external == d.ExternalReference) &&
		strings.HasPrefix(d.VerificationID, strings.ToLower(f.verification))
}

// oneCredential refuses incomplete credentials and more than one.
func oneCredential(o app.ReadOptions) error {
	switch {
	case (o.User == "") != (o.PasswordFile == ""):
		return errors.New("--user and --password-file go together")
	case o.User != "" && o.CredentialsFile != "":
		return errors.New("--creds and --user cannot be combined; write one of the two")
	}
	return nil
}

// readable checks the flags about the server, and completes its address.
func readable(o *app.ReadOptions) (err error) {
	if err := cmp.Or(oneCredential(*o), credentialFiles(o.PasswordFile, o.CredentialsFile)); err != nil {
		return err
	}
	o.URL, err = natsAddress("--url", o.URL)
	return err
}

// credentialFiles refuses files of credentials that cannot be used; "" is none.
func credentialFiles(password, credentials string) error {
	if password != "" {
		raw, err := readInput(password, nil, apiLargest)
		if err != nil {
			return fmt.Errorf("--password-file: %w", err)
		}
		if text := strings.TrimRight(string(raw), "\r\n"); text == "" || strings.ContainsAny(text, "\r\n") {
			return fmt.Errorf("--password-file: %s must hold one line, the password", password)
		}
	}
	if credentials != "" {
		raw, err := readInput(credentials, nil, apiLargest)
		if err != nil {
			return fmt.Errorf("--creds: %w", err)
		}
		if !bytes.Contains(raw, []byte("-----BEGIN ")) {
			return fmt.Errorf("--creds: %s contains no NATS credentials (a JWT and a seed)", credentials)
		}
	}
	return nil
}

// natsAddress is the value of a flag with one NATS server or several, each with its scheme: without one, a password in
// an address could not be recognized, and so not be hidden.
func natsAddress(flag, list string) (string, error) {
	all := strings.Split(list, ",")
	for i, address := range all {
		if address = strings.TrimSpace(address); !strings.Contains(address, "://") {
			address = "nats://" + address
		}
		u, err := url.Parse(address)
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return "", fmt.Errorf("%s: not the address of a NATS server; write one such as nats://127.0.0.1:4222", flag)
		}
		all[i] = address
	}
	return strings.Join(all, ","), nil
}

// fromNATS is the error of a connection to NATS without the words of a library, with a remedy. The text before the
// cause names the server.
func fromNATS(err error, remedy string) error {
	why := ""
	_, noHost := errors.AsType[*net.DNSError](err)
	switch {
	case err == nil:
		return nil
	case app.ConnectProblem(err) != "":
		why = app.ConnectProblem(err)
	case noHost:
		why = "no such host"
	case tlsCause(err) != "":
		why = tlsCause(err)
	case isTimeout(err):
		why = "there is no answer of a NATS server"
	default:
		return err
	}
	what, _, _ := strings.Cut(err.Error(), ": ")
	return fmt.Errorf("%s: %s; %s", what, why, remedy)
}

// otherURL is the remedy of fromNATS for readers of events.
const otherURL = "is kycbridge running, and is this its embedded.listen or your NATS? --url names another"

// parseSince parses an instant or an age. An empty text is the beginning.
func parseSince(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		if t.After(now) {
			return time.Time{}, fmt.Errorf(
				"--since %s is in the future; omit it to read everything, write --follow to wait for more", s)
		}
		return t, nil
	}
	if age, err := kycbridge.ParseAge(s); err == nil {
		return now.Add(-age), nil
	}
	return time.Time{}, fmt.Errorf(
		"--since %s: write an RFC 3339 time such as 2026-03-02T09:00:00Z, or an age such as 24h or 7d", s)
}
