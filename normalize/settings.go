package normalize

import "slices"

// Setting is a key of an account that only one provider has. It is on the same level as the keys that every
// account has.
type Setting struct {
	Key string
	// Zero has the type into which the value is read: bool, string, []string, map[string]string or Table.
	Zero any
	// Lists are the keys of a Table that contain lists of texts; all others contain numbers.
	Lists []string
	// Check returns what is wrong with a value that was read; nil: every value is valid.
	Check func(value any) []Fault
	// Example is a value that changes the result of Map for some fixture; nil: Map does not read the setting.
	Example any
	// Confirms: an account with a value of this setting confirms verdicts, unless its configuration says otherwise.
	Confirms bool
}

// Confirmed returns the setting as one of accounts that confirm verdicts by default.
func (s Setting) Confirmed() Setting {
	s.Confirms = true
	return s
}

// WithExample returns the setting with this example.
func (s Setting) WithExample(example any) Setting {
	s.Example = example
	return s
}

// Table is a value with numbers by name, each a float64. The keys in Setting.Lists contain lists of texts, each
// a []string.
type Table map[string]any

// Fault is an error in a part of a value.
type Fault struct {
	At      []any // the path to the part: the name of a key (string), the index of an item (int)
	Problem string
	Remedy  string // what to write instead
	// Word is the configured value if only the values in Known are permitted. The remedy then names the value
	// that was probably meant, or all of them.
	Word  string
	Known []string
}

// Flag returns a setting that is true or false.
func Flag(key string) Setting { return Setting{Key: key, Zero: false, Example: true} }

// Text returns a setting that is one text.
func Text(key string, check func(string) []Fault) Setting {
	return Setting{Key: key, Zero: "", Check: func(v any) []Fault { return check(v.(string)) }}
}

// Word returns a setting that is one of the known values.
func Word(key string, known ...string) Setting {
	return Text(key, func(word string) []Fault {
		if slices.Contains(known, word) {
			return nil
		}
		return []Fault{{Problem: "is not a known value", Word: word, Known: known}}
	})
}

// Texts returns a setting that is a list of texts, none of which may be empty. The remedy states what to write
// instead of an empty one.
func Texts(key, remedy string) Setting {
	return Setting{Key: key, Zero: []string(nil), Check: func(v any) (faults []Fault) {
		for i, text := range v.([]string) {
			if text == "" {
				faults = append(faults, Fault{At: []any{i}, Problem: "is missing", Remedy: remedy})
			}
		}
		return faults
	}}
}

// Words returns a setting that is a table of texts; check is called for each of them.
func Words(key string, check func(word string) []Fault) Setting {
	return Setting{Key: key, Zero: map[string]string(nil), Check: func(v any) (faults []Fault) {
		table := v.(map[string]string)
		for _, name := range sortedKeys(table) {
			for _, f := range check(table[name]) {
				f.At = append([]any{name}, f.At...)
				faults = append(faults, f)
			}
		}
		return faults
	}}
}

// Numbers returns a setting that is a table of numbers, with lists of texts under some of its keys.
func Numbers(key string, lists []string, check func(Table) []Fault) Setting {
	return Setting{Key: key, Zero: Table(nil), Lists: lists, Check: func(v any) []Fault { return check(v.(Table)) }}
}

func sortedKeys[V any](table map[string]V) []string {
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Numbers returns the numbers of t by name; nil if t has none.
func (t Table) Numbers() (out map[string]float64) {
	for name, v := range t {
		if number, ok := v.(float64); ok {
			if out == nil {
				out = map[string]float64{}
			}
			out[name] = number
		}
	}
	return out
}

// Names returns the names of the numbers of t, in alphabetical order.
func (t Table) Names() []string { return sortedKeys(t.Numbers()) }

// List returns the list of texts under a key; nil if the key has none.
func (t Table) List(key string) []string { return texts(t[key]) }

// Values are the values that an account configures for the settings of its provider, by key. A missing key has
// its zero value. In test cases, the values may also have the types that encoding/json decodes into.
type Values map[string]any

// Flag returns the value of a setting that is true or false.
func (v Values) Flag(key string) bool {
	flag, _ := v[key].(bool)
	return flag
}

// Text returns the value of a setting that is one text.
func (v Values) Text(key string) string {
	text, _ := v[key].(string)
	return text
}

// Texts returns the value of a setting that is a list of texts.
func (v Values) Texts(key string) []string { return texts(v[key]) }

// Words returns the value of a setting that is a table of texts.
func (v Values) Words(key string) map[string]string {
	if words, ok := v[key].(map[string]string); ok {
		return words
	}
	var out map[string]string
	members, _ := v[key].(map[string]any)
	for name, member := range members {
		if word, ok := member.(string); ok {
			if out == nil {
				out = map[string]string{}
			}
			out[name] = word
		}
	}
	return out
}

// Table returns the value of a setting that is a table of numbers.
func (v Values) Table(key string) Table {
	if table, ok := v[key].(Table); ok {
		return table
	}
	members, _ := v[key].(map[string]any)
	return Table(members)
}

// texts converts v to a list of texts; it leaves out items that are not texts.
func texts(v any) (out []string) {
	switch list := v.(type) {
	case []string:
		return slices.Clone(list)
	case []any:
		for _, item := range list {
			if text, ok := item.(string); ok {
				out = append(out, text)
			}
		}
	}
	return out
}
