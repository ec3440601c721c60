package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"kycbridge/internal/app"
	"kycbridge/internal/bundle"
	"kycbridge/internal/ledger"
)

func bundleCommand(o *payloadFlags) *cobra.Command {
	var f filterFlags
	var file string
	cmd := &cobra.Command{
		Use:   "bundle",
		Short: "Write everything about one verification into a file that proves itself",
		Long: `Write an evidence bundle: the payloads of a verification as they were received and how they
were admitted, its events, who used its record and why, and for each of them the proof that
the signed tamper-evident log contains it. The file is a zip with a page for people,
index.html. kycbridge verify checks it without a store or a network.

It contains everything about the person, so protect it like the store. The access log
records who makes it and why. The log must be configured (integrity.log).`,
		Example: `  kycbridge payloads bundle --verification 1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0 \
    --why "request of the supervisor, case 4711" -o case-4711.zip
  kycbridge verify case-4711.zip --key log.pub`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(time.Now())
			switch {
			case err != nil:
				return usage(cmd, err.Error())
			case f.Verification == "":
				return usage(cmd, "write the verification: --verification ID")
			case file == "":
				return usage(cmd, "write the name of the file: -o case.zip")
			}
			if err := o.needReasonIn("why", "a bundle contains values about a person"); err != nil {
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
				return makeBundle(ctx, cmd, s, bundle.About{VerificationID: filter.Verification, MadeBy: s.use.By,
					Reason: o.why, Program: programVersion()}, file)
			})
		},
	}
	cmd.Flags().SortFlags = false
	f.flags = cmd.Flags()
	cmd.Flags().StringVar(&f.Verification, "verification", "", "internal `id` of the verification")
	o.addWhy(cmd, "")
	cmd.Flags().StringVarP(&file, "output", "o", "", "`file` to write; it appears only when it is complete")
	return cmd
}

func makeBundle(ctx context.Context, cmd *cobra.Command, s store, about bundle.About, file string) error {
	made, unproven, err := app.MakeBundle(ctx, s.Archive, s.config, about)
	if err != nil {
		return err
	}
	err = wholeFile(file, func(w io.Writer) error { _, err := w.Write(made); return err })
	if err != nil {
		return err
	}
	note(cmd, "%s written; it contains personal data", file)
	if unproven > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s of the verification missing in it: stored before the tamper-evident "+
			"log began\n", plural(unproven, "message"))
	}
	return nil
}

func verifyCommand() *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "verify BUNDLE",
		Short: "Prove an evidence bundle, without a store or a network",
		Long: `Check every byte of an evidence bundle that kycbridge payloads bundle wrote, and say what is
proven. It needs the public key of the log (kycbridge log key, or the public key as PEM) from
a source that you trust, and nothing else. Exit code 1 if anything was changed; the message
says where.`,
		Example: `  kycbridge verify case-4711.zip --key log.pub`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usage(cmd, "write the name of one bundle")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return usage(cmd, "write the file with the public key of the log: --key log.pub")
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return fmt.Errorf("read the key: %w", err)
			}
			keys, err := ledger.ParseVerifiers(string(text))
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			raw, err := os.ReadFile(args[0])
			if err != nil {
				return fmt.Errorf("read the bundle: %w", err)
			}
			v, err := bundle.Verify(raw, keys)
			if err != nil {
				return fmt.Errorf("%s is not proven: %w", args[0], err)
			}
			return printVerified(cmd.OutOrStdout(), v, asJSON)
		},
	}
	cmd.Flags().StringVar(&file, "key", "", "`file` with the public key of the log")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// printVerified prints what a bundle proves.
func printVerified(w io.Writer, v bundle.Verified, asJSON bool) error {
	counts := map[ledger.Kind]int{}
	for _, m := range v.Messages {
		counts[m.Kind]++
	}
	if asJSON {
		return line(w, map[string]any{"proven": true, "verification_id": v.About.VerificationID,
			"provider": v.About.Provider, "account": v.About.Account, "made_at": v.About.MadeAt, "made_by": v.About.MadeBy,
			"reason": v.About.Reason, "payloads": counts[ledger.Payload], "events": counts[ledger.Event],
			"accesses": counts[ledger.Access], "log": v.Signed.Origin, "log_size": v.Signed.Size, "log_signed_at": v.Signed.At})
	}
	_, err := fmt.Fprintf(w, `proven: %s of %s %s, verification %s

- %s and %s, their headers and bodies included, are byte for byte those that %s
  had stored when its log of %d entries was signed at %s.
- %s of the access log about this verification likewise.
- The bundle was made at %s by %s, for: %s. Nothing in it was changed since.

Not proven: that the provider's statements are true, that nothing was erased or had expired
before, and what happened after the log was signed.
`, "the record", v.About.Provider, v.About.Account, v.About.VerificationID,
		plural(counts[ledger.Payload], "payload"), plural(counts[ledger.Event], "event"), v.Signed.Origin, v.Signed.Size,
		v.Signed.At.UTC().Format(time.RFC3339), plural(counts[ledger.Access], "record"),
		v.About.MadeAt.UTC().Format(time.RFC3339), printable(v.About.MadeBy), printable(v.About.Reason))
	return err
}
