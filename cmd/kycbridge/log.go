package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"kycbridge/internal/app"
)

func logCommand(environ []string) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "log",
		Short: "Print the public key and the newest checkpoint of the tamper-evident log",
		Long: `Print the public key and the newest checkpoint of the tamper-evident log (integrity.log).

The log has a leaf for every accepted payload, every event and every record of the access
log. A checkpoint is its signed state. Who keeps checkpoints elsewhere can show later that
nothing before them was changed: kycbridge payloads report --checkpoint FILE.`,
		Example: `  kycbridge log key --config kyc.yaml > log.pub
  kycbridge log checkpoint --config kyc.yaml > $(date +%F).checkpoint`,
	})
	cmd.AddCommand(logKeyCommand(environ), logCheckpointCommand(environ))
	return cmd
}

func logKeyCommand(environ []string) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Print the public key that checks checkpoints and bundles",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := app.LoadConfig(file, environ, app.ProviderCatalog())
			if err != nil {
				return err
			}
			key, err := app.VerifierKey(config)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), key)
			return err
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration `file` (YAML)")
	return cmd
}

func logCheckpointCommand(environ []string) *cobra.Command {
	flags := newPayloadFlags(environ)
	cmd := &cobra.Command{
		Use:   "checkpoint",
		Short: "Print the newest signed checkpoint",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			config, err := flags.config(cmd)
			if err != nil {
				return err
			}
			signed, err := app.LastCheckpoint(cmd.Context(), config, flags.access)
			if err != nil {
				return ended(cmd.Context(), fromNATS(err, otherStore))
			}
			_, err = cmd.OutOrStdout().Write(signed)
			return err
		},
	}
	flags.addStore(cmd.Flags())
	return cmd
}
