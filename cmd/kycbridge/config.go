package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"kycbridge/internal/app"
)

func configCommand(environ []string) *cobra.Command {
	cmd := group(&cobra.Command{Use: "config", Short: "Look at the configuration"})
	var file string
	check := &cobra.Command{
		Use:   "check",
		Short: "Name all faults of a configuration, or print what is in force with the secrets redacted",
		Long: `Name all faults of a configuration, each with its line and what to write instead.
Without a fault, print what is in force: file, environment and defaults, with the
secrets redacted. Warnings go to standard error.

Without --config these are the defaults and the environment.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := app.LoadConfig(file, environ, app.ProviderCatalog())
			if err != nil {
				return err
			}
			text, err := config.Redacted()
			if err != nil {
				return err
			}
			if _, err := cmd.OutOrStdout().Write(text); err != nil {
				return err
			}
			for _, warning := range app.Warnings(config) {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
			}
			fmt.Fprintln(cmd.ErrOrStderr(), "configuration is valid")
			return nil
		},
	}
	check.Flags().StringVarP(&file, "config", "c", "", "configuration `file` (YAML)")
	cmd.AddCommand(check)
	return cmd
}
