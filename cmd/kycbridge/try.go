package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
	"kycbridge/internal/regular"
	"kycbridge/test/fixture"
)

// tryFlags are the flags of try.
type tryFlags struct {
	environ       []string
	file, account string
	headers       []string
	via           string
	reveal        bool
	asJSON        bool
}

func tryCommand(environ []string) *cobra.Command {
	o := tryFlags{environ: environ}
	cmd := &cobra.Command{
		Use:   "try PROVIDER FILE",
		Short: "Show the result for a body, without a server: authentication, schema, mapping, sources",
		Long: `Show the result for a body of a provider, without a server: whether it is authentic
(with --header, for the account of --config), whether it matches the schema, the event that
it makes as the first payload of its verification, and the members of the body that each
value of the event comes from. FILE may be a case contained in the program, or - for
standard input.

Personal values are masked unless --reveal is written. The exit code is 1 if the body would
be refused or quarantined.`,
		Example: `  kycbridge try ondato body.json
  kycbridge try signzy body.json --config kyc.yaml --header 'Authorization: the-key'`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usage(cmd, "write a provider and a file")
			}
			return checkProvider(cmd, args[0])
		},
		ValidArgsFunction: completeCases,
		RunE: func(cmd *cobra.Command, args []string) error {
			body, err := bodyOf(args[0], args[1], cmd.InOrStdin())
			if err != nil {
				return usage(cmd, err.Error())
			}
			return o.run(cmd, args[0], body)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.file, "config", "c", "",
		"configuration `file` (YAML) with the account; none: an account with nothing configured")
	f.StringVar(&o.account, "account", "", "`name` of the account, if the provider has several")
	f.StringArrayVar(&o.headers, "header", nil, "`Name: value` of its request; may be repeated")
	f.StringVar(&o.via, "via", string(event.ViaCallback), "`source` of the body: callback, or fetch for an API answer")
	f.BoolVar(&o.reveal, "reveal", false, "print personal values unmasked")
	f.BoolVar(&o.asJSON, "json", false, "print a JSON object")
	return cmd
}

// attempt is the output of try.
type attempt struct {
	Authentic string                 `json:"authentic,omitempty"` // the placement, or why it is not authentic
	Refused   bool                   `json:"refused,omitempty"`
	Accepted  bool                   `json:"accepted"` // not quarantined
	Reason    string                 `json:"quarantined,omitempty"`
	Errors    []kycbridge.FieldError `json:"errors,omitempty"`
	PayloadID string                 `json:"payload_id,omitempty"`
	Reference string                 `json:"reference,omitempty"`
	NoEvent   string                 `json:"no_event,omitempty"`
	Status    string                 `json:"status,omitempty"`
	Outcome   string                 `json:"outcome,omitempty"`
	Final     bool                   `json:"final,omitempty"`
	Values    []archive.Value        `json:"values,omitempty"`
	Needed    []string               `json:"needed,omitempty"` // members without which there is no event
}

// accounts are those of the configuration, or one of each provider with default settings.
func (o *tryFlags) accounts() (kycbridge.Accounts, app.Names, error) {
	config, err := app.LoadConfig(o.file, o.environ, app.ProviderCatalog())
	if err != nil {
		return nil, app.Names{}, err
	}
	if o.file == "" {
		plain, err := app.PlainAccounts()
		return plain, config.Names, err
	}
	accounts, err := app.TrialAccounts(config)
	return accounts, config.Names, err
}

// run tries a body and prints the result.
func (o *tryFlags) run(cmd *cobra.Command, provider string, body []byte) error {
	if o.via != string(event.ViaCallback) && o.via != string(event.ViaFetch) {
		return usage(cmd, "--via must be callback or fetch")
	}
	accounts, names, err := o.accounts()
	if err != nil {
		return err
	}
	account, err := app.AccountOf(accounts, provider, o.account)
	if err != nil {
		return usage(cmd, err.Error())
	}
	var a attempt
	if err := o.authenticate(&a, account, body); err != nil {
		return usage(cmd, err.Error())
	}
	trial := app.NewTrial(account, names, body, time.Now().UTC())
	trial.Via = event.Via(o.via)
	if err := o.try(cmd.Context(), &a, trial); err != nil {
		return err
	}
	if o.asJSON {
		err = line(cmd.OutOrStdout(), a)
	} else {
		err = printAttempt(screenOf(cmd.OutOrStdout(), o.environ), a)
	}
	if err != nil {
		return err
	}
	return a.failure()
}

