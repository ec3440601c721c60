package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/test/fixture"
)

// sendFlags are the flags of send.
type sendFlags struct {
	environ            []string
	file, account, url string
	asJSON             bool
	tls                tlsFlags
}

func sendCommand(environ []string) *cobra.Command {
	o := sendFlags{environ: environ}
	cmd := &cobra.Command{
		Use:   "send PROVIDER [CASE|FILE]",
		Short: "Send a callback to a running kycbridge, as the provider would",
		Long: `Send a callback to a running kycbridge: a case contained in the program, or a file with a
body, with the credential of the account in the configuration, signed if the account has
an HMAC secret, with an access token if it has only OAuth 2 clients. It makes an event
like any other, so only accounts with environment: test are allowed. Without a case the
cases of the provider are listed.

The exit code is 1 if the body is refused or quarantined, because it leads to no event then.
A case that was sent before is a duplicate: its ids are always the same.`,
		Example: `  kycbridge send ondato kyc-identification-approved --config kycbridge.yaml
  kycbridge send signzy ./body.json --config kycbridge.yaml --url https://kyc.example.com`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usage(cmd, "write a provider and a case or file")
			}
			return checkProvider(cmd, args[0])
		},
		ValidArgsFunction: completeCases,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				return listCases(cmd.OutOrStdout(), args[0], o.asJSON)
			}
			body, err := bodyOf(args[0], args[1], cmd.InOrStdin())
			if err != nil {
				return usage(cmd, err.Error())
			}
			return o.send(cmd, args[0], body)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.file, "config", "c", "", "configuration `file` (YAML) with the account")
	f.StringVar(&o.account, "account", "", "`name` of the account, if the provider has several")
	f.StringVar(&o.url, "url", "", "`address` of the running kycbridge; without it listen of the configuration")
	o.tls.add(f, "")
	f.BoolVar(&o.asJSON, "json", false, "print the answer as JSON; without a case, one object for each case")
	return cmd
}

// checkProvider returns an error of usage if there is no provider with a name.
func checkProvider(cmd *cobra.Command, name string) error {
	if slices.Contains(app.ProviderNames(), name) {
		return nil
	}
	return usage(cmd, fmt.Sprintf("there is no provider %q; write one of %s", name,
		strings.Join(app.ProviderNames(), ", ")))
}

// casesOf are the embedded callbacks of a provider.
func casesOf(provider string) (cases []fixture.Case) {
	all, err := fixture.Load()
	if err != nil {
		return nil
	}
	for _, c := range all {
		if c.Provider == provider && c.Via == event.ViaCallback {
			cases = append(cases, c)
		}
	}
	return cases
}

