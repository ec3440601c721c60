package handlers

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"kycbridge"
)

// watch is POST /v1/watches.
func (s *api) watch(c echo.Context, t *requestLog) error {
	doc, err := s.readJSON(c, t, "WatchRequest", apiMaxRequest)
	if err != nil {
		return err
	}
	a, err := s.find(t, text(doc, "provider"), text(doc, "account"))
	if err != nil {
		return err
	}
	if a.API.Fetch == nil {
		return unsupported(a)
	}
	request := kycbridge.WatchRequest{Reference: a.Provider.Canonical(text(doc, "reference")),
		ExternalReference: text(doc, "external_reference")}
	if deadline := text(doc, "deadline"); deadline != "" {
		request.Deadline, err = time.Parse(time.RFC3339, deadline)
		if err != nil || !request.Deadline.After(s.Now()) {
			return faulty(errInvalidRequest, []kycbridge.FieldError{{Path: "/deadline", Message: "must be a time ahead of now"}})
		}
	}
	ctx, cancel := s.detached(c)
	defer cancel()
	t.verificationID, err = s.Watcher.Watch(ctx, a, request)
	if errors.Is(err, kycbridge.ErrNotFound) {
		return fmt.Errorf("watch: %w: %w", errFault, err)
	}
	if err != nil {
		return err
	}
	t.outcome = "watching"
	return sendJSON(c, http.StatusAccepted, map[string]string{"verification_id": t.verificationID, "status": "watching"})
}
