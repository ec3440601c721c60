package schemas

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"kycbridge/document"
)

// Known but unchecked parts of a body are described by custom keywords; the validator ignores these
// keywords:
//
//	x-known     further members of an object, in the form of properties; they override those
//	type        of a value under x-known: another JSON type is accepted and reported as new
//	x-words     the words of an enumeration, compared without regard to case, spaces, '_' and '-'
//	x-personal  values are never shown
//	x-cases     further known members that depend on a member: {member, upTo, cases: {word: {x-known}}}
//
// An object that lists no members (properties or x-known) and is no map (additionalProperties) has no
// known shape, and nothing in it is new.
const (
	wordKnown    = "x-known"
	wordWords    = "x-words"
	wordPersonal = "x-personal"
	wordCases    = "x-cases"
)

// maxKnownDepth ends a schema that refers to itself.
const maxKnownDepth = 32

// place is the known shape at one pointer in a body of one schema.
type place struct {
	pointer  string            // JSON pointer; * stands for every index and for every key of a map
	members  map[string]*place // nil: it has no known shape
	rest     *place            // the shape of the other keys, if it is a map
	items    *place
	types    jsonTypes       // expected JSON types; 0: any
	words    map[string]bool // of an enumeration, as spelled in the schema and normalized; nil: no enumeration
	personal bool
	cases    *cases
}

// cases are shapes that depend on the word in a member.
type cases struct {
	member, upTo string
	of           map[string]*place // by normalized word
}

// open reports whether anything is accepted here.
func (p *place) open() bool {
	return p.members == nil && p.rest == nil && p.items == nil && p.words == nil && p.types == 0
}

// jsonTypes is a set of JSON types.
type jsonTypes uint8

// The JSON types except null, which means an absent member.
const (
	aString jsonTypes = 1 << iota
	aNumber
	aBoolean
	anObject
	anArray
)

// typeOf is the JSON type of a value and its name; 0 for null.
func typeOf(v any) (jsonTypes, string) {
	switch v.(type) {
	case string:
		return aString, "string"
	case json.Number:
		return aNumber, "number"
	case bool:
		return aBoolean, "boolean"
	case map[string]any:
		return anObject, "object"
	case []any:
		return anArray, "array"
	}
	return 0, ""
}

// of is the shape of an object with this word in the member that its cases depend on.
func (p *place) of(word string) *place {
	word, _, _ = strings.Cut(word, p.cases.upTo)
	if c, ok := p.cases.of[folded(word)]; ok {
		return c
	}
	return p
}

