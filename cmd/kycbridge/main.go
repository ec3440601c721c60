// Command kycbridge receives the results of identity verifications from many providers and
// publishes them as one canonical event on NATS.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kycbridge:", err)
		os.Exit(1)
	}
}

// run is the whole program but for signals and the exit code.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) error {
	root := &cobra.Command{
		Use:   "kycbridge",
		Short: "Receive identity-verification results from many providers, publish one canonical event",
		Long: `kycbridge receives identity-verification results from many providers, keeps every
payload as it came, and publishes one canonical event on NATS.

  kycbridge demo --once          see it work: no configuration, no other server
  kycbridge serve --config FILE  run it`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.NoArgs,
	}
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(serveCommand(environ), demoCommand(), eventsCommand(), configCommand(environ), versionCommand())
	return root.ExecuteContext(ctx)
}
