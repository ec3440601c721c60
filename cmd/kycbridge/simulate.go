package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kycbridge/internal/app"
	"kycbridge/internal/simulate"
)

func simulateCommand() *cobra.Command {
	var f simulateFlags
	cmd := &cobra.Command{
		Use:   "simulate PROVIDER",
		Short: "Run a simulated provider: its API, its callbacks, its faults",
		Long: `Run a simulated provider until Ctrl-C: its documented API with synthetic data and people,
tokens that expire, limits, documented errors, and callbacks with real authentication,
repeated on the provider's own schedule.

It prints an account for it, to be added to a configuration of kycbridge. The external
reference of a verification selects the person: ref-reject-1 is rejected. Without the
name of a person in it, it is --person.

Providers: ` + strings.Join(providerNames(), ", ") + `
People:    ` + strings.Join(simulate.People(), ", "),
		Example: `  kycbridge simulate ondato --listen 127.0.0.1:9090 --callback-url http://127.0.0.1:8080/webhooks/ondato/acme
  kycbridge simulate kwikid --speed 60 --limit 200 --errors 0.01`,
		RunE: f.run,
	}
	f.addTo(cmd.Flags())
	return cmd
}

// simulateFlags are the flags of simulate.
type simulateFlags struct {
	simulate.Options
	secretFile string
	files      tlsFlags
	errorShare float64
}

func (f *simulateFlags) addTo(g *pflag.FlagSet) {
	g.SortFlags = false
	g.StringVar(&f.Listen, "listen", "127.0.0.1:9090", "`address` of its API")
	g.StringVar(&f.CallbackURL, "callback-url", "",
		"`URL` for callbacks; none: no callbacks, unless a start contains a URL")
	g.StringVar(&f.secretFile, "callback-secret-file", "",
		"`file` with the credential for callbacks; none: a synthetic one, which is printed")
	g.StringVar(&f.Credentials.OAuth2.ClientID, "callback-client", "",
		"client `id`: callbacks present an OAuth 2 access token, fetched with the secret from the host of --callback-url")
	f.files.add(g, "callback-")
	g.Float64Var(&f.Speed, "speed", 1, "speed of the simulated people, as a multiple of real time")
	g.StringVar(&f.Person, "person", simulate.Approve, "`person` for a verification whose external reference names none")
	g.IntVar(&f.Limit, "limit", 0, "calls answered in one second before it answers 429; 0: no limit")
	g.DurationVar(&f.TokenLife, "token-life", time.Hour, "lifetime of a token")
	g.Float64Var(&f.errorShare, "errors", 0,
		"share of calls that fail: its documented 500, HTML, 429 and incomplete answers in turn")
	g.Float64Var(&f.Callbacks.Duplicates, "duplicates", 0, "share of callbacks that are sent twice")
	g.Float64Var(&f.Callbacks.Late, "late", 0, "share of callbacks that are sent a minute late")
	g.BoolVar(&f.Callbacks.Shuffle, "shuffle", false, "callbacks may overtake each other")
	g.Uint64Var(&f.Seed, "seed", 0, "seed of the random numbers")
}

// run checks the flags and runs the simulated provider.
func (f *simulateFlags) run(cmd *cobra.Command, args []string) error {
	provider, err := simulatedProvider(cmd, args)
	if err != nil {
		return err
	}
	o := f.Options
	if !app.ListenAddress(o.Listen) {
		return usage(cmd, "--listen: write an address with a port, such as 127.0.0.1:9090")
	}
	if err := simulateFaults(cmd, &o, f.errorShare); err != nil {
		return err
	}
	if o.Credentials.Callback, err = readSecret(f.secretFile); err != nil {
		return err
	}
	if err := simulateOAuth2(cmd, provider, &o); err != nil {
		return err
	}
	if o.Client, err = f.files.client(); err != nil {
		return usage(cmd, err.Error())
	}
	return runSimulated(cmd.Context(), provider, o, cmd.OutOrStdout(), cmd.ErrOrStderr())
}

func providerNames() []string {
	var names []string
	for _, p := range app.Simulated() {
		names = append(names, p.Name)
	}
	return names
}

// simulatedProvider finds the provider in the arguments.
func simulatedProvider(cmd *cobra.Command, args []string) (simulate.Provider, error) {
	names := strings.Join(providerNames(), ", ")
	if len(args) != 1 {
		return simulate.Provider{}, usage(cmd, "name one provider: "+names)
	}
	for _, p := range app.Simulated() {
		if p.Name == args[0] {
			return p, nil
		}
	}
	return simulate.Provider{}, usage(cmd,
		fmt.Sprintf("there is no provider %q to simulate; write one of %s", args[0], names))
}

// simulateOAuth2 checks the client for access tokens and sets the address of the token endpoint.
func simulateOAuth2(cmd *cobra.Command, provider simulate.Provider, o *simulate.Options) error {
	client := &o.Credentials.OAuth2
	switch {
	case client.ClientID == "":
		return nil
	case !provider.OAuth2:
		return usage(cmd, "--callback-client: "+provider.Name+" presents no access tokens")
	case o.Credentials.Callback == "" || o.CallbackURL == "":
		return usage(cmd, "--callback-client needs --callback-url and --callback-secret-file")
	case strings.ContainsAny(client.ClientID, "\"\\: "):
		return usage(cmd, "--callback-client: write an id without quotes, backslashes, colons and spaces")
	}
	u, err := url.Parse(o.CallbackURL)
	if err != nil || u.Host == "" {
		return usage(cmd, "--callback-url is not an address")
	}
	before, _, _ := strings.Cut(u.Path, "/webhooks/")
	u.Path, u.RawQuery = before+"/oauth2/token", ""
	client.TokenURL = u.String()
	return nil
}

