package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"kycbridge/schemas"
)

// published is a schema, or a document with schemas, that is printed by its name.
type published struct {
	Name  string `json:"name"`
	Kind  string `json:"kind"`
	About string `json:"about"`
	text  []byte
	also  []string // further names for suggestions
}

func schemasCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "schemas [NAME]",
		Short: "List the schemas of input and output, or print one",
		Long: `List the schemas of input and output, or print one, byte for byte as this
program was built with it: the event, the subjects and messages on NATS (AsyncAPI), the
admin API (OpenAPI), and the messages from and to providers.`,
		Example: `  kycbridge schemas
  kycbridge schemas asyncapi > asyncapi.yaml
  kycbridge schemas ondato/callback`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) > 1:
				return usage(cmd, fmt.Sprintf("schemas takes one name, not %q too", args[1]))
			case len(args) == 1 && asJSON:
				return usage(cmd, "--json is for the list; a schema is printed unchanged")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			all, _ := everySchema()
			var names []string
			for _, p := range all {
				names = append(names, p.Name)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			all, err := everySchema()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return listSchemas(cmd, all, asJSON)
			}
			return printSchema(cmd, all, args[0])
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "list each as a JSON object, one per line")
	return cmd
}

// everySchema lists all schemas: the consumers' first, then the providers' by name.
func everySchema() ([]published, error) {
	set, err := schemas.New()
	if err != nil {
		return nil, err
	}
	of := func(folder, schema string) []byte {
		text, _ := set.Source(folder, schema)
		return text
	}
	all := []published{
		{Name: "event", Kind: "JSON Schema", text: of("event", "event"),
			also: []string{"event/event", "event.json", "event/event.json", "events"}},
		{Name: "data", Kind: "JSON Schema", text: of("event", "data"),
			also: []string{"event/data", "data.schema.json", "event/data.schema.json"}},
		{Name: "asyncapi", Kind: "AsyncAPI", text: set.AsyncAPI(), also: []string{"asyncapi.yaml"}},
		{Name: "openapi", Kind: "OpenAPI", text: set.OpenAPI(),
			also: []string{"openapi.json", "api/openapi.json", "api", "api/openapi"}},
	}
	byFolder := set.Names()
	delete(byFolder, "event")
	for _, provider := range slices.Sorted(maps.Keys(byFolder)) {
		for _, schema := range byFolder[provider] {
			name := provider + "/" + schema
			all = append(all, published{Name: name, Kind: "JSON Schema", text: of(provider, schema),
				also: []string{schema, name + ".json"}})
		}
	}
	for i := range all {
		if all[i].About, err = titleOf(all[i].text); err != nil {
			return nil, fmt.Errorf("read schema %s: %w", all[i].Name, err)
		}
	}
	return all, nil
}

// titleOf is the title of a schema, or of a document.
func titleOf(text []byte) (string, error) {
	var it struct {
		Title string
		Info  struct{ Title string }
	}
	if json.Unmarshal(text, &it) != nil {
		if err := yaml.Unmarshal(text, &it); err != nil {
			return "", err
		}
	}
	return it.Title + it.Info.Title, nil
}

func listSchemas(cmd *cobra.Command, all []published, asJSON bool) error {
	wide := 0
	for _, p := range all {
		wide = max(wide, len(p.Name))
	}
	for _, p := range all {
		var err error
		if asJSON {
			err = line(cmd.OutOrStdout(), p)
		} else {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%-*s  %-11s  %s\n", wide, p.Name, p.Kind, p.About)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func printSchema(cmd *cobra.Command, all []published, name string) error {
	near := &cobra.Command{SuggestionsMinimumDistance: 2}
	for _, p := range all {
		if p.Name == name {
			_, err := cmd.OutOrStdout().Write(p.text)
			return err
		}
		near.AddCommand(&cobra.Command{Use: p.Name, SuggestFor: p.also, Run: func(*cobra.Command, []string) {}})
	}
	problem := fmt.Sprintf("unknown schema %q", name)
	if names := near.SuggestionsFor(name); name != "" && len(names) > 0 {
		return fmt.Errorf("%s, did you mean %s? (see: kycbridge schemas)", problem, strings.Join(names, " or "))
	}
	return fmt.Errorf("%s (see: kycbridge schemas)", problem)
}
