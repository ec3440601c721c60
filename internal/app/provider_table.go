package app

import (
	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/schemas"
)

// Providers is the table of providers by name, with their schemas.
func Providers(set *schemas.Set) map[string]kycbridge.Provider {
	table := map[string]kycbridge.Provider{}
	for _, p := range providers() {
		p.Read = document.NewReader(set.MemberNames(p.Name), p.Forms).Decode
		p.Validate = func(schema string, doc document.Object) []kycbridge.FieldError {
			return set.Validate(p.Name, schema, doc)
		}
		p.NewValues = newValuesOf(set, p.Provider)
		p.Words = wordsOf(set, p.Provider)
		table[p.Name] = p.Provider
	}
	return table
}

// newValuesOf finds the values of a decoded body that p's schemas do not know.
func newValuesOf(
	set *schemas.Set, p kycbridge.Provider,
) func(document.Object, event.Via) []kycbridge.NewValue {
	return func(doc document.Object, via event.Via) (found []kycbridge.NewValue) {
		id := p.Identify(doc, via)
		for _, v := range set.NewValues(p.Name, id.Schema, id.At, doc) {
			found = append(found, kycbridge.NewValue(v))
		}
		return found
	}
}

// wordsOf finds the pointers of a payload at which p's schemas list words.
func wordsOf(set *schemas.Set, p kycbridge.Provider) func(kycbridge.Payload) map[string]bool {
	return func(payload kycbridge.Payload) map[string]bool {
		doc, faults := p.Document(payload)
		if len(faults) > 0 {
			return nil
		}
		id := p.Identify(doc, payload.Via)
		return set.Words(p.Name, id.Schema, id.At, doc)
	}
}
