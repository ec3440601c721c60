package main

import (
	"slices"

	"github.com/spf13/cobra"

	"kycbridge/event"
	"kycbridge/internal/app"
	"kycbridge/internal/archive"
)

// completionCommand adds cobra's own commands that print the script for a shell, and makes them refuse what they do
// not know as the other commands do.
func completionCommand(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	cmd, _, _ := root.Find([]string{"completion"}) // it was just added
	for _, shell := range group(cmd).Commands() {
		shell.Args = noArgs
	}
}

// completions adds shell completion of providers, accounts, statuses and the like to every command with
// such a flag.
func completions(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		completions(cmd)
	}
	offers := map[string]cobra.CompletionFunc{
		"provider":    fixed(app.ProviderNames()...),
		"account":     completeAccounts,
		"reason":      fixed(archive.Reasons()...),
		"via":         fixed("callback", "poll", "fetch", "start", "deadline"),
		"outcome":     fixed(words(event.Outcomes())...),
		"role":        fixed("receive", "normalize", "poll"),
		"decision":    fixed("approved", "rejected", "resubmit"),
		"environment": fixed("test", "live"),
		"status":      fixed(archive.Statuses()...),
	}
	if cmd := root; cmd.Name() == "events" {
		offers["status"] = fixed(words(event.Statuses())...)
	}
	for name, offer := range offers {
		if root.Flags().Lookup(name) != nil {
			_ = root.RegisterFlagCompletionFunc(name, offer) // fails only for a missing flag
		}
	}
}

// fixed offers a fixed list of values.
func fixed(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// words are the values of a vocabulary as texts.
func words[T ~string](values []T) (texts []string) {
	for _, v := range values {
		texts = append(texts, string(v))
	}
	return texts
}

// completeAccounts offers the accounts of the configuration named on the command line.
func completeAccounts(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	file := ""
	if f := cmd.Flag("config"); f != nil {
		file = f.Value.String()
	}
	config, err := app.LoadConfig(file, nil, app.ProviderCatalog())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	provider := ""
	if f := cmd.Flag("provider"); f != nil {
		provider = f.Value.String()
	}
	var names []string
	for _, a := range config.Accounts {
		if (provider == "" || a.Provider == provider) && !slices.Contains(names, a.Name) {
			names = append(names, a.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeCases offers providers, then the cases of that provider; files are offered as well.
func completeCases(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	switch len(args) {
	case 0:
		return app.ProviderNames(), cobra.ShellCompDirectiveNoFileComp
	case 1:
		var names []string
		for _, c := range casesOf(args[0]) {
			names = append(names, c.Name)
		}
		return names, cobra.ShellCompDirectiveDefault
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
