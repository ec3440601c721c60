package handlers

import (
	"net/http"

	"github.com/labstack/echo/v4"
)

// compareConfig is GET /v1/config/diff. The comparison names keys and contains no value.
func (s *api) compareConfig(c echo.Context, t *requestLog) error {
	t.outcome = "compared"
	return sendJSON(c, http.StatusOK, s.CompareConfig())
}
