package app

import (
	"reflect"
	"slices"

	"kycbridge/normalize"
)

// Own holds the settings of an account that only its provider has, by key. Each value has the type of its setting;
// zero values are omitted.
type Own map[string]any

// settings are the settings of all providers, each key once.
func (c Catalog) settings() (out []normalize.Setting) {
	for _, provider := range c.Names {
		for _, s := range c.Settings[provider] {
			if !slices.ContainsFunc(out, func(other normalize.Setting) bool { return other.Key == s.Key }) {
				out = append(out, s)
			}
		}
	}
	return out
}

// knowsSetting reports whether a provider has a setting.
func (c Catalog) knowsSetting(provider, key string) bool {
	return slices.ContainsFunc(c.Settings[provider], func(s normalize.Setting) bool { return s.Key == key })
}

// confirmByDefault reports whether an account confirms verdicts if its configuration does not say so, and why.
func (c Catalog) confirmByDefault(a Account) (confirm bool, because string) {
	if c.ConfirmByDefault[a.Provider] {
		return true, "for this provider"
	}
	for _, s := range c.Settings[a.Provider] {
		if value, ok := a.Own[s.Key]; ok && s.Confirms && !isEmpty(reflect.ValueOf(value)) {
			return true, "with " + s.Key
		}
	}
	return false, ""
}

// own reads the setting of a provider into account. Whether the account's provider has the setting is checked
// later.
func (r *reader) own(account *Account, s normalize.Setting, e entryNode) {
	value := reflect.New(reflect.TypeOf(s.Zero)).Elem()
	if table, ok := s.Zero.(normalize.Table); ok {
		reading := tableReader{lists: s.Lists, out: table}
		r.value(e.path, e.value, reflect.ValueOf(&reading).Elem())
		value.Set(reflect.ValueOf(reading.out))
	} else {
		r.value(e.path, e.value, value)
	}
	if value.IsZero() {
		return
	}
	if account.Own == nil {
		account.Own = Own{}
	}
	account.Own[s.Key] = value.Interface()
}

// tableReader reads a table of numbers, in which some keys hold lists of texts.
type tableReader struct {
	lists []string
	out   normalize.Table
}

func (t *tableReader) read(r *reader, _ string, entries []entryNode) {
	t.out = normalize.Table{}
	for _, e := range entries {
		if slices.Contains(t.lists, e.key) {
			texts := []string{}
			r.list(e.path, e.value, reflect.ValueOf(&texts).Elem())
			t.out[e.key] = texts
			continue
		}
		var number float64
		if r.value(e.path, e.value, reflect.ValueOf(&number).Elem()) {
			t.out[e.key] = number
		}
	}
}

// own checks the settings that only some providers have: that the account's provider has them, and that their
// values are valid.
func (c checker) own(key string, a Account) {
	for _, s := range c.catalog.settings() {
		value, ok := a.Own[s.Key]
		if ok && !isEmpty(reflect.ValueOf(value)) && c.knowsProvider(a) && !c.catalog.knowsSetting(a.Provider, s.Key) {
			c.fault(join(key, s.Key), a.Provider+" has no "+s.Key, "remove it")
		}
	}
	for _, s := range c.catalog.settings() {
		value, ok := a.Own[s.Key]
		if !ok || s.Check == nil {
			continue
		}
		for _, f := range s.Check(value) {
			remedy := f.Remedy
			if f.Known != nil {
				remedy = instead(f.Word, f.Known)
			}
			c.fault(within(join(key, s.Key), f.At), f.Problem, remedy)
		}
	}
}

// within is the path of a part of the value at key.
func within(key string, at []any) string {
	for _, step := range at {
		switch step := step.(type) {
		case int:
			key = item(key, step)
		case string:
			key = join(key, shown(step))
		}
	}
	return key
}
