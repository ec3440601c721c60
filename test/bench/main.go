// Command bench compares kycbridge with a typical alternative, the peer in test/bench/peer: a Watermill service in
// front of nats-server. Both get the same callbacks, one after the other, and both answer after an fsync. It prints
// a table, and fails if anything but exactly one event was stored for each answer 200. With -scale it compares two
// processes of kycbridge with one, at a cluster of three NATS servers; -processors limits the processor time of each.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"

	"kycbridge/test/bench/body"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	reps        int
	duration    time.Duration
	connections int
	bodies      []body.Body
	slow        time.Duration
	scale       bool
	processors  float64
	share       float64
	apart       bool
	on          []string // the command that starts a program on other processors than this process; nil: on all
	json        bool
}

// fast are the options of a process whose flushes are never delayed.
func (o options) fast() options {
	o.slow = 0
	return o
}

func readOptions(args []string) (o options, err error) {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.IntVar(&o.reps, "reps", 5, "how often each contender is measured with each body")
	flags.DurationVar(&o.duration, "d", 3*time.Second, "how long callbacks are sent each time")
	flags.IntVar(&o.connections, "connections", 64, "connections, each with one callback at a time")
	names := flags.String("bodies", "ondato,signzy", "bodies, separated by commas")
	flags.DurationVar(&o.slow, "slow", 0, "how much longer a flush takes, as on a slower disk; needs strace")
	flags.BoolVar(&o.scale, "scale", false, "compare two processes with one, at three NATS servers that keep three copies")
	flags.Float64Var(&o.processors, "processors", 0, "with -scale: the processor time of each process of kycbridge, in "+
		"processors, so that two processes do not use up the machine; needs the right to make control groups")
	flags.Float64Var(&o.share, "share", 0, "afterwards, send at this percentage of the measured rate too, and print how "+
		"long answers and events take")
	flags.BoolVar(&o.apart, "apart", false, "run this command on the last processor, and what it measures on the others")
	flags.BoolVar(&o.json, "json", false, "print every measurement as JSON instead of the table")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.share < 0 || o.share > 100:
		return o, errors.New("-share must be a percentage")
	case o.reps < 1 || o.duration <= 0 || o.connections < 1 || o.slow < 0:
		return o, errors.New("-reps, -d and -connections must be positive, -slow must not be negative")
	}
	if o.processors != 0 && (!o.scale || o.processors < 0.1) {
		return o, errors.New("-processors must be at least 0.1, and needs -scale")
	}
	if _, err := exec.LookPath("strace"); o.slow > 0 && err != nil {
		return o, fmt.Errorf("-slow delays system calls with strace, which is not installed: %w", err)
	}
	all, err := body.Load()
	if err != nil {
		return o, err
	}
	for name := range strings.SplitSeq(*names, ",") {
		i := slices.IndexFunc(all, func(b body.Body) bool { return b.Provider == name })
		if i < 0 {
			return o, fmt.Errorf("-bodies: there is no body %q", name)
		}
		o.bodies = append(o.bodies, all[i])
	}
	return o, nil
}

// run runs the command. After the table, it returns an error that lists the wrong counts.
func run(args []string, stdout io.Writer) error {
	o, err := readOptions(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", "kycbridge-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	programs, err := build(ctx, dir)
	if err != nil {
		return err
	}
	machine, err := describe(ctx, dir)
	if err != nil {
		return err
	}
	if o.apart {
		if o.on, err = apart(); err != nil {
			return err
		}
	}
	samples, err := measureAll(ctx, o, programs, dir)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		return err
	}
	if o.json {
		err = printJSON(stdout, machine, o, samples)
	} else {
		err = printTables(stdout, machine, o, samples)
	}
	return errors.Join(err, faultsOf(samples))
}

// measureAll measures the contenders in turn, in reverse order in every second repetition, so that changes on the
// machine affect all contenders.
func measureAll(ctx context.Context, o options, p programs, dir string) ([]sample, error) {
	var samples []sample
	for rep := range o.reps {
		for _, b := range o.bodies {
			turn := contenders(o)
			if rep%2 == 1 {
				slices.Reverse(turn)
			}
			for _, c := range turn {
				progress("repetition %d of %d, %s, %s", rep+1, o.reps, b.Provider, c.name)
				room := filepath.Join(dir, "room") // a new one for each measurement
				if err := os.Mkdir(room, 0o700); err != nil {
					return nil, err
				}
				s, err := visit(ctx, c, b, o, p, room)
				if err != nil {
					return nil, fmt.Errorf("%s, %s, repetition %d: %w", c.name, b.Provider, rep+1, err)
				}
				s.Repetition = rep + 1
				samples = append(samples, s)
				if err := os.RemoveAll(room); err != nil {
					return nil, err
				}
			}
		}
	}
	return samples, nil
}

// faultsOf joins the faults of all samples in one error.
func faultsOf(samples []sample) error {
	var all []error
	for _, s := range samples {
		for _, fault := range s.Faults {
			all = append(all, fmt.Errorf("%s, %s, repetition %d: %s", s.Contender, s.Body, s.Repetition, fault))
		}
	}
	return errors.Join(all...)
}

func printJSON(w io.Writer, m machine, o options, samples []sample) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(struct {
		Machine     machine  `json:"machine"`
		Connections int      `json:"connections"`
		Seconds     float64  `json:"seconds"`
		SlowMS      float64  `json:"flush_longer_by_ms,omitempty"`
		Processors  float64  `json:"processors_of_a_process,omitempty"`
		Apart       bool     `json:"on_other_processors,omitempty"`
		Samples     []sample `json:"measurements"`
	}{m, o.connections, o.duration.Seconds(), milliseconds(o.slow), o.processors, o.apart, samples})
}

// progress prints the current step if standard error is a terminal.
func progress(format string, args ...any) {
	if term.IsTerminal(int(os.Stderr.Fd())) {
		fmt.Fprintf(os.Stderr, format+"\n", args...)
	}
}
