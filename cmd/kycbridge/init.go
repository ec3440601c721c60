package main

import (
	"bufio"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kycbridge/internal/app"
	"kycbridge/internal/keys"
)

// initFlags are the flags of init: the answers to its questions.
type initFlags struct {
	provider, account, environment, public string
	file, credential                       string
	asJSON                                 bool
}

func initCommand() *cobra.Command {
	o := initFlags{}
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a first configuration with its secrets, and print what to give to the provider",
		Long: `Write a first configuration with one account. It asks for missing flags, generates
the secrets (each in a file of its own, next to the configuration, readable by the owner
only), and prints what to give to the provider. Existing files are not overwritten.`,
		Example: `  kycbridge init
  kycbridge init --provider ondato --account acme --environment test --public-url https://kyc.example.com
  kycbridge init --provider ondato --credential oauth2`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.ask(cmd); err != nil {
				return usage(cmd, err.Error())
			}
			return o.write(cmd)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.provider, "provider", "", "`name` of the provider")
	f.StringVar(&o.account, "account", "", "`name` for the account, of lower-case letters, digits, - and _")
	f.StringVar(&o.environment, "environment", "", "test or live")
	f.StringVar(&o.public, "public-url", "", "`address` at which the provider reaches kycbridge, such as https://kyc.example.com")
	f.StringVar(&o.credential, "credential", "",
		"`kind` of credential for callbacks, if the provider has several: basic or oauth2 for ondato; default: the first")
	f.StringVarP(&o.file, "output", "o", "kycbridge.yaml",
		"`file` to write; the secrets go to the folder secrets next to it")
	f.BoolVar(&o.asJSON, "json", false, "print the result as one JSON object")
	return cmd
}

// question is a question of init.
type question struct {
	text, flag, standard string
	into                 *string
	check                func(string) string // the fault of an answer; "": valid
}

