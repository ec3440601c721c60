package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode"
)

// tree is a JSON value that keeps what a map loses: the order of members, duplicate names, the text of numbers, and
// JSON inside a string.
type tree struct {
	kind    treeKind
	members []treeMember // of an object
	items   []*tree      // of an array; of a string that contains JSON, its one value
	raw     string       // of a leaf, as JSON
}

type treeMember struct {
	name  string
	value *tree
}

// treeKind is the kind of a tree.
type treeKind byte

const (
	treeLeaf treeKind = iota
	treeObject
	treeArray
	treeEmbedded // a string that contains an object or an array
)

// parseTree reads a body; an error means that it is not JSON.
func parseTree(body []byte) (*tree, error) {
	d := json.NewDecoder(bytes.NewReader(bytes.TrimPrefix(body, []byte("\xef\xbb\xbf"))))
	d.UseNumber()
	t, err := readTree(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something stands behind the value")
	}
	return t, nil
}

func readTree(d *json.Decoder) (*tree, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		t := &tree{kind: treeObject}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				return nil, err
			}
			value, err := readTree(d)
			if err != nil {
				return nil, err
			}
			t.members = append(t.members, treeMember{name.(string), value})
		}
		_, err = d.Token()
		return t, err
	case json.Delim('['):
		t := &tree{kind: treeArray}
		for d.More() {
			item, err := readTree(d)
			if err != nil {
				return nil, err
			}
			t.items = append(t.items, item)
		}
		_, err = d.Token()
		return t, err
	}
	if s, is := token.(string); is && (strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[")) {
		if inner, err := parseTree([]byte(s)); err == nil {
			return &tree{kind: treeEmbedded, items: []*tree{inner}}, nil
		}
	}
	return &tree{raw: text(token)}, nil
}

// leafOf is the tree of raw, or a leaf with the text raw if it is not JSON.
func leafOf(raw string) *tree {
	if t, err := parseTree([]byte(raw)); err == nil {
		return t
	}
	return &tree{raw: raw}
}

// clone copies t, so that the copy can be changed.
func (t *tree) clone() *tree {
	c := &tree{kind: t.kind, raw: t.raw}
	for _, m := range t.members {
		c.members = append(c.members, treeMember{m.name, m.value.clone()})
	}
	for _, item := range t.items {
		c.items = append(c.items, item.clone())
	}
	return c
}

// bytes writes t as JSON.
func (t *tree) bytes() []byte {
	var out bytes.Buffer
	t.write(&out)
	return out.Bytes()
}

func (t *tree) write(out *bytes.Buffer) {
	switch t.kind {
	case treeObject:
		out.WriteByte('{')
		for i, m := range t.members {
			if i > 0 {
				out.WriteByte(',')
			}
			out.WriteString(text(m.name))
			out.WriteByte(':')
			m.value.write(out)
		}
		out.WriteByte('}')
	case treeArray:
		out.WriteByte('[')
		for i, item := range t.items {
			if i > 0 {
				out.WriteByte(',')
			}
			item.write(out)
		}
		out.WriteByte(']')
	case treeEmbedded:
		out.WriteString(text(string(t.items[0].bytes())))
	default:
		out.WriteString(t.raw)
	}
}

// child is the i-th value within t; nil if it does not exist.
func (t *tree) child(i int) *tree {
	switch {
	case i < len(t.members):
		return t.members[i].value
	case i < len(t.items):
		return t.items[i]
	}
	return nil
}

// at follows places down from t; nil if one of them does not exist.
func (t *tree) at(places []int) *tree {
	for _, i := range places {
		if t = t.child(i); t == nil {
			return nil
		}
	}
	return t
}

// each calls f with every value below t: its places, and its path in lower case with * for items.
func (t *tree) each(f func(places []int, path string, v *tree)) { t.eachBelow(nil, "", f) }

func (t *tree) eachBelow(places []int, path string, f func([]int, string, *tree)) {
	below := func(i int, name string, v *tree) {
		at := append(places[:len(places):len(places)], i)
		f(at, path+name, v)
		v.eachBelow(at, path+name, f)
	}
	for i, m := range t.members {
		below(i, "/"+strings.ToLower(m.name), m.value)
	}
	for i, item := range t.items {
		if t.kind == treeEmbedded {
			item.eachBelow(append(places[:len(places):len(places)], i), path, f)
			continue
		}
		below(i, "/*", item)
	}
}

// find is every value at a path of names joined by slashes, in any letter case; * is any member or item. It also
// searches JSON inside strings.
func (t *tree) find(path string) (found []*tree) {
	if t.kind == treeEmbedded && path != "" {
		return t.items[0].find(path)
	}
	if path == "" {
		return []*tree{t}
	}
	name, rest, _ := strings.Cut(path, "/")
	for _, m := range t.members {
		if name == "*" || strings.EqualFold(m.name, name) {
			found = append(found, m.value.find(rest)...)
		}
	}
	for _, item := range t.items {
		if name == "*" {
			found = append(found, item.find(rest)...)
		}
	}
	return found
}

// nothing is the word of a missing value, and several that of a value that is not a single word.
const nothing, several = "", "?"

// word is the only word at a path, in lower case without spaces and underscores: a string, a number or a boolean.
// Null and empty text are nothing; several values are several.
func (t *tree) word(path string) string {
	found := t.find(path)
	switch {
	case len(found) == 0:
		return nothing
	case len(found) > 1:
		return several
	}
	return found[0].said()
}

// said is the value of a leaf, in the format of word.
func (t *tree) said() string {
	if t.kind != treeLeaf {
		return several
	}
	var s string
	if json.Unmarshal([]byte(t.raw), &s) != nil {
		s = strings.TrimSuffix(t.raw, "null")
	}
	return strings.Map(func(r rune) rune {
		if r == '_' || unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// doubled reports whether an object contains a name twice, in any letter case. It searches JSON inside a string if
// that is a member's value, and ignores everything below the members called but.
func (t *tree) doubled(but string) bool {
	seen := map[string]bool{}
	for _, m := range t.members {
		name := strings.ToLower(m.name)
		if seen[name] {
			return true
		}
		seen[name] = true
		if name != but && m.value.doubled(but) {
			return true
		}
	}
	for _, item := range t.items {
		if item.kind != treeEmbedded && item.doubled(but) {
			return true
		}
	}
	return false
}
