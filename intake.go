package kycbridge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"kycbridge/document"
	"kycbridge/event"
)

// Statuses of a receipt.
const (
	ReceiptAccepted    = "accepted"    // stored in the payload log
	ReceiptDuplicate   = "duplicate"   // was in the payload log already
	ReceiptQuarantined = "quarantined" // stored in quarantine
)

// The reasons of quarantine.
const (
	QuarantineMalformed    = "malformed"    // no JSON object that can be read unambiguously
	QuarantineSchema       = "schema"       // breaks the provider's schema
	QuarantineUnidentified = "unidentified" // names no verification, or another one than was asked about
	QuarantineUnmapped     = "unmapped"     // the mapping failed Normalizer.MaxAttempts times
	QuarantineForeign      = "foreign"      // of an application that the account does not accept
)

// Receipt is the result of receiving a payload. It is returned only when the payload is durable.
type Receipt struct {
	Status         string       // ReceiptAccepted, ReceiptDuplicate or ReceiptQuarantined
	PayloadID      string       // see PayloadID
	VerificationID string       // "" if the body named no verification
	Event          string       // the provider's name of the message type
	Placement      string       // the position of the accepted credential
	Credential     string       // CredentialFirst or CredentialLater; "" if none was accepted
	Reason         string       // a Quarantine constant; "" if it was not quarantined
	Errors         []FieldError // the faults of a quarantined one
}

// Stored is the result of appending a payload to the log.
type Stored struct {
	Duplicate bool   // a payload with this id was stored before, and this one was not
	Digest    string // of the payload that is stored under the id; "" if not known
}

// PayloadLog stores payloads. Append returns when the payload is durable; after an error it may not be.
type PayloadLog interface {
	Append(ctx context.Context, p Payload) (Stored, error)
}

// Quarantine durably stores payloads that cannot be processed, with the reason and the faults.
type Quarantine interface {
	// Quarantine stores p durably, unless it was erased with its verification: then it returns ErrErased.
	Quarantine(ctx context.Context, p Payload, reason string, errors []FieldError) error
}

// Refusals stores requests that failed authentication: limited, without a guarantee.
type Refusals interface {
	Refuse(ctx context.Context, p Payload, r Request, why string)
}

// DefaultMaxBody is the default limit of a callback body, in bytes.
const DefaultMaxBody = 1 << 20

// Intake is the only entry: callbacks, polled and replayed payloads all pass Ingest.
type Intake struct {
	MaxBody    int // limit of an unpacked callback body, in bytes; 0: DefaultMaxBody
	Log        PayloadLog
	Quarantine Quarantine
	Refusals   Refusals
	Documents  *Documents // for the Normalizer of this process; nil: it decodes every body again
	// Pace delays authentic callbacks, of so many bytes, while event processing lags, and returns ErrBusy after too
	// long; nil: they are never delayed.
	Pace func(ctx context.Context, size int) error
}

// Receive processes a callback: it authenticates the request over its raw bytes, then ingests the body. It
// returns ErrUnauthenticated if no credential of the account is valid, ErrUnavailable if the payload could
// not be made durable, ErrBusy if events are too far behind, and ErrTooLarge if it unpacks to more than
// MaxBody.
func (in *Intake) Receive(ctx context.Context, a *Account, r Request) (Receipt, error) {
	p := callbackPayload(r)
	r.MaxContent = in.maxBody()
	placement, err := a.Provider.Verify(a.Credentials, r)
	if err != nil {
		why := ""
		if refused, ok := errors.AsType[*RefusedError](err); ok {
			why = refused.Why
		}
		in.Refusals.Refuse(ctx, withIdentity(p, a), r, why)
		return Receipt{}, fmt.Errorf("authenticate callback: %w: %w", ErrUnauthenticated, err)
	}
	p.Placement = placement
	admitted := Receipt{Placement: placement, Credential: a.rank(r, placement)}
	if _, err := r.Content(); errors.Is(err, errUnpacked) {
		return Receipt{}, fmt.Errorf("unpack callback: %w", ErrTooLarge)
	}
	if in.Pace != nil {
		if err := in.Pace(ctx, len(p.Body)); err != nil {
			return admitted, err
		}
	}
	receipt, err := in.Ingest(ctx, a, p)
	receipt.Placement, receipt.Credential = admitted.Placement, admitted.Credential
	return receipt, err
}

