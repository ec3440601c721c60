package client

import (
	"context"
	"errors"
	"net/http"

	"kycbridge"
	"kycbridge/internal/rest"
)

// The vendor's names of its calls.
const (
	callStart    = "start-journey"
	callStep     = "process-journey-step"
	callComplete = "complete-journey"
	callSummary  = "get-journey-summary"
	callResult   = "get-journey-result"
	callReview   = "manual-review-journey"
	callImage    = "get-image"
)

// StartRequest creates a journey (https://docs.idwise.com/reference/start-journey-api).
type StartRequest struct {
	FlowID           string     `json:"flow_id"`
	ReferenceNo      string     `json:"reference_no"` // letters, digits and - _ / \ , . + @
	ApplicantDetails *Applicant `json:"applicant_details,omitempty"`
}

// Applicant is the person to search for in AML lists.
type Applicant struct {
	FullName  string `json:"full_name"`
	BirthDate string `json:"birth_date,omitempty"` // YYYY-MM-DD
	Sex       string `json:"sex,omitempty"`        // male, female
}

// StartJourney creates a journey. IDWise has no idempotency key, so the call is sent once.
func (c *Client) StartJourney(ctx context.Context, r StartRequest) (Journey, error) {
	var j Journey
	_, err := c.write(ctx, callStart, http.MethodPost, c.journey("/start-journey"), r, func(a rest.Answer) error {
		j = Journey{Answer: a}
		if err := decode(a.Body, &j); err != nil {
			return err
		}
		switch {
		case j.JourneyID == "":
			return errors.New("the answer names no journey")
		case j.ReferenceNo != "" && string(j.ReferenceNo) != r.ReferenceNo:
			return errors.New("the answer is about another reference")
		}
		return nil
	})
	return j, err
}

// CompleteJourney ends the submission of steps; no step can be added or changed afterwards
// (https://docs.idwise.com/docs/journey-builder-api). The call is sent once.
func (c *Client) CompleteJourney(ctx context.Context, journeyID string) (rest.Answer, error) {
	if !segment(journeyID) {
		return rest.Answer{}, refused(callComplete, "/reference", "must be a journey id")
	}
	body := struct {
		JourneyID string `json:"journey_id"`
	}{journeyID}
	return c.write(ctx, callComplete, http.MethodPost, c.journey("/complete-journey"), body, about(journeyID))
}

// Summary requests the progress of a journey. Two calls for one journey are at least Config.SummaryInterval
// apart, from the end of one to the beginning of the next. A call that comes too early waits, or fails at once
// with kind rate_limited if ctx ends before the call is allowed. The interval grows after a refusal. Failed
// calls are not repeated here, because a repetition would come too early. Calls from other processes are not
// taken into account.
func (c *Client) Summary(ctx context.Context, journeyID string) (Summary, error) {
	if !segment(journeyID) {
		return Summary{}, refused(callSummary, "/reference", "must be a journey id")
	}
	leave, err := c.pace.enter(ctx, journeyID)
	if err != nil {
		return Summary{}, err
	}
	var s Summary
	call := c.call(callSummary, http.MethodGet, c.journey("/summary/{id}", "id", journeyID), nil)
	call.Explain = explainSummary
	call.Check = func(a rest.Answer) error {
		s = Summary{}
		return read(callSummary, journeyID, a, &s, &s.JourneyID)
	}
	s.Answer, err = c.rest.Do(ctx, call)
	leave(err)
	return s, err
}

// Result requests the result of a journey. Its path is not published for certain, so Config.ResultPath sets
// it.
func (c *Client) Result(ctx context.Context, journeyID string) (Result, error) {
	if !segment(journeyID) {
		return Result{}, refused(callResult, "/reference", "must be a journey id")
	}
	var r Result
	call := c.call(callResult, http.MethodGet, c.journey(c.config.ResultPath, "id", journeyID), nil)
	call.Repeat = true
	call.Check = func(a rest.Answer) error {
		r = Result{}
		return read(callResult, journeyID, a, &r, &r.JourneyID)
	}
	answer, err := c.rest.Do(ctx, call)
	r.Answer = answer
	return r, err
}

// read reads an answer about a journey into v; id points to the journey id in v. An answer about another
// journey is refused: its data would be another person's.
func read(call, journeyID string, a rest.Answer, v any, id *ID) error {
	// If an answer contradicts itself, the next one may be correct.
	if err := honest(call, kycbridge.ProviderMalformed, a); err != nil {
		return err
	}
	if err := decode(a.Body, v); err != nil {
		return err
	}
	switch string(*id) {
	case journeyID:
		return nil
	case "":
		return errors.New("the answer names no journey")
	}
	return errors.New("the answer is about another journey")
}

// Review is a person's decision on a journey (https://docs.idwise.com/reference/manual-review-journey).
type Review struct {
	NewDecision string       `json:"new_decision"` // Approved, Rejected, Resubmission Requested
	Comment     string       `json:"comment,omitempty"`
	StepReviews []StepReview `json:"step_reviews,omitempty"` // for a resubmission: every failed step
}

// StepReview is a reviewer's decision on one step.
type StepReview struct {
	StepID         string `json:"step_id"`
	ReviewDecision string `json:"review_decision"` // Resubmit, Approve
}

// ManualReview overrules or confirms the system's decision. The call is sent once, because each review
// triggers webhooks.
func (c *Client) ManualReview(ctx context.Context, journeyID string, r Review) (rest.Answer, error) {
	if !segment(journeyID) {
		return rest.Answer{}, refused(callReview, "/reference", "must be a journey id")
	}
	return c.write(ctx, callReview, http.MethodPost, c.journey("/manual-review/{id}", "id", journeyID), r,
		about(journeyID))
}

// about refuses an answer that names another journey than journeyID. An answer without a journey id is
// accepted, because most of these answers are not published.
func about(journeyID string) func(rest.Answer) error {
	return func(a rest.Answer) error {
		var named struct {
			JourneyID ID `json:"journey_id"`
		}
		if decode(a.Body, &named) == nil && named.JourneyID != "" && string(named.JourneyID) != journeyID {
			return errors.New("the answer is about another journey")
		}
		return nil
	}
}

// write sends a call that changes data, once, with v as JSON. take may be nil.
func (c *Client) write(
	ctx context.Context, name, method, address string, v any, take func(rest.Answer) error,
) (rest.Answer, error) {
	body, err := written(name, v)
	if err != nil {
		return rest.Answer{}, err
	}
	call := c.call(name, method, address, body)
	call.Check = done(name, take)
	return c.rest.Do(ctx, call)
}

// done checks the answer of a call that changes data. Most of these answers are not published, so every answer
// is accepted that is not a web page and does not report a failure.
func done(name string, take func(rest.Answer) error) func(rest.Answer) error {
	return func(a rest.Answer) error {
		if page(a.ContentType, a.Body) {
			return errors.New("the answer is a web page")
		}
		if err := honest(name, kycbridge.ProviderInvalid, a); err != nil || take == nil {
			return err
		}
		return take(a)
	}
}
