package schemas

import (
	"strconv"
	"strings"

	"kycbridge/document"
)

// Words returns the pointers of a body at which a schema of a provider lists words, in lower case, since
// names may be written in any case: true for words that name a state or a thing, false for personal
// values. at is the pointer to the part of the body that the schema describes.
func (s *Set) Words(provider, schema, at string, doc document.Object) map[string]bool {
	p, ok := s.known[name{provider, schema}]
	if !ok {
		return nil
	}
	var part any = map[string]any(doc)
	for token := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
		if token != "" {
			object, _ := part.(map[string]any)
			part = object[token]
		}
	}
	found := words{}
	found.look(p, strings.ToLower(at), part)
	return found
}

// words are the results by pointer.
type words map[string]bool

func (w words) look(p *place, pointer string, v any) {
	switch v := v.(type) {
	case map[string]any:
		if p.cases != nil {
			word, _ := v[p.cases.member].(string)
			p = p.of(word)
		}
		for key, inner := range v {
			if member := p.member(key); member != nil {
				w.look(member, pointer+"/"+pointerToken(key), inner)
			}
		}
	case []any:
		if p.items == nil {
			return
		}
		for i, item := range v {
			w.look(p.items, pointer+"/"+strconv.Itoa(i), item)
		}
	default:
		if p.words != nil || p.personal {
			w[pointer] = !p.personal
		}
	}
}

// member is the known shape of a member of an object; nil if it has none.
func (p *place) member(key string) *place {
	if member, ok := p.members[key]; ok {
		return member
	}
	return p.rest
}

// pointerToken escapes the name of a member for a pointer.
func pointerToken(key string) string { return strings.ToLower(pointerEscapes.Replace(key)) }

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")
