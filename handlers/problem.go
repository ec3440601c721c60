package handlers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"kycbridge"
)

// The kinds of errors of the HTTP layer.
var (
	errFault       = errors.New("failed inside")
	errDraining    = errors.New("shutting down")
	errBusy        = kycbridge.ErrBusy
	errInterrupted = errors.New("body not received whole")
	errNotReady    = errors.New("not ready")
	errMethod      = errors.New("method not allowed")
	errAddress     = errors.New("source address not allowed")
	errMediaType   = errors.New("media type not JSON")
	errLinesType   = errors.New("media type not lines of JSON")
	errNothingKept = errors.New("nothing is stored about the verification")
	errTooLarge    = kycbridge.ErrTooLarge
	errEncoding    = errors.New("content encoding not known")
	errToken       = errors.New("no admin token")
	errNoTokens    = fmt.Errorf("no admin tokens: %w", kycbridge.ErrNotFound)
	errMalformed   = errors.New("payload is not JSON")
	errInvalid     = errors.New("payload breaks the schema")
	errPlainHTTP   = errors.New("plain HTTP on a port with TLS")
)

// The kinds of errors of requests for an access token.
var (
	errInvalidClient = errors.New("client not authenticated")
	errGrantType     = errors.New("grant type not supported")
	errTokenRequest  = errors.New("request for a token cannot be read")
)

// The kinds of errors of the admin API.
var (
	errBadRequest     = errors.New("request is not JSON or no form")
	errInvalidRequest = errors.New("request breaks the schema")
	errKey            = errors.New("unusable idempotency key")
	errStepMediaType  = errors.New("media type neither form nor JSON")
	errNoAccount      = errors.New("no such account")
	errNoVerification = errors.New("no such verification")
	errNotHeld        = errors.New("no hold on the verification")
	errNoMedia        = errors.New("no such medium")
	errNoPayload      = errors.New("no such payload")
	errNoAPI          = errors.New("account without an api section")
	errUnwatched      = errors.New("started and not watched")
	errOutcome        = errors.New("outcome unknown")
	errMediaTooLarge  = errors.New("medium over the limit")
)

// providerKind is the error kind of a failed provider call, for the table.
type providerKind kycbridge.ProviderErrorKind

// Error is the kind's name.
func (k providerKind) Error() string { return "provider: " + string(k) }

// problem is the response to one kind of error (RFC 9457). All texts are fixed.
type problem struct {
	kind       error
	name       string // the outcome in logs and metrics, and the end of the problem's type
	status     int
	title      string
	detail     string   // the recommended reaction of the caller
	provider   bool     // of operations of the admin API only, see problems
	retryAfter int      // seconds; 0: no Retry-After
	close      bool     // the connection cannot or should not be used again
	challenges []string // WWW-Authenticate

	// detailSent replaces detail if a call was sent that must not be repeated blindly.
	detailSent string
}

