package normalize

import "slices"

// Setting is a key of an account that one provider alone knows. It stands beside the keys that every
// account has.
type Setting struct {
	Key string
	// Zero is of the type that the value is read into: bool, string, []string, map[string]string or Table.
	Zero any
	// Lists are, of a Table, the keys that hold lists of texts; all others hold numbers.
	Lists []string
	// Check tells what is wrong with a value that was read; nil: nothing can be.
	Check func(value any) []Fault
	// Example is a value that changes what Map makes of some fixture; nil: Map does not read the setting.
	Example any
}

// WithExample returns the setting with an example.
func (s Setting) WithExample(example any) Setting {
	s.Example = example
	return s
}

// Table is a value of numbers by name, each a float64. Under the keys of Setting.Lists stand lists of
// texts, each a []string.
type Table map[string]any

// Fault is what is wrong with a part of a value.
type Fault struct {
	At      []any // the way to the part: the name of a key (string), the number of an item (int)
	Problem string
	Remedy  string // what to write instead
	// Word was written where only the Known are possible. The remedy names the one that was probably
	// meant, or all of them.
	Word  string
	Known []string
}

// Flag is a setting that is true or false.
func Flag(key string) Setting { return Setting{Key: key, Zero: false, Example: true} }

// Text is a setting of one text.
func Text(key string, check func(string) []Fault) Setting {
	return Setting{Key: key, Zero: "", Check: func(v any) []Fault { return check(v.(string)) }}
}

// Word is a setting that is one of a few words.
func Word(key string, known ...string) Setting {
	return Text(key, func(word string) []Fault {
		if slices.Contains(known, word) {
			return nil
		}
		return []Fault{{Problem: "is none of the words known here", Word: word, Known: known}}
	})
}

// Texts is a setting that is a list of texts, none of which may be empty. The remedy says what to write
// in place of an empty one.
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

// Words is a setting that is a table of texts; check is asked about each of them.
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

// Numbers is a setting that is a table of numbers, with lists of texts under some of its keys.
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

// Numbers are the numbers of t by name; nil where there are none.
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

// Names are the names of the numbers of t, in alphabetical order.
func (t Table) Names() []string { return sortedKeys(t.Numbers()) }

// List is the list of texts under a key; nil where there is none.
func (t Table) List(key string) []string { return texts(t[key]) }

// Values are what an account says of the settings of its provider, by key. What is not there has its zero
// value. They may also be as JSON has them, in the cases of the tests.
type Values map[string]any

// Flag is the value of a setting that is true or false.
func (v Values) Flag(key string) bool {
	flag, _ := v[key].(bool)
	return flag
}

// Text is the value of a setting of one text.
func (v Values) Text(key string) string {
	text, _ := v[key].(string)
	return text
}

// Texts is the value of a setting of a list of texts.
func (v Values) Texts(key string) []string { return texts(v[key]) }

// Words is the value of a setting of a table of texts.
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

// Table is the value of a setting of a table of numbers.
func (v Values) Table(key string) Table {
	if table, ok := v[key].(Table); ok {
		return table
	}
	members, _ := v[key].(map[string]any)
	return Table(members)
}

// texts is a list of texts.
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
