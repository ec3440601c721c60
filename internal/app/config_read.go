package app

import (
	"bytes"
	"errors"
	"io"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// reader is the koanf.Parser of the configuration file. It reads YAML along the types of Config, so
// that every value has the type of its key afterwards and every fault has its line.
type reader struct {
	report
	environment map[string]string
	referred    map[string]bool // variables that the file refers to
}

// Unmarshal reads the file. Faults go to the report; what is sound is returned.
func (r *reader) Unmarshal(raw []byte) (map[string]any, error) {
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
		return nil, nil
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	v, _ := r.value("", doc.Content[0], reflect.TypeFor[Config]())
	out, _ := v.(map[string]any)
	return out, nil
}

// Marshal is not supported: the effective configuration is written by Config.Redacted.
func (r *reader) Marshal(map[string]any) ([]byte, error) {
	return nil, errors.New("the configuration is only read")
}

// syntax reports that the file is no YAML. The parser's message is cut to what it says of the kind
// of error, as it may quote the file.
func (r *reader) syntax(raw []byte, err error) {
	found := regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?(did not find expected [^$]{1,40}$|[a-zA-Z ,]+)`).FindStringSubmatch(err.Error())
	problem, line := "is not YAML", 1
	if found != nil {
		problem += ": " + strings.TrimSpace(found[2])
		line, _ = strconv.Atoi(found[1])
		if strings.HasPrefix(found[2], "did not find expected") {
			line++ // the grammar counts its lines from zero, the scanner from one
		}
		line = max(1, min(line, bytes.Count(bytes.TrimRight(raw, "\n"), []byte("\n"))+1))
	}
	r.sources[""] = source{line: line}
	r.add("", problem, "look there for wrong indentation, a tab, an open quote, or ${NAME} without quotes within [ ] or { }")
}

// value reads n as a t; ok is false where there is nothing, or nothing sound.
func (r *reader) value(key string, n *yaml.Node, t reflect.Type) (v any, ok bool) {
	if _, known := r.sources[key]; !known {
		r.sources[key] = source{line: n.Line}
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case n.Kind == yaml.AliasNode:
		r.add(key, "is an alias", "write the value itself")
		return nil, false
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		return nil, false
	case t == reflect.TypeFor[API]():
		return r.api(key, n)
	}
	switch t.Kind() {
	case reflect.Struct:
		return r.section(key, n, t)
	case reflect.Slice:
		return r.list(key, n, t.Elem())
	case reflect.Map:
		return r.table(key, n, t.Elem())
	}
	text, ok := r.text(key, n)
	if !ok {
		return nil, false
	}
	return r.convert(key, text, t)
}

// section reads a mapping with the keys of the struct t.
func (r *reader) section(key string, n *yaml.Node, t reflect.Type) (any, bool) {
	known := keysOf(t)
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = k.key
	}
	out := map[string]any{}
	entries, ok := r.entries(key, n)
	for _, e := range entries {
		i := slices.Index(names, e.key)
		if i >= 0 {
			if v, ok := r.value(e.path, e.value, known[i].typ); ok {
				out[e.key] = v
			}
			continue
		}
		base, isFile := strings.CutSuffix(e.key, "_file")
		if i = slices.Index(names, base); isFile && i >= 0 && secretType(known[i].typ) {
			r.twin(e, join(key, base), entries, known[i].typ, out)
			continue
		}
		r.add(e.path, "unknown key", instead(e.key, names))
	}
	return out, ok
}

// twin reads the secret of a key from the file that its _file twin names, into out.
func (r *reader) twin(e entryNode, key string, beside []entryNode, t reflect.Type, out map[string]any) {
	if slices.ContainsFunc(beside, func(b entryNode) bool { return b.path == key }) {
		r.add(e.path, "stands beside "+strings.TrimSuffix(e.key, "_file"), "write one of the two")
		return
	}
	name, ok := r.text(e.path, e.value)
	if !ok {
		return
	}
	r.sources[key] = r.sources[e.path]
	secrets, ok := r.secrets(e.path, name, t.Kind() == reflect.Slice)
	if !ok {
		return
	}
	if t.Kind() != reflect.Slice {
		out[strings.TrimSuffix(e.key, "_file")] = Secret(secrets[0])
		return
	}
	var list []any
	for _, s := range secrets {
		list = append(list, Secret(s))
	}
	out[strings.TrimSuffix(e.key, "_file")] = list
}

// secrets reads a secret file: one secret, or one a line where there may be several.
func (r *reader) secrets(key, file string, several bool) ([]string, bool) {
	raw, err := readFile(file)
	if err != nil {
		r.add(key, "the file cannot be read: "+reason(err), "name a readable file")
		return nil, false
	}
	var out []string
	for line := range strings.Lines(string(raw)) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			out = append(out, line)
		}
	}
	switch {
	case len(out) == 0:
		r.add(key, "the file is empty", "write the secret into it")
		return nil, false
	case len(out) > 1 && !several:
		r.add(key, "the file holds several lines", "write one secret into it")
		return nil, false
	}
	return out, true
}

// api reads the api section: which keys there are is checked with the provider, later.
func (r *reader) api(key string, n *yaml.Node) (any, bool) {
	out := map[string]any{}
	entries, ok := r.entries(key, n)
	for _, e := range entries {
		base, isFile := strings.CutSuffix(e.key, "_file")
		switch {
		case isFile && secretAPIKey(base):
			r.twin(e, join(key, base), entries, reflect.TypeFor[Secret](), out)
			if s, ok := out[base].(Secret); ok {
				out[base] = s.Reveal()
			}
		case e.value.Kind == yaml.SequenceNode:
			list, _ := r.list(e.path, e.value, reflect.TypeFor[string]())
			var texts []string
			for _, v := range list.([]any) {
				texts = append(texts, v.(string))
			}
			out[e.key] = strings.Join(texts, ",")
		default:
			if v, ok := r.value(e.path, e.value, reflect.TypeFor[string]()); ok {
				out[e.key] = v
			}
		}
	}
	return out, ok
}

// table reads a mapping with keys of the operator's choice.
func (r *reader) table(key string, n *yaml.Node, t reflect.Type) (any, bool) {
	out := map[string]any{}
	entries, ok := r.entries(key, n)
	for _, e := range entries {
		if v, ok := r.value(e.path, e.value, t); ok {
			out[e.key] = v
		}
	}
	return out, ok
}

// list reads a sequence.
func (r *reader) list(key string, n *yaml.Node, t reflect.Type) (any, bool) {
	out := []any{}
	if n.Kind != yaml.SequenceNode {
		r.add(key, "wants a list", "write its elements below it, each after a dash")
		return out, false
	}
	for i, element := range n.Content {
		v, ok := r.value(item(key, i), element, t)
		if ok {
			out = append(out, v)
			continue
		}
		if element.Tag == "!!null" {
			r.add(item(key, i), "is empty", "write a value or remove it")
		}
		if t.Kind() == reflect.Struct {
			out = append(out, map[string]any{}) // keeps the numbers of those that follow
		}
	}
	return out, true
}

// entryNode is one key of a mapping with its value.
type entryNode struct {
	key, path string
	value     *yaml.Node
}

// entries are the keys of a mapping, each once.
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

// text is the text of a scalar with its variables replaced.
func (r *reader) text(key string, n *yaml.Node) (string, bool) {
	switch {
	case n.Kind == yaml.AliasNode:
		r.add(key, "is an alias", "write the value itself")
		return "", false
	case n.Kind != yaml.ScalarNode:
		r.add(key, "wants a single value", "write key: value")
		return "", false
	case n.Tag == "!!binary":
		r.add(key, "is binary", "write text")
		return "", false
	}
	return r.expand(key, n.Value)
}

// expand replaces ${NAME} by the variable and $${ by ${.
func (r *reader) expand(key, text string) (string, bool) {
	var out strings.Builder
	sound := true
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			out.WriteString(text)
			return out.String(), sound
		}
		if i > 0 && text[i-1] == '$' {
			out.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		out.WriteString(text[:i])
		name, rest, closed := strings.Cut(text[i+2:], "}")
		if !closed || !regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`).MatchString(name) {
			r.add(key, "${ begins no variable", "write ${NAME}, or $${ for the characters themselves")
			return "", false
		}
		value, set := r.environment[name]
		if !set {
			r.add(key, "the variable "+name+" is not set", "set it, or write $${ for the characters ${")
			sound = false
		}
		r.referred[name] = true
		out.WriteString(value)
		text = rest
	}
}

