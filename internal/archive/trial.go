package archive

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
)

// Trial is a test run of one body: the result of schema and mapping, without other payloads of its
// verification. Nothing is stored.
type Trial struct {
	Account    *kycbridge.Account
	Body       []byte
	Via        event.Via
	Placement  string    // the position of the credential; "" if it is not a callback
	ReceivedAt time.Time // a provider's time after it is not accepted
	Now        time.Time // the recordedtime of the event

	Mapping                  string // version of the mappings
	TypePrefix, SourcePrefix string
}

// TrialResult is the result of a trial.
type TrialResult struct {
	Reason  string                 `json:"quarantined,omitempty"` // why it would be quarantined
	Errors  []kycbridge.FieldError `json:"errors,omitempty"`
	NoEvent string                 `json:"no_event,omitempty"` // why it leads to no event
	Payload kycbridge.Payload      `json:"-"`
	Body    json.RawMessage        `json:"event,omitempty"` // the event as it would be published
	Data    *event.Data            `json:"-"`
}

// Try runs a trial. An error means that the mapping cannot read the body.
func (t Trial) Try(ctx context.Context) (TrialResult, error) {
	m := &trialStreams{}
	intake := kycbridge.Intake{Log: m, Quarantine: m, Refusals: m}
	receipt, err := intake.Ingest(ctx, t.Account,
		kycbridge.Payload{Via: t.Via, Placement: t.Placement, ReceivedAt: t.ReceivedAt,
			ContentType: "application/json", Body: t.Body})
	if err != nil {
		return TrialResult{}, err
	}
	if receipt.Status == kycbridge.ReceiptQuarantined {
		return TrialResult{Reason: receipt.Reason, Errors: receipt.Errors}, nil
	}
	n := kycbridge.Normalizer{
		Accounts: kycbridge.Accounts{{Provider: t.Account.Provider.Name, Account: t.Account.Name}: t.Account},
		Events:   m, Log: m, Quarantine: m, Mapping: t.Mapping, TypePrefix: t.TypePrefix, SourcePrefix: t.SourcePrefix,
		MaxAttempts: 1,
		Now:         func() time.Time { return t.Now },
	}
	done, err := n.Process(ctx, *m.stored)
	if err != nil {
		return TrialResult{Payload: *m.stored}, fmt.Errorf("process: %w", err)
	}
	result := TrialResult{NoEvent: done.NoEvent, Payload: *m.stored, Body: m.event}
	if done.Event != nil {
		result.Data = &done.Event.Data
	}
	return result, nil
}

// Golden is the result in the format of a golden file: the event, indented, or why there is no event.
func (t TrialResult) Golden() ([]byte, error) {
	var v any = t.Body
	switch {
	case t.Reason != "":
		v = map[string]any{"no_event": "quarantined: " + t.Reason, "errors": t.Errors}
	case t.Body == nil:
		v = map[string]any{"no_event": t.NoEvent}
	}
	raw, err := json.MarshalIndent(v, "", "  ")
	return append(raw, '\n'), err
}

// trialStreams replaces the streams for one payload.
type trialStreams struct {
	stored *kycbridge.Payload
	event  []byte
}

// Append stores the payload.
func (m *trialStreams) Append(_ context.Context, p kycbridge.Payload) (kycbridge.Stored, error) {
	m.stored = &p
	return kycbridge.Stored{Digest: p.Digest}, nil
}

// Quarantine stores nothing: the receipt has the result.
func (m *trialStreams) Quarantine(context.Context, kycbridge.Payload, string, []kycbridge.FieldError) error {
	return nil
}

// Refuse stores nothing.
func (m *trialStreams) Refuse(context.Context, kycbridge.Payload, kycbridge.Request, string) {}

// Last returns no event.
func (m *trialStreams) Last(context.Context, kycbridge.Key, bool) (kycbridge.State, error) {
	return kycbridge.State{Read: true}, nil
}

// Publish stores the event.
func (m *trialStreams) Publish(_ context.Context, _ kycbridge.Key, e kycbridge.Outgoing, _ uint64) error {
	m.event = e.Body
	return nil
}

