package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"kycbridge/internal/app"
)

func configCommand(environ []string) *cobra.Command {
	cmd := group(&cobra.Command{Use: "config", Short: "Check configurations and compare them"})
	o := checkFlags{environ: environ}
	check := &cobra.Command{
		Use:   "check",
		Short: "Report all faults of a configuration, or print it with the secrets redacted",
		Long: `Report all faults of a configuration, each with its line and the correction.
Without a fault, print the effective configuration: file, environment and defaults, with the
secrets redacted. Warnings go to standard error.

Without --config it is made of the defaults and the environment. --connect also checks whether
external NATS servers and the providers' APIs can be reached with this configuration; the
check requests a verification that does not exist. Nothing is stored or started.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	f := check.Flags()
	f.SortFlags = false
	f.StringVarP(&o.file, "config", "c", "", "configuration `file` (YAML)")
	f.BoolVar(&o.connect, "connect", false, "also check the connections to NATS servers and providers' APIs")
	f.BoolVar(&o.asJSON, "json", false, "print one JSON object: the effective configuration, warnings, connections")
	cmd.AddCommand(check, configDiffCommand(environ))
	return cmd
}

// checkFlags are the flags of config check.
type checkFlags struct {
	environ         []string
	file            string
	connect, asJSON bool
}

// checked is the result of config check for a valid configuration.
type checked struct {
	Valid       bool            `json:"valid"`
	Config      any             `json:"config"`
	Warnings    []string        `json:"warnings"`
	Connections []app.Connected `json:"connections,omitempty"`
}

// run checks a configuration and prints the result.
func (o *checkFlags) run(cmd *cobra.Command) error {
	config, err := app.LoadConfig(o.file, o.environ, app.ProviderCatalog())
	if err != nil {
		return err
	}
	text, err := config.Redacted()
	if err != nil {
		return err
	}
	found := checked{Valid: true, Warnings: append([]string{}, app.Warnings(config)...)}
	if !o.asJSON {
		if err := o.say(cmd, text, found.Warnings); err != nil {
			return err
		}
	}
	failed := 0
	if o.connect {
		if err := config.CheckFiles(); err != nil {
			return err
		}
		err := app.Connect(cmd.Context(), config, func(c app.Connected) {
			found.Connections = append(found.Connections, c)
			if !c.OK {
				failed++
			}
			if !o.asJSON {
				fmt.Fprintln(cmd.ErrOrStderr(), printable(c.What+": "+map[bool]string{true: "answers", false: c.Problem}[c.OK]))
			}
		})
		if err != nil {
			return err
		}
	}
	if o.asJSON {
		if err := yaml.Unmarshal(text, &found.Config); err != nil {
			return err
		}
		if err := line(cmd.OutOrStdout(), found); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %s cannot be used", failed, plural(len(found.Connections), "connection"))
	}
	return nil
}

// say prints the effective settings, and the warnings.
func (o *checkFlags) say(cmd *cobra.Command, text []byte, warnings []string) error {
	if _, err := cmd.OutOrStdout().Write(text); err != nil {
		return err
	}
	for _, warning := range warnings {
		fmt.Fprintln(cmd.ErrOrStderr(), "warning:", warning)
	}
	fmt.Fprintln(cmd.ErrOrStderr(), "configuration is valid")
	return nil
}
