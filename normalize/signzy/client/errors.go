package client

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"kycbridge"
	"kycbridge/internal/rest"
)

// failure is Signzy's error object: under "error", or flat as a sibling API has it. A gateway in
// front answers with a message alone, or with a page. Its status and statusCode, a number here and
// text there, repeat the HTTP status and are not read.
// Source: https://docs.signzy.com/us-apis/create-bank-connect-journey-link
type failure struct {
	Name    text `json:"name"`
	Reason  text `json:"reason"`
	Message text `json:"message"`
	Type    text `json:"type"`
}

// explain reads Signzy's words into e. The HTTP status decides the kind; 409 is Signzy's word for an
// upstream that is down.
// Source: https://docs.signzy.com/us-apis/create-journey-link
func explain(e *kycbridge.ProviderError, body []byte) {
	f := readFailure(body)
	e.Message, e.Code = string(f.Message), string(cmp.Or(f.Reason, f.Type, f.Name))
	if e.Status == http.StatusConflict {
		e.Kind = kycbridge.ProviderUnavailable
	}
}

// explainCreate reads the answer to a create call, of which "not found" says that our address is
// wrong: there is no journey yet.
func explainCreate(e *kycbridge.ProviderError, body []byte) {
	explain(e, body)
	if e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed {
		e.Kind = kycbridge.ProviderForbidden
	}
}

// explainGet reads the answer to a question for a journey. That there is none may say that it has
// not ended yet, as with a sibling API; unfinished and unknown ids are not documented.
func explainGet(e *kycbridge.ProviderError, body []byte) {
	explain(e, body)
	switch e.Status {
	case http.StatusNotFound:
		e.Kind = kycbridge.ProviderPending
	case http.StatusMethodNotAllowed:
		e.Kind = kycbridge.ProviderForbidden
	}
}

// readFailure reads as much of an error body as is there.
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

// honest refuses a 2xx that says of itself that it failed: it has an error object, or a status of an
// error, and names no journey.
func honest(call string, a rest.Answer) error {
	var said struct {
		Error      json.RawMessage `json:"error"`
		Status     text            `json:"status"`
		StatusCode text            `json:"statusCode"`
		JourneyID  text            `json:"journeyId"`
	}
	if json.Unmarshal(a.Body, &said) != nil || said.JourneyID != "" {
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
	f := readFailure(a.Body)
	e.Message, e.Code = string(f.Message), string(cmp.Or(f.Reason, f.Type, f.Name))
	return e
}

// claimed is what a status in a body means.
func claimed(call string, status int) kycbridge.ProviderErrorKind {
	switch {
	case status == http.StatusNotFound && call == CallGet:
		return kycbridge.ProviderPending // as with the status itself
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

// number is the whole number that t holds, or 0.
func number(t text) int {
	n, _ := strconv.Atoi(string(t))
	return n
}

// invalid is a request that is not sent, because it could not be right.
func invalid(call, path, message string, cause error) error {
	return &kycbridge.ProviderError{
		Kind: kycbridge.ProviderInvalid, Call: call, Err: cause,
		Fields: []kycbridge.FieldError{{Path: path, Message: message}},
	}
}