// simulateFaults checks the shares and distributes that of errors over the kinds.
func simulateFaults(cmd *cobra.Command, o *simulate.Options, errors float64) error {
	for name, share := range map[string]float64{"--errors": errors, "--duplicates": o.Callbacks.Duplicates,
		"--late": o.Callbacks.Late} {
		if share < 0 || share > 1 {
			return usage(cmd, name+" is a share: write a number from 0 to 1")
		}
	}
	if o.Speed <= 0 {
		return usage(cmd, "--speed must be more than 0")
	}
	if !slices.Contains(simulate.People(), o.Person) {
		return usage(cmd, fmt.Sprintf("--person %s: nobody has this name; write one of %s", o.Person,
			strings.Join(simulate.People(), ", ")))
	}
	o.Faults = simulate.Faults{Error500: errors / 4, HTML: errors / 4, RateLimited: errors / 4, Broken: errors / 4}
	return nil
}

// readSecret is the first line of a file; "" without a file.
func readSecret(file string) (string, error) {
	if file == "" {
		return "", nil
	}
	raw, err := readInput(file, nil, apiLargest)
	if err != nil {
		return "", fmt.Errorf("--callback-secret-file: %w", err)
	}
	secret, _, _ := strings.Cut(string(raw), "\n")
	secret = strings.TrimSpace(secret)
	switch {
	case secret == "":
		return "", fmt.Errorf("--callback-secret-file: the first line of %s is empty; write the credential into it", file)
	case strings.ContainsAny(secret, "\"\\"), !utf8.ValidString(secret), strings.ContainsFunc(secret, unicode.IsControl):
		return "", fmt.Errorf("--callback-secret-file: the first line of %s cannot be a credential; write text without "+
			"quotes and backslashes into it", file)
	}
	return secret, nil
}

// runSimulated prints the address of the provider, and its statistics when ctx ends.
func runSimulated(ctx context.Context, provider simulate.Provider, o simulate.Options, stdout, stderr io.Writer) error {
	account, err := accountIn(o.CallbackURL, provider.Name)
	if err != nil {
		return err
	}
	o.Answered = func(status int, body []byte) { fmt.Fprintln(stderr, callbackAnswer(status, body)) }
	server, err := simulate.Start(provider, o)
	if failed, ok := errors.AsType[*net.OpError](err); ok {
		return fmt.Errorf("--listen: %s", app.ListenProblem(o.Listen, failed))
	}
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Fprintf(stdout, "accounts:\n  - name: %s\n    provider: %s\n    environment: test\n    auth: %s\n    api: %s\n%s",
		account, server.Name(), server.Auth(), server.APIText(), server.Settings())
	fmt.Fprintf(stderr, "A simulated %s answers at %s. End with Ctrl-C.\n", server.Name(), server.URL())
	<-ctx.Done()
	stats := server.Stats()
	fmt.Fprintf(stderr, "\nCalls: %s. Callbacks: %d sent, %d taken, %d given up, %d on their way.\n",
		tally(stats.Calls), stats.Callbacks, stats.Accepted, stats.GivenUp, stats.Waiting)
	return nil
}

// accountIn is the account in a callback URL, because callbacks reach only that account. The URL of another
// service contains none; its account is called simulated.
func accountIn(callbackURL, provider string) (string, error) {
	const standard = "simulated"
	if callbackURL == "" {
		return standard, nil
	}
	u, err := url.Parse(callbackURL)
	if err != nil || u.Host == "" {
		return "", errors.New("--callback-url: write an address such as http://127.0.0.1:8080/webhooks/" + provider + "/acme")
	}
	_, path, ok := strings.Cut(u.Path, "/webhooks/")
	named, account, whole := strings.Cut(path, "/")
	switch {
	case !ok || !whole || account == "" || strings.Contains(account, "/"):
		return standard, nil
	case named != provider:
		return "", fmt.Errorf("--callback-url is the address of an account of %s, and callbacks of %s would be refused "+
			"there: write /webhooks/%s/%s", printable(named), provider, provider, printable(account))
	}
	return account, nil
}

// callbackAnswer describes the answer to a callback, with a remedy for a refusal.
func callbackAnswer(status int, body []byte) string {
	var said struct {
		Status         string `json:"status"`
		VerificationID string `json:"verification_id"`
		Title          string `json:"title"`
	}
	_ = json.Unmarshal(body, &said) // an answer of another service has none of these members
	text := fmt.Sprintf("callback answered %d %s", status,
		printable(cmp.Or(said.Status, said.Title, http.StatusText(status))))
	switch status {
	case 0:
		text = "callback got no answer: does kycbridge serve run at the address of --callback-url?"
	case http.StatusNotFound:
		text += ": the running kycbridge has no such account; put the lines above into its configuration"
	case http.StatusUnauthorized:
		text += ": the account in the running kycbridge has another credential than the lines above"
	}
	return text + after(" ", shortID(printable(said.VerificationID)))
}

// tally formats counts, or none.
func tally(counts map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, counts[name]))
	}
	if parts == nil {
		return "none"
	}
	return strings.Join(parts, ", ")
}