// folded normalizes the spelling of a word.
func folded(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || unicode.IsSpace(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}

// known reads the known shapes from the schemas of providers.
func known(sources map[name]map[string]any, lib library) (map[name]*place, error) {
	places := map[name]*place{}
	for n, source := range sources {
		if n.folder == eventFolder {
			continue
		}
		s := schemaReader{library: lib}
		if places[n] = s.place(source, source, "", 0); s.err != nil {
			return nil, fmt.Errorf("read what schema %s/%s knows: %w", n.folder, n.schema, s.err)
		}
	}
	return places, nil
}

// schemaReader reads the shapes of a schema. The first error is kept in err.
type schemaReader struct {
	library
	err error
}

func (s *schemaReader) place(schema, within map[string]any, pointer string, depth int) *place {
	if ref, ok := schema["$ref"].(string); ok {
		if schema, within = s.refer(ref, within); schema == nil {
			return &place{pointer: pointer}
		}
	}
	if depth > maxKnownDepth {
		s.fail("%s refers to itself", pointer)
		return &place{pointer: pointer}
	}
	p := &place{pointer: pointer, members: s.members(schema, within, pointer, depth), words: s.words(schema, pointer)}
	p.types = s.types(schema, pointer)
	p.personal, _ = schema[wordPersonal].(bool)
	if items, ok := schema["items"].(map[string]any); ok {
		p.items = s.place(items, within, pointer+"/"+document.Withheld, depth+1)
	}
	switch rest := schema["additionalProperties"].(type) {
	case bool:
		if rest {
			p.rest = &place{pointer: pointer + "/" + document.Withheld}
		}
	case map[string]any:
		p.rest = s.place(rest, within, pointer+"/"+document.Withheld, depth+1)
	}
	if given, ok := schema[wordCases].(map[string]any); ok {
		p.cases = s.cases(given, p, within, depth)
	}
	return p
}

// members are the checked and the known members; nil if the schema lists none.
func (s *schemaReader) members(schema, within map[string]any, pointer string, depth int) map[string]*place {
	var found map[string]*place
	for _, keyword := range []string{"properties", wordKnown} {
		listed, _ := schema[keyword].(map[string]any)
		for member, of := range listed {
			if found == nil {
				found = map[string]*place{}
			}
			inner, ok := of.(map[string]any)
			if !ok {
				s.fail("%s of %s/%s must be an object", keyword, pointer, member)
				continue
			}
			found[member] = s.place(inner, within, document.Join(pointer, member), depth+1)
		}
	}
	return found
}

func (s *schemaReader) words(schema map[string]any, pointer string) map[string]bool {
	listed, ok := schema[wordWords].([]any)
	if !ok {
		return nil
	}
	words := map[string]bool{}
	for _, w := range listed {
		word, ok := w.(string)
		if !ok || word == "" {
			s.fail("%s of %s must be words", wordWords, pointer)
		}
		words[word], words[folded(word)] = true, true
	}
	return words
}

// types reads a type, which is a word or a list of them.
func (s *schemaReader) types(schema map[string]any, pointer string) (found jsonTypes) {
	listed, ok := schema["type"].([]any)
	if one := schema["type"]; !ok && one != nil {
		listed = []any{one}
	}
	for _, word := range listed {
		switch word {
		case "string":
			found |= aString
		case "number", "integer":
			found |= aNumber
		case "boolean":
			found |= aBoolean
		case "object":
			found |= anObject
		case "array":
			found |= anArray
		case "null":
		default:
			s.fail("type of %s must be JSON types", pointer)
		}
	}
	return found
}

// cases create a copy of a shape for each word.
func (s *schemaReader) cases(given map[string]any, p *place, within map[string]any, depth int) *cases {
	c := &cases{of: map[string]*place{}}
	c.member, _ = given["member"].(string)
	c.upTo, _ = given["upTo"].(string)
	listed, _ := given["cases"].(map[string]any)
	if c.member == "" || c.upTo == "" || len(listed) == 0 {
		s.fail("%s of %s must name a member, what ends its word, and cases", wordCases, p.pointer)
	}
	for word, of := range listed {
		schema, _ := of.(map[string]any)
		one := *p
		one.members = maps.Clone(p.members)
		maps.Copy(one.members, s.members(schema, within, p.pointer, depth))
		c.of[folded(word)] = &one
	}
	return c
}

// refer finds the target of a $ref: another schema or a part of one, or a part of the current schema, within.
func (s *schemaReader) refer(ref string, within map[string]any) (schema, found map[string]any) {
	id, at, _ := strings.Cut(ref, "#")
	if id != "" {
		within, _ = s.library[id].(map[string]any)
	}
	schema = within
	for token := range strings.SplitSeq(strings.TrimPrefix(at, "/"), "/") {
		if token != "" {
			schema, _ = schema[token].(map[string]any)
		}
	}
	if schema == nil {
		s.fail("there is no %s", ref)
	}
	return schema, within
}

func (s *schemaReader) fail(format string, args ...any) {
	s.err = errors.Join(s.err, fmt.Errorf(format, args...))
}

// MemberNames lists every member in the schemas of a provider, for a document.Reader: checked and known
// ones.
func (s *Set) MemberNames(provider string) []string {
	names := map[string]bool{}
	for n, p := range s.known {
		if n.folder == provider {
			p.collect(names, 0)
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (p *place) collect(names map[string]bool, depth int) {
	if p == nil || depth > maxKnownDepth {
		return
	}
	for name, member := range p.members {
		names[name] = true
		member.collect(names, depth+1)
	}
	p.rest.collect(names, depth+1)
	p.items.collect(names, depth+1)
	if p.cases != nil {
		for _, one := range p.cases.of {
			for name, member := range one.members {
				names[name] = true
				member.collect(names, depth+1)
			}
		}
	}
}
