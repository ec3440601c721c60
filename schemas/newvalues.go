package schemas

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// NewValue is something in a body that its schema does not know: a member, or a word where the known
// ones are listed. It may be shown to anybody.
type NewValue struct {
	Kind    string // NewField or NewWord
	Pointer string // JSON pointer; * stands for indices, for keys of maps and for what is not shown
	Value   string // of a word, where it can be shown; "" elsewhere
}

// What can be new.
const (
	NewField = "field"
	NewWord  = "value"
)

// Bounds of what is told of one body and of what is shown of it. A name or a word with many digits
// in it may be the number of somebody.
const (
	mostNewValues = 32
	mostFound     = 1024
	maxWord       = 48
	maxRun        = 3 // digits in a row
	maxWordDigits = 4
)

// NewValues tells what in doc, a tree as Decode makes it, a schema of a provider does not know: each
// thing once, sorted, 32 at most. It looks at what is known and never at what is checked, so a body
// that is at fault can be asked about too.
func (s *Set) NewValues(provider, schema string, doc any) []NewValue {
	p, ok := s.known[name{provider, schema}]
	if !ok {
		return nil
	}
	var f finder
	f.look(p, doc)
	return f.told()
}

// told is what was found, each thing once, sorted and not too much of it.
func (f *finder) told() []NewValue {
	if f.found == nil {
		return nil
	}
	slices.SortFunc(f.found, func(a, b NewValue) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	f.found = slices.Compact(f.found)
	return f.found[:min(len(f.found), mostNewValues)]
}

// finder walks a body beside what is known of it.
type finder struct{ found []NewValue }

func (f *finder) look(p *place, v any) {
	switch v := v.(type) {
	case map[string]any:
		f.object(p, v)
	case []any:
		if p.items == nil || p.items.open() {
			return
		}
		for _, item := range v {
			f.look(p.items, item)
		}
	case string:
		f.word(p, v)
	case json.Number:
		f.word(p, string(v))
	case bool:
		f.word(p, strconv.FormatBool(v))
	}
}

func (f *finder) object(p *place, v map[string]any) {
	p = p.of(v)
	if p.members == nil && p.rest == nil {
		return
	}
	for key, value := range v {
		member, ok := p.members[key]
		if !ok {
			member = p.rest
		}
		switch {
		case member == nil:
			f.add(NewValue{Kind: NewField, Pointer: p.pointer + "/" + identifier(key)})
		case !member.open():
			f.look(member, value)
		}
	}
}

// word looks up a value where the known ones are listed. An empty one says nothing.
func (f *finder) word(p *place, v string) {
	if p.words == nil || v == "" || p.words[v] || len(v) <= maxToken && p.words[folded(v)] {
		return
	}
	n := NewValue{Kind: NewWord, Pointer: p.pointer}
	if !p.personal {
		n.Value = plainWord(v, p.dotted)
	}
	f.add(n)
}

func (f *finder) add(n NewValue) {
	if len(f.found) < mostFound {
		f.found = append(f.found, n)
	}
}

// identifier returns a member name if it looks like one that a program has, else withheld: a name
// may hold anything that a value may.
func identifier(s string) string {
	if len(s) > maxToken || !label(s, "_-.") || digitsOf(s) > maxWordDigits || isDigit(s[0]) {
		return withheld
	}
	return s
}

// plainWord returns a value if it looks like a word of an enumeration, else nothing.
func plainWord(s string, dotted bool) string {
	others := "_- "
	if dotted {
		others += "."
	}
	if len(s) > maxWord || !label(s, others) || digitsOf(s) > maxWordDigits || strings.TrimSpace(s) != s {
		return ""
	}
	return s
}

// label reports whether s is made of ASCII letters, digits and some others, begins with a letter, a
// digit or '_', and has no long run of digits.
func label(s, others string) bool {
	run := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= utf8.RuneSelf:
			return false
		case isDigit(c):
			if run++; run > maxRun {
				return false
			}
			continue
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_':
		case i == 0 || strings.IndexByte(others, c) < 0:
			return false
		}
		run = 0
	}
	return s != ""
}

func digitsOf(s string) (n int) {
	for i := range len(s) {
		if isDigit(s[i]) {
			n++
		}
	}
	return n
}

// NewAround tells what lies in doc beside the part at a JSON pointer that a schema describes: of a
// wrapper nothing is known but what it wraps.
func NewAround(doc any, at string) []NewValue {
	var f finder
	path := ""
	for token := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
		object, ok := doc.(map[string]any)
		if !ok || token == "" {
			break
		}
		for key := range object {
			if key != token {
				f.add(NewValue{Kind: NewField, Pointer: path + "/" + identifier(key)})
			}
		}
		doc, path = object[token], path+"/"+token
	}
	return f.told()
}
