package schemas

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v5"

	"kycbridge/document"
)

// maxFaults limits the reported faults of one body.
const maxFaults = 20

// library is the text of the schemas by $id. Messages are derived from it: the validator's own messages
// quote values.
type library map[string]any

// check validates doc and converts the result to faults. The validator panics on some numbers; Decode
// refuses those, but a tree need not come from Decode.
func (l library) check(schema *jsonschema.Schema, doc any) (found []Fault) {
	defer func() {
		if recover() != nil {
			found = []Fault{{Path: "", Message: "cannot be checked: the validator failed"}}
		}
	}()
	if object, ok := doc.(document.Object); ok {
		doc = map[string]any(object) // the validator supports only this map type
	}
	err := schema.Validate(doc)
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return []Fault{{Path: "", Message: "cannot be checked: holds what is not JSON"}}
	}
	seen := map[Fault]struct{}{}
	l.collect(invalid, doc, seen)
	return slices.SortedFunc(maps.Keys(seen), byPlace)[:min(len(seen), maxFaults)]
}

func byPlace(a, b Fault) int {
	return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Message, b.Message))
}

// collect walks the tree of errors to its leaves. Alternatives are reported as one fault, since the faults
// of each contradict the others.
func (l library) collect(e *jsonschema.ValidationError, doc any, seen map[Fault]struct{}) {
	base, tokens := schemaPlace(e.AbsoluteKeywordLocation)
	keyword := ""
	if len(tokens) > 0 {
		keyword = tokens[len(tokens)-1]
	}
	if len(e.Causes) > 0 && keyword != "anyOf" && keyword != "oneOf" {
		for _, cause := range e.Causes {
			l.collect(cause, doc, seen)
		}
		return
	}
	// dependentRequired is followed by a member and the index of a member that it requires
	if len(tokens) > 2 && tokens[len(tokens)-3] == "dependentRequired" {
		keyword, tokens = "required", tokens[:len(tokens)-1]
	}
	place := unescape(e.InstanceLocation)
	switch rule := walk(l[base], tokens); keyword {
	case "required":
		for _, missing := range absent(rule, walk(doc, place)) {
			seen[Fault{Path: document.Join(document.Pointer(place), missing), Message: "is required"}] = struct{}{}
		}
	case "additionalProperties":
		known := walk(l[base], append(slices.Clone(tokens[:len(tokens)-1]), "properties"))
		for _, extra := range unknown(known, walk(doc, place)) {
			seen[Fault{Path: document.Join(document.Pointer(place), extra), Message: "is not a known member"}] = struct{}{}
		}
	default:
		message := expectation(keyword, rule)
		if own, ok := inWords(l[base], tokens); ok && needsText(keyword) {
			message = own
		}
		seen[Fault{Path: document.Pointer(place), Message: message}] = struct{}{}
	}
}

// wordExpected is a custom keyword, which the validator ignores. It is next to a rule that is hard to
// read, and describes the expectation.
const wordExpected = "x-expected"

// needsText reports whether a rule of this kind needs a text of its own.
func needsText(keyword string) bool {
	switch keyword {
	case "pattern", "format", "anyOf", "oneOf", "not":
		return true
	}
	return false
}

// inWords is the x-expected text next to the keyword at a pointer of a schema.
func inWords(schema any, keyword []string) (string, bool) {
	if len(keyword) == 0 {
		return "", false
	}
	beside, _ := walk(schema, keyword[:len(keyword)-1]).(map[string]any)
	words, ok := beside[wordExpected].(string)
	return words, ok
}

// schemaPlace splits the address of a keyword into the $id of its schema and the pointer in it.
func schemaPlace(location string) (id string, tokens []string) {
	id, place, _ := strings.Cut(location, "#")
	return id, unescape(place)
}

// unescape splits the validator's form of a JSON pointer, whose tokens are also percent-encoded.
func unescape(place string) []string {
	if place == "" || place == "/" {
		return nil
	}
	tokens := strings.Split(strings.TrimPrefix(place, "/"), "/")
	for i, token := range tokens {
		if plain, err := url.PathUnescape(token); err == nil {
			token = plain
		}
		tokens[i] = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	}
	return tokens
}

// walk follows tokens down a tree; it returns nil if there is no such pointer.
func walk(tree any, tokens []string) any {
	for _, token := range tokens {
		switch node := tree.(type) {
		case map[string]any:
			tree = node[token]
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || i < 0 || i >= len(node) {
				return nil
			}
			tree = node[i]
		default:
			return nil
		}
	}
	return tree
}

