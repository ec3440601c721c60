package schemas

import (
	"cmp"
	"maps"
	"slices"
	"strings"
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

// Bounds of what is looked for and told of one body.
const (
	mostNewValues = 32
	mostFound     = 1024
)

// NewValues tells what in a body a schema of a provider does not know: each thing once, sorted, 32 at
// most. At is the JSON pointer to the part of the body that the schema describes; of a wrapper around
// it nothing is known but what it wraps. NewValues looks at what is known and never at what is
// checked, so a body that is at fault can be asked about too; what is no JSON tells nothing.
//
// It reads the text beside what is known of it, passes over what has no known shape, and makes no
// tree: every payload is asked about, and next to none holds anything new.
func (s *Set) NewValues(provider, schema, at, body string) []NewValue {
	p, ok := s.known[name{provider, schema}]
	if !ok {
		return nil
	}
	l := looker{decoder: decoder{text: body}, part: at}
	l.space()
	if !l.inside(p, at) {
		return nil
	}
	return l.told()
}

// looker walks a body beside what is known of it. Its methods return false where the text is no JSON.
type looker struct {
	decoder
	part  string // where the part lies that the schema describes
	found map[NewValue]struct{}
}

// inside looks at what lies around the part at a pointer, and at the part.
func (l *looker) inside(p *place, at string) bool {
	if at == "" {
		return l.look(p)
	}
	token, _, _ := strings.Cut(at[1:], "/")
	around, rest := strings.TrimSuffix(l.part, at), at[1+len(token):]
	if !l.opened('{') {
		return false
	}
	for more := l.peek() != '}'; more; more = l.next() {
		key, ok := l.key()
		if ok && key == token {
			ok = l.inside(p, rest)
		} else if ok {
			l.add(NewValue{Kind: NewField, Pointer: around + "/" + identifier(key)})
			ok = l.pass()
		}
		if !ok {
			return false
		}
	}
	return l.closed('}')
}

// look looks at the value that begins here.
func (l *looker) look(p *place) bool {
	if p.open() {
		return l.pass()
	}
	switch l.peek() {
	case '{':
		return l.object(p)
	case '[':
		return l.items(p)
	case '"':
		if p.words == nil {
			return l.pass()
		}
		word, wrong := l.str()
		l.word(p, word)
		return wrong == nil
	}
	start := l.at
	ok := l.pass()
	if text := l.text[start:l.at]; ok && text != "null" {
		l.word(p, text)
	}
	return ok
}

func (l *looker) object(p *place) bool {
	if p.cases != nil {
		p = p.of(l.ahead(p.cases.member))
	}
	if p.members == nil && p.rest == nil {
		return l.pass()
	}
	l.opened('{')
	for more := l.peek() != '}'; more; more = l.next() {
		key, ok := l.key()
		if !ok || !l.member(p, key) {
			return false
		}
	}
	return l.closed('}')
}

// member looks at the value of a member.
func (l *looker) member(p *place, key string) bool {
	member, ok := p.members[key]
	if !ok && p.anyCase != nil {
		member, ok = p.anyCase[strings.ToLower(key)]
	}
	if !ok {
		member = p.rest
	}
	if member == nil {
		l.add(NewValue{Kind: NewField, Pointer: l.part + p.pointer + "/" + identifier(key)})
		return l.pass()
	}
	return l.look(member)
}

func (l *looker) items(p *place) bool {
	if p.items == nil {
		return l.pass()
	}
	l.opened('[')
	for more := l.peek() != ']'; more; more = l.next() {
		if !l.look(p.items) {
			return false
		}
	}
	return l.closed(']')
}

// ahead reads the string in a member of the object that begins here, and stays here.
func (l *looker) ahead(name string) (word string) {
	there := looker{decoder: decoder{text: l.text, at: l.at}}
	there.opened('{')
	for more := there.peek() != '}'; more; more = there.next() {
		key, ok := there.key()
		if !ok {
			return word
		}
		if there.peek() == '"' && strings.EqualFold(key, name) {
			word, _ = there.str()
		} else if !there.pass() {
			return word
		}
	}
	return word
}

// opened steps over an opening bracket, closed over a closing one, if that is what comes.
func (l *looker) opened(bracket byte) bool {
	if !l.closed(bracket) {
		return false
	}
	l.space()
	return true
}

func (l *looker) closed(bracket byte) bool {
	if l.peek() != bracket {
		return false
	}
	l.at++
	return true
}

// key reads the name of a member and steps to its value.
func (l *looker) key() (string, bool) {
	if l.peek() != '"' {
		return "", false
	}
	key, wrong := l.str()
	l.space()
	if wrong != nil || l.peek() != ':' {
		return "", false
	}
	l.at++
	l.space()
	return key, true
}

// pass steps over the value that begins here, without a look at what is in it.
func (l *looker) pass() bool {
	text, depth := l.text, 0
	for i := l.at; i < len(text); i++ {
		switch text[i] {
		case '"':
			if i = endOfString(text, i+1); i == len(text) {
				return false
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth--; depth < 0 {
				return false
			}
		case ',', ':', ' ', '\n', '\r', '\t':
			continue
		default: // a number or a word
			for i+1 < len(text) && !ends(text[i+1]) {
				i++
			}
		}
		if depth == 0 {
			l.at = i + 1
			return true
		}
	}
	return false
}

// ends reports whether a number or a word is over before c.
func ends(c byte) bool {
	switch c {
	case ',', ']', '}', ' ', '\n', '\r', '\t':
		return true
	}
	return false
}

// endOfString is where the string that goes on at i ends, or the length of the text.
func endOfString(text string, i int) int {
	for {
		n := strings.IndexByte(text[i:], '"')
		if n < 0 {
			return len(text)
		}
		end, slashes := i+n, 0
		for end-slashes > i && text[end-slashes-1] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return end
		}
		i = end + 1
	}
}

// word looks up a value where the known ones are listed. An empty one says nothing.
func (l *looker) word(p *place, v string) {
	if p.words == nil || v == "" || p.words[v] || len(v) <= maxToken && p.words[folded(v)] {
		return
	}
	n := NewValue{Kind: NewWord, Pointer: l.part + p.pointer}
	if !p.personal {
		n.Value = plainWord(v, p.marks)
	}
	l.add(n)
}

func (l *looker) add(n NewValue) {
	if l.found == nil {
		l.found = map[NewValue]struct{}{}
	}
	if len(l.found) < mostFound {
		l.found[n] = struct{}{}
	}
}

// told is what was found, sorted and not too much of it.
func (l *looker) told() []NewValue {
	if l.found == nil {
		return nil
	}
	all := slices.SortedFunc(maps.Keys(l.found), func(a, b NewValue) int {
		return cmp.Or(cmp.Compare(a.Pointer, b.Pointer), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return all[:min(len(all), mostNewValues)]
}
