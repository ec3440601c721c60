package handlers

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"kycbridge"
)

// media is GET …/media/{ref}. A browser must not display a provider's file on the origin of an admin
// token, so it is always an attachment and never of an active type.
func (s *api) media(c echo.Context, t *requestLog) error {
	a, reference, err := s.verification(c, t)
	if err != nil {
		return err
	}
	if a.API.Media == nil {
		return unsupported(a)
	}
	if err := s.begin(c, t); err != nil {
		return err
	}
	extendDeadlines(c, apiMediaTime, apiMediaTime)
	answer, err := s.Media.Media(c.Request().Context(), a, kycbridge.MediaRef{Reference: reference, Ref: param(c, "ref")})
	if errors.Is(err, kycbridge.ErrNotFound) {
		return errNoMedia
	}
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.Length > apiMaxMedia {
		return errMediaTooLarge
	}
	h := c.Response().Header()
	h.Set("Content-Type", mediaType(answer.ContentType))
	h.Set("Content-Disposition", "attachment")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "sandbox")
	if answer.Length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(answer.Length, 10))
	}
	c.Response().WriteHeader(http.StatusOK)
	t.bytes, err = stream(c.Response(), answer, apiMaxMedia)
	t.outcome = "streamed"
	return err
}

// stream copies a file of at most limit bytes, and returns an error if its length is wrong.
func stream(w io.Writer, answer kycbridge.MediaAnswer, limit int64) (int64, error) {
	n, err := io.Copy(w, io.LimitReader(answer.Body, limit))
	switch {
	case err != nil:
		return n, errors.New("the provider or the caller broke off") // the error may hold an address
	case answer.Length >= 0 && n != answer.Length:
		return n, fmt.Errorf("the provider sent %d bytes of %d", n, answer.Length)
	case n == limit:
		if more, _ := io.ReadFull(answer.Body, make([]byte, 1)); more > 0 {
			return n, errMediaTooLarge
		}
	}
	return n, nil
}

// mediaType is the provider's type if it is one of the expected ones.
func mediaType(said string) string {
	known, _, err := mime.ParseMediaType(said)
	if err == nil {
		switch {
		case strings.HasPrefix(known, "image/"), strings.HasPrefix(known, "video/"),
			known == "application/pdf", known == "application/zip", known == "application/json":
			return known
		}
	}
	return "application/octet-stream"
}