// absent lists the names of required that object lacks.
func absent(required, object any) []string {
	members, _ := object.(map[string]any)
	list, _ := required.([]any)
	var missing []string
	for _, item := range list {
		if n, ok := item.(string); ok {
			if _, there := members[n]; !there {
				missing = append(missing, n)
			}
		}
	}
	return missing
}

// unknown lists the members of object that a schema's properties do not name.
func unknown(properties, object any) []string {
	named, _ := properties.(map[string]any)
	members, _ := object.(map[string]any)
	var extra []string
	for n := range members {
		if _, ok := named[n]; !ok {
			extra = append(extra, n)
		}
	}
	return extra
}

// expectation describes the requirement of a keyword of a schema.
func expectation(keyword string, rule any) string {
	switch keyword {
	case "type":
		return "must be " + kinds(rule)
	case "enum":
		return "must be one of " + written(rule)
	case "const":
		return "must be " + written(rule)
	case "pattern":
		return "has not the form that is asked for"
	case "format":
		return formed(fmt.Sprint(rule))
	case "minLength", "minItems", "minProperties":
		if fmt.Sprint(rule) == "1" {
			return "must not be empty"
		}
		return fmt.Sprintf("must have at least %v %s", rule, counted(keyword))
	case "maxLength", "maxItems", "maxProperties":
		return fmt.Sprintf("must have at most %v %s", rule, counted(keyword))
	case "minimum":
		return fmt.Sprintf("must be at least %v", rule)
	case "maximum":
		return fmt.Sprintf("must be at most %v", rule)
	case "anyOf", "oneOf":
		return formOf(keyword, rule)
	}
	return "is not allowed in this form"
}

// formOf describes alternatives: by the members that they require, if they require nothing else.
func formOf(keyword string, rule any) string {
	var members []string
	alternatives, _ := rule.([]any)
	for _, item := range alternatives {
		schema, _ := item.(map[string]any)
		required := absent(schema["required"], nil)
		if len(schema) != 1 || len(required) == 0 {
			return "has none of the allowed forms"
		}
		members = append(members, strings.Join(required, " with "))
	}
	if keyword == "oneOf" {
		return "must have exactly one of " + strings.Join(members, ", ")
	}
	return "must have at least one of " + strings.Join(members, ", ")
}

// formed describes a format, with an example.
func formed(format string) string {
	switch format {
	case "date":
		return "must be a date that exists, as YYYY-MM-DD: 1990-02-01"
	case "date-time":
		return "must be a time by RFC 3339, such as 2026-03-02T09:00:00Z"
	case "uuid":
		return "must be a UUID, such as 1f2d3c4b-5a69-5788-8796-a5b4c3d2e1f0"
	case "uri":
		return "must be a whole address, such as https://app.example.com/done"
	case "email":
		return "must be an e-mail address, such as testa@example.com"
	}
	return "must be a valid " + format
}

// counted names the unit of a length keyword.
func counted(keyword string) string {
	switch keyword[len("min"):] {
	case "Length":
		return "characters"
	case "Items":
		return "items"
	}
	return "members"
}

// kinds writes a type keyword out: "a string, a number or null".
func kinds(rule any) string {
	list, ok := rule.([]any)
	if !ok {
		list = []any{rule}
	}
	text := ""
	for i, kind := range list {
		switch {
		case i > 0 && i == len(list)-1:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += kindName(kind)
	}
	return text
}

func kindName(kind any) string {
	switch kind {
	case "null":
		return "null"
	case "object", "array", "integer":
		return fmt.Sprintf("an %v", kind)
	}
	return fmt.Sprintf("a %v", kind)
}

func written(rule any) string {
	list, ok := rule.([]any)
	if !ok {
		list = []any{rule}
	}
	words := make([]string, len(list))
	for i, v := range list {
		raw, err := json.Marshal(v)
		if err != nil {
			continue
		}
		words[i] = string(raw)
	}
	return strings.Join(words, ", ")
}

// names groups the names of schemas by folder.
func names(files map[name][]byte) map[string][]string {
	grouped := map[string][]string{}
	for n := range files {
		grouped[n.folder] = append(grouped[n.folder], n.schema)
	}
	for _, list := range grouped {
		slices.Sort(list)
	}
	return grouped
}
