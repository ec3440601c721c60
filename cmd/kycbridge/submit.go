package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"
)

// submission is the common part of step, complete and review: a verification in progress.
type submission struct {
	apiFlags
	provider, account, reference string
	asJSON                       bool
}

// making creates the body of a request; standard input may be a file of it.
type making func(stdin io.Reader) ([]byte, error)

// command creates a command that sends the body of make to a path below the verification.
func (o *submission) command(cmd *cobra.Command, path func() string, body making) *cobra.Command {
	cmd.Args = noArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := needed("provider", o.provider, "account", o.account, "reference", o.reference); err != nil {
			return usage(cmd, err.Error())
		}
		raw, err := body(cmd.InOrStdin())
		if err != nil {
			return usage(cmd, err.Error())
		}
		client, err := o.client()
		if err != nil {
			return usage(cmd, err.Error())
		}
		below := "/v1/verifications"
		for _, part := range []string{o.provider, o.account, o.reference} {
			below += "/" + url.PathEscape(part)
		}
		return submit(cmd.Context(), client, below+path(), raw, o.asJSON, cmd.OutOrStdout())
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.provider, "provider", "", "`name` of the provider")
	f.StringVar(&o.account, "account", "", "`name` of the account")
	f.StringVar(&o.reference, "reference", "", "the provider's `id` of the verification")
	return cmd
}

// last adds the flags at the end of every help.
func (o *submission) last(cmd *cobra.Command) *cobra.Command {
	o.add(cmd)
	cmd.Flags().BoolVar(&o.asJSON, "json", false, "print the receipt as JSON")
	return cmd
}

// largestStep limits the images of a step; the API accepts 15 MiB in total.
const largestStep = 15 << 20

func stepCommand(environ []string) *cobra.Command {
	o := submission{apiFlags: apiFlags{environ: environ}}
	var step, front, back, more string
	var skip bool
	cmd := o.command(&cobra.Command{
		Use:   "step",
		Short: "Submit one step of a verification, through a running kycbridge",
		Long: `Submit one step of a verification whose steps your backend submits (IDWise). It is sent
once; afterwards kycbridge watches the verification and polls it soon.`,
		Example: `  kycbridge step --provider idwise --account app --reference JOURNEY --step 0 --image front.jpg --image2 back.jpg
  kycbridge step --provider idwise --account app --reference JOURNEY --step 1 --skip`,
	}, func() string { return "/steps/" + url.PathEscape(step) }, func(stdin io.Reader) ([]byte, error) {
		if err := needed("step", step); err != nil {
			return nil, err
		}
		return stepBody(stdin, front, back, more, skip)
	})
	f := cmd.Flags()
	f.StringVar(&step, "step", "", "the provider's `id` of the step")
	f.StringVar(&front, "image", "", "`file` with the front side, or the face; - is standard input")
	f.StringVar(&back, "image2", "", "`file` with the other side")
	f.StringVar(&more, "additional-data", "", "JSON `file` with further data that the provider accepts for this step")
	f.BoolVar(&skip, "skip", false, "the applicant skips this step")
	return o.last(cmd)
}

// stepBody is a step in the format of the API.
func stepBody(stdin io.Reader, front, back, more string, skip bool) ([]byte, error) {
	body := map[string]any{}
	for member, file := range map[string]string{"image": front, "image2": back} {
		if file == "" {
			continue
		}
		image, err := readInput(file, stdin, largestStep)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", member, err)
		}
		body[member] = image // encoded as base64
	}
	if more != "" {
		object, err := readObject(more, stdin, apiLargest)
		if err != nil {
			return nil, fmt.Errorf("--additional-data: %w", err)
		}
		body["additional_data"] = object
	}
	if skip {
		body["skip"] = true
	}
	if front == "" && !skip {
		return nil, errors.New("--image or --skip needed")
	}
	return json.Marshal(body)
}