func (o *initFlags) questions() []question {
	names := app.ProviderNames()
	return []question{
		{"Provider (" + strings.Join(names, ", ") + ")", "provider", "", &o.provider, func(s string) string {
			return unless(slices.Contains(names, s), "write one of "+strings.Join(names, ", "))
		}},
		{"Name of the account", "account", "main", &o.account, func(s string) string {
			return unless(regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,62}$`).MatchString(s),
				"write lower-case letters, digits, - and _, at most 63")
		}},
		{"Environment (test, live)", "environment", "test", &o.environment, func(s string) string {
			return unless(s == "test" || s == "live", "write test or live")
		}},
		{"Address at which the provider reaches kycbridge", "public-url", "https://kyc.example.com", &o.public,
			func(s string) string {
				u, err := url.Parse(s)
				good := err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" &&
					(u.Scheme == "https" || u.Scheme == "http")
				return unless(good, "write an address such as https://kyc.example.com")
			}},
	}
}

func unless(good bool, problem string) string {
	if good {
		return ""
	}
	return problem
}

// ask asks the questions without a flag, at a terminal, and checks all answers.
func (o *initFlags) ask(cmd *cobra.Command) error {
	if o.file == "" || o.file == "-" || strings.HasSuffix(o.file, "/") {
		return fmt.Errorf("--output: %q does not name a file; write one such as kycbridge.yaml", o.file)
	}
	for _, q := range o.questions() {
		if err := q.answered(); err != nil {
			return err
		}
	}
	for _, taken := range []string{o.file, filepath.Join(filepath.Dir(o.file), "secrets")} {
		if _, err := os.Lstat(taken); err == nil {
			return fmt.Errorf(
				"%s exists already, and nothing is overwritten: name a file in another folder with --output", taken)
		}
	}
	reader := bufio.NewReader(interruptible(cmd.Context(), cmd.InOrStdin()))
	for _, q := range o.questions() {
		for *q.into == "" {
			if !terminal(cmd.InOrStdin()) {
				return fmt.Errorf("--%s is missing, and there is no terminal to ask for it", q.flag)
			}
			standard := ""
			if q.standard != "" {
				standard = " [" + q.standard + "]"
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%s%s: ", q.text, standard)
			said, err := reader.ReadString('\n')
			if err != nil {
				return missingAnswer(cmd.Context(), err)
			}
			answer := strings.TrimSpace(said)
			if answer == "" {
				answer = q.standard
			}
			if problem := q.check(answer); problem != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), problem)
				continue
			}
			*q.into = answer
		}
	}
	return o.chooseCredential()
}

// answered is the fault of the answer that the flag of a question gives; nil without an answer.
func (q question) answered() error {
	if *q.into == "" {
		return nil
	}
	if problem := q.check(*q.into); problem != "" {
		return fmt.Errorf("--%s: %s", q.flag, problem)
	}
	return nil
}

// chooseCredential checks the kind of credential, which depends on the provider.
func (o *initFlags) chooseCredential() error {
	setup := app.ProviderCatalog().Setups[o.provider]
	kinds := append([]string{setup.Credential}, setup.Others...)
	if o.credential == "" {
		o.credential = setup.Credential
	}
	if !slices.Contains(kinds, o.credential) {
		return fmt.Errorf("--credential: write %s, the kinds that init sets up for %s", strings.Join(kinds, " or "),
			o.provider)
	}
	return nil
}

// missingAnswer is the error of an unanswered question.
func missingAnswer(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, io.EOF) {
		return errDeclined
	}
	return err
}

// made are the files that init created.
type made struct {
	File        string   `json:"file"`
	Secrets     []string `json:"secrets"`             // files
	CallbackURL string   `json:"callback_url"`        // to be given to the provider
	TokenURL    string   `json:"token_url,omitempty"` // to be given to the provider with an OAuth 2 client
	ClientID    string   `json:"client_id,omitempty"`
	Credential  string   `json:"credential"` // its kind; the file contains the value
	HandOver    string   `json:"hand_over"`
	Next        []string `json:"next"` // commands
}

// write writes the secrets and the configuration, checks it and prints the next steps.
func (o *initFlags) write(cmd *cobra.Command) error {
	setup := app.ProviderCatalog().Setups[o.provider]
	folder := filepath.Join(filepath.Dir(o.file), "secrets")
	callback, token := filepath.Join(folder, o.provider+"-"+o.account), filepath.Join(folder, "admin-token")
	master := filepath.Join(folder, "master-keys")
	if err := o.create(folder, callback, token, master); err != nil {
		return err
	}
	m := made{File: o.file, Secrets: []string{callback, token, master}, Credential: o.credential, HandOver: setup.HandOver,
		CallbackURL: strings.TrimSuffix(o.public, "/") + "/webhooks/" + o.provider + "/" + o.account,
		Next: []string{
			"kycbridge config check --config " + o.file,
			"kycbridge serve --config " + o.file,
			"kycbridge send " + o.provider + " --config " + o.file,
			"kycbridge find <id> --token-file " + token,
		}}
	if o.environment == "live" { // send makes events, and accepts test accounts only
		m.Next = slices.DeleteFunc(m.Next, func(next string) bool { return strings.HasPrefix(next, "kycbridge send ") })
	}
	if o.credential == "oauth2" {
		m.TokenURL, m.ClientID = strings.TrimSuffix(o.public, "/")+"/oauth2/token", o.clientID()
	}
	if o.asJSON {
		return line(cmd.OutOrStdout(), m)
	}
	return m.print(cmd.OutOrStdout(), callback, o.provider)
}

// create creates the secrets and the configuration, and checks it. If it fails, it leaves nothing: the next attempt
// must not be refused because of a folder without a use.
func (o *initFlags) create(folder, callback, token, master string) (err error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("--output: %w", unwritable(o.file, err))
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(folder) // it did not exist
		}
	}()
	for _, file := range []string{callback, token} {
		if err := newSecret(file); err != nil {
			return err
		}
	}
	key, err := keys.Generate(keys.NewID(time.Now()))
	if err != nil {
		return err
	}
	if err := exclusive(master, []byte(key+"\n")); err != nil {
		return err
	}
	if err := exclusive(o.file, []byte(o.text(callback, token, master))); err != nil {
		return err
	}
	if _, err = app.LoadConfig(o.file, nil, app.ProviderCatalog()); err != nil {
		_ = os.Remove(o.file)
	}
	return err
}

// newSecret creates a secret of 256 bits.
func newSecret(file string) error {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // never fails
	return exclusive(file, []byte(hex.EncodeToString(raw)+"\n"))
}

// exclusive creates a new file, readable by its owner only. When it returns, the file is on the disk: a master key that
// a power cut destroys makes unreadable what was stored with it.
func exclusive(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return unwritable(name, err)
	}
	_, err = f.Write(content)
	if err = cmp.Or(err, f.Sync(), f.Close(), syncFolder(name)); err != nil {
		return unwritable(name, err)
	}
	return nil
}

// clientID is the id of an OAuth 2 client, which belongs to one account only.
func (o *initFlags) clientID() string { return o.provider + "-" + o.account }

// text is the configuration.
func (o *initFlags) text(callback, token, master string) string {
	credential := map[string]string{
		"basic":   "basic: [{username: " + o.provider + ", password_file: " + callback + "}]",
		"headers": "headers: [{name: X-Callback-Key, value_file: " + callback + "}]",
		"keys":    "keys_file: " + callback,
		"oauth2":  "oauth2: {clients: [{id: " + o.clientID() + ", secret_file: " + callback + "}]}",
	}[o.credential]
	confirm := ""
	if app.ProviderCatalog().ConfirmByDefault[o.provider] {
		confirm = "    confirm: false        # true: a verdict counts after it is fetched through the API; needs api\n"
	}
	return `# Written by kycbridge init. All keys: docs/configure.md.
listen: 127.0.0.1:8080  # a proxy with TLS stands in front
admin:
  listen: 127.0.0.1:8081
  tokens_file: ` + token + `
public_url: ` + o.public + `
data_dir: ./data
encryption:
  key_file: ` + master + `  # keep a copy: without it no stored payload can be read
accounts:
  - name: ` + o.account + `
    provider: ` + o.provider + `
    environment: ` + o.environment + "\n" + confirm + `    auth:
      ` + credential + `
    # api:                # to start verifications and ask for results; its keys are in docs/configure.md
`
}

// print prints the created files, the settings for the provider, and the next steps.
func (m made) print(w io.Writer, secret, provider string) error {
	as := map[string]string{
		"basic":   "user " + provider + " with the password in " + secret,
		"headers": "the header X-Callback-Key with the value in " + secret,
		"keys":    "the key in " + secret,
		"oauth2":  "client id " + m.ClientID + " with the secret in " + secret + "; tokens from " + m.TokenURL,
	}[m.Credential]
	_, err := fmt.Fprintf(w, "wrote %s, and the secrets %s\n\nFor the provider:\n  address     %s\n  credential  %s\n  "+
		"%s\n\nGo on with:\n  %s\n",
		m.File, strings.Join(m.Secrets, ", "), m.CallbackURL, as, m.HandOver, strings.Join(m.Next, "\n  "))
	return err
}