// failure is an error if the body would make no event because something is wrong with it or its credential.
func (a attempt) failure() error {
	switch {
	case a.Refused:
		return errors.New("the body would be refused: its credential is wrong")
	case !a.Accepted:
		return fmt.Errorf("the body would be quarantined: %s", a.Reason)
	}
	return nil
}

// authenticate checks the given headers.
func (o *tryFlags) authenticate(a *attempt, account *kycbridge.Account, body []byte) error {
	if len(o.headers) == 0 {
		return nil
	}
	if o.file == "" {
		return errors.New("--header is checked against the credentials of an account: name a configuration with --config")
	}
	header := http.Header{}
	for _, h := range o.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok {
			return errors.New("--header: write 'Name: value'")
		}
		header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
	}
	placement, err := app.Authentic(account, header, url.Values{}, body, time.Now())
	a.Authentic, a.Refused = "by "+placement, err != nil
	if err != nil {
		a.Authentic = err.Error()
	}
	return nil
}

// try runs the trial and finds the sources of values.
func (o *tryFlags) try(ctx context.Context, a *attempt, trial archive.Trial) error {
	tried, err := trial.Try(ctx)
	if err != nil {
		a.Reason, a.Errors = kycbridge.QuarantineUnmapped, []kycbridge.FieldError{{Message: err.Error()}}
		return nil
	}
	a.Reason, a.Errors, a.NoEvent, a.Accepted = tried.Reason, tried.Errors, tried.NoEvent, tried.Reason == ""
	if !a.Accepted {
		return nil
	}
	a.PayloadID = tried.Payload.ID
	if a.Reference = tried.Payload.Reference; !o.reveal && !event.HarmlessID(a.Reference) {
		a.Reference = "[masked]"
	}
	if tried.Data == nil {
		return nil
	}
	a.Status, a.Outcome, a.Final =
		string(tried.Data.Status), string(tried.Data.Decision.Outcome), tried.Data.Decision.Final
	a.Values, a.Needed, err = trial.Values(ctx, tried)
	for i := range a.Values {
		if !o.reveal {
			a.Values[i].Difference = a.Values[i].Masked()
		}
	}
	return err
}

// mostFrom limits the listed sources of one value.
const mostFrom = 4

// printAttempt prints the result for a body.
func printAttempt(s screen, a attempt) error {
	pairs := []string{"authentic", map[bool]string{true: "no: ", false: ""}[a.Refused] + a.Authentic}
	if a.Authentic == "" {
		pairs[1] = "not checked; use --config and --header"
	}
	switch {
	case a.Reason != "":
		pairs = append(pairs, "accepted", "no, quarantined: "+a.Reason)
	default:
		pairs = append(pairs, "accepted", "yes", "payload", a.PayloadID, "reference", a.Reference)
	}
	for _, e := range a.Errors {
		pairs = append(pairs, "error", strings.TrimSpace(e.Path+" "+e.Message))
	}
	switch {
	case a.NoEvent != "":
		pairs = append(pairs, "leads to", "no event: "+a.NoEvent)
	case a.Status != "":
		pairs = append(pairs, "leads to", a.Status+" "+verdict(a.Outcome, a.Final).text)
	}
	if err := labelled(s.w, pairs...); err != nil {
		return err
	}
	for _, v := range a.Values {
		from := v.From
		more := ""
		if len(from) > mostFrom {
			from, more = from[:mostFrom], fmt.Sprintf(" and %d more", len(v.From)-mostFrom)
		}
		text := "  " + v.Path + "  " + written(v.After)
		if s.width > 0 {
			text = cut(text, s.width)
		}
		if _, err := fmt.Fprintln(s.w, printable(text)); err != nil {
			return err
		}
		if len(from) > 0 {
			if _, err := fmt.Fprintln(s.w, s.paint(printable("      from "+strings.Join(from, ", ")+more), dimHue)); err != nil {
				return err
			}
		}
	}
	if len(a.Needed) > 0 {
		_, err := fmt.Fprintln(s.w, printable("required for an event: "+strings.Join(a.Needed, ", ")))
		return err
	}
	return nil
}

// The instants that kycbridge sets in golden events.
var (
	goldenReceived = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	goldenRecorded = goldenReceived.Add(time.Second)
)

