package handlers

import (
	"context"
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"kycbridge"
	"kycbridge/event"
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
	return sendJSON(c, http.StatusOK, shownTo(t.use.rights, data))
}

// shownTo is a state for a holder: without the right to reveal, no more than the profile masked permits. A state of
// the profile encrypted is decrypted here, so it is shown as one of full.
func shownTo(rights kycbridge.Rights, data *event.Data) *event.Data {
	shown := *data
	if shown.PII.Profile == event.ProfileEncrypted {
		shown.PII = event.PII{Profile: event.ProfileFull}
	}
	full := shown.PII.Profile == event.ProfileFull || shown.PII.Profile == ""
	if full && !rights.Has(kycbridge.RightReveal) {
		event.Protect(&shown, event.ProfileMasked)
	}
	return &shown
}