// callbackPayload is the payload of a callback, without its identity.
func callbackPayload(r Request) Payload {
	return Payload{
		Via:         event.ViaCallback,
		ReceivedAt:  r.ReceivedAt,
		ContentType: r.Header.Get("Content-Type"),
		Header:      keptHeaders(r.Header),
		Body:        r.Body,
	}
}

// UnknownAccount replaces provider and account of a callback to an unknown account.
const UnknownAccount = "unknown"

// KeepUnknownAccount stores a callback for an account that is not configured, limited and without a
// guarantee, so that a mistyped address or an account that is configured later loses nothing. Provider and
// account are arbitrary text from its path.
func (in *Intake) KeepUnknownAccount(ctx context.Context, provider, account string, r Request) {
	p := withIdentity(callbackPayload(r), &Account{Name: UnknownAccount, Provider: Provider{Name: UnknownAccount}})
	p.Addressed = AccountKey{Provider: provider, Account: account}
	in.Refusals.Refuse(ctx, p, r, "no such account is configured")
}

func (in *Intake) maxBody() int {
	if in.MaxBody <= 0 {
		return DefaultMaxBody
	}
	return in.MaxBody
}

// Ingest processes a body with a trusted origin: it validates, identifies and stores it. Body, Via,
// ReceivedAt and ContentType of p are set by the caller, and for a fetched one Reference, Trigger and
// After; the rest is filled in. A body of another verification than the requested one is quarantined.
func (in *Intake) Ingest(ctx context.Context, a *Account, p Payload) (Receipt, error) {
	p = withIdentity(p, a)
	doc, id, reason, faults := a.decode(p)
	p.Event = id.Event
	reference := id.Reference
	if reference == "" {
		reference = p.Reference // of the verification that was asked about
	}
	if reference != "" {
		p.VerificationID = event.VerificationID(p.Provider, p.Account, reference)
	}
	if reason != "" {
		return in.quarantine(ctx, p, reason, faults)
	}
	p.Reference = id.Reference
	if id.EventID != "" {
		p.ID = PayloadID(p.Provider, p.Account, id.EventID, p.Digest)
	} else {
		p.ID = fetchedID(p)
	}
	in.Documents.put(p, doc)
	receipt, err := in.store(ctx, p)
	if err != nil || receipt.Status != ReceiptAccepted {
		in.Documents.drop(p) // it may never be processed
	}
	return receipt, err
}

// Examine identifies a body and checks it against the current schema. A reason states why it would be
// quarantined.
func (in *Intake) Examine(a *Account, p Payload) (id Identity, reason string, faults []FieldError) {
	_, id, reason, faults = a.decode(p)
	return id, reason, faults
}

// Decode is the decoded body of a payload, with the reason for which it would be quarantined; "" if it would not.
func (in *Intake) Decode(a *Account, p Payload) (doc document.Object, reason string) {
	doc, _, reason, _ = a.decode(p)
	return doc, reason
}

// decode decodes a body, identifies it and checks it against the current schema.
func (a *Account) decode(p Payload) (doc document.Object, id Identity, reason string, faults []FieldError) {
	doc, faults = a.Provider.Document(p)
	if len(faults) > 0 {
		return nil, Identity{}, QuarantineMalformed, faults
	}
	id, reason, faults = a.examine(doc, p)
	return doc, id, reason, faults
}

// examine is Examine of a decoded body.
func (a *Account) examine(doc document.Object, p Payload) (id Identity, reason string, faults []FieldError) {
	id = a.Provider.Identify(doc, p.Via)
	if why := referenceFault(id.Reference); why != "" {
		id.Reference = ""
		return id, QuarantineUnidentified, []FieldError{{Path: id.Missing, Message: why}}
	}
	if why := a.foreign(id); why != "" {
		return id, QuarantineForeign, []FieldError{{Message: why}}
	}
	if faults := a.Provider.Validate(id.Schema, id.Document); len(faults) > 0 {
		return id, QuarantineSchema, prefixFaults(id.At, faults)
	}
	if p.Reference != "" && p.Reference != id.Reference {
		return id, QuarantineUnidentified,
			[]FieldError{{Path: id.Missing, Message: "names another verification than the one that was asked about"}}
	}
	return id, "", nil
}

