package kycbridge

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Difference is a place in which two states of a verification differ.
type Difference struct {
	Path     string `json:"path"` // JSON pointer within data
	Before   any    `json:"before,omitempty"`
	After    any    `json:"after,omitempty"`
	Personal bool   `json:"personal,omitempty"` // the values are about a person
}

// Masked is d without values that are about a person.
func (d Difference) Masked() Difference {
	if d.Personal {
		d.Before, d.After = masked(d.Before), masked(d.After)
	}
	return d
}

func masked(v any) any {
	if v == nil {
		return nil
	}
	return "[masked]"
}

// incidental are the places that tell what caused a revision and not what it says.
var incidental = []string{"/revision", "/supersedes", "/provider/event", "/payload", "/verified_claims"}

// personal are the places below which values are about a person.
var personal = []string{"/extracted_claims", "/documents", "/media", "/external_reference", "/session", "/extensions"}

// Differences lists where after says something else than before, in the order of the paths. What
// only tells what caused a revision is left out, and so are verified claims, which repeat the rest.
func Differences(before, after *Data) []Difference {
	var out []Difference
	compare("", tree(before), tree(after), &out)
	slices.SortFunc(out, func(a, b Difference) int { return cmp.Compare(a.Path, b.Path) })
	return out
}

// tree is d as decoded JSON; nil is an empty object.
func tree(d *Data) any {
	if d == nil {
		return map[string]any{}
	}
	raw, err := json.Marshal(d)
	var v any
	if err != nil || json.Unmarshal(raw, &v) != nil {
		return map[string]any{}
	}
	return v
}

func compare(path string, a, b any, out *[]Difference) {
	if slices.Contains(incidental, path) {
		return
	}
	objectA, isA := a.(map[string]any)
	objectB, isB := b.(map[string]any)
	if isA && isB {
		for key := range union(objectA, objectB) {
			compare(path+"/"+escape(key), objectA[key], objectB[key], out)
		}
		return
	}
	listA, isA := a.([]any)
	listB, isB := b.([]any)
	if isA && isB && len(listA) == len(listB) {
		for i := range listA {
			compare(path+"/"+strconv.Itoa(i), listA[i], listB[i], out)
		}
		return
	}
	if !equal(a, b) {
		isPersonal := slices.ContainsFunc(personal, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
		*out = append(*out, Difference{Path: path, Before: a, After: b, Personal: isPersonal})
	}
}

func union(a, b map[string]any) map[string]bool {
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

// escape writes a key as a part of a JSON pointer.
func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}
