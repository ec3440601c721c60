package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"kycbridge/internal/archive"
)

func exportCommand(o *payloadFlags) *cobra.Command {
	var f filterFlags
	var file string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write stored payloads unchanged, for import elsewhere",
		Long: `Write stored payloads, one JSON object per line, with everything that import needs: ids,
times and the exact bytes of the bodies. They are not masked, so protect the file like
the store. Credentials of refused ones are left out. The access log records who exports and why.`,
		Example: `  kycbridge payloads export --since 24h --why "copy for the audit" > payloads.ndjson
  kycbridge payloads export --verification 1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0 \
    --why "case 4711" -o one.ndjson`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(time.Now())
			if err == nil && filter.Status == archive.StatusIgnored {
				err = errors.New("--status ignored: export takes accepted, quarantined or refused")
			}
			if err == nil {
				err = o.needReason("an export contains values about persons")
			}
			if err != nil {
				return usage(cmd, err.Error())
			}
			return o.with(cmd, func(ctx context.Context, s store) error {
				if err := s.resolve(ctx, &filter); err != nil {
					return err
				}
				s.use.selects(filter)
				if err := s.use.begin(ctx); err != nil {
					return err
				}
				return export(ctx, cmd, s, filter, file)
			})
		},
	}
	f.add(cmd.Flags(), append(selecting, "limit")...)
	o.addWhy(cmd, "")
	cmd.Flags().StringVarP(&file, "output", "o", "",
		"write to this `file`, which is created only when it is complete; - is standard output, the default")
	return cmd
}

// export writes the selected payloads to a file, or to standard output.
func export(ctx context.Context, cmd *cobra.Command, s store, f archive.Filter, file string) error {
	bar := newProgress(cmd.ErrOrStderr(), "export", 0)
	write := func(w io.Writer) (int, error) {
		n, err := s.Export(ctx, f, w, func(done int) { bar.set(int64(done)) })
		bar.clear()
		if ctx.Err() != nil && err != nil {
			err = fmt.Errorf("interrupted: the output is incomplete, %s", plural(n, "payload"))
		}
		return n, err
	}
	if file == "" || file == "-" {
		n, err := write(cmd.OutOrStdout())
		if err == nil {
			note(cmd, "%s exported", plural(n, "payload"))
		}
		return err
	}
	n := 0
	err := wholeFile(file, func(w io.Writer) (err error) { n, err = write(w); return err })
	if err == nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "%s exported to %s\n", plural(n, "payload"), file)
	}
	return err
}

// wholeFile writes a new file that appears only when it is complete.
func wholeFile(name string, write func(io.Writer) error) error {
	if err := namesFile(name); err != nil {
		return err
	}
	if _, err := os.Lstat(name); err == nil {
		return existing(name)
	}
	part, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return unwritable(name, err)
	}
	defer os.RemoveAll(part.Name()) // already removed on success
	if err := cmp.Or(write(part), part.Sync(), part.Close()); err != nil {
		if failed, ok := errors.AsType[*fs.PathError](err); ok && failed.Path == part.Name() {
			return unwritable(name, failed) // the path is that of the incomplete file
		}
		return err
	}
	err = os.Link(part.Name(), name) // unlike a renaming it never replaces a file
	switch {
	case errors.Is(err, os.ErrExist):
		return existing(name)
	case err != nil: // a file system without links
		if err := os.Rename(part.Name(), name); err != nil {
			return unwritable(name, err)
		}
	}
	if err := syncFolder(name); err != nil {
		return unwritable(name, err)
	}
	return nil
}

func existing(name string) error {
	return fmt.Errorf("%s exists already, and nothing is overwritten: name another file", name)
}

