package schemas

import (
	"strconv"
	"strings"

	"kycbridge/document"
)

// Words tells at which places of a body a schema of a provider lists words, as JSON pointers in lower
// case, since names may be written in any case: true for words that name a state or a thing, false where
// the schema says that what stands there is about a person. At is the pointer to the part of the body
// that the schema describes.
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

// words are places by pointer.
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

// member is what is known of a member of an object; nil if nothing is.
func (p *place) member(key string) *place {
	if member, ok := p.members[key]; ok {
		return member
	}
	return p.rest
}

// pointerToken writes the name of a member as a part of a pointer.
func pointerToken(key string) string { return strings.ToLower(pointerEscapes.Replace(key)) }

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")
