package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/spf13/cobra"

	"kycbridge"
)

// startFlags are the flags of start.
type startFlags struct {
	apiFlags
	provider, account, external string
	personFile, optionsFile     string
	options                     []string
	request, key                string
	asJSON                      bool
}

func startCommand(environ []string) *cobra.Command {
	o := startFlags{apiFlags: apiFlags{environ: environ}}
	cmd := &cobra.Command{
		Use:   "start",
		Short: "Start a verification at a provider, through a running kycbridge",
		Long: `Start a verification at the provider of an account, through the admin API of a running
kycbridge, and print its id, the provider's reference, where to send the applicant, and
when that link expires. From then on kycbridge watches it and publishes its events.

The person is a JSON object of OpenID Connect claims: given_name, birthdate and so on.
An option's value is JSON if it is valid JSON (600, true, {"a":1}), otherwise a text;
for a text that looks like a number write --option 'flow_id="123"'.

A start that is repeated with the same --idempotency-key and the same request creates
nothing new. Without one a key is generated; if the result of the start is unknown,
the error contains the key.`,
		Example: `  kycbridge start --provider ondato --account acme --external-reference case-1 --token-file ./token
  kycbridge start --provider idwise --account acme --external-reference case-2 --person-file person.json --option flow_id=basic --json
  kycbridge start --request - < request.json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			body, err := o.body(cmd.InOrStdin())
			if err != nil {
				return usage(cmd, err.Error())
			}
			client, err := o.client()
			if err != nil {
				return usage(cmd, err.Error())
			}
			if o.key == "" {
				o.key = newKey()
			}
			return start(cmd.Context(), client, &o, body, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.provider, "provider", "", "`name` of the provider")
	f.StringVar(&o.account, "account", "", "`name` of the account")
	f.StringVar(&o.external, "external-reference", "", "your own `id` of the case; every event repeats it")
	f.StringVar(&o.personFile, "person-file", "", "JSON `file` with what is known of the applicant; - is standard input")
	f.StringVar(&o.optionsFile, "options-file", "", "JSON `file` with options; - is standard input")
	f.StringArrayVar(&o.options, "option", nil,
		"one option as `key=value`; may be repeated, and overrides the file")
	f.StringVar(&o.request, "request", "",
		"JSON `file` with the whole request instead of the flags above; - is standard input")
	f.StringVar(&o.key, "idempotency-key", "", "`key` that makes a repeated start safe; default: a generated one")
	o.add(cmd)
	f.BoolVar(&o.asJSON, "json", false, "print the receipt as JSON")
	return cmd
}

// largestStart limits a request that is read here. The limit of the process is configured
// (admin.max_start).
const largestStart = 1 << 30

// body is the request in the format of the API.
func (o *startFlags) body(stdin io.Reader) ([]byte, error) {
	if o.request != "" {
		if o.provider+o.account+o.external+o.personFile+o.optionsFile != "" || len(o.options) > 0 {
			return nil, errors.New("--request contains the whole request; write it alone, or the other flags")
		}
		object, err := readObject(o.request, stdin, largestStart)
		if err != nil {
			return nil, fmt.Errorf("--request: %w", err)
		}
		return json.Marshal(object)
	}
	if err := needed("provider", o.provider, "account", o.account, "external-reference", o.external); err != nil {
		return nil, err
	}
	if o.personFile == "-" && o.optionsFile == "-" {
		return nil, errors.New("--person-file and --options-file cannot both be standard input")
	}
	request := map[string]any{"provider": o.provider, "account": o.account, "external_reference": o.external}
	if o.personFile != "" {
		person, err := readObject(o.personFile, stdin, apiLargest)
		if err != nil {
			return nil, fmt.Errorf("--person-file: %w", err)
		}
		request["person"] = person
	}
	options, err := o.allOptions(stdin)
	if err != nil {
		return nil, err
	}
	if options != nil {
		request["options"] = options
	}
	return json.Marshal(request)
}

// allOptions are the options of the file, overridden by those of the flags; nil if there are none.
func (o *startFlags) allOptions(stdin io.Reader) (options map[string]json.RawMessage, err error) {
	if o.optionsFile != "" {
		if options, err = readObject(o.optionsFile, stdin, largestStart); err != nil {
			return nil, fmt.Errorf("--options-file: %w", err)
		}
	}
	for _, option := range o.options {
		name, value, ok := strings.Cut(option, "=")
		if !ok || name == "" {
			return nil, errors.New("--option: write key=value")
		}
		raw := json.RawMessage(value)
		if !json.Valid(raw) {
			raw, _ = json.Marshal(value) // encoding a string never fails
		}
		if options == nil {
			options = map[string]json.RawMessage{}
		}
		options[name] = raw
	}
	return options, nil
}

// needed refuses flags without a value, given as alternating names and values.
func needed(flags ...string) error {
	var missing []string
	for i := 0; i < len(flags); i += 2 {
		if flags[i+1] == "" {
			missing = append(missing, "--"+flags[i])
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%s needed", strings.Join(missing, ", "))
	}
	return nil
}

// newKey generates an idempotency key: a random UUID.
func newKey() string {
	var u [16]byte
	_, _ = rand.Read(u[:]) // never fails
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:])
}

// start sends the request and prints the receipt.
func start(ctx context.Context, c *apiClient, o *startFlags, body []byte, stdout, stderr io.Writer) error {
	got, err := c.post(ctx, "/v1/verifications", bytes.NewReader(body), o.key, http.StatusCreated)
	if err != nil {
		return startError(err, o.key)
	}
	var receipt kycbridge.StartReceipt
	if err := json.Unmarshal(got.body, &receipt); err != nil || receipt.VerificationID == "" {
		return startError(fmt.Errorf("%s answered without a receipt", c.base), o.key)
	}
	if got.header.Get("Idempotency-Replayed") == "true" {
		fmt.Fprintln(stderr, "this start was made before with the same key; nothing new was started")
	}
	if o.asJSON {
		_, err := fmt.Fprintf(stdout, "%s\n", bytes.TrimSpace(got.body))
		return err
	}
	return labelled(stdout, "verification", receipt.VerificationID, "reference", receipt.Reference, "url", receipt.URL,
		"expires", receipt.ExpiresAt)
}

// startError adds to a failed start how to continue without a second verification.
func startError(err error, key string) error {
	if _, early := errors.AsType[unsent](err); early {
		return err
	}
	again := "the same command with --idempotency-key " + key + " does not start a second one"
	p, ok := errors.AsType[*apiProblem](err)
	switch {
	case !ok:
		return fmt.Errorf("%w; it is unknown whether a verification was started: %s", err, again)
	case p.name() == "unwatched":
		return fmt.Errorf("%w; verification %s, reference %s%s", err, printable(p.VerificationID), printable(p.Reference),
			after(", url ", printable(p.URL)))
	case p.MayHaveStarted || p.name() == "key_pending":
		return fmt.Errorf("%w; %s", err, again)
	}
	return err
}

// after is s with a label, or empty without s.
func after(label, s string) string {
	if s == "" {
		return ""
	}
	return label + s
}

// labelled prints alternating labels and values, one pair per line, and omits empty values.
func labelled(w io.Writer, pairs ...string) error {
	text := ""
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			text += fmt.Sprintf("%-13s %s\n", pairs[i], printable(pairs[i+1]))
		}
	}
	_, err := io.WriteString(w, text)
	return err
}
