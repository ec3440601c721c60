package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

func healthCommand(environ []string) *cobra.Command {
	var address string
	var live bool
	var patience time.Duration
	var files tlsFlags
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Check whether a running process is ready",
		Long: `Check whether a running process is ready, that is, whether it accepts callbacks and
reaches NATS. The exit code is 0 if it is, 1 with the reason if not: for the health checks
of containers that contain only this program.

--live checks only whether the process is alive. A process that is not ready because NATS
is unavailable should not be killed.`,
		Example: `  kycbridge health
  kycbridge health --live --api http://127.0.0.1:8081`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			base, err := apiAddress(address, environ)
			if err != nil {
				return err
			}
			if patience <= 0 {
				return usage(cmd, "--timeout must be more than 0")
			}
			client, err := files.client()
			if err != nil {
				return usage(cmd, err.Error())
			}
			path := "/readyz"
			if live {
				path = "/healthz"
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), patience)
			defer cancel()
			if err := askHealth(ctx, client, base, path); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "ok")
			return err
		},
	}
	cmd.Flags().StringVar(&address, "api", "", "`address` of admin.listen; default: "+apiVariable+" or "+apiDefault)
	files.addCA(cmd.Flags(), "")
	cmd.Flags().BoolVar(&live, "live", false, "check whether it is alive, not whether it is ready")
	cmd.Flags().DurationVar(&patience, "timeout", 5*time.Second, "how long to wait for the answer")
	return cmd
}

// apiAddress is the address of the admin listener: from a flag, else the environment, else the default.
func apiAddress(flag string, environ []string) (string, error) {
	address, from := flag, "--api"
	if address == "" {
		address, from = variable(environ, apiVariable), apiVariable
	}
	if address == "" {
		address = apiDefault
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" ||
		u.Fragment != "" {
		return "", fmt.Errorf("%s: not the address of an admin API; write one such as %s", from, apiDefault)
	}
	return strings.TrimSuffix(u.String(), "/"), nil
}

// askHealth sends one request and describes in one line why the answer is not 200.
func askHealth(ctx context.Context, client *http.Client, base, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return errors.New("the address of the admin API cannot be used")
	}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("no answer at %s: %s; kycbridge serve must run there, or name its address with --api", base,
			cause(err))
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return nil
	}
	var problem struct {
		Failing []string `json:"failing"`
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, apiLargest))
	if err != nil || json.Unmarshal(raw, &problem) != nil || len(problem.Failing) == 0 {
		return fmt.Errorf("%s%s answers %d %s", base, path, res.StatusCode, http.StatusText(res.StatusCode))
	}
	return fmt.Errorf("not ready: %s does not answer; the log of the process has the reason",
		printable(strings.Join(problem.Failing, ", ")))
}