// convert turns text into a t: string, Secret, bool, int, float64 or time.Duration.
func (r *reader) convert(key, text string, t reflect.Type) (any, bool) {
	switch t {
	case reflect.TypeFor[Secret]():
		return Secret(text), true
	case reflect.TypeFor[time.Duration]():
		d, err := time.ParseDuration(text)
		if err != nil {
			r.add(key, "is not a duration", "write one such as 30s, 5m or 25h")
		}
		return d, err == nil
	}
	switch t.Kind() {
	case reflect.Bool:
		if text != "true" && text != "false" {
			r.add(key, "is neither true nor false", "write one of the two")
			return nil, false
		}
		return text == "true", true
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			r.add(key, "is not a whole number", "write one in digits")
		}
		return n, err == nil
	case reflect.Float64:
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			r.add(key, "is not a number", "write one such as 0.5")
			return nil, false
		}
		return f, true
	}
	return text, true
}

// keyType is a key of a section and the type of its value.
type keyType struct {
	key string
	typ reflect.Type
}

// keysOf are the keys that the struct t reads.
func keysOf(t reflect.Type) []keyType {
	var out []keyType
	for i := range t.NumField() {
		key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		out = append(out, keyType{key, t.Field(i).Type})
	}
	return out
}

// secretType reports whether t is a secret or a list of them, and so has a _file twin.
func secretType(t reflect.Type) bool {
	secret := reflect.TypeFor[Secret]()
	return t == secret || t.Kind() == reflect.Slice && t.Elem() == secret
}
