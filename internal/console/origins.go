package console

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/internal/archive"
)

const (
	shortestValue = 3   // characters: shorter ones match too many members by chance
	maxOrigins    = 100 // shown on a page
)

// origin is a pointer in an event and the pointer in the payload with the same value. It contains no
// value.
type origin struct{ Path, From string }

// originsOf finds the members of a payload that the values of an event come from, for values that were
// copied unchanged.
func originsOf(k kycbridge.Kept, d *event.Data) []origin {
	content, err := k.Content()
	if err != nil {
		return nil
	}
	from := map[string][]string{} // pointers in the payload by value
	name := func(name string) string { return archive.MemberName(name, k.Provider) }
	leaves("", decoded(content), name, func(pointer, value string) { from[value] = append(from[value], pointer) })
	raw, err := json.Marshal(d)
	if err != nil {
		return nil
	}
	var all []origin
	leaves("", decoded(raw), document.Presentable, func(pointer, value string) {
		isCause := strings.HasPrefix(pointer, "/provider/event/") || strings.HasPrefix(pointer, "/payload/")
		if places := from[value]; len(places) > 0 && !isCause && len(all) < maxOrigins {
			all = append(all, origin{pointer, strings.Join(places[:min(len(places), 2)], ", ")})
		}
	})
	return all
}

func decoded(raw []byte) (v any) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if d.Decode(&v) != nil {
		return nil // other text has no members
	}
	return v
}

// leaves passes every text and number below v, with its visible pointer: name returns the visible name of a member.
func leaves(pointer string, v any, name func(string) string, each func(pointer, value string)) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			leaves(pointer+"/"+name(key), v[key], name, each)
		}
	case []any:
		for i, item := range v {
			leaves(pointer+"/"+strconv.Itoa(i), item, name, each)
		}
	case string:
		if len(v) >= shortestValue {
			each(pointer, v)
		}
	case json.Number:
		if len(v) >= shortestValue {
			each(pointer, v.String())
		}
	}
}
