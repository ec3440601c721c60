package traffic

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/event"
)

// The types of generated webhooks: the event type and the status.
const (
	SayInProgress = "IdentityVerification.StatusChanged InProgress"
	SayConsented  = "IdentityVerification.Consented InProgress"
	SayCreated    = "KycIdentification.Created Unfinished"
	SayProcessed  = "KycIdentification.Processed Awaiting"
	SayRejected   = "KycIdentification.Rejected Rejected"
	SayApproved   = "KycIdentification.Approved Approved"
	SayCompleted  = "IdentityVerification.StatusChanged Completed"
	SayUpdated    = "KycIdentification.Updated Approved"
)

// WholeLife is one verification from its first webhook to a correction after the verdict.
var WholeLife = []string{SayInProgress, SayConsented, SayCreated, SayProcessed, SayRejected, SayApproved, SayCompleted,
	SayUpdated}

// Life generates the Ondato webhooks of one verification. Each has its own event id, a later time than the previous
// one, and facts that no other has, so that it always leads to an event if it arrives in order.
type Life struct {
	Run  uint32 // distinguishes the lives of different runs of a test
	N    int    // distinguishes the lives of one run
	Sent int    // webhooks so far
}

// Webhook is one payload of a Life.
type Webhook struct {
	PayloadID string
	At        time.Time
	Verdict   event.Outcome // "" if it contains none
	DecidedAt string        // of a verdict, as the event must contain it
	Body      []byte
}

// Reference is the provider's id of the verification.
func (l *Life) Reference() string {
	return fmt.Sprintf("b%07x-0000-4000-8000-%012x", l.Run&0xfffffff, l.N)
}

// VerificationID is kycbridge's id of the verification, for account acme of ondato.
func (l *Life) VerificationID() string {
	return event.VerificationID("ondato", "acme", l.Reference())
}

// Next generates the next webhook of the life.
func (l *Life) Next(say string) Webhook {
	l.Sent++
	kind, status, _ := strings.Cut(say, " ")
	id := fmt.Sprintf("e%07x-%04x-4000-8000-%012x", l.Run&0xfffffff, l.Sent, l.N)
	w := Webhook{
		PayloadID: kycbridge.PayloadID("ondato", "acme", id, ""),
		At:        time.Date(2026, 3, 2, 9, 0, 0, 250e6, time.UTC).Add(time.Duration(l.Sent) * time.Minute),
	}
	resource := l.session(status, w.At)
	if strings.HasPrefix(kind, "Kyc") {
		resource = l.identification(status)
	}
	switch say {
	case SayApproved:
		w.Verdict = event.OutcomeApproved
		resource["statusReason"] = "AutomaticallyIdentified"
	case SayRejected:
		w.Verdict = event.OutcomeRejected
		resource["statusReason"] = "PoorPhotoQuality"
	}
	if w.Verdict != "" {
		completed := w.At.Add(-2 * time.Second)
		w.DecidedAt = event.Instant(completed)
		resource["completedUtc"] = w.DecidedAt
	}
	body, err := json.Marshal(map[string]any{"id": id, "applicationId": "a0000000-0000-4000-8000-000000000001",
		"createdUtc": event.Instant(w.At), "payload": resource, "type": kind})
	if err != nil {
		panic(err) // a map of plain values always encodes
	}
	w.Body = body
	return w
}

// session is the IDV resource.
func (l *Life) session(status string, at time.Time) map[string]any {
	return map[string]any{
		"id": l.Reference(), "applicationId": "a0000000-0000-4000-8000-000000000001",
		"externalReferenceId": fmt.Sprintf("ref-%d", l.N), "createdUtc": "2026-03-02T08:55:00.12Z",
		"modifiedUtc": event.Instant(at), "status": status,
		"setup": map[string]any{"id": "5e000000-0000-4000-8000-000000000001",
			"versionId": "5e000000-0000-4000-8000-0000000000a1"},
		"step": map[string]any{"consent": map[string]any{"isConsented": true, "consentedUtc": event.Instant(at)}},
	}
}

// identification is the KYC resource; the address differs from webhook to webhook.
func (l *Life) identification(status string) map[string]any {
	return map[string]any{
		"id": fmt.Sprintf("c%07x-0000-4000-8000-%012x", l.Run&0xfffffff, l.N), "identityVerificationId": l.Reference(),
		"externalReferenceId": fmt.Sprintf("ref-%d", l.N), "createdUtc": "2026-03-02T08:57:30.77Z", "status": status,
		"document": map[string]any{
			"fullName": "Testa Sample", "firstName": "Testa", "lastName": "Sample", "documentNumber": "X0000002",
			"dateOfBirth": "1988-07-30", "dateOfExpiration": "2032-01-10", "countryIso3": "LTU", "type": "IdCard",
			"address": fmt.Sprintf("%d Example Street", l.Sent), "mrzVerified": true,
			"files": []any{map[string]any{"fileId": "fe000000-0000-4000-8000-000000000031", "fileExtension": "jpeg",
				"part": "Front", "fileType": "DocumentPhoto"}},
		},
		"rules": []any{map[string]any{"name": "DocumentHasBothSides", "status": "Success"},
			map[string]any{"name": "NotUnder18", "status": "Success"}},
		"fraudChecks": []any{map[string]any{"name": "DocumentManipulation", "status": "Success"}},
	}
}
