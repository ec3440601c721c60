package schemas

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"kycbridge/document"
)

// NewValue is a value in a body that its schema does not know: a member, a word outside the listed ones,
// or a value of another JSON type than expected. Kind and pointer may be shown; whether a word may be
// shown is decided by the list of personal words, which is in another package.
type NewValue struct {
	Kind    string // NewField, NewWord or NewType
	Pointer string // JSON pointer; * stands for indices, for keys of maps and for hidden names
	Value   string // of a word, as in the body; the JSON type that was received; "" for a long or personal word
}

// The kinds of new values.
const (
	NewField = "field"
	NewWord  = "value"
	NewType  = "type"
)

// Limits of the search in one body.
const (
	maxNewValues = 32
	maxFound     = 1024
	maxWord      = 96
)

// NewValues returns the values in a body that a schema of a provider does not know: each one once, sorted,
// 32 at most. at is the JSON pointer to the part of the body that the schema describes; of a wrapper only
// the path to that part is known. NewValues compares with the known shape and never with the checked
// rules, so it accepts a body that breaks its schema too.
func (s *Set) NewValues(provider, schema, at string, doc document.Object) []NewValue {
	p, ok := s.known[name{provider, schema}]
	if !ok {
		return nil
	}
	w := walker{part: at}
	w.descend(p, map[string]any(doc), at)
	return w.sorted()
}

// walker compares a body with its known shape.
type walker struct {
	part  string // pointer of the part that the schema describes
	found map[NewValue]struct{}
}

// descend examines the wrapper of the part at a pointer, and the part.
func (w *walker) descend(p *place, v any, at string) {
	if at == "" {
		w.value(p, v)
		return
	}
	token, _, _ := strings.Cut(at[1:], "/")
	around, rest := strings.TrimSuffix(w.part, at), at[1+len(token):]
	object, _ := v.(map[string]any)
	for key, inner := range object {
		if key == token {
			w.descend(p, inner, rest)
		} else {
			w.add(NewValue{Kind: NewField, Pointer: around + "/" + identifier(key)})
		}
	}
}

func (w *walker) value(p *place, v any) {
	if p.open() {
		return
	}
	if came, name := typeOf(v); p.types != 0 && came&^p.types != 0 {
		w.add(NewValue{Kind: NewType, Pointer: w.part + p.pointer, Value: name})
		return
	}
	switch v := v.(type) {
	case map[string]any:
		w.object(p, v)
	case []any:
		if p.items != nil {
			for _, item := range v {
				w.value(p.items, item)
			}
		}
	case string:
		w.word(p, v)
	case json.Number, bool:
		w.word(p, document.Text(v))
	}
}

func (w *walker) object(p *place, object map[string]any) {
	if p.cases != nil {
		word, _ := object[p.cases.member].(string)
		p = p.of(word)
	}
	if p.members == nil && p.rest == nil {
		return
	}
	for key, v := range object {
		member, ok := p.members[key]
		if !ok {
			member = p.rest
		}
		if member == nil {
			w.add(NewValue{Kind: NewField, Pointer: w.part + p.pointer + "/" + identifier(key)})
			continue
		}
		w.value(member, v)
	}
}

// word checks a value if the schema lists the known values at p. An empty value is ignored.
func (w *walker) word(p *place, v string) {
	if p.words == nil || v == "" || p.words[v] || len(v) <= document.MaxToken && p.words[folded(v)] {
		return
	}
	n := NewValue{Kind: NewWord, Pointer: w.part + p.pointer}
	if !p.personal && len(v) <= maxWord {
		n.Value = v
	}
	w.add(n)
}

func (w *walker) add(n NewValue) {
	if w.found == nil {
		w.found = map[NewValue]struct{}{}
	}
	if len(w.found) < maxFound {
		w.found[n] = struct{}{}
	}
}

// sorted is the limited, sorted result.
func (w *walker) sorted() []NewValue {
	if w.found == nil {
		return nil
	}
	all := slices.SortedFunc(maps.Keys(w.found), func(a, b NewValue) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return all[:min(len(all), maxNewValues)]
}