// referenceFault states why a reference is invalid; "" if it is valid. References that consist only of
// invisible characters would all look the same. U+FFFD marks a character that was lost in decoding, such as half of a
// surrogate pair: different references would become one verification.
func referenceFault(reference string) string {
	seen := func(r rune) bool { return unicode.IsGraphic(r) && !unicode.IsSpace(r) }
	switch {
	case !strings.ContainsFunc(reference, seen):
		return "names no verification: a non-empty string is expected here"
	case strings.ContainsRune(reference, unicode.ReplacementChar):
		return "names no verification for certain: a character of it was lost"
	}
	return ""
}

// foreign states why the account does not accept the application that sent a body; "" if it does.
func (a *Account) foreign(id Identity) (why string) {
	if a.Provider.Foreign == nil || id.Application == "" {
		return ""
	}
	return a.Provider.Foreign(a.Settings.Own, id.Application)
}

// Record stores a notice of kycbridge.
func (in *Intake) Record(ctx context.Context, a *Account, n Notice, via event.Via) (Receipt, error) {
	p, err := n.Payload(a, via)
	if err != nil {
		return Receipt{}, err
	}
	return in.store(ctx, p)
}

// store appends p. If a provider sends another body under a known id, nothing is lost: the second body is
// stored under its digest.
func (in *Intake) store(ctx context.Context, p Payload) (Receipt, error) {
	stored, err := in.Log.Append(ctx, p)
	if err == nil && stored.Duplicate && stored.Digest != "" && stored.Digest != p.Digest {
		p.ID = PayloadID(p.Provider, p.Account, "", p.Digest)
		stored, err = in.Log.Append(ctx, p)
	}
	if err != nil {
		return Receipt{Event: p.Event, PayloadID: p.ID, VerificationID: p.VerificationID},
			fmt.Errorf("store payload: %w: %w", ErrUnavailable, err)
	}
	receipt := Receipt{Status: ReceiptAccepted, PayloadID: p.ID, VerificationID: p.VerificationID, Event: p.Event}
	if stored.Duplicate {
		receipt.Status = ReceiptDuplicate
	}
	return receipt, nil
}

func (in *Intake) quarantine(ctx context.Context, p Payload, reason string, faults []FieldError) (Receipt, error) {
	receipt := Receipt{Status: ReceiptQuarantined, PayloadID: p.ID, VerificationID: p.VerificationID, Event: p.Event,
		Reason: reason, Errors: faults}
	if err := in.Quarantine.Quarantine(ctx, p, reason, faults); err != nil {
		return receipt, fmt.Errorf("quarantine payload: %w: %w", ErrUnavailable, err)
	}
	return receipt, nil
}

// withIdentity fills in the identity of a payload before its body has been read.
func withIdentity(p Payload, a *Account) Payload {
	p.Provider, p.Account = a.Provider.Name, a.Name
	p.Digest = Digest(p.Body)
	p.ID = PayloadID(p.Provider, p.Account, "", p.Digest)
	if p.ReceivedAt.IsZero() {
		p.ReceivedAt = time.Now()
	}
	p.ReceivedAt = p.ReceivedAt.UTC()
	return p
}

// keptHeaders selects the request headers that are stored with a payload; none of them can contain a
// credential or a signature.
func keptHeaders(h http.Header) map[string]string {
	var kept map[string]string
	for _, name := range []string{"User-Agent", "X-Request-Id", "Traceparent", headerEncoding} {
		if v := h.Get(name); v != "" {
			if kept == nil {
				kept = map[string]string{}
			}
			kept[name] = v
		}
	}
	return kept
}

// prefixFaults converts the pointers of faults in a part of a body to pointers in the whole body.
func prefixFaults(at string, faults []FieldError) []FieldError {
	if at == "" {
		return faults
	}
	moved := make([]FieldError, len(faults))
	for i, f := range faults {
		moved[i] = FieldError{Path: at + f.Path, Message: f.Message}
	}
	return moved
}
