package kycbridge

import (
	"cmp"
	"slices"
	"strings"

	"kycbridge/document"
	"kycbridge/event"
)

// NewValue is a value in a payload that the schema of its provider does not know: a member, a word outside
// the listed ones, or a value of another JSON type than expected. It names a pointer and never the value
// there, except words of impersonal enumerations, so it may be logged, counted and stored.
type NewValue struct {
	Kind    string `json:"kind"`            // NewField, NewWord or NewType
	Pointer string `json:"pointer"`         // JSON pointer; * for indices, keys of maps and hidden names
	Value   string `json:"value,omitempty"` // of a word, if it may be shown; the JSON type that was received
}

// The kinds of new values.
const (
	NewField = "field"
	NewWord  = "value"
	NewType  = "type"
)

// newValues finds the new values of a processed payload. It runs while the event is created, never while a
// callback is answered.
func (n *Normalizer) newValues(p Payload, doc document.Object) []NewValue {
	account, err := n.Accounts.Find(p.Provider, p.Account)
	if err != nil || doc == nil || account.Provider.NewValues == nil {
		return nil
	}
	return harmlessValues(account.Provider.NewValues(doc, p.Via), p.Provider)
}

// harmlessValues omits words, and names of new fields, that may be personal: pointers are in the log and in metrics.
// Values that differed only in these are merged.
func harmlessValues(found []NewValue, provider string) []NewValue {
	for i := range found {
		if found[i].Kind == NewWord && !event.HarmlessWord(found[i].Value, provider) {
			found[i].Value = ""
		}
		if found[i].Kind == NewField {
			found[i].Pointer = harmlessField(found[i].Pointer, provider)
		}
	}
	slices.SortFunc(found, func(a, b NewValue) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return slices.Compact(found)
}

// harmlessField is the pointer of a new field with its name withheld if that may be personal. The names before it are
// those of the schema.
func harmlessField(pointer, provider string) string {
	last := strings.LastIndexByte(pointer, '/') + 1
	if event.HarmlessName(pointer[last:], provider) {
		return pointer
	}
	return pointer[:last] + document.Withheld
}
