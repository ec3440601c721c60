// Command kycbridge receives the results of identity verifications from many providers and
// publishes them as one canonical event on NATS.
//
// It exits with 0 when its work is done, including by a signal, and otherwise with 1 and a message on
// standard error: a line of the log if it is serve.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kycbridge/internal/app"
	_ "kycbridge/internal/quiet" // what libraries log is discarded
)

func main() {
	signal.Ignore(syscall.SIGPIPE) // a closed reader shows as an error of the write
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	if err != nil {
		if _, logged := errors.AsType[loggedError](err); !logged {
			fmt.Fprintln(os.Stderr, errorOutput(err, os.Args[1:]))
		}
		os.Exit(1)
	}
}

// errorOutput is message, or a JSON object if the command line requests JSON.
func errorOutput(err error, args []string) string {
	if !slices.Contains(args, "--json") {
		return message(err)
	}
	type fault struct {
		File     string `json:"file,omitempty"`
		Line     int    `json:"line,omitempty"`
		Variable string `json:"variable,omitempty"`
		Key      string `json:"key,omitempty"`
		Problem  string `json:"problem"`
		Remedy   string `json:"remedy,omitempty"`
	}
	said := struct {
		Error  string  `json:"error"`
		Faults []fault `json:"faults,omitempty"`
	}{Error: err.Error()}
	if config, ok := errors.AsType[*app.ConfigError](err); ok {
		said.Error = plural(len(config.Faults), "fault")
		for _, f := range config.Faults {
			said.Faults = append(said.Faults, fault(f))
		}
	}
	var b strings.Builder
	if line(&b, said) != nil {
		return message(err)
	}
	return strings.TrimSpace(b.String())
}

// message is the text of an error: the faults of a configuration, one per line after their number. It may repeat what
// a server said, so it contains no control characters of terminals.
func message(err error) string {
	var config *app.ConfigError
	text := "kycbridge: " + err.Error()
	if errors.As(err, &config) {
		text = plural(len(config.Faults), "fault") + ":\n" + config.Error()
	}
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		lines[i] = printable(strings.ReplaceAll(l, "\t", "  "))
	}
	return strings.Join(lines, "\n")
}

// run is the whole program except signals and the exit code. A closed reader (| head) ends the work
// without an error.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	root := &cobra.Command{
		Use:   "kycbridge",
		Short: "Receive identity-verification results from many providers, publish one canonical event",
		Long: `kycbridge receives identity-verification results from many providers, stores every
payload unchanged, and publishes one canonical event on NATS.

  kycbridge demo --once          run a demonstration: no configuration, no other server
  kycbridge serve --config FILE  run it`,
		Version:       programVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(flagError)
	// A group of commands is runnable only to refuse an unknown command; its help does not show that usage.
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), "{{if .Runnable}}",
		"{{if and .Runnable (not .HasAvailableSubCommands)}}", 1))
	root.SetHelpCommand(helpCommand())
	root.AddCommand(serveCommand(environ), demoCommand(), simulateCommand(), keysCommand(environ),
		logCommand(environ), verifyCommand(),
		startCommand(environ), watchCommand(environ), stepCommand(environ), completeCommand(environ), reviewCommand(environ),
		eventsCommand(environ), topCommand(environ), findCommand(environ), payloadsCommand(environ),
		accessCommand(environ), schemasCommand(),
		sendCommand(environ), tryCommand(environ), testCommand(), initCommand(),
		healthCommand(environ), configCommand(environ), versionCommand())
	completionCommand(root)
	completions(root)
	if err := unknownIn(group(root), args); err != nil {
		return err
	}
	return quietPipe(root.ExecuteContext(ctx))
}

// flagError is the error of flags that cannot be parsed, without how they were parsed.
func flagError(cmd *cobra.Command, err error) error {
	invalid, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return usage(cmd, err.Error())
	}
	wanted := map[string]string{"int": "a whole number", "uint64": "a whole number, 0 or more",
		"float64": "a number such as 0.5", "duration": "a duration such as 30s, 5m or 72h", "bool": "true or false",
		"stringSlice": "words, with commas between them"}[invalid.GetFlag().Value.Type()]
	return usage(cmd, fmt.Sprintf("--%s %s: write %s", invalid.GetFlag().Name, printable(invalid.GetValue()),
		cmp.Or(wanted, "another value")))
}

// usage is the error of an invalid command line, with a reference to its help.
func usage(cmd *cobra.Command, problem string) error {
	return fmt.Errorf("%s (see: %s --help)", problem, cmd.CommandPath())
}

// noArgs refuses arguments of a command without any.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(cmd, fmt.Sprintf("%s takes flags only, not %q", cmd.Name(), args[0]))
}

// group makes cmd print its help, and refuse an unknown command.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return unknownCommand(cmd, args[0])
	}
	return cmd
}

// unknownIn refuses an unknown command of a group before cobra parses its flags: a group knows no flag of its
// commands, so cobra would blame the flag instead of the misspelt command, or print the help of the group.
func unknownIn(root *cobra.Command, args []string) error {
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return nil // the shell asks for completions; cobra adds this command when it executes
	}
	cmd, rest, err := root.Find(args)
	if err != nil || !cmd.HasSubCommands() {
		return err
	}
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	cmd.FParseErrWhitelist.UnknownFlags = true
	_ = cmd.ParseFlags(rest) // the errors of flags are reported when the command executes
	cmd.FParseErrWhitelist.UnknownFlags = false
	if names := cmd.Flags().Args(); len(names) > 0 {
		return unknownCommand(cmd, names[0])
	}
	return nil
}

func unknownCommand(cmd *cobra.Command, name string) error {
	problem := fmt.Sprintf("unknown command %q",
		strings.TrimSpace(strings.TrimPrefix(cmd.CommandPath()+" "+name, cmd.Root().Name())))
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if near := cmd.SuggestionsFor(name); len(near) > 0 && name != "help" {
		problem += ", did you mean " + strings.Join(near, " or ") + "?"
	}
	return usage(cmd, problem)
}

// helpCommand prints the help of another command.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Print help about a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return unknownCommand(about, rest[0])
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}
