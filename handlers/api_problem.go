package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"kycbridge"
)

// requestFault is an unreadable or invalid request, with the pointers.
type requestFault struct {
	kind   error
	errors []kycbridge.FieldError
}

func (f *requestFault) Error() string { return f.kind.Error() }

func (f *requestFault) Unwrap() error { return f.kind }

// faulty returns the fault of a request, or nil if there are no errors.
func faulty(kind error, errs []kycbridge.FieldError) error {
	if len(errs) == 0 {
		return nil
	}
	return &requestFault{kind, errs}
}

// problemMembers are the members of an admin API problem beyond the table.
type problemMembers struct {
	Errors           []kycbridge.FieldError `json:"errors,omitempty"`
	ProviderMessage  string                 `json:"provider_message,omitempty"`
	ProviderCode     string                 `json:"provider_code,omitempty"`
	ProviderStatus   int                    `json:"provider_status,omitempty"`
	MayHaveStarted   bool                   `json:"may_have_started,omitempty"`
	MayHaveSubmitted bool                   `json:"may_have_submitted,omitempty"`
	VerificationID   string                 `json:"verification_id,omitempty"`
	Reference        string                 `json:"reference,omitempty"`
	URL              string                 `json:"url,omitempty"`
	ExpiresAt        string                 `json:"expires_at,omitempty"`
	MissingRight     kycbridge.Right        `json:"missing_right,omitempty"`
	HoldReason       string                 `json:"hold_reason,omitempty"`
	HoldUntil        time.Time              `json:"hold_until,omitzero"`
	Erased           *erasedSoFar           `json:"erased,omitempty"`
	kycbridge.Left
}

// erasedSoFar are the numbers of messages of a verification that an unfinished erasure has erased.
type erasedSoFar struct {
	Payloads    int `json:"payloads"`
	Quarantined int `json:"quarantined"`
	Refused     int `json:"refused"`
	Events      int `json:"events"`
	Watches     int `json:"watches"`
}

// addUnfinished adds what an erasure has erased, and what is left.
func (m *problemMembers) addUnfinished(e *kycbridge.UnfinishedError) {
	m.Left = e.Left
	if t := e.Erased; t != nil {
		m.VerificationID = t.VerificationID
		m.Erased = &erasedSoFar{t.Payloads, t.Quarantined, t.Refused, t.Events, t.Watches}
	}
}

// encoded is the members in the format of problem.write: each after a comma, without the braces.
func (m problemMembers) encoded() []byte {
	b, err := json.Marshal(m)
	if err != nil || len(b) == len(`{}`) {
		return nil
	}
	b[0] = ','
	return b[:len(b)-1]
}

// refuse answers an error of the admin API and returns the outcome's name and the status.
func (t *requestLog) refuse(w http.ResponseWriter, err error) (outcome string, status int) {
	p := *callProblemFor(err)
	var m problemMembers
	var request *requestFault
	var unwatched *kycbridge.UnwatchedError
	var failed *kycbridge.ProviderError
	var missing missingRight
	var held *kycbridge.HeldError
	var unfinished *kycbridge.UnfinishedError
	switch {
	case errors.As(err, &unfinished):
		m.addUnfinished(unfinished)
	case errors.As(err, &held):
		m.VerificationID, m.HoldReason, m.HoldUntil = held.Hold.VerificationID, held.Hold.Reason, held.Hold.Until
	case errors.As(err, &missing):
		m.MissingRight = missing.right
	case errors.As(err, &request):
		m.Errors = request.errors
	case errors.As(err, &unwatched):
		r := unwatched.Receipt
		t.verificationID = r.VerificationID
		m.VerificationID, m.Reference, m.URL, m.ExpiresAt = r.VerificationID, r.Reference, r.URL, r.ExpiresAt
	case errors.As(err, &failed):
		m.Errors, m.ProviderMessage, m.ProviderCode, m.ProviderStatus =
			failed.Fields, failed.Message, failed.Code, failed.Status
		if failed.RetryAfter > 0 {
			p.retryAfter = int(min(failed.RetryAfter+time.Second-1, 24*time.Hour) / time.Second)
		}
		if failed.Sent && p.detailSent != "" && t.unsure != "" {
			p.detail, p.retryAfter = p.detailSent, 0
			t.markUncertain(&m)
		}
	case errors.Is(err, errOutcome):
		t.markUncertain(&m)
	}
	p.write(w, m.encoded())
	return p.name, p.status
}

// markUncertain records that the request may have been executed.
func (t *requestLog) markUncertain(m *problemMembers) {
	m.MayHaveStarted = t.unsure == "may_have_started"
	m.MayHaveSubmitted = t.unsure == "may_have_submitted"
}

// markOutcomeUnknown marks an error after which it is unknown whether the provider has processed a request
// that must not be repeated blindly. Errors that state it themselves stay unchanged.
func (t *requestLog) markOutcomeUnknown(err error) error {
	var unwatched *kycbridge.UnwatchedError
	var failed *kycbridge.ProviderError
	if err == nil || t.unsure == "" || errors.As(err, &unwatched) || errors.As(err, &failed) {
		return err
	}
	for _, known := range []error{kycbridge.ErrKeyReused, kycbridge.ErrKeyPending, kycbridge.ErrUnsupported,
		kycbridge.ErrUnavailable} {
		if errors.Is(err, known) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", errOutcome, err)
}
