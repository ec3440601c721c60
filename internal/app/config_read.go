package app

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"kycbridge/normalize"
)

// reader fills a Config from a YAML file and from environment variables. It follows the Go types, so that every
// fault is found, each with its line. Valid values are stored even if others are faulty.
type reader struct {
	report
	environment map[string]string
	referenced  map[string]bool // variables that the file references
	files       fileDigests     // that were read
	settings    []normalize.Setting
}

// ownSection is a section with a custom set of keys; other sections are structs.
type ownSection interface {
	read(r *reader, section string, entries []entryNode)
}

// read reads the file into config.
func (r *reader) read(raw []byte, config *Config) {
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	var doc, next yaml.Node
	err := decoder.Decode(&doc)
	if err == nil {
		if err = decoder.Decode(&next); err == nil {
			r.sources[""] = source{line: next.Line}
			r.add("", "holds a second document", "write one document a file")
		}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.syntax(raw, err)
		return
	}
	if len(doc.Content) > 0 {
		r.value("", doc.Content[0], reflect.ValueOf(config).Elem())
	}
}

// parserMessage matches the kind of error in a YAML error. The rest may quote the file.
var parserMessage = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?(did not find expected [^$]{1,40}$|[a-zA-Z ,]+)`)

// syntax reports a YAML syntax error.
func (r *reader) syntax(raw []byte, err error) {
	found := parserMessage.FindStringSubmatch(err.Error())
	problem, line := "is not YAML", 1
	if found != nil {
		problem += ": " + strings.TrimSpace(found[2])
		line, _ = strconv.Atoi(found[1])
		if strings.HasPrefix(found[2], "did not find expected") {
			line++ // the parser counts lines from zero, the scanner from one
		}
		line = max(1, min(line, bytes.Count(bytes.TrimRight(raw, "\n"), []byte("\n"))+1))
	}
	r.sources[""] = source{line: line}
	r.add("", problem,
		"look there for wrong indentation, a tab, an open quote, or ${NAME} without quotes within [ ] or { }")
}

// value reads n into v. It returns false if n is null or unreadable.
func (r *reader) value(key string, n *yaml.Node, v reflect.Value) bool {
	if _, known := r.sources[key]; !known {
		r.sources[key] = source{line: n.Line}
	}
	switch {
	case n.Kind == yaml.AliasNode:
		r.add(key, "is an alias", "write the value itself")
		return false
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return false
	}
	if own, ok := v.Addr().Interface().(ownSection); ok {
		entries, ok := r.entries(key, n)
		if ok {
			own.read(r, key, entries)
		}
		return ok
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		return r.value(key, n, v.Elem())
	case reflect.Struct:
		if token, ok := v.Addr().Interface().(*AdminToken); ok && n.Kind == yaml.ScalarNode {
			return r.value(key, n, reflect.ValueOf(&token.Token).Elem())
		}
		return r.section(key, n, v)
	case reflect.Slice:
		return r.list(key, n, v)
	case reflect.Map:
		return r.table(key, n, v)
	}
	text, ok := r.text(key, n)
	return ok && r.set(key, text, v)
}

// section reads a mapping with the keys of the struct v.
func (r *reader) section(key string, n *yaml.Node, v reflect.Value) bool {
	names := keysOf(v.Type())
	account, isAccount := v.Addr().Interface().(*Account)
	entries, ok := r.entries(key, n)
	for _, e := range entries {
		if i := r.setting(e.key); isAccount && i >= 0 {
			r.own(account, r.settings[i], e)
			continue
		}
		if i := slices.Index(names, e.key); i >= 0 && e.key != "" {
			r.value(e.path, e.value, v.Field(i))
			continue
		}
		base, isFile := strings.CutSuffix(e.key, "_file")
		if i := slices.Index(names, base); isFile && i >= 0 && secretType(v.Field(i).Type()) {
			r.store(e.path, r.secretFile(join(key, base), e, entries, secretsIn(v, i)), v.Field(i))
			continue
		}
		known := r.known(names, isAccount)
		if n.Style&yaml.FlowStyle != 0 && e.value.Tag == "!!null" && e.value.Value == "" && nearest(e.key, known) == "" {
			// { } in place of quotes: what is read as a key without a value may be a secret.
			hidden := join(key, "…")
			r.sources[hidden] = r.sources[e.path]
			e.path = hidden
		}
		r.add(e.path, "unknown key", instead(e.key, known))
	}
	return ok
}

// setting is the position of a key in r.settings, the settings of single providers; -1 if it is not among them.
func (r *reader) setting(key string) int {
	return slices.IndexFunc(r.settings, func(s normalize.Setting) bool { return s.Key == key })
}

// known are the keys that a section may have.
func (r *reader) known(names []string, isAccount bool) []string {
	known := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" })
	for _, s := range r.settings {
		if isAccount {
			known = append(known, s.Key)
		}
	}
	return known
}

// table reads a mapping with arbitrary keys.
func (r *reader) table(key string, n *yaml.Node, v reflect.Value) bool {
	entries, ok := r.entries(key, n)
	if !ok {
		return false
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, e := range entries {
		element := reflect.New(v.Type().Elem()).Elem()
		if r.value(e.path, e.value, element) {
			v.SetMapIndex(reflect.ValueOf(e.key), element)
		}
	}
	return true
}

// list reads a sequence.
func (r *reader) list(key string, n *yaml.Node, v reflect.Value) bool {
	if n.Kind != yaml.SequenceNode {
		r.add(key, "wants a list", "write its elements below it, each after a dash")
		return false
	}
	v.Set(reflect.MakeSlice(v.Type(), 0, len(n.Content)))
	for i, content := range n.Content {
		element := reflect.New(v.Type().Elem()).Elem()
		ok := r.value(item(key, i), content, element)
		if !ok && content.Tag == "!!null" {
			r.add(item(key, i), "is empty", "write a value or remove it")
		}
		if ok || element.Kind() == reflect.Struct { // an unreadable section keeps its index
			v.Set(reflect.Append(v, element))
		}
	}
	return true
}

// entryNode is one key of a mapping with its value.
type entryNode struct {
	key, path string
	value     *yaml.Node
}

// entries are the keys of a mapping, without duplicates.
func (r *reader) entries(key string, n *yaml.Node) (out []entryNode, ok bool) {
	if n.Kind != yaml.MappingNode {
		r.add(key, "wants keys with values", "write them indented below it, as key: value")
		return nil, false
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		if name.Kind != yaml.ScalarNode {
			r.sources[key] = source{line: name.Line}
			r.add(key, "holds a key that is no word", "write key: value")
			continue
		}
		path := join(key, shown(name.Value))
		if first, twice := lines[name.Value]; twice {
			r.faults = append(r.faults, Fault{File: r.file, Line: name.Line, Key: path,
				Problem: "stands on line " + strconv.Itoa(first) + " already", Remedy: "write it once"})
			continue
		}
		lines[name.Value] = name.Line
		r.sources[path] = source{line: name.Line}
		out = append(out, entryNode{key: name.Value, path: path, value: value})
	}
	return out, true
}

// secretFile reads the secrets of key from the file that e names. It returns nil after a fault.
func (r *reader) secretFile(key string, e entryNode, beside []entryNode, want fileContent) []string {
	if slices.ContainsFunc(beside, func(b entryNode) bool { return b.path == key }) {
		r.add(e.path, "stands beside "+strings.TrimSuffix(e.key, "_file"), "write one of the two")
		return nil
	}
	file, ok := r.text(e.path, e.value)
	if !ok {
		return nil
	}
	r.sources[key] = r.sources[e.path]
	return r.secrets(e.path, file, want)
}

// keysOf are the keys of the struct t, in the order of its fields.
func keysOf(t reflect.Type) []string {
	out := make([]string, t.NumField())
	for i := range out {
		out[i], _, _ = strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
	}
	return out
}

// fileContent is what the file of a secret contains.
type fileContent int

const (
	oneSecret    fileContent = iota // one line, or PEM
	secretsALine                    // one secret a line
	wholeFile                       // the file is the secret
)

// secretsIn is what a file for a field may contain.
func secretsIn(section reflect.Value, field int) fileContent {
	switch {
	case section.Field(field).Kind() == reflect.Slice:
		return secretsALine
	case section.Type().Field(field).Tag.Get("file") == "whole":
		return wholeFile
	}
	return oneSecret
}

// secretType reports whether t is a secret or a list of them, and so has a _file variant.
func secretType(t reflect.Type) bool {
	return t == reflect.TypeFor[Secret]() || t == reflect.TypeFor[[]Secret]() || t == reflect.TypeFor[[]AdminToken]()
}
