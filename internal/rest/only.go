package rest

import (
	"encoding/json"
	"strings"
)

// Only is a JSON object with the named members of body and nothing else; nil where body has none of
// them. A name may lead into objects: flow.version. Letters are compared without regard to case, and
// the names in the result are the caller's. A member that is itself an object or a list is kept whole,
// so a name should lead to what is known to hold no secret.
func Only(body []byte, names ...string) json.RawMessage {
	kept := map[string]any{}
	for _, name := range names {
		put(kept, strings.Split(name, "."), body)
	}
	if len(kept) == 0 {
		return nil
	}
	raw, err := json.Marshal(kept)
	if err != nil {
		return nil // not possible: all of it has been read as JSON
	}
	return raw
}

// put copies what stands at path in body to the same path in kept.
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
