package handlers

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"kycbridge"
)

// The kinds of failure that only the web edge knows.
var (
	errFault       = errors.New("failed inside")
	errDraining    = errors.New("shutting down")
	errBusy        = errors.New("over the limit")
	errInterrupted = errors.New("body not received whole")
	errNotReady    = errors.New("not ready")
	errMethod      = errors.New("method not allowed")
	errAddress     = errors.New("source address not allowed")
	errMediaType   = errors.New("media type not JSON")
	errTooLarge    = errors.New("body over the limit")
	errToken       = errors.New("no admin token")
	errMalformed   = errors.New("payload is not JSON")
	errInvalid     = errors.New("payload breaks the schema")
)

// problem is what a caller is told of one kind of failure (RFC 9457). All texts are fixed.
type problem struct {
	kind       error
	name       string // the outcome in logs and metrics, and the end of the problem's type
	status     int
	title      string
	detail     string   // what the caller should do
	retryAfter int      // seconds; 0: no Retry-After
	close      bool     // the connection cannot or should not be used again
	challenges []string // WWW-Authenticate
}

// problems is the one table from kinds to statuses. The first row whose kind an error wraps is the
// answer, and the faults of ours stand before the refusals: an error that is both is never a 4xx.
var problems = [...]problem{
	{kind: errFault, name: "fault", status: http.StatusServiceUnavailable, retryAfter: 5,
		title: "Temporarily unavailable", detail: "The request could not be worked on. Send it again later."},
	{kind: errDraining, name: "draining", status: http.StatusServiceUnavailable, retryAfter: 1, close: true,
		title: "Shutting down", detail: "This instance takes no new requests. Send it again on a new connection."},
	{kind: errBusy, name: "busy", status: http.StatusServiceUnavailable, retryAfter: 1,
		title: "Too many requests at once", detail: "Send the request again after the time in Retry-After."},
	{kind: errInterrupted, name: "interrupted", status: http.StatusServiceUnavailable, retryAfter: 1, close: true,
		title: "Body not received", detail: "The body did not arrive whole or in time. Send the request again."},
	{kind: errNotReady, name: "not_ready", status: http.StatusServiceUnavailable, retryAfter: 1,
		title: "Not ready", detail: "Send no requests to this instance until it is ready."},
	{kind: context.DeadlineExceeded, name: "timeout", status: http.StatusServiceUnavailable, retryAfter: 5,
		title: "Temporarily unavailable", detail: "The payload could not be stored in time. Send it again later."},
	{kind: context.Canceled, name: "timeout", status: http.StatusServiceUnavailable, retryAfter: 5,
		title: "Temporarily unavailable", detail: "The payload could not be stored in time. Send it again later."},
	{kind: kycbridge.ErrUnavailable, name: "unavailable", status: http.StatusServiceUnavailable, retryAfter: 5,
		title: "Temporarily unavailable", detail: "The payload could not be stored. Send it again later."},

	{kind: kycbridge.ErrNotFound, name: "not_found", status: http.StatusNotFound,
		title: "Not found", detail: "Nothing answers at this address. Check the URL that was configured."},
	{kind: errMethod, name: "method_not_allowed", status: http.StatusMethodNotAllowed,
		title: "Method not allowed", detail: "Use a method that the Allow header names."},
	{kind: errAddress, name: "address_refused", status: http.StatusForbidden,
		title: "Source address not allowed", detail: "Send from an address that the operator has allowed for this account."},
	{kind: errMediaType, name: "media_type", status: http.StatusUnsupportedMediaType,
		title: "Not a JSON media type", detail: "Send the body as application/json."},
	{kind: errTooLarge, name: "too_large", status: http.StatusRequestEntityTooLarge, close: true,
		title: "Body too large", detail: "Send a smaller body, or ask the operator to raise the limit."},
	{kind: kycbridge.ErrUnauthenticated, name: "unauthenticated", status: http.StatusUnauthorized,
		title: "Not authenticated", detail: "Send a credential that was agreed with the operator for this account.",
		challenges: []string{`Basic realm="kycbridge", charset="UTF-8"`, `Bearer realm="kycbridge"`}},
	{kind: errToken, name: "unauthenticated", status: http.StatusUnauthorized,
		title: "Not authenticated", detail: "Send one of the configured admin tokens as Authorization: Bearer.",
		challenges: []string{`Bearer realm="kycbridge"`}},
	{kind: errMalformed, name: "malformed", status: http.StatusBadRequest,
		title: "Payload is not JSON", detail: "The payload was put into quarantine. Correct what errors names and send it again."},
	{kind: errInvalid, name: "invalid", status: http.StatusUnprocessableEntity,
		title: "Payload does not fit", detail: "The payload was put into quarantine. Correct what errors names and send it again."},
}

// problemFor returns the row of the table for err. What no row knows is a fault of ours.
func problemFor(err error) *problem {
	for i := range problems {
		if errors.Is(err, problems[i].kind) {
			return &problems[i]
		}
	}
	return &problems[0]
}

// write answers with the problem and members, which is "" or encoded JSON members that each start
// with a comma. A failed write means that the caller is gone; nothing is left to tell it.
func (p *problem) write(w http.ResponseWriter, members []byte) {
	h := w.Header()
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	if p.close {
		h.Set("Connection", "close")
	}
	for _, c := range p.challenges {
		h.Add("WWW-Authenticate", c)
	}
	b := make([]byte, 0, 256+len(members))
	b = append(b, `{"type":"urn:kycbridge:problem:`...)
	b = append(b, p.name...)
	b = append(b, `","title":`...)
	b = appendString(b, p.title)
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(p.status), 10)
	b = append(b, `,"detail":`...)
	b = appendString(b, p.detail)
	b = append(b, members...)
	b = append(b, '}')
	writeBody(w, p.status, "application/problem+json", b)
}
