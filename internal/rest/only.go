package rest

import (
	"bytes"
	"encoding/json"
	"strings"
)

// Only returns a JSON object that contains only the named members of body; nil if body has none of
// them. A name may be a path into objects: flow.version. Names match regardless of case, and the result
// has the names as the caller wrote them. A member that is an object or a list is kept whole, so a name
// should select only a member that is known to contain no secret.
func Only(body []byte, names ...string) json.RawMessage {
	kept, body := map[string]any{}, bytes.TrimPrefix(body, byteOrderMark)
	for _, name := range names {
		put(kept, strings.Split(name, "."), body)
	}
	if len(kept) == 0 {
		return nil
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return nil // not possible: every value was decoded from JSON
	}
	return raw
}

// put copies the value at path in body to the same path in kept.
func put(kept map[string]any, path []string, body json.RawMessage) {
	var members map[string]json.RawMessage
	if json.Unmarshal(body, &members) != nil {
		return
	}
	value, ok := members[path[0]]
	for name, other := range members {
		if !ok && strings.EqualFold(name, path[0]) {
			value, ok = other, true
		}
	}
	switch {
	case !ok:
	case len(path) == 1:
		kept[path[0]] = value
	default:
		inner, _ := kept[path[0]].(map[string]any)
		if inner == nil {
			inner = map[string]any{}
		}
		if put(inner, path[1:], value); len(inner) > 0 {
			kept[path[0]] = inner
		}
	}
}
