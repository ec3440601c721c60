package kycbridge

// NewValue is something in a payload that the schema of its provider does not know: a member, or a
// word where the known ones are listed. It names a place and never what stands there, apart from
// words of enumerations that are about nobody, so it may be logged, counted and kept.
type NewValue struct {
	Kind    string `json:"kind"`            // NewField or NewWord
	Pointer string `json:"pointer"`         // JSON pointer; * for indices, keys of maps and what is not shown
	Value   string `json:"value,omitempty"` // of a word, where it can be shown
}

// What can be new.
const (
	NewField = "field"
	NewWord  = "value"
)

// newValues looks for what is new in a payload that is done with. It is asked on the way to the
// event, never on the way to the answer.
func (n *Normalizer) newValues(p Payload) []NewValue {
	account, err := n.Accounts.Find(p.Provider, p.Account)
	if err != nil || p.Notice || account.Provider.NewValues == nil {
		return nil
	}
	return account.Provider.NewValues(p.Body)
}
