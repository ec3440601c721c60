package main

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
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
	fmt.Fprintf(cmd.ErrOrStderr(), "%s written with %s and their proofs; it contains personal data\n", file,
		plural(messagesIn(made), "message"))
	if unproven > 0 {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: %s of the verification missing in it: stored before the tamper-evident "+
			"log began\n", plural(unproven, "message"))
	}
	return nil
}

// messagesIn is the number of messages in a bundle.
func messagesIn(made []byte) (n int) {
	z, err := zip.NewReader(bytes.NewReader(made), int64(len(made)))
	if err != nil {
		return 0 // it was just made
	}
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, ".body") {
			n++
		}
	}
	return n
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
			text, err := readInput(file, nil, largestKeyFile)
			if err != nil {
				return fmt.Errorf("--key: %w", err)
			}
			keys, err := ledger.ParseVerifiers(string(text))
			if err != nil {
				return fmt.Errorf("--key: %s: %w", file, err)
			}
			raw, err := readInput(args[0], nil, largestBundle)
			if err != nil {
				return err
			}
			v, err := bundle.Verify(raw, keys)
			if err != nil {
				return notProven(args[0], err)
			}
			return printVerified(cmd.OutOrStdout(), v, asJSON)
		},
	}
	cmd.Flags().StringVar(&file, "key", "", "`file` with the public key of the log")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// largestBundle limits a bundle that is checked, which is read as a whole.
const largestBundle = 4 << 30

// notProven is the error of a bundle that was changed, without what the library for zip files says about it.
func notProven(name string, err error) error {
	text := err.Error()
	for _, cause := range []error{zip.ErrFormat, zip.ErrAlgorithm, zip.ErrChecksum, io.ErrUnexpectedEOF} {
		text = strings.TrimSuffix(text, ": "+cause.Error())
	}
	return fmt.Errorf("%s is not proven: %s", name, text)
}

// printVerified prints what a bundle proves.
func printVerified(w io.Writer, v bundle.Verified, asJSON bool) error {
	counts := map[ledger.Kind]int{}
	for _, m := range v.Messages {
		counts[m.Kind]++
	}
	if asJSON {
		return line(w, verifiedJSON(v, counts))
	}
	erased := ""
	if at := v.About.ErasedAt; !at.IsZero() {
		erased = "\n- The verification was erased at " + at.UTC().Format(time.RFC3339) +
			": what was stored before is not in the bundle."
	}
	if at := v.About.PartlyErasedAt; !at.IsZero() {
		erased = "\n- The verification was partly erased at " + at.UTC().Format(time.RFC3339) +
			": what was erased is not in the bundle."
	}
	_, err := fmt.Fprintf(w, `proven: %s of %s %s, verification %s

- %s and %s, their headers and bodies included, are byte for byte those that %s
  had stored when its log of %d entries was signed at %s.
- %s of the access log about this verification likewise.
- The bundle was made at %s by %s, for: %s. Nothing in it was changed since.%s

Not proven: that the provider's statements are true, that nothing was erased or had expired
before, and what happened after the log was signed.
`, "the record", v.About.Provider, v.About.Account, v.About.VerificationID,
		plural(counts[ledger.Payload], "payload"), plural(counts[ledger.Event], "event"), v.Signed.Origin, v.Signed.Size,
		v.Signed.At.UTC().Format(time.RFC3339), plural(counts[ledger.Access], "record"),
		v.About.MadeAt.UTC().Format(time.RFC3339), printable(v.About.MadeBy), printable(v.About.Reason), erased)
	return err
}

// verifiedJSON is what a bundle proves, for --json.
func verifiedJSON(v bundle.Verified, counts map[ledger.Kind]int) map[string]any {
	said := map[string]any{"proven": true, "verification_id": v.About.VerificationID,
		"provider": v.About.Provider, "account": v.About.Account, "made_at": v.About.MadeAt, "made_by": v.About.MadeBy,
		"reason": v.About.Reason, "payloads": counts[ledger.Payload], "events": counts[ledger.Event],
		"accesses": counts[ledger.Access], "log": v.Signed.Origin, "log_size": v.Signed.Size, "log_signed_at": v.Signed.At}
	if !v.About.ErasedAt.IsZero() {
		said["erased_at"] = v.About.ErasedAt
	}
	if !v.About.PartlyErasedAt.IsZero() {
		said["partly_erased_at"] = v.About.PartlyErasedAt
	}
	return said
}
