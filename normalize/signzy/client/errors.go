package client

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"kycbridge"
	"kycbridge/internal/rest"
)

// failure is Signzy's error object: under "error", or at the top level as in a sibling API. A gateway in front
// of Signzy answers with only a message, or with a web page. status and statusCode, which are sometimes
// numbers and sometimes text, repeat the HTTP status and are not read.
// Source: https://docs.signzy.com/us-apis/create-bank-connect-journey-link
type failure struct {
	Name    text `json:"name"`
	Reason  text `json:"reason"`
	Message text `json:"message"`
	Type    text `json:"type"`
}

// explain reads Signzy's message and code into e. The HTTP status determines the kind; Signzy uses 409 for an
// upstream service that is down.
// Source: https://docs.signzy.com/us-apis/create-journey-link
func explain(e *kycbridge.ProviderError, body []byte) {
	f := readFailure(body)
	e.Message, e.Code = string(f.Message), string(cmp.Or(f.Reason, f.Type, f.Name))
	if e.Status == http.StatusConflict {
		e.Kind = kycbridge.ProviderUnavailable
	}
}

// explainCreate reads the error answer to a create call. The journey does not exist yet, so "not found" means
// that the configured URL is wrong.
func explainCreate(e *kycbridge.ProviderError, body []byte) {
	explain(e, body)
	if e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed {
		e.Kind = kycbridge.ProviderForbidden
	}
}

// explainGet reads the error answer to a request for a journey. "Not found" may mean that the journey has not
// ended yet, as in a sibling API; the answers for unfinished and unknown ids are not documented. Another sibling,
// which reads what a person has shared after giving consent, answers 401 until then: taken for a refused token, a
// journey that nobody finishes would be polled without end (one integration).
func explainGet(e *kycbridge.ProviderError, body []byte) {
	explain(e, body)
	unfinished := strings.Contains(strings.ToLower(e.Message), "not completed")
	switch {
	case e.Status == http.StatusNotFound, e.Status == http.StatusUnauthorized && unfinished:
		e.Kind = kycbridge.ProviderPending
	case e.Status == http.StatusMethodNotAllowed:
		e.Kind = kycbridge.ProviderForbidden
	}
}

// readFailure reads the error members that a body contains.
func readFailure(body []byte) failure {
	var envelope struct {
		Error json.RawMessage `json:"error"`
	}
	if json.Unmarshal(body, &envelope) == nil {
		var wrapped failure
		if json.Unmarshal(envelope.Error, &wrapped) == nil && wrapped != (failure{}) {
			return wrapped
		}
	}
	var flat failure
	if json.Unmarshal(body, &flat) != nil {
		return failure{}
	}
	return flat
}

// honest refuses a 2xx answer whose body reports a failure: it has an error object, or an error status, and no
// journey id.
func honest(call string, a rest.Answer) error {
	var said struct {
		Error      json.RawMessage `json:"error"`
		Status     text            `json:"status"`
		StatusCode text            `json:"statusCode"`
		JourneyID  text            `json:"journeyId"`
	}
	if json.Unmarshal(a.JSON(), &said) != nil || said.JourneyID != "" {
		return nil
	}
	status := max(number(said.Status), number(said.StatusCode))
	var inner struct {
		Status     text `json:"status"`
		StatusCode text `json:"statusCode"`
	}
	wrapped := json.Unmarshal(said.Error, &inner) == nil && bytes.HasPrefix(bytes.TrimSpace(said.Error), []byte("{"))
	if wrapped {
		status = max(status, number(inner.Status), number(inner.StatusCode))
	}
	if !wrapped && status < http.StatusBadRequest {
		return nil
	}
	e := &kycbridge.ProviderError{Kind: claimed(call, status), Call: call, Status: a.Status, Sent: true,
		Err: errors.New("the body says that the call failed")}
	f := readFailure(a.JSON())
	e.Message, e.Code = string(f.Message), string(cmp.Or(f.Reason, f.Type, f.Name))
	return e
}

// claimed returns the error kind for a status in a body.
func claimed(call string, status int) kycbridge.ProviderErrorKind {
	switch {
	case status == http.StatusNotFound && call == CallGet:
		return kycbridge.ProviderPending // as for an HTTP status 404
	case status == http.StatusUnauthorized:
		return kycbridge.ProviderCredentials
	case status == http.StatusForbidden:
		return kycbridge.ProviderForbidden
	case status == http.StatusTooManyRequests:
		return kycbridge.ProviderRateLimited
	case status == http.StatusConflict, status >= http.StatusInternalServerError:
		return kycbridge.ProviderUnavailable
	case status >= http.StatusBadRequest:
		return kycbridge.ProviderInvalid
	}
	return kycbridge.ProviderMalformed
}

// number returns the integer in t, or 0.
func number(t text) int {
	n, _ := strconv.Atoi(string(t))
	return n
}

// invalid returns the error for a request that is not sent because it cannot be valid.
func invalid(call, path, message string, cause error) error {
	return &kycbridge.ProviderError{
		Kind: kycbridge.ProviderInvalid, Call: call, Err: cause,
		Fields: []kycbridge.FieldError{{Path: path, Message: message}},
	}
}
