package handlers

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"kycbridge"
)

// state is GET /v1/verifications/{provider}/{account}/{reference}.
func (s *api) state(c echo.Context, t *requestLog) error {
	a, _, err := s.verification(c, t)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), DefaultTimeout)
	defer cancel()
	data, err := s.States.State(ctx,
		kycbridge.Key{Provider: a.Provider.Name, Account: a.Name, VerificationID: t.verificationID})
	if errors.Is(err, kycbridge.ErrNotFound) {
		return errNoVerification
	}
	if err != nil {
		return err
	}
	t.outcome = "found"
	return sendJSON(c, http.StatusOK, data)
}
