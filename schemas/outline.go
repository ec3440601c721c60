package schemas

import "strings"

// outlineDepth is how deep the tree of an outline goes: a body, and what is right in its objects.
const outlineDepth = 2

// Outline reads as much of a body as it takes to see what kind of body it is: its members and those
// of the objects in it. Objects and arrays further down are there and empty. It returns false if
// that much is no JSON object.
func Outline(body string) (doc map[string]any, ok bool) {
	l := looker{decoder: decoder{text: body, open: make([]member, 0, 64)}}
	l.space()
	if l.peek() != '{' {
		return nil, false
	}
	return l.outline(outlineDepth)
}

func (l *looker) outline(depth int) (map[string]any, bool) {
	if depth == 0 {
		return map[string]any{}, l.pass()
	}
	l.opened('{')
	first := len(l.open)
	for more := l.peek() != '}'; more; more = l.next() {
		key, ok := l.key()
		if !ok {
			return nil, false
		}
		value, ok := l.sketch(depth)
		if !ok {
			return nil, false
		}
		l.open = append(l.open, member{key, value})
	}
	object := make(map[string]any, len(l.open)-first)
	for _, m := range l.open[first:] {
		object[m.name] = m.value
	}
	l.open = l.open[:first]
	return object, l.closed('}')
}

// sketch reads a value in an object of an outline.
func (l *looker) sketch(depth int) (any, bool) {
	switch l.peek() {
	case '{':
		return l.outline(depth - 1)
	case '[':
		return []any{}, l.pass()
	case '"':
		start := l.at
		if !l.pass() {
			return nil, false
		}
		if raw := l.text[start+1 : l.at-1]; strings.IndexByte(raw, '\\') < 0 {
			return raw, true // next to all of them; much faster than to look at each byte
		}
		l.at = start
	}
	v, wrong := l.value()
	return v, wrong == nil
}
