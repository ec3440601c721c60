package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"kycbridge/internal/app"
	"kycbridge/internal/keys"
)

func keysCommand(environ []string) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "keys",
		Short: "Make, list and rotate the master keys of stored payloads",
		Long: `Make, list and rotate the master keys of stored payloads.

The body of each stored payload is encrypted with a key of its own. These keys are stored
too, in pages that a master key wraps: a key from encryption.key_file, or one of a key
service (encryption.vault). Erasing a payload destroys its key.

To rotate, without a pause: add the new key as the second line of the key file of every
process; move it to the first line of every process; run kycbridge keys rotate; when
kycbridge keys list no longer shows the old key, remove its line. Processes read the
file when they start, and when it changes.`,
		Example: `  kycbridge keys generate --file master.keys
  kycbridge keys list --config kyc.yaml
  kycbridge keys rotate --config kyc.yaml --dry-run`,
	})
	cmd.AddCommand(keysGenerateCommand(), keysListCommand(environ), keysRotateCommand(environ))
	return cmd
}

func keysGenerateCommand() *cobra.Command {
	var id, file string
	var second bool
	cmd := &cobra.Command{
		Use:   "generate",
		Short: "Make a master key",
		Long: `Make a master key and print its line for encryption.key_file, or write it into the file.

The first line of the file is the key for new pages. --second adds the key behind the first
line instead: processes that read the file then know the key before it is used.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			id := cmp.Or(id, keys.NewID(time.Now()))
			line, err := keys.Generate(id)
			if err = cmp.Or(noneEmpty(cmd.Flags()), err); err != nil {
				return usage(cmd, err.Error())
			}
			if file == "" {
				if second {
					return usage(cmd, "--second requires --file")
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), line)
				return err
			}
			if err := addKey(file, line, second); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "master key %s is in %s; keep a copy of the file where only you can "+
				"read it: without it no stored payload can be read\n", id, file)
			return err
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().StringVar(&id, "id", "", "`name` of the key; default: the date and a random part")
	cmd.Flags().StringVar(&file, "file", "", "key `file` to write to; it is created if it does not exist")
	cmd.Flags().BoolVar(&second, "second", false, "add the key behind the first line: it is not used for new pages yet")
	return cmd
}

// addKey writes a line into a key file, which is replaced as a whole.
func addKey(file, line string, second bool) error {
	if err := namesFile(file); err != nil {
		return err
	}
	before, err := readInput(file, nil, largestKeyFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(before), "\n"), "\n")
	at, first := 0, slices.IndexFunc(lines, keys.IsKeyLine)
	if err := addable(file, string(before), first >= 0, second); err != nil {
		return err
	}
	if second {
		at = first + 1
	}
	text := strings.TrimSuffix(strings.Join(slices.Insert(lines, at, line), "\n"), "\n") + "\n"
	if _, err := keys.ParseLocal(text); err != nil {
		return fmt.Errorf("%s with the new key would be invalid: %w; --id gives the new key another name", file, err)
	}
	return replaceFile(file, []byte(text))
}

// addable refuses a key file that is damaged, and a second key where there is no first one.
func addable(file, text string, hasKey, second bool) error {
	if second && !hasKey {
		return fmt.Errorf("there is no key in %s, so a second one cannot be added behind it: restore the file from a copy "+
			"if it had keys, or omit --second to make the first key", file)
	}
	if _, err := keys.ParseLocal(text); err != nil && hasKey {
		return fmt.Errorf("%s is damaged, or no key file: %s; nothing was written: restore it from a copy, or name another "+
			"file", file, strings.TrimSuffix(err.Error(), "; "+keys.Advice))
	}
	return nil
}

func keysListCommand(environ []string) *cobra.Command {
	flags := newPayloadFlags(environ)
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the master keys that stored payloads need",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.withKeys(cmd, func(ctx context.Context, k *app.KeyStore) error {
				held, err := k.MasterKeys(ctx)
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(held)
				}
				if len(held) == 0 {
					_, err := fmt.Fprintln(cmd.OutOrStdout(), "no stored payload is encrypted")
					return err
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "MASTER KEY\tPAGES\tSTATE")
				for _, m := range held {
					fmt.Fprintf(w, "%s\t%d\t%s\n", m.ID, m.Pages, m.State)
				}
				return w.Flush()
			})
		},
	}
	flags.addStore(cmd.Flags())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return cmd
}

func keysRotateCommand(environ []string) *cobra.Command {
	flags := newPayloadFlags(environ)
	var asJSON, dryRun bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Wrap all keys of stored payloads with the current master key",
		Long: `Wrap all keys of stored payloads with the current master key. Payloads are not touched.

It may run beside kycbridge serve, can be interrupted at any time and run again. Afterwards
no page in the store needs another master key.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return flags.withKeys(cmd, func(ctx context.Context, k *app.KeyStore) error {
				bar := newProgress(cmd.ErrOrStderr(), "rotate", 0)
				r, err := k.Rotate(ctx, dryRun, func(done, _ int) { bar.set(int64(done)) })
				bar.clear()
				if err != nil {
					return err
				}
				if asJSON {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
				}
				verb := "are now wrapped"
				if dryRun {
					verb = "would be wrapped"
				}
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d of %d pages %s with master key %s\n", r.Rotated, r.Pages, verb,
					r.Master)
				return err
			})
		},
	}
	flags.addStore(cmd.Flags())
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only count")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}
