package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"kycbridge/internal/app"
)

func configCommand(environ []string) *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Look at the configuration", Args: cobra.NoArgs}
	var file string
	check := &cobra.Command{
		Use:   "check",
		Short: "Name all faults of a configuration, or print what is in force with the secrets redacted",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := app.LoadConfig(file, environ, app.Known())
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
			return nil
		},
	}
	check.Flags().StringVarP(&file, "config", "c", "", "configuration `file` (YAML)")
	cmd.AddCommand(check)
	return cmd
}
