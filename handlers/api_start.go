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

// maxZoneAhead is the largest offset of a caller's date ahead of UTC.
const maxZoneAhead = 14 * time.Hour

// start is POST /v1/verifications.
func (s *api) start(c echo.Context, t *requestLog) error {
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
	if err := s.checkStart(a, body); err != nil {
		return err
	}
	request, fingerprint, err := startRequest(doc)
	if err != nil {
		return err
	}
	request.Files = body.Files
	if err := s.checkBirthdate(request.Person.Birthdate); err != nil {
		return err
	}
	ctx, cancel := s.detachedFor(c, s.Timeout+uploading(body.size()))
	defer cancel()
	receipt, err := s.Starter.Start(ctx, a, request, key, fingerprint)
	if err != nil {
		return t.markOutcomeUnknown(err)
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

// checkStart checks a body against the requirements of a's provider.
func (s *api) checkStart(a *kycbridge.Account, body *startBody) error {
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

// checkBirthdate refuses a birth date in the future.
func (s *api) checkBirthdate(date string) error {
	checkBirthdate, err := time.Parse(time.DateOnly, date)
	if err != nil || !checkBirthdate.After(s.Now().Add(maxZoneAhead)) {
		return nil
	}
	return faulty(errInvalidRequest,
		[]kycbridge.FieldError{{Path: "/person/birthdate", Message: "must not lie ahead of today"}})
}

// idempotencyKey reads the header; "" means that the request has none.
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

// startPart is the part of a request that the provider's own start schema describes.
func startPart(doc map[string]any) map[string]any {
	part := map[string]any{}
	for _, member := range []string{"external_reference", "person", "options"} {
		if value, ok := doc[member]; ok {
			part[member] = value
		}
	}
	return part
}

// startRequest converts a valid body into a request, and its fingerprint: the digest of its sorted
// members, independent of spaces and order.
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
		return kycbridge.StartRequest{}, "", fmt.Errorf("a valid request cannot be decoded: %w", errFault)
	}
	seconds, _ := common.Validity.Float64() // an integer by the schema, possibly written as 6e2
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
