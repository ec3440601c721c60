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
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"kycbridge/internal/app"
)

func serveCommand(environ []string) *cobra.Command {
	var file string
	var roles []string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Receive callbacks, poll providers, publish events",
		Long: `Receive callbacks, poll open sessions at providers and publish events until a signal arrives.

Without --config it runs with an embedded NATS server in ./data and no accounts.
With an external store, several processes may share the work: --role receive accepts
callbacks, --role normalize makes events of them, --role poll polls open sessions at
providers. The API for operators is available in every role.

The log is written to standard error, one line for each message. So is the error that
ends it, unless standard error is a terminal: there it is plain text, as of other commands.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			want, err := parseRoles(roles)
			if err != nil {
				return usage(cmd, err.Error())
			}
			config, err := app.LoadConfig(file, environ, app.ProviderCatalog())
			if err != nil {
				return logEnd(cmd.ErrOrStderr(), "json", err)
			}
			err = cmp.Or(config.Serves(want), config.CheckFiles())
			if err == nil {
				err = serve(cmd.Context(), config, want, cmd.ErrOrStderr(),
					app.WithSource(app.Source{Path: file, Environ: environ}))
			}
			return logEnd(cmd.ErrOrStderr(), config.Log.Format, err)
		},
	}
	cmd.Flags().StringVarP(&file, "config", "c", "", "configuration `file` (YAML)")
	cmd.Flags().StringSliceVar(&roles, "role", []string{"receive", "normalize", "poll"},
		"what this process does: receive, normalize, poll; fewer than all require an external store")
	return cmd
}

// serve runs an app until ctx ends or a part of it fails.
func serve(ctx context.Context, config *app.Config, roles app.Roles, stderr io.Writer, options ...app.Option) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP) // during a long start it must not end the process
	defer signal.Stop(hangup)
	log, setLevel, err := newLogger(config.Log, stderr)
	if err != nil {
		return err
	}
	for _, warning := range app.Warnings(config) {
		log.Warn(warning)
	}
	app.TuneMemory()
	app.TuneProcessors(config)
	options = append(options, app.WithVersion(programVersion()), app.WithLogLevel(setLevel))
	a, err := app.Start(ctx, config, roles, log, options...)
	if err != nil {
		return config.StartFault(err)
	}
	patience := config.Receive.Drain + stopTimeout
	defer func() {
		if !a.StopWithin(patience) {
			log.Warn("not everything could be stopped in time: the process ends anyway; accepted payloads are stored",
				zap.Duration("limit", patience))
		}
	}()
	fields := []zap.Field{zap.String("admin", config.AdminScheme()+"://"+a.AdminAddr()),
		zap.Int("accounts", len(a.Accounts())), zap.String("config_version", a.ConfigVersion())}
	if roles.Receive {
		fields = append(fields, zap.String("callbacks",
			config.CallbackScheme()+"://"+a.CallbackAddr()+"/webhooks/{provider}/{account}"))
	}
	if a.ClientURL() != "" {
		fields = append(fields, zap.String("events", a.ClientURL()))
	}
	log.Info("kycbridge is up", fields...)
	if len(a.Accounts()) == 0 {
		log.Warn("no account is configured, so every callback is answered 404: " +
			"write a file with an accounts list (see docs/configure.md) and start with --config FILE")
	}
	for {
		select {
		case <-hangup:
			a.Reload()
		case <-ctx.Done():
			log.Info("stopping")
			return nil
		case err := <-a.Failed():
			patience = failedTimeout
			return errors.New(err.Error()) // whatever it wraps: main would take a canceled call for a signal
		}
	}
}

// loggedError is an error that is in the log already.
type loggedError struct{ error }

func (e loggedError) Unwrap() error { return e.error }

// logEnd logs the error that ends serve, with a line for each fault of a configuration: whoever collects the log finds
// nothing else in it. A terminal gets plain text from main.
func logEnd(stderr io.Writer, format string, err error) error {
	if quietPipe(err) == nil || terminal(stderr) {
		return err
	}
	log, _, unusable := newLogger(app.Log{Level: "error", Format: format}, stderr)
	if unusable != nil {
		return err
	}
	if config, ok := errors.AsType[*app.ConfigError](err); ok {
		for _, f := range config.Faults {
			log.Error("the configuration cannot be used; kycbridge does not start", zap.String("fault", f.String()))
		}
	} else {
		log.Error("kycbridge ends because of an error", zap.String("error", err.Error()))
	}
	return loggedError{err}
}

// stopTimeout is how long a shutdown may take after callbacks in progress have been given their time
// (receive.drain). With the default of that it ends before the kill timeout of docs/operate.md, 45 s.
const stopTimeout = 25 * time.Second

// failedTimeout is how long a failed process waits for running operations before it exits and makes room
// for the next one.
const failedTimeout = 3 * time.Second

func parseRoles(names []string) (app.Roles, error) {
	known := []string{"receive", "normalize", "poll"}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return app.Roles{}, fmt.Errorf("--role %s: there is no such role; write %s", name, strings.Join(known, ", "))
		}
	}
	if len(names) == 0 {
		return app.Roles{}, fmt.Errorf("--role is empty; write %s", strings.Join(known, ", "))
	}
	return app.Roles{Receive: slices.Contains(names, "receive"), Normalize: slices.Contains(names, "normalize"),
		Poll: slices.Contains(names, "poll")}, nil
}

// newLogger creates the log. setLevel changes its level; an unknown one changes nothing.
func newLogger(c app.Log, to io.Writer) (log *zap.Logger, setLevel func(string), err error) {
	level, err := zap.ParseAtomicLevel(c.Level)
	if err != nil {
		return nil, nil, fmt.Errorf("log level %q: write debug, info, warn or error", c.Level)
	}
	setLevel = func(text string) {
		if changed, err := zapcore.ParseLevel(text); err == nil {
			level.SetLevel(changed)
		}
	}
	ec := zap.NewProductionEncoderConfig()
	ec.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	ec.EncodeDuration = zapcore.StringDurationEncoder
	encoder := zapcore.NewJSONEncoder(ec)
	if c.Format == "console" {
		encoder = zapcore.NewConsoleEncoder(ec)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(to)), level)), setLevel, nil
}
