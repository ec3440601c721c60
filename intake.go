package kycbridge

import "context"

// Outcome words of a receipt.
const (
	ReceiptAccepted    = "accepted"
	ReceiptDuplicate   = "duplicate"
	ReceiptQuarantined = "quarantined"
)

// The reasons for which a payload is quarantined.
const (
	QuarantineMalformed    = "malformed"
	QuarantineSchema       = "schema"
	QuarantineUnidentified = "unidentified"
	QuarantineUnmapped     = "unmapped"
)

// Receipt says what became of a payload. It is given only when the payload is durable.
type Receipt struct {
	Status         string // accepted, duplicate or quarantined
	PayloadID      string
	VerificationID string
	Event          string       // what the provider calls the message
	Placement      string       // where the credential stood that admitted it
	Reason         string       // why it was quarantined
	Errors         []FieldError // what is wrong with a quarantined one
}

// Receive is the callback's entrance: authenticate, then Ingest.
type receiver interface {
	Receive(ctx context.Context, account *Account, req Request) (Receipt, error)
}