func importCommand(o *payloadFlags) *cobra.Command {
	var dryRun, yes, asJSON bool
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Store exported payloads unchanged",
		Long: `Store payloads that kycbridge payloads export wrote: ids, bytes and times do not
change, and payloads that are already stored are skipped, so it may run twice. Events are made as
for any other payload, so whoever writes FILE decides. The access log records who imports and why.
FILE may be - for standard input.`,
		Example: `  kycbridge payloads import payloads.ndjson --dry-run
  kycbridge payloads import payloads.ndjson --why "the store moves"
  kycbridge payloads export --config old.yaml --why "we move" | \
    kycbridge payloads import --config new.yaml --why "we move" --yes -`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(cmd, fmt.Sprintf("import takes one FILE, or - for standard input, not %d", len(args)))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "-" && !yes && !dryRun {
				return usage(cmd, "standard input contains the payloads, so it cannot ask for confirmation: write --yes, or "+
					"--dry-run to check them")
			}
			if err := requireTerminal(cmd, yes, dryRun, "an import publishes events"); err != nil {
				return err
			}
			if !dryRun {
				if err := o.needReason("an import makes events of any content"); err != nil {
					return usage(cmd, err.Error())
				}
			}
			return o.with(cmd, func(ctx context.Context, s store) error {
				if !yes && !dryRun {
					if err := askToImport(ctx, cmd, s, args[0]); err != nil {
						return err
					}
				}
				if !dryRun {
					if err := s.use.begin(ctx); err != nil {
						return err
					}
				}
				done, n, err := importFile(ctx, cmd, s, args[0], dryRun)
				if err != nil {
					return err
				}
				return printImported(cmd.OutOrStdout(), done, n, dryRun, asJSON)
			})
		},
	}
	o.addWhy(cmd, "everything but a dry run")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "check every line and store nothing")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	return cmd
}

// askToImport checks a file and asks whether to store its payloads.
func askToImport(ctx context.Context, cmd *cobra.Command, s store, file string) error {
	would, n, err := importFile(ctx, cmd, s, file, true)
	if err == nil && would.Duplicate+would.Skipped > 0 {
		err = printImported(cmd.ErrOrStderr(), would, n, true, false)
	}
	if err != nil {
		return err
	}
	return ask(ctx, cmd, fmt.Sprintf("Import %s?", plural(n, "payload")))
}

// counting counts the read bytes, for a progress bar.
type counting struct {
	io.Reader
	n atomic.Int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n.Add(int64(n))
	return n, err
}

// importFile stores the payloads of a file and returns their number.
func importFile(
	ctx context.Context, cmd *cobra.Command, s store, file string, dryRun bool,
) (done archive.Imported, n int, err error) {
	from, size := cmd.InOrStdin(), int64(0)
	if file != "-" {
		f, err := openInput(file)
		if err != nil {
			return done, 0, err
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			size = info.Size()
		}
		from = f
	}
	bar := newProgress(cmd.ErrOrStderr(), "import", size)
	defer bar.clear()
	read := &counting{Reader: interruptible(ctx, from)}
	done, err = s.Import(ctx, read, dryRun, func(int) {
		n++
		if size > 0 {
			bar.set(read.n.Load())
		} else {
			bar.set(int64(n))
		}
	})
	stored := plural(done.Stored, "payload") + " stored"
	if dryRun {
		stored = "nothing was stored"
	}
	const again = "run it again, what is stored is left alone"
	switch stopped := broken(ctx, err, stored+"; "+again); {
	case stopped != nil:
		err = stopped
	case err != nil:
		err = fmt.Errorf("%s: %w; %s; correct it and %s", inputName(file), err, stored, again)
	}
	return done, n, err
}

// printImported prints the result of an import.
func printImported(w io.Writer, done archive.Imported, n int, dryRun, asJSON bool) error {
	if asJSON {
		return line(w, struct {
			DryRun bool `json:"dry_run"`
			Read   int  `json:"read"`
			archive.Imported
		}{dryRun, n, done})
	}
	text := fmt.Sprintf("%s read: %d stored, %d stored before", plural(n, "payload"), done.Stored, done.Duplicate)
	if done.Skipped > 0 {
		text += fmt.Sprintf(", %d left out: refused ones, or of somebody who was erased", done.Skipped)
	}
	if dryRun {
		text = fmt.Sprintf("%s read: %d would be stored, %d are stored already", plural(n, "payload"),
			done.Stored, done.Duplicate)
		if done.Skipped > 0 {
			text += fmt.Sprintf(", %d would be left out: refused ones, or of somebody who was erased", done.Skipped)
		}
		text += "; nothing was stored"
	}
	_, err := fmt.Fprintln(w, text)
	return err
}
