package event

import (
	"bytes"
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Difference is a member in which two states of a verification differ.
type Difference struct {
	Path     string `json:"path"` // JSON pointer within data
	Before   any    `json:"before,omitempty"`
	After    any    `json:"after,omitempty"`
	Personal bool   `json:"personal,omitempty"` // the values may contain personal data

	masked *Difference // its visible form; nil: unchanged
}

// Masked is d without personal values.
func (d Difference) Masked() Difference {
	if d.masked != nil {
		return *d.masked
	}
	return d
}

// maskedValue replaces a hidden value.
const maskedValue = "[masked]"

// causeMembers are the members that identify the cause of a revision and not its content.
var causeMembers = []string{"/revision", "/supersedes", "/provider/event", "/payload", "/verified_claims"}

// Differences lists the members in which after differs from before, in the order of the paths. Members
// that identify only the cause of a revision are omitted, and so are verified claims, which repeat the
// rest.
func Differences(before, after *Data) []Difference {
	c := comparison{}
	for _, d := range []*Data{before, after} {
		if d != nil {
			c.provider = d.Provider.Name
		}
	}
	a, b := members(before), members(after)
	for name := range union(a, b) {
		if !bytes.Equal(a[name], b[name]) { // most are equal, and are not decoded
			c.compare("/"+escape(name), "/"+escape(shownName(name)), value(a[name]), value(b[name]))
		}
	}
	slices.SortFunc(c.found, func(a, b Difference) int { return cmp.Compare(a.Path, b.Path) })
	return c.found
}

// Masked is d as decoded JSON without personal values, for viewers without that permission.
func Masked(d *Data) any {
	c := comparison{}
	if d != nil {
		c.provider = d.Provider.Name
	}
	all := map[string]any{}
	for name, text := range members(d) {
		all[name] = value(text)
	}
	return c.mask("", all)
}

// members are the members of d as JSON; nil has none.
func members(d *Data) map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	if d == nil {
		return out
	}
	raw, err := json.Marshal(d)
	if err != nil || json.Unmarshal(raw, &out) != nil {
		return map[string]json.RawMessage{}
	}
	return out
}

// value decodes JSON; a missing member is nil.
func value(text json.RawMessage) (v any) {
	if json.Unmarshal(text, &v) != nil {
		return nil
	}
	return v
}

// comparison collects differences.
type comparison struct {
	provider string // name of the provider; the prefix of its own types of checks
	found    []Difference
}

// compare finds the differences at path; shown is path with the member names that may be shown.
func (c *comparison) compare(path, shown string, a, b any) {
	if slices.Contains(causeMembers, path) {
		return
	}
	objectA, isA := a.(map[string]any)
	objectB, isB := b.(map[string]any)
	if isA && isB {
		for key := range union(objectA, objectB) {
			c.compare(path+"/"+escape(key), shown+"/"+escape(shownName(key)), objectA[key], objectB[key])
		}
		return
	}
	listA, isA := a.([]any)
	listB, isB := b.([]any)
	if isA && isB && len(listA) == len(listB) {
		for i := range listA {
			c.compare(path+"/"+strconv.Itoa(i), shown+"/"+strconv.Itoa(i), listA[i], listB[i])
		}
		return
	}
	if !equal(a, b) {
		c.add(path, shown, a, b)
	}
}

func (c *comparison) add(path, shown string, a, b any) {
	d := Difference{Path: path, Before: a, After: b}
	m := Difference{Path: shown, Before: c.mask(path, a), After: c.mask(path, b)}
	if d.Personal = m.Path != path || !equal(m.Before, a) || !equal(m.After, b); d.Personal {
		m.Personal = true
		d.masked = &m
	}
	c.found = append(c.found, d)
}

// mask copies v, at path, without personal values.
func (c *comparison) mask(path string, v any) any {
	switch v := v.(type) {
	case nil:
		return nil
	case map[string]any:
		if personalPlace(path) {
			return maskedValue
		}
		out := make(map[string]any, len(v))
		for key, member := range v {
			out[shownName(key)] = c.mask(path+"/"+escape(key), member)
		}
		return out
	case []any:
		if personalPlace(path) {
			return maskedValue
		}
		out := make([]any, len(v))
		for i := range v {
			out[i] = c.mask(path+"/"+strconv.Itoa(i), v[i])
		}
		return out
	}
	if personalPlace(path) || !c.harmless(path, v) {
		return maskedValue
	}
	return v
}

// harmless reports whether the value at path may be shown. Outside of personal members an event consists
// of fixed words and ids; ids are in the provider's references and in members that are named as ids.
func (c *comparison) harmless(path string, v any) bool {
	names := strings.Split(path, "/")
	for len(names) > 1 && allDigits(names[len(names)-1]) {
		names = names[:len(names)-1] // the name that counts for an item is that of its list
	}
	name := names[len(names)-1]
	if Harmless(name, v) {
		return true
	}
	s, isText := v.(string)
	switch {
	case path == "/account" || path == "/provider/name":
		return true // from the configuration
	case strings.HasPrefix(path, "/provider/references/"):
		return isText && HarmlessID(s)
	case strings.HasSuffix(path, "/score_raw/value"):
		return aNumber.admits(v)
	}
	return isText && (HarmlessWord(s, c.provider) || isMoment(s) && !isMidnight(s) || isUUID(s))
}

// shownName is the name of a member, if it looks like an identifier of a program.
func shownName(key string) string {
	const longest = 64
	strange := func(r rune) bool { return !isWordRune(r) || r == ' ' }
	if key == "" || len(key) > longest || strings.ContainsFunc(key, strange) || len(digitsOf(key)) > mostWordDigits {
		return "*"
	}
	return key
}

func union[V any](a, b map[string]V) map[string]bool {
	keys := map[string]bool{}
	for key := range maps.Keys(a) {
		keys[key] = true
	}
	for key := range maps.Keys(b) {
		keys[key] = true
	}
	return keys
}

func equal(a, b any) bool {
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}

// escape escapes a key for a JSON pointer.
func escape(key string) string { return pointerEscapes.Replace(key) }

var pointerEscapes = strings.NewReplacer("~", "~0", "/", "~1")