// problems is the one table from kinds to statuses. The first row whose kind an error wraps is the answer.
//
// Rows of provider calls come first and count for operations of the admin API only, never for a callback: a
// fault of the provider is 502 or, if waiting helps, 503, and an error that must not be repeated blindly is
// 500 without Retry-After, since clients repeat a 503 automatically. Of the other rows, internal faults
// precede refusals: an error that is both is never a 4xx.
var problems = [...]problem{
	{provider: true, kind: errUnwatched, name: "unwatched", status: http.StatusInternalServerError,
		title: "Done, but not watched",
		detail: "The provider has done what was asked, but the verification is not watched. Do not send the request " +
			"again: send the reference to POST /v1/watches."},
	{provider: true, kind: errOutcome, name: "outcome_unknown", status: http.StatusInternalServerError,
		title:  "Outcome unknown",
		detail: "It is not known whether the provider has processed the request. " + lookFirst},
	{provider: true, kind: errMediaTooLarge, name: "media_too_large", status: http.StatusBadGateway,
		title: "Image or video too large", detail: "The provider's file is over 200 MB. Fetch it at the provider."},

	{provider: true, kind: providerKind(kycbridge.ProviderCredentials), name: "provider_credentials",
		status: http.StatusBadGateway, title: "The provider refuses our credentials",
		detail: "The provider refuses the credentials of this account: correct api.* in the configuration."},
	{provider: true, kind: providerKind(kycbridge.ProviderForbidden), name: "provider_forbidden",
		status: http.StatusBadGateway, title: "The provider forbids the call",
		detail: "The credentials of this account are refused by the provider for this call, address or environment: " +
			"correct api.* in the configuration, or ask the provider to allow it."},
	{provider: true, kind: providerKind(kycbridge.ProviderInvalid), name: "provider_invalid",
		status: http.StatusUnprocessableEntity, title: "The provider refuses the request",
		detail: "Correct what provider_message or errors name and send it again."},
	{provider: true, kind: providerKind(kycbridge.ProviderNotFound), name: "provider_not_found",
		status: http.StatusNotFound, title: "Not found at the provider",
		detail: "Check the reference, and that the account is the one that it was started with."},
	{provider: true, kind: providerKind(kycbridge.ProviderPending), name: "provider_pending", status: http.StatusConflict,
		title:  "The provider has no result yet",
		detail: "Send the request again when the verification has progressed."},
	{provider: true, kind: providerKind(kycbridge.ProviderRateLimited), name: "provider_rate_limited",
		status: http.StatusServiceUnavailable, retryAfter: 5, title: "Too many calls to the provider",
		detail: "The provider, or limits.* of the account, permits fewer calls. Send the request again after the time " +
			"in Retry-After."},
	{provider: true, kind: providerKind(kycbridge.ProviderPaused), name: "provider_paused",
		status: http.StatusServiceUnavailable, retryAfter: 5, title: "Calls to the provider are paused",
		detail: "Nothing was sent, as too many calls to this provider have failed. Send the request again after the time " +
			"in Retry-After."},
	{provider: true, kind: providerKind(kycbridge.ProviderUnavailable), name: "provider_unavailable",
		status: http.StatusBadGateway, title: "The provider is unavailable",
		detail:     "The provider reports that it is unavailable. Send the request again later.",
		detailSent: "The provider failed after it had taken the request, so it may have processed it. " + lookFirst},
	{provider: true, kind: providerKind(kycbridge.ProviderUnreachable), name: "provider_unreachable",
		status: http.StatusBadGateway, title: "The provider does not answer",
		detail: "No answer came: the connection, TLS or the time failed. Check api.* in the configuration and the " +
			"network, and send the request again later.",
		detailSent: "The request was sent and no answer came, so the provider may have processed it. " + lookFirst},
	{provider: true, kind: providerKind(kycbridge.ProviderMalformed), name: "provider_malformed",
		status: http.StatusBadGateway, title: "The provider's answer cannot be read",
		detail: "The answer is not what the provider documents. Check api.* in the configuration; if that is right, " +
			"tell us.",
		detailSent: "The answer is not what the provider documents, so the provider may have processed the request. " +
			lookFirst},

	{kind: kycbridge.ErrUnfinished, name: "unfinished", status: http.StatusServiceUnavailable, retryAfter: 60,
		title: "Not everything is erased", detail: "See keys_left, unread and key_pages: keys of stored bodies could not " +
			"be read, or the store failed. Restore the key service, the master key or the stream of keys, and send the request " +
			"again: it erases the rest."},
	{kind: errFault, name: "fault", status: http.StatusServiceUnavailable, retryAfter: 5,
		title: "Temporarily unavailable", detail: "The request could not be processed. Send it again later."},
	{kind: errDraining, name: "draining", status: http.StatusServiceUnavailable, retryAfter: 1, close: true,
		title: "Shutting down", detail: "This instance takes no new requests. Send it again on a new connection."},
	{kind: errBusy, name: "busy", status: http.StatusServiceUnavailable, retryAfter: 1,
		title: "Too many requests at once", detail: "Send the request again after the time in Retry-After."},
	{kind: errInterrupted, name: "interrupted", status: http.StatusServiceUnavailable, retryAfter: 1, close: true,
		title: "Body not received", detail: "The body did not arrive whole or in time. Send the request again."},
	{kind: errNotReady, name: "not_ready", status: http.StatusServiceUnavailable, retryAfter: 1,
		title: "Not ready", detail: "Send no requests to this instance until it is ready."},
	{kind: errUnrecorded, name: "unrecorded", status: http.StatusServiceUnavailable, retryAfter: 5,
		title: "The access cannot be recorded", detail: "Nothing was done, because the access log takes no record at the " +
			"moment. Send the request again later."},
	{kind: context.DeadlineExceeded, name: "timeout", status: http.StatusServiceUnavailable, retryAfter: 5,
		title: "Temporarily unavailable", detail: "The request could not be processed in time. Send it again later."},
	{kind: context.Canceled, name: "timeout", status: http.StatusServiceUnavailable, retryAfter: 5,
		title: "Temporarily unavailable", detail: "The request could not be processed in time. Send it again later."},
	{kind: kycbridge.ErrUnavailable, name: "unavailable", status: http.StatusServiceUnavailable, retryAfter: 5,
		title: "Temporarily unavailable", detail: "The store did not answer. Send the request again later."},

	{kind: errNoTokens, name: "not_found", status: http.StatusNotFound,
		title: "The API is closed", detail: "It has no tokens: write admin.tokens into the configuration, restart, and " +
			"send one as Authorization: Bearer."},
	{kind: kycbridge.ErrNotFound, name: "not_found", status: http.StatusNotFound,
		title: "Not found", detail: "Nothing answers at this address. Check the URL that was configured."},
	{kind: errMethod, name: "method_not_allowed", status: http.StatusMethodNotAllowed,
		title: "Method not allowed", detail: "Use a method that the Allow header names."},
	{kind: errAddress, name: "address_refused", status: http.StatusForbidden,
		title: "Source address not allowed", detail: "Send from an address that the operator has allowed for this account."},
	{kind: errMediaType, name: "media_type", status: http.StatusUnsupportedMediaType,
		title: "Not a JSON media type", detail: "Send the body as application/json."},
	{kind: errLinesType, name: "media_type", status: http.StatusUnsupportedMediaType,
		title: "Not lines of JSON", detail: "Send the exported payloads as " + ndjson + "."},
	{kind: errEncoding, name: "encoding", status: http.StatusUnsupportedMediaType,
		title: "Content-Encoding not known", detail: "Send the body as it is, or compressed with gzip or deflate."},
	{kind: errTooLarge, name: "too_large", status: http.StatusRequestEntityTooLarge, close: true,
		title: "Body too large", detail: "Send a smaller body, or ask the operator to raise the limit."},
	{kind: kycbridge.ErrUnauthenticated, name: "unauthenticated", status: http.StatusUnauthorized,
		title: "Not authenticated", detail: "Send a credential that was agreed with the operator for this account.",
		challenges: []string{`Basic realm="kycbridge", charset="UTF-8"`, `Bearer realm="kycbridge"`}},
	{kind: errToken, name: "unauthenticated", status: http.StatusUnauthorized,
		title: "Not authenticated", detail: "Send one of the configured admin tokens as Authorization: Bearer.",
		challenges: []string{`Bearer realm="kycbridge"`}},
	{kind: errRight, name: "missing_right", status: http.StatusForbidden,
		title: "Right missing", detail: "The token or certificate lacks the right that missing_right names. Ask the " +
			"operator to grant it in admin.tokens or admin.client_certs, or send another token."},
	{kind: errReason, name: "missing_reason", status: http.StatusBadRequest,
		title: "Reason missing or unreadable", detail: "Say why this is needed, in 1 to 500 characters, in the header " +
			"X-Reason, percent-encoded if it is not ASCII; kycbridge commands take --why. Send it once. The access log records it."},
	{kind: errPlainHTTP, name: "plain_http", status: http.StatusBadRequest, close: true,
		title: "TLS is needed here", detail: "Send the request again to an https address."},

	{kind: errInvalidClient, name: "invalid_client", status: http.StatusUnauthorized,
		title: "Client not authenticated", detail: "Send the client id and the secret that were agreed with the operator.",
		challenges: []string{`Basic realm="kycbridge", charset="UTF-8"`}},
	{kind: errGrantType, name: "unsupported_grant_type", status: http.StatusBadRequest,
		title: "Grant type not supported", detail: "Send grant_type=client_credentials."},
	{kind: errTokenRequest, name: "invalid_request", status: http.StatusBadRequest,
		title:  "Request for a token cannot be read",
		detail: "Send a form with grant_type once, and the client id and secret either in it or as HTTP Basic."},

	{kind: errMalformed, name: "malformed", status: http.StatusBadRequest,
		title:  "Payload cannot be read",
		detail: "The payload was put into quarantine. Correct what errors names and send it again."},
	{kind: errInvalid, name: "invalid", status: http.StatusUnprocessableEntity,
		title:  "Payload not as expected",
		detail: "The payload was put into quarantine. Correct what errors names and send it again."},

	{kind: errBadRequest, name: "malformed_request", status: http.StatusBadRequest,
		title: "Request cannot be read", detail: "Correct what errors names and send it again."},
	{kind: errKey, name: "malformed_request", status: http.StatusBadRequest,
		title:  "Unusable Idempotency-Key",
		detail: "Send one Idempotency-Key of 1 to 255 printable ASCII characters, or none."},
	{kind: errInvalidRequest, name: "invalid_request", status: http.StatusUnprocessableEntity,
		title: "Request does not match its schema", detail: "Correct what errors names and send it again."},
	{kind: errStepMediaType, name: "media_type", status: http.StatusUnsupportedMediaType,
		title: "Neither a form nor JSON", detail: "Send the body as multipart/form-data or application/json."},
	{kind: errNoAccount, name: "unknown_account", status: http.StatusNotFound,
		title: "No such account", detail: "The configuration has no account of this provider and name."},
	{kind: errNotHeld, name: "not_held", status: http.StatusNotFound, title: "Not held",
		detail: "There is no hold on this verification. GET /v1/payloads/holds lists those that there are."},
	{kind: errNoVerification, name: "unknown_verification", status: http.StatusNotFound, title: "No such verification",
		detail: "No verification with this reference is stored. Ask for a watch with POST /v1/watches if it was " +
			"started elsewhere."},
	{kind: errNothingKept, name: "unknown_verification", status: http.StatusNotFound, title: "No such verification",
		detail: "Nothing is stored about a verification with this id. GET /v1/verifications?q= finds one by any of its ids."},
	{kind: errNoMedia, name: "unknown_media", status: http.StatusNotFound,
		title: "No such image or video", detail: "The state of this verification names no media with this provider_ref."},
	{kind: errNoPayload, name: "unknown_payload", status: http.StatusNotFound,
		title: "No such payload", detail: "No stored payload has this id. GET /v1/payloads lists them."},
	{kind: errNoAPI, name: "unsupported", status: http.StatusUnprocessableEntity, title: "Not supported for this account",
		detail: "The account has no api section in the configuration, so its provider cannot be called. Add one."},
	{kind: kycbridge.ErrHeld, name: "held", status: http.StatusConflict, title: "Held",
		detail: "Nothing of a held verification is erased. See hold_reason; the hold ends at hold_until or with " +
			"POST /v1/payloads/release."},
	{kind: kycbridge.ErrRecordsLost, name: "records_lost", status: http.StatusConflict, title: "Records are lost",
		detail: "Holds, or records of who was erased, are lost: see lost_records of GET /v1/payloads/report. Nothing is " +
			"erased or imported until an operator runs kycbridge payloads report --accept."},
	{kind: kycbridge.ErrUnsupported, name: "unsupported", status: http.StatusUnprocessableEntity,
		title:  "Not supported for this account",
		detail: "The provider of this account does not offer this, or the api section of the account does not allow it."},
	{kind: kycbridge.ErrKeyReused, name: "key_reused", status: http.StatusUnprocessableEntity,
		title:  "Reused Idempotency-Key",
		detail: "This key belongs to a start with another body. Send a new key with a new request."},
	{kind: kycbridge.ErrKeyPending, name: "key_pending", status: http.StatusConflict, title: "Start under way",
		detail: "A start with this Idempotency-Key is under way, or was interrupted and its outcome is not known. " +
			"Repeat it with the same key later; if this continues, look for the external reference at the provider before you " +
			"start with another key."},
}

const lookFirst = "Check at the provider before you send it again; " +
	"a start may be repeated with the same Idempotency-Key."

// problemFor returns the row of the table for the error of a callback. An unknown error is an internal
// fault.
func problemFor(err error) *problem { return problemOf(err, false) }

// callProblemFor is problemFor for the admin API. The error of a provider call takes precedence over other
// wrapped errors, such as the timeout that ended it.
func callProblemFor(err error) *problem {
	var unwatched *kycbridge.UnwatchedError
	var failed *kycbridge.ProviderError
	switch {
	case errors.As(err, &unwatched):
		return problemOf(errUnwatched, true)
	case errors.As(err, &failed):
		return problemOf(errors.Join(providerKind(failed.Kind), err), true)
	}
	return problemOf(err, true)
}

func problemOf(err error, provider bool) *problem {
	for i := range problems {
		if p := &problems[i]; (provider || !p.provider) && errors.Is(err, p.kind) {
			return p
		}
	}
	return problemOf(errFault, false)
}

// write responds with the problem and members, which is "" or encoded JSON members that each start with a
// comma. A failed write means that the caller has disconnected, and is ignored.
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
