package schemas

import (
	"encoding/json"
	"fmt"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// ClosedEvent checks events against a copy of the event's schema in which no object may have unlisted
// members. Consumers must not use it, as later versions add members; tests use it to show that no event
// contains undescribed members.
type ClosedEvent struct {
	envelope *jsonschema.Schema
	library  library
}

// Closed derives the closed copy.
func Closed() (*ClosedEvent, error) {
	found, err := readFiles()
	if err != nil {
		return nil, err
	}
	sources := map[name]map[string]any{}
	for _, n := range []name{{eventFolder, eventEnvelope}, {eventFolder, eventData}} {
		var source map[string]any
		if err := json.Unmarshal(found[n], &source); err != nil {
			return nil, fmt.Errorf("read schema %s/%s: %w", n.folder, n.schema, err)
		}
		closeObjects(source)
		sources[n] = source
	}
	compiled, lib, err := compile(sources)
	if err != nil {
		return nil, err
	}
	return &ClosedEvent{envelope: compiled[name{eventFolder, eventEnvelope}], library: lib}, nil
}

// Validate checks a whole CloudEvent; it returns nil if it is valid.
func (c *ClosedEvent) Validate(event any) []Fault { return c.library.check(c.envelope, event) }

// closeObjects forbids unknown members in every object schema that lists properties. Those that list none
// (extensions, details, claims and the like) are maps and stay open. Conditions (allOf, if, then, not) are
// not changed: they list only some of the members.
func closeObjects(schema map[string]any) {
	if members, ok := schema["properties"].(map[string]any); ok {
		if _, set := schema["additionalProperties"]; !set {
			schema["additionalProperties"] = false
		}
		closeAll(members)
	}
	if items, ok := schema["items"].(map[string]any); ok {
		closeObjects(items)
	}
	if shared, ok := schema["$defs"].(map[string]any); ok {
		closeAll(shared)
	}
}

func closeAll(schemas map[string]any) {
	for _, s := range schemas {
		if schema, ok := s.(map[string]any); ok {
			closeObjects(schema)
		}
	}
}
