package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"kycbridge/event"
	"kycbridge/internal/app"
)

// version is set by the linker in a release (-ldflags "-X main.version=v1.2.3").
var version = ""

func versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of program, mappings and event schema",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := struct {
				Version     string `json:"version"`
				Mapping     string `json:"mapping"`
				EventSchema string `json:"event_schema"`
				Go          string `json:"go"`
				Platform    string `json:"platform"`
			}{programVersion(), app.Mapping, event.DataSchema, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
			if asJSON {
				return line(cmd.OutOrStdout(), v)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "kycbridge %s\nmapping %s\nevent schema %s\n%s %s\n",
				v.Version, v.Mapping, v.EventSchema, v.Go, v.Platform)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON object")
	return cmd
}

func programVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				return "devel-" + s.Value[:12]
			}
		}
	}
	return "devel"
}
