package handlers

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"kycbridge"
	"kycbridge/event"
)

// complete is POST …/complete. It has no body.
func (s *api) complete(c echo.Context, t *requestLog) error {
	a, reference, err := s.verification(c, t)
	if err != nil {
		return err
	}
	if a.API.Complete == nil {
		return unsupported(a)
	}
	return s.submit(c, t, a, reference, func(ctx context.Context) (kycbridge.StepAnswer, error) {
		return a.API.Complete(ctx, reference)
	})
}

// review is POST …/review.
func (s *api) review(c echo.Context, t *requestLog) error {
	a, reference, err := s.verification(c, t)
	if err != nil {
		return err
	}
	if a.API.Review == nil {
		return unsupported(a)
	}
	doc, err := s.readJSON(c, t, "ReviewRequest", apiMaxRequest)
	if err != nil {
		return err
	}
	review := reviewOf(doc)
	review.Reference = reference
	return s.submit(c, t, a, reference, func(ctx context.Context) (kycbridge.StepAnswer, error) {
		return a.API.Review(ctx, review)
	})
}

// reviewOf is the review of a valid document.
func reviewOf(doc map[string]any) kycbridge.Review {
	review := kycbridge.Review{Decision: event.Outcome(text(doc, "decision")), Comment: text(doc, "comment")}
	steps, _ := doc["steps"].([]any)
	for _, item := range steps {
		step, _ := item.(map[string]any)
		redo := text(step, "decision") == "resubmit"
		review.Steps = append(review.Steps, kycbridge.StepReview{StepID: text(step, "step"), Redo: redo})
	}
	return review
}

// sending is the provider call of a submission.
type sending func(context.Context) (kycbridge.StepAnswer, error)

// submit sends a submission and responds with the provider's answer.
func (s *api) submit(c echo.Context, t *requestLog, a *kycbridge.Account, reference string, send sending) error {
	ctx, cancel := s.detached(c)
	defer cancel()
	var answer kycbridge.StepAnswer
	err := s.Submitter.Submit(ctx, a, reference, func(ctx context.Context) (err error) {
		answer, err = send(ctx)
		return err
	})
	if err != nil {
		return t.markOutcomeUnknown(err)
	}
	t.outcome = "submitted"
	receipt := map[string]any{"status": "submitted"}
	if json.Valid(answer.Body) {
		receipt["provider"] = answer.Body
	}
	return sendJSON(c, http.StatusOK, receipt)
}
