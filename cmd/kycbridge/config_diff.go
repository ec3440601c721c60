package main

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"kycbridge/internal/app"
)

func configDiffCommand(environ []string) *cobra.Command {
	var api apiFlags
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff [FILE_A FILE_B]",
		Short: "List the keys in which two configurations differ",
		Long: `List the keys in which two configuration files differ, or in which a running process
differs from its own files as they are now.

A line has the key, whether it was added, removed or changed, and whether a reload applies
it or it needs a restart. No value is printed.

With two files nothing is contacted. Without files the running process at --api compares,
with a token of admin.tokens.`,
		Example: `  kycbridge config diff kyc.yaml kyc-new.yaml
  kycbridge config diff --token-file ./admin-token`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 0 && len(args) != 2 {
				return usage(cmd, "diff takes two files, or none for a running process")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			api.environ = environ
			if len(args) == 2 && api.named() {
				return usage(cmd, "two files are compared without a running process: leave the files or the flags away")
			}
			compared, err := compare(cmd, args, environ, &api)
			if err != nil {
				return err
			}
			return printComparison(cmd, compared, asJSON)
		},
	}
	cmd.Flags().SortFlags = false
	api.add(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// compare compares two files; without files, it requests the comparison from the running process.
func compare(cmd *cobra.Command, files, environ []string, api *apiFlags) (out app.ConfigComparison, err error) {
	if len(files) == 0 {
		client, err := api.client()
		if err == nil {
			err = client.object(cmd.Context(), request{method: http.MethodGet, path: "/v1/config/diff"}, &out)
		}
		return out, err
	}
	var configs [2]*app.Config
	for i, file := range files {
		if configs[i], err = app.LoadConfig(file, environ, app.ProviderCatalog()); err != nil {
			return out, err
		}
	}
	return app.ConfigComparison{Version: configs[0].Version(), Next: configs[1].Version(),
		Changes: app.DiffConfig(configs[0], configs[1])}, nil
}

// printComparison prints the keys, or fails if the files of the running process cannot be used.
func printComparison(cmd *cobra.Command, c app.ConfigComparison, asJSON bool) error {
	if len(c.Faults) > 0 {
		var all []error
		for _, fault := range c.Faults {
			all = append(all, errors.New(printable(fault)))
		}
		return errors.Join(all...)
	}
	if asJSON {
		return line(cmd.OutOrStdout(), c)
	}
	for _, change := range c.Changes {
		if _, err := fmt.Fprintln(cmd.OutOrStdout(), printable(change.String())); err != nil {
			return err
		}
	}
	if len(c.Changes) == 0 {
		note(cmd, "no difference")
	}
	return nil
}
