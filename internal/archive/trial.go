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

// Trial is one body that is to be tried: what schema and mapping make of it, where nothing else is known of
// its verification. Nothing is stored.
type Trial struct {
	Account    *kycbridge.Account
	Body       []byte
	Via        event.Via
	Placement  string    // where the credential stood; "" if it did not come as a callback
	ReceivedAt time.Time // a provider's time beyond it is not believed
	Now        time.Time // the recordedtime of the event

	Mapping                  string // version of the mappings
	TypePrefix, SourcePrefix string
}

// Tried is what came of a trial.
type Tried struct {
	Reason  string                 `json:"quarantined,omitempty"` // why it would go to quarantine
	Errors  []kycbridge.FieldError `json:"errors,omitempty"`
	NoEvent string                 `json:"no_event,omitempty"` // why it leads to no event
	Payload kycbridge.Payload      `json:"-"`
	Body    json.RawMessage        `json:"event,omitempty"` // the event as it would be published
	Data    *event.Data            `json:"-"`
}

// Try runs a trial. An error says that the mapping cannot read the body.
func (t Trial) Try(ctx context.Context) (Tried, error) {
	m := &bench{}
	intake := kycbridge.Intake{Log: m, Quarantine: m, Refusals: m}
	receipt, err := intake.Ingest(ctx, t.Account, kycbridge.Payload{Via: t.Via, Placement: t.Placement, ReceivedAt: t.ReceivedAt,
		ContentType: "application/json", Body: t.Body})
	if err != nil {
		return Tried{}, err
	}
	if receipt.Status == kycbridge.ReceiptQuarantined {
		return Tried{Reason: receipt.Reason, Errors: receipt.Errors}, nil
	}
	n := kycbridge.Normalizer{
		Accounts: kycbridge.Accounts{{Provider: t.Account.Provider.Name, Account: t.Account.Name}: t.Account},
		Events:   m, Log: m, Quarantine: m, Mapping: t.Mapping, TypePrefix: t.TypePrefix, SourcePrefix: t.SourcePrefix, MaxAttempts: 1,
		Now: func() time.Time { return t.Now },
	}
	done, err := n.Process(ctx, *m.stored)
	if err != nil {
		return Tried{Payload: *m.stored}, fmt.Errorf("process: %w", err)
	}
	tried := Tried{NoEvent: done.NoEvent, Payload: *m.stored, Body: m.event}
	if done.Event != nil {
		tried.Data = &done.Event.Data
	}
	return tried, nil
}

// Golden is what a trial came to as a golden file holds it: the event, indented, or why there is none.
func (t Tried) Golden() ([]byte, error) {
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

// bench stands where the streams stand, for one payload.
type bench struct {
	stored *kycbridge.Payload
	event  []byte
}

// Append keeps the payload.
func (m *bench) Append(_ context.Context, p kycbridge.Payload) (kycbridge.Stored, error) {
	m.stored = &p
	return kycbridge.Stored{Digest: p.Digest}, nil
}

// Quarantine keeps nothing: the receipt tells all.
func (m *bench) Quarantine(context.Context, kycbridge.Payload, string, []kycbridge.FieldError) error {
	return nil
}

// Refuse keeps nothing.
func (m *bench) Refuse(context.Context, kycbridge.Payload, kycbridge.Request, string) {}

// Last knows no event.
func (m *bench) Last(context.Context, kycbridge.Key, bool) (kycbridge.State, error) {
	return kycbridge.State{Read: true}, nil
}

// Publish keeps the event.
func (m *bench) Publish(_ context.Context, _ kycbridge.Key, e kycbridge.Sealed, _ uint64) error {
	m.event = e.Body
	return nil
}

// History knows no payload.
func (m *bench) History(context.Context, kycbridge.Key, func(kycbridge.Payload) error) error {
	return nil
}

// WasErased knows no erasure.
func (m *bench) WasErased(context.Context, kycbridge.Payload) (bool, error) { return false, nil }

// Value is a value of an event and the members of the body that it came from.
type Value struct {
	event.Difference
	From []string `json:"from,omitempty"` // JSON pointers into the body
}

// mostLeaves is how many members of a body are looked at for where values came from.
const mostLeaves = 2000

// Values are the values of the event that a trial led to, each with the members of the body without which it
// would be another. That is found by leaving out one member after the other; needed are those without which
// there is no event at all, and which are changed instead.
func (t Trial) Values(ctx context.Context, tried Tried) (values []Value, needed []string, err error) {
	if tried.Data == nil {
		return nil, nil, nil
	}
	empty := &event.Data{Provider: event.ProviderData{Name: tried.Data.Provider.Name}}
	for _, d := range event.Differences(empty, tried.Data) {
		values = append(values, Value{Difference: d})
	}
	doc, faults := t.Account.Provider.Read(t.Body)
	if len(faults) > 0 {
		return values, nil, nil
	}
	leaves := leavesOf(map[string]any(doc), nil)
	for _, leaf := range leaves[:min(len(leaves), mostLeaves)] {
		pointer := document.Pointer(leaf)
		changed := t.changed(ctx, doc, leaf, nil)
		if changed == nil {
			needed = append(needed, pointer)
			changed = t.lenient().changed(ctx, doc, leaf, func(v any) any { return fmt.Sprint(v, "-") })
		}
		if changed == nil {
			continue
		}
		for _, d := range event.Differences(tried.Data, changed) {
			note(values, d.Path, pointer)
		}
	}
	return values, needed, nil
}

// lenient is t without the schema, which may refuse a word that the mapping would take for an unknown one.
func (t Trial) lenient() Trial {
	account := *t.Account
	account.Provider.Validate = func(string, document.Object) []kycbridge.FieldError { return nil }
	t.Account = &account
	return t
}

// changed is the event of the body with one value changed, or left out where change is nil; nil if it leads to none.
func (t Trial) changed(ctx context.Context, doc map[string]any, leaf []string, change func(any) any) *event.Data {
	body, err := json.Marshal(edited(doc, leaf, change))
	if err != nil {
		return nil
	}
	t.Body = body
	tried, err := t.Try(ctx)
	if err != nil {
		return nil
	}
	return tried.Data
}

// note writes a member down at the values that lie at, below or above a path.
func note(values []Value, path, pointer string) {
	for i := range values {
		v := &values[i]
		meets := v.Path == path || strings.HasPrefix(path, v.Path+"/") || strings.HasPrefix(v.Path, path+"/")
		if meets && !slices.Contains(v.From, pointer) {
			v.From = append(v.From, pointer)
		}
	}
}

// leavesOf are the places of all values of a document that hold no others, in the order of their names.
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

// edited is a copy of a document with one value changed, or left out where change is nil; one of a list then
// becomes null, so that the others stay where they are.
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
