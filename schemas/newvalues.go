package schemas

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"kycbridge/document"
)

// NewValue is something in a body that its schema does not know: a member, a word where the known
// ones are listed, or a value of another JSON type than expected. Kind and pointer may be shown to
// anybody; of a word the list of what is personal decides, which is not kept here.
type NewValue struct {
	Kind    string // NewField, NewWord or NewType
	Pointer string // JSON pointer; * stands for indices, for keys of maps and for what is not shown
	Value   string // of a word, as it stands in the body; the JSON type that came instead; "" of a word that is long or about a person
}

// What can be new.
const (
	NewField = "field"
	NewWord  = "value"
	NewType  = "type"
)

// Bounds of what is looked for and told of one body.
const (
	mostNewValues = 32
	mostFound     = 1024
	maxWord       = 96
)

// NewValues tells what in a body a schema of a provider does not know: each thing once, sorted, 32 at
// most. At is the JSON pointer to the part of the body that the schema describes; of a wrapper around
// it nothing is known but what it wraps. NewValues compares with what is known and never with what is
// checked, so a body that breaks its schema can be asked about too.
func (s *Set) NewValues(provider, schema, at string, doc document.Object) []NewValue {
	p, ok := s.known[name{provider, schema}]
	if !ok {
		return nil
	}
	w := walker{part: at}
	w.around(p, map[string]any(doc), at)
	return w.sorted()
}

// walker walks a body beside what is known of it.
type walker struct {
	part  string // where the part lies that the schema describes
	found map[NewValue]struct{}
}

// around looks at what lies around the part at a pointer, and at the part.
func (w *walker) around(p *place, v any, at string) {
	if at == "" {
		w.value(p, v)
		return
	}
	token, _, _ := strings.Cut(at[1:], "/")
	around, rest := strings.TrimSuffix(w.part, at), at[1+len(token):]
	object, _ := v.(map[string]any)
	for key, inner := range object {
		if key == token {
			w.around(p, inner, rest)
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

// word looks up a value where the known ones are listed. An empty one says nothing.
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
	if len(w.found) < mostFound {
		w.found[n] = struct{}{}
	}
}

// sorted is what was found, in order and not too much of it.
func (w *walker) sorted() []NewValue {
	if w.found == nil {
		return nil
	}
	all := slices.SortedFunc(maps.Keys(w.found), func(a, b NewValue) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return all[:min(len(all), mostNewValues)]
}
