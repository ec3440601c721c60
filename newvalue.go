package kycbridge

import (
	"cmp"
	"slices"

	"kycbridge/event"
)

// NewValue is something in a payload that the schema of its provider does not know: a member, a word
// where the known ones are listed, or a value of another JSON type than expected. It names a place and
// never what stands there, apart from words of enumerations that are about nobody, so it may be logged,
// counted and kept.
type NewValue struct {
	Kind    string `json:"kind"`            // NewField, NewWord or NewType
	Pointer string `json:"pointer"`         // JSON pointer; * for indices, keys of maps and what is not shown
	Value   string `json:"value,omitempty"` // of a word, where it can be shown; the JSON type that came instead
}

// What can be new.
const (
	NewField = "field"
	NewWord  = "value"
	NewType  = "type"
)

// newValues looks for what is new in a payload that is done with. It is asked on the way to the
// event, never on the way to the answer.
func (n *Normalizer) newValues(p Payload) []NewValue {
	account, err := n.Accounts.Find(p.Provider, p.Account)
	if err != nil || p.Notice || account.Provider.NewValues == nil {
		return nil
	}
	return harmlessValues(account.Provider.NewValues(p), p.Provider)
}

// harmlessValues leaves out the words that may be about a person. What differed in these only is one.
func harmlessValues(found []NewValue, provider string) []NewValue {
	for i := range found {
		if found[i].Kind == NewWord && !event.HarmlessWord(found[i].Value, provider) {
			found[i].Value = ""
		}
	}
	slices.SortFunc(found, func(a, b NewValue) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return slices.Compact(found)
}
