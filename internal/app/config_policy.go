package app

import (
	"maps"
	"reflect"
	"slices"
	"strings"
)

// overlookKey is the key of a policy with types of checks instead of a threshold.
const overlookKey = "overlook"

// Policy is the section policy of an account: thresholds by name, each a float64, and under overlook the
// types of checks that it ignores, a []string.
type Policy map[string]any

// thresholds are the numbers of p by name; nil if there are none.
func (p Policy) thresholds() map[string]float64 {
	var out map[string]float64
	for name, v := range p {
		if number, ok := v.(float64); ok {
			if out == nil {
				out = map[string]float64{}
			}
			out[name] = number
		}
	}
	return out
}

// overlook are the types of checks that p ignores.
func (p Policy) overlook() []string {
	list, _ := p[overlookKey].([]string)
	return slices.Clone(list)
}

// read reads the section: overlook is a list, every other key a number.
func (p *Policy) read(r *reader, _ string, entries []entryNode) {
	out := Policy{}
	for _, e := range entries {
		if e.key == overlookKey {
			types := []string{}
			r.list(e.path, e.value, reflect.ValueOf(&types).Elem())
			out[e.key] = types
			continue
		}
		var threshold float64
		if r.value(e.path, e.value, reflect.ValueOf(&threshold).Elem()) {
			out[e.key] = threshold
		}
	}
	*p = out
}

// policy checks that the provider knows the thresholds and permits ignoring the checks.
func (c checker) policy(key string, a Account) {
	thresholds := a.Policy.thresholds()
	names := append(slices.Clip(c.catalog.PolicyKeys[a.Provider]), overlookKey)
	for _, name := range slices.Sorted(maps.Keys(thresholds)) {
		at := join(key, shown(name))
		switch v := thresholds[name]; {
		case c.knowsProvider(a) && !slices.Contains(names, name):
			c.fault(at, "unknown key", instead(name, names))
		case v < 0 || v > 1:
			c.fault(at, "is out of 0 to 1", "write a threshold such as 0.8")
		}
	}
	known := c.catalog.Overlook[a.Provider]
	for i, kind := range a.Policy.overlook() {
		if c.knowsProvider(a) && !slices.Contains(known, kind) {
			c.fault(item(join(key, overlookKey), i), "is no check that a policy may pass over",
				"write some of "+strings.Join(known, ", "))
		}
	}
	if len(a.Policy) > 0 && len(thresholds) == 0 && !c.unsound(key) {
		c.fault(key, "has no threshold, so it decides nothing",
			"write one such as min_face_match: 0.8, or remove policy")
	}
}
