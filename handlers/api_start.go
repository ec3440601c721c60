package handlers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"kycbridge"
)

// furthestZone is how far ahead of UTC a caller's today may be.
const furthestZone = 14 * time.Hour

// start is POST /v1/verifications.
func (s *api) start(c echo.Context, t *call) error {
	key, err := idempotencyKey(c.Request().Header)
	if err != nil {
		return err
	}
	body, err := s.readStart(c, t)
	if err != nil {
		return err
	}
	defer body.close()
	doc := body.doc
	a, err := s.find(t, text(doc, "provider"), text(doc, "account"))
	if err != nil {
		return err
	}
	if a.API.Start == nil {
		return unsupported(a)
	}
	if err := s.fits(a, body); err != nil {
		return err
	}
	request, fingerprint, err := startRequest(doc)
	if err != nil {
		return err
	}
	request.Files = body.Files
	if err := s.born(request.Person.Birthdate); err != nil {
		return err
	}
	ctx, cancel := s.lastingFor(c, s.Timeout+uploading(body.size()))
	defer cancel()
	receipt, err := s.Starter.Start(ctx, a, request, key, fingerprint)
	if err != nil {
		return t.uncertain(err)
	}
	t.verificationID, t.outcome = receipt.VerificationID, "started"
	h := c.Response().Header()
	h.Set("Location", "/v1/verifications/"+a.Provider.Name+"/"+a.Name+"/"+url.PathEscape(receipt.Reference))
	if receipt.Repeated {
		t.outcome = "repeated"
		h.Set("Idempotency-Replayed", "true")
	}
	return sendJSON(c, http.StatusCreated, receipt)
}

// fits checks a body against what the provider of a takes.
func (s *api) fits(a *kycbridge.Account, body *large) error {
	if s.ValidateStart != nil {
		if err := faulty(errInvalidRequest, s.ValidateStart(a, startPart(body.doc))); err != nil {
			return err
		}
	}
	if a.API.Files {
		return nil
	}
	return faulty(errInvalidRequest, body.refusesFiles())
}

// born refuses a birth date that lies ahead of today.
func (s *api) born(date string) error {
	born, err := time.Parse(time.DateOnly, date)
	if err != nil || !born.After(s.Now().Add(furthestZone)) {
		return nil
	}
	return faulty(errInvalidRequest, []kycbridge.FieldError{{Path: "/person/birthdate", Message: "must not lie ahead of today"}})
}

// idempotencyKey reads the header; "" means that there is none.
func idempotencyKey(h http.Header) (string, error) {
	values := h.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	if len(values) > 1 || key == "" || len(key) > 255 {
		return "", errKey
	}
	for i := range len(key) {
		if key[i] < ' ' || key[i] > '~' {
			return "", errKey
		}
	}
	return key, nil
}

// startPart is what the provider's own start schema describes.
func startPart(doc map[string]any) map[string]any {
	part := map[string]any{}
	for _, member := range []string{"external_reference", "person", "options"} {
		if value, ok := doc[member]; ok {
			part[member] = value
		}
	}
	return part
}

// startRequest makes the request of a valid body, and the fingerprint of the body: the digest of its
// members in order, so that spaces and order do not count.
func startRequest(doc map[string]any) (kycbridge.StartRequest, string, error) {
	canonical, err := json.Marshal(doc)
	if err != nil {
		return kycbridge.StartRequest{}, "", fmt.Errorf("write request: %w", err)
	}
	var body struct {
		ExternalReference string           `json:"external_reference"`
		Person            kycbridge.Person `json:"person"`
		Options           json.RawMessage  `json:"options"`
	}
	var common struct {
		FlowID     string      `json:"flow_id"`
		SuccessURL string      `json:"success_url"`
		FailureURL string      `json:"failure_url"`
		Language   string      `json:"language"`
		Validity   json.Number `json:"validity_seconds"`
	}
	err = json.Unmarshal(canonical, &body)
	if err == nil && body.Options != nil {
		err = json.Unmarshal(body.Options, &common)
	}
	if err != nil {
		return kycbridge.StartRequest{}, "", fmt.Errorf("a valid request does not fit: %w", errFault)
	}
	seconds, _ := common.Validity.Float64() // an integer, says the schema, if perhaps written as 6e2
	sum := sha256.Sum256(canonical)
	return kycbridge.StartRequest{
		ExternalReference: body.ExternalReference,
		Person:            body.Person,
		Options:           body.Options,
		FlowID:            common.FlowID,
		SuccessURL:        common.SuccessURL,
		FailureURL:        common.FailureURL,
		Language:          common.Language,
		Validity:          time.Duration(seconds) * time.Second,
	}, hex.EncodeToString(sum[:]), nil
}
