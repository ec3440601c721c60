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
)

const (
	shortestValue = 3   // characters: shorter ones stand in too many places by chance
	maxOrigins    = 100 // that a page shows
)

// origin is a place of an event whose value stands in the payload as it is, and where. It holds no value.
type origin struct{ Path, From string }

// originsOf tells from which members of a payload the values of an event came, of those values that were taken
// over as they are.
func originsOf(k kycbridge.Kept, d *event.Data) []origin {
	content, err := k.Content()
	if err != nil {
		return nil
	}
	from := map[string][]string{} // places in the payload by value
	leaves("", decoded(content), func(pointer, value string) { from[value] = append(from[value], pointer) })
	raw, err := json.Marshal(d)
	if err != nil {
		return nil
	}
	var all []origin
	leaves("", decoded(raw), func(pointer, value string) {
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
		return nil // what is no JSON has no members
	}
	return v
}

// leaves gives every text and number below v, with its place as it may be shown.
func leaves(pointer string, v any, each func(pointer, value string)) {
	switch v := v.(type) {
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			leaves(pointer+"/"+document.Presentable(name), v[name], each)
		}
	case []any:
		for i, item := range v {
			leaves(pointer+"/"+strconv.Itoa(i), item, each)
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