func completeCommand(environ []string) *cobra.Command {
	o := submission{apiFlags: apiFlags{environ: environ}}
	cmd := o.command(&cobra.Command{
		Use:   "complete",
		Short: "Complete the submission of a verification's steps, through a running kycbridge",
		Long: `Complete the submission of steps (IDWise): nothing can be added afterwards, and the provider
decides. It is sent once.`,
		Example: `  kycbridge complete --provider idwise --account app --reference JOURNEY --token-file ./token`,
	}, func() string { return "/complete" }, func(io.Reader) ([]byte, error) { return nil, nil })
	return o.last(cmd)
}

func reviewCommand(environ []string) *cobra.Command {
	o := submission{apiFlags: apiFlags{environ: environ}}
	var decision, comment string
	var redo, good []string
	cmd := o.command(&cobra.Command{
		Use:   "review",
		Short: "Submit a reviewer's decision on a verification, through a running kycbridge",
		Long: `Submit the decision of one of your reviewers (IDWise). A resubmission names every step that
failed. It is sent once; the event is made from the provider's next result.`,
		Example: `  kycbridge review --provider idwise --account app --reference JOURNEY --decision approved --comment "Seen in the branch"
  kycbridge review --provider idwise --account app --reference JOURNEY --decision resubmit --resubmit 0 --approve 1`,
	}, func() string { return "/review" }, func(io.Reader) ([]byte, error) {
		if err := needed("decision", decision); err != nil {
			return nil, err
		}
		return reviewBody(decision, comment, redo, good)
	})
	f := cmd.Flags()
	f.StringVar(&decision, "decision", "", "`word`: approved, rejected or resubmit")
	f.StringVar(&comment, "comment", "", "`text` for the reviewers at the provider")
	f.StringArrayVar(&redo, "resubmit", nil, "`id` of a step that is to be handed in again; may be repeated")
	f.StringArrayVar(&good, "approve", nil, "`id` of a step that is good; may be repeated")
	return o.last(cmd)
}

// reviewBody is a decision in the format of the API.
func reviewBody(decision, comment string, redo, good []string) ([]byte, error) {
	type stepDecision struct {
		Step     string `json:"step"`
		Decision string `json:"decision"`
	}
	body := struct {
		Decision string         `json:"decision"`
		Comment  string         `json:"comment,omitempty"`
		Steps    []stepDecision `json:"steps,omitempty"`
	}{Decision: decision, Comment: comment}
	for _, id := range redo {
		body.Steps = append(body.Steps, stepDecision{id, "resubmit"})
	}
	for _, id := range good {
		body.Steps = append(body.Steps, stepDecision{id, "approve"})
	}
	return json.Marshal(body)
}

// submit sends a submission and prints the receipt.
func submit(ctx context.Context, c *apiClient, path string, body []byte, asJSON bool, stdout io.Writer) error {
	got, err := c.post(ctx, path, bytes.NewReader(body), "", http.StatusOK)
	if err != nil {
		return submitError(err)
	}
	var receipt struct {
		Status   string          `json:"status"`
		Provider json.RawMessage `json:"provider"`
	}
	if json.Unmarshal(got.body, &receipt) != nil || receipt.Status == "" {
		return submitError(fmt.Errorf("%s answered without a receipt", c.base))
	}
	if asJSON {
		_, err := fmt.Fprintf(stdout, "%s\n", bytes.TrimSpace(got.body))
		return err
	}
	return labelled(stdout, "status", receipt.Status, "provider", string(receipt.Provider))
}

// submitError adds to a failure how to continue without a second submission.
func submitError(err error) error {
	if _, early := errors.AsType[unsent](err); early {
		return err
	}
	const look = "check the verification before you send it again"
	p, ok := errors.AsType[*apiProblem](err)
	switch {
	case !ok:
		return fmt.Errorf("%w; it is unknown whether the provider received it: %s", err, look)
	case p.name() == "unwatched":
		return fmt.Errorf("%w; verification %s, reference %s", err, printable(p.VerificationID), printable(p.Reference))
	case p.MayHaveSubmitted:
		return fmt.Errorf("%w; %s", err, look)
	}
	return err
}