func testCommand() *cobra.Command {
	var update bool
	cmd := &cobra.Command{
		Use:   "test DIR",
		Short: "Map cases of your own and compare them with their expected events",
		Long: `Map the cases in a folder and compare each with its golden event. A case is a folder
DIR/<provider>/<name> with body.json, the received body, case.json, {"via": "callback"} and
the settings of the account (settings, profile, trust_framework, received_at), and golden.json,
the expected event of a first payload, or {"no_event": "<why>"}.

--update writes the golden events; read the difference before you commit it.`,
		Example: "  kycbridge test ./cases\n  kycbridge test ./cases --update",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(cmd, "write one folder with cases")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return testCases(cmd.Context(), args[0], update, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&update, "update", false, "rewrite the golden events")
	return cmd
}

// testCases maps the cases of a folder and lists the different ones.
func testCases(ctx context.Context, dir string, update bool, w io.Writer) error {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fmt.Errorf("%s is no folder; name the one with the cases", dir)
	}
	cases, err := fixture.LoadFrom(regular.Folder(dir), ".")
	if err != nil {
		return caseFault(err)
	}
	if len(cases) == 0 {
		return fmt.Errorf("there is no case in %s: a case is a folder %s with body.json and case.json", dir,
			filepath.Join(dir, "<provider>", "<name>"))
	}
	accounts, err := app.PlainAccounts()
	if err != nil {
		return err
	}
	wrong := 0
	for _, c := range cases {
		verdict, err := testCase(ctx, accounts, dir, c, update)
		if err != nil {
			return fmt.Errorf("%s: %w", c.Dir(), err)
		}
		if verdict != "" {
			wrong++
			fmt.Fprintf(w, "%s: %s\n", c.Dir(), verdict)
		}
	}
	switch {
	case update:
		_, err = fmt.Fprintf(w, "%s: %d written\n", plural(len(cases), "case"), wrong)
		return err
	case wrong > 0:
		return fmt.Errorf("%d of %s differ from their golden events; --update rewrites them", wrong,
			plural(len(cases), "case"))
	}
	_, err = fmt.Fprintf(w, "%s: all as expected\n", plural(len(cases), "case"))
	return err
}

// caseFault is the error of a case that cannot be read, without the words of the library for JSON.
func caseFault(err error) error {
	what, _, _ := strings.Cut(err.Error(), ": ")
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return fmt.Errorf("%s: %s cannot be read: %w; write it", what, path.Base(failed.Path), failed.Err)
	}
	return fmt.Errorf("%s: case.json, or callback.json, is not the JSON that is expected; kycbridge test --help "+
		"describes it", what)
}

// testCase maps one case and describes the difference; "" if there is none.
func testCase(
	ctx context.Context, accounts kycbridge.Accounts, dir string, c fixture.Case, update bool,
) (string, error) {
	plain, err := app.AccountOf(accounts, c.Provider, "")
	if err != nil {
		return "", fmt.Errorf("there is no provider %s", c.Provider)
	}
	account := *plain
	account.Name, account.Settings, account.Profile = "acme", c.SettingsAt(account.Provider), c.Profile
	account.TrustFramework = c.Trust
	trial := app.NewTrial(&account, app.DefaultNames(), c.Body, goldenReceived)
	trial.Via, trial.Now = c.Via, goldenRecorded
	if c.Via == event.ViaCallback {
		trial.Placement = "header"
	}
	if !c.ReceivedAt.IsZero() {
		trial.ReceivedAt = c.ReceivedAt
	}
	tried, err := trial.Try(ctx)
	if err != nil {
		return err.Error(), nil
	}
	got, err := tried.Golden()
	if err != nil || bytes.Equal(got, c.Golden) {
		return "", err
	}
	if update {
		golden := filepath.Join(dir, filepath.FromSlash(c.Dir()), "golden.json")
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			return "", unwritable(golden, err)
		}
		return "written", nil
	}
	if c.Golden == nil {
		return "golden.json is missing", nil
	}
	return "differs: " + firstDifference(string(c.Golden), string(got)), nil
}

// firstDifference is the first different line, expected and actual.
func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range max(len(w), len(g)) {
		a, b := "nothing", "nothing"
		if i < len(w) {
			a = strings.TrimSpace(w[i])
		}
		if i < len(g) {
			b = strings.TrimSpace(g[i])
		}
		if a != b {
			return fmt.Sprintf("line %d is %s, should be %s", i+1, b, a)
		}
	}
	return "line ends"
}