// History returns no payload.
func (m *trialStreams) History(context.Context, kycbridge.Key, func(kycbridge.Payload) error) error {
	return nil
}

// WasErased reports no erasure.
func (m *trialStreams) WasErased(context.Context, kycbridge.Payload) (bool, error) { return false, nil }

// Value is a value of an event and its source members in the body.
type Value struct {
	event.Difference
	From []string `json:"from,omitempty"` // JSON pointers into the body
}

// maxLeaves limits the members of a body that are examined as sources.
const maxLeaves = 2000

// Values are the values of the resulting event, each with the members of the body that determine it. They are found
// by omitting one member at a time; needed are the members without which there is no event at all; these are
// changed instead of omitted.
func (t Trial) Values(ctx context.Context, result TrialResult) (values []Value, needed []string, err error) {
	if result.Data == nil {
		return nil, nil, nil
	}
	empty := &event.Data{Provider: event.ProviderData{Name: result.Data.Provider.Name}}
	for _, d := range event.Differences(empty, result.Data) {
		values = append(values, Value{Difference: d})
	}
	doc, faults := t.Account.Provider.Read(t.Body)
	if len(faults) > 0 {
		return values, nil, nil
	}
	leaves := leavesOf(map[string]any(doc), nil)
	for _, leaf := range leaves[:min(len(leaves), maxLeaves)] {
		pointer := document.Pointer(leaf)
		changed := t.changed(ctx, doc, leaf, nil)
		if changed == nil {
			needed = append(needed, pointer)
			changed = t.withoutSchema().changed(ctx, doc, leaf, func(v any) any { return fmt.Sprint(v, "-") })
		}
		if changed == nil {
			continue
		}
		for _, d := range event.Differences(result.Data, changed) {
			note(values, d.Path, pointer)
		}
	}
	return values, needed, nil
}

// withoutSchema is t without the schema, which may refuse a value that the mapping accepts as unknown.
func (t Trial) withoutSchema() Trial {
	account := *t.Account
	account.Provider.Validate = func(string, document.Object) []kycbridge.FieldError { return nil }
	t.Account = &account
	return t
}

// changed is the event of the body with one value changed, or omitted if change is nil; nil if there is no event.
func (t Trial) changed(ctx context.Context, doc map[string]any, leaf []string, change func(any) any) *event.Data {
	body, err := json.Marshal(edited(doc, leaf, change))
	if err != nil {
		return nil
	}
	t.Body = body
	result, err := t.Try(ctx)
	if err != nil {
		return nil
	}
	return result.Data
}

// note adds a member to the values at, below or above a path.
func note(values []Value, path, pointer string) {
	for i := range values {
		v := &values[i]
		meets := v.Path == path || strings.HasPrefix(path, v.Path+"/") || strings.HasPrefix(v.Path, path+"/")
		if meets && !slices.Contains(v.From, pointer) {
			v.From = append(v.From, pointer)
		}
	}
}

// leavesOf are the pointers of all scalar values of a document, sorted by name.
func leavesOf(v any, at []string) (leaves [][]string) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			leaves = append(leaves, leavesOf(v[name], append(slices.Clip(at), name))...)
		}
	case []any:
		for i, item := range v {
			leaves = append(leaves, leavesOf(item, append(slices.Clip(at), strconv.Itoa(i)))...)
		}
	default:
		return [][]string{at}
	}
	return leaves
}

// edited is a copy of a document with one value changed, or omitted if change is nil; an element of a list
// becomes null, so that the positions of the others do not change.
func edited(v any, at []string, change func(any) any) any {
	if len(at) == 0 {
		if change == nil {
			return nil
		}
		return change(v)
	}
	switch v := v.(type) {
	case map[string]any:
		out := maps.Clone(v)
		if len(at) == 1 && change == nil {
			delete(out, at[0])
		} else {
			out[at[0]] = edited(v[at[0]], at[1:], change)
		}
		return out
	case []any:
		i, err := strconv.Atoi(at[0])
		if err != nil || i >= len(v) {
			return v
		}
		out := slices.Clone(v)
		out[i] = edited(v[i], at[1:], change)
		return out
	}
	return v
}