// listCases prints the cases of a provider, one per line.
func listCases(w io.Writer, provider string, asJSON bool) (err error) {
	for _, c := range casesOf(provider) {
		if asJSON {
			err = line(w, map[string]string{"case": c.Name})
		} else {
			_, err = fmt.Fprintln(w, c.Name)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bodyOf is the body of a case, or of a file: an argument that looks like a file name, or exists.
func bodyOf(provider, name string, stdin io.Reader) ([]byte, error) {
	if name == "" {
		return nil, errNoName
	}
	isFile := name == "-" || strings.ContainsAny(name, "/.")
	if !isFile {
		for _, c := range casesOf(provider) {
			if c.Name == name {
				return c.Body, nil
			}
		}
		if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("%s has no case %s, and there is no such file; kycbridge send %s lists the cases", provider,
				name, provider)
		}
	}
	return readInput(name, stdin, kycbridge.DefaultMaxBody)
}

// send posts a body and prints the answer.
func (o *sendFlags) send(cmd *cobra.Command, provider string, body []byte) error {
	config, err := app.LoadConfig(o.file, o.environ, app.ProviderCatalog())
	if err != nil {
		return err
	}
	accounts, err := app.TrialAccounts(config)
	if err != nil {
		return err
	}
	account, err := app.AccountOf(accounts, provider, o.account)
	if err != nil && o.file == "" {
		return usage(cmd, err.Error()+"; name one with --config")
	}
	if err != nil {
		return usage(cmd, err.Error())
	}
	if account.Environment != event.EnvironmentTest {
		return fmt.Errorf(
			"account %s of %s is live: send makes a synthetic event, so it accepts accounts with environment: test only",
			account.Name, provider)
	}
	header, query := http.Header{"Content-Type": {"application/json"}, "User-Agent": {"kycbridge-send"}}, url.Values{}
	certified := len(account.Credentials.ClientCerts) > 0
	if !app.Present(account, header, query, body, time.Now()) && (!certified || o.tls.cert == "") {
		if certified {
			return usage(cmd, fmt.Sprintf("account %s of %s admits client certificates: name one with --cert-file and "+
				"--key-file", account.Name, provider))
		}
		return fmt.Errorf("account %s of %s has no credential for callbacks, so every one is refused: add one under auth",
			account.Name, provider)
	}
	target, err := o.target(config, account)
	if err != nil {
		return usage(cmd, err.Error())
	}
	target.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(cmd.Context(), http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("--url cannot be used")
	}
	r.Header = header
	client, err := o.tls.client()
	if err != nil {
		return usage(cmd, err.Error())
	}
	client.Timeout = 30 * time.Second
	res, err := client.Do(r)
	if err != nil {
		return fmt.Errorf(
			"cannot reach kycbridge at %s://%s: %s; is kycbridge serve running, and is this its address? --url names another",
			target.Scheme, target.Host, cause(err))
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, apiLargest))
	if err != nil {
		return fmt.Errorf("the answer is incomplete: %s", cause(err))
	}
	return o.answered(cmd.OutOrStdout(), res.StatusCode, raw)
}

// target is the callback address of the account.
func (o *sendFlags) target(config *app.Config, account *kycbridge.Account) (*url.URL, error) {
	base := o.url
	if base == "" {
		host, port, err := net.SplitHostPort(config.Listen)
		if err != nil {
			return nil, errors.New("listen of the configuration is not an address: write --url")
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		base = config.CallbackScheme() + "://" + net.JoinHostPort(host, port)
	}
	u, err := url.Parse(base)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("--url: write an address such as https://kyc.example.com")
	}
	return u.JoinPath("webhooks", account.Provider.Name, account.Name), nil
}

// answered prints the answer of kycbridge; anything but 200 is an error.
func (o *sendFlags) answered(w io.Writer, status int, raw []byte) error {
	var a struct {
		Status         string `json:"status"`
		PayloadID      string `json:"payload_id"`
		VerificationID string `json:"verification_id"`
		Reason         string `json:"reason"`

		Errors []kycbridge.FieldError `json:"errors"`
	}
	if status != http.StatusOK {
		var p apiProblem
		if json.Unmarshal(raw, &p) != nil || p.Title == "" {
			return fmt.Errorf("answered %d %s, which is not an answer of kycbridge", status, http.StatusText(status))
		}
		next := ""
		if status == http.StatusUnauthorized {
			next = "; the running kycbridge may have another configuration: kycbridge payloads list --status refused says why"
		}
		if status == http.StatusNotFound {
			next = "; does the running kycbridge have this account, and is --url its listen address?"
		}
		return fmt.Errorf("answered %d: %w%s", status, &p, next)
	}
	if err := json.Unmarshal(raw, &a); err != nil || a.Status == "" {
		return errors.New("answered 200 without a receipt of kycbridge")
	}
	var err error
	if o.asJSON {
		_, err = fmt.Fprintf(w, "%s\n", bytes.TrimSpace(raw))
	} else {
		pairs := []string{"answered", fmt.Sprintf("%d %s", status, a.Status) + after(": ", a.Reason), "payload", a.PayloadID,
			"verification", a.VerificationID}
		for _, e := range a.Errors {
			pairs = append(pairs, "error", strings.TrimSpace(e.Path+" "+e.Message))
		}
		err = labelled(w, pairs...)
	}
	if err == nil && a.Status == kycbridge.ReceiptQuarantined {
		return fmt.Errorf("the body was quarantined: %s; it leads to no event", a.Reason)
	}
	return err
}
