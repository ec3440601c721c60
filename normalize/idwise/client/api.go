package client

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/rest"
)

// The parts of a journey that the client fetches.
const (
	partSummary = "summary"
	partResult  = "result"
)

// New returns the calls that an account can make to IDWise.
func New(c Config, o rest.Options) kycbridge.API { return NewClient(c, o).API() }

// API returns the client as the rest of kycbridge uses it. Media is nil without Config.ImagePath.
func (c *Client) API() kycbridge.API {
	api := kycbridge.API{Fetch: c.fetch, Start: c.start, Step: c.step, Complete: c.complete, Review: c.review}
	if c.config.ImagePath != "" {
		api.Media = func(ctx context.Context, m kycbridge.MediaRequest) (kycbridge.MediaAnswer, error) {
			return c.Image(ctx, m.Reference, m.Ref)
		}
	}
	return api
}

// fetch requests the result if a webhook announced one, else the summary first. If the result fails after the
// summary succeeded, fetch returns both the summary and the error. If an announced result has no decision yet,
// fetch returns both the result and an error of kind pending.
func (c *Client) fetch(ctx context.Context, q kycbridge.Query) ([]kycbridge.Fetched, error) {
	if q.Triggered {
		fetched, decided, err := c.fetchResult(ctx, q.Reference, nil)
		if err == nil && !decided {
			err = &kycbridge.ProviderError{Kind: kycbridge.ProviderPending, Call: callResult, Sent: true}
		}
		return fetched, err
	}
	s, err := c.Summary(ctx, q.Reference)
	if err != nil {
		return nil, err
	}
	fetched := []kycbridge.Fetched{{Part: partSummary, ContentType: s.Answer.ContentType, Body: s.Answer.Body}}
	if !s.IsCompleted {
		return fetched, nil
	}
	fetched, _, err = c.fetchResult(ctx, q.Reference, fetched)
	// The summary shows that the journey exists, so a missing result is pending.
	var e *kycbridge.ProviderError
	if errors.As(err, &e) && e.Kind == kycbridge.ProviderNotFound {
		e.Kind = kycbridge.ProviderPending
	}
	return fetched, err
}

// fetchResult appends the result to the earlier answers, whatever it contains: missing steps are information
// too. It also reports whether the result contains a decision.
func (c *Client) fetchResult(
	ctx context.Context, journeyID string, before []kycbridge.Fetched,
) (fetched []kycbridge.Fetched, decided bool, err error) {
	r, err := c.Result(ctx, journeyID)
	if err != nil {
		return before, false, err
	}
	return append(before, kycbridge.Fetched{Part: partResult, ContentType: r.Answer.ContentType, Body: r.Answer.Body}),
		!r.undecided(), nil
}

// referenceNo matches the references that IDWise accepts
// (https://docs.idwise.com/reference/start-journey-api).
var referenceNo = regexp.MustCompile(`^[A-Za-z0-9_/\\,.+@-]+$`)

// start creates a journey. IDWise has no page for the applicant: its SDK takes the steps, or kycbridge's
// caller submits them.
func (c *Client) start(ctx context.Context, r kycbridge.StartRequest) (kycbridge.Started, error) {
	request, err := c.startRequest(r)
	if err != nil {
		return kycbridge.Started{}, err
	}
	j, err := c.StartJourney(ctx, request)
	if err != nil {
		return kycbridge.Started{}, err
	}
	return kycbridge.Started{
		Reference: string(j.JourneyID), FlowID: request.FlowID,
		Answer: rest.Only(j.Answer.Body, "journey_id", "reference_no", "is_completed", "step_summaries"),
	}, nil
}

func (c *Client) startRequest(r kycbridge.StartRequest) (StartRequest, error) {
	request := StartRequest{FlowID: r.FlowID, ReferenceNo: r.ExternalReference}
	if request.FlowID == "" {
		request.FlowID = c.config.FlowID
	}
	switch {
	case request.FlowID == "":
		return request, refused(callStart, "/options/flow_id", "is required: the account has no flow of its own")
	case !referenceNo.MatchString(r.ExternalReference):
		return request, refused(callStart, "/external_reference", `must be of letters, digits and - _ / \ , . + @ only`)
	}
	var options struct {
		AML bool `json:"aml"`
	}
	if len(r.Options) > 0 && json.Unmarshal(r.Options, &options) != nil {
		return request, refused(callStart, "/options", "must be as the schema idwise/start has them")
	}
	if options.AML {
		request.ApplicantDetails = applicant(r.Person)
		if request.ApplicantDetails.FullName == "" {
			return request, refused(callStart, "/person/name",
				"is required: a search of AML lists wants to know whom to look for")
		}
	}
	return request, nil
}

// applicant omits values that IDWise would refuse.
func applicant(p kycbridge.Person) *Applicant {
	a := &Applicant{FullName: strings.TrimSpace(p.FullName())}
	if _, err := time.Parse(time.DateOnly, p.Birthdate); err == nil {
		a.BirthDate = p.Birthdate
	}
	if sex := strings.ToLower(p.Gender); sex == "male" || sex == "female" {
		a.Sex = sex
	}
	return a
}

func (c *Client) step(ctx context.Context, s kycbridge.Step) (kycbridge.StepAnswer, error) {
	answer, err := c.ProcessStep(ctx, StepRequest{
		JourneyID: s.Reference, StepID: s.StepID, Images: s.Images, Skip: s.Skip, AdditionalData: s.Data, JSON: s.JSON,
	})
	if err != nil {
		return kycbridge.StepAnswer{}, err
	}
	return passedOn(answer), nil
}

// passedOn returns the body of an answer whose form is not published. A body that is not JSON is omitted,
// because a StepAnswer can hold only JSON.
func passedOn(a rest.Answer) kycbridge.StepAnswer {
	if body := a.JSON(); json.Valid(body) {
		return kycbridge.StepAnswer{Body: body}
	}
	return kycbridge.StepAnswer{}
}

func (c *Client) complete(ctx context.Context, reference string) (kycbridge.StepAnswer, error) {
	answer, err := c.CompleteJourney(ctx, reference)
	if err != nil {
		return kycbridge.StepAnswer{}, err
	}
	return passedOn(answer), nil
}

// decisions are the vendor's values for a person's decision
// (https://docs.idwise.com/reference/manual-review-journey).
var decisions = map[event.Outcome]string{
	event.OutcomeApproved: "Approved", event.OutcomeRejected: "Rejected", event.OutcomeResubmit: "Resubmission Requested",
}

func (c *Client) review(ctx context.Context, r kycbridge.Review) (kycbridge.StepAnswer, error) {
	review := Review{NewDecision: decisions[r.Decision], Comment: r.Comment}
	if review.NewDecision == "" {
		return kycbridge.StepAnswer{}, refused(callReview, "/decision", "must be approved, rejected or resubmit")
	}
	for _, step := range r.Steps {
		said := StepReview{StepID: step.StepID, ReviewDecision: "Approve"}
		if step.Redo {
			said.ReviewDecision = "Resubmit"
		}
		review.StepReviews = append(review.StepReviews, said)
	}
	answer, err := c.ManualReview(ctx, r.Reference, review)
	if err != nil {
		return kycbridge.StepAnswer{}, err
	}
	return passedOn(answer), nil
}
