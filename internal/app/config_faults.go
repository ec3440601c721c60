package app

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Fault is one error in a configuration. It names keys and variables, and the path of a file (pathShown), never
// another value: any value may be a secret.
type Fault struct {
	File     string // "" if the fault is not in a file
	Line     int    // of the key, or of the section where a key is missing
	Variable string // the environment variable whose value is wrong
	Key      string // such as accounts[0].auth.hmac.tolerance
	Problem  string
	Remedy   string // what to write instead
}

// String is the fault on one line: file:line: key: the problem; the remedy.
func (f Fault) String() string {
	var parts []string
	switch {
	case f.Variable != "":
		parts = append(parts, f.Variable)
	case f.File != "" && f.Line > 0:
		parts = append(parts, f.File+":"+strconv.Itoa(f.Line))
	case f.File != "":
		parts = append(parts, f.File)
	}
	if f.Key != "" {
		parts = append(parts, f.Key)
	}
	text := f.Problem
	if f.Remedy != "" {
		text += "; " + f.Remedy
	}
	return strings.Join(append(parts, text), ": ")
}

// ConfigError holds all faults of a configuration, in the order of the file.
type ConfigError struct{ Faults []Fault }

// Error lists the faults, one per line.
func (e *ConfigError) Error() string {
	lines := make([]string, len(e.Faults))
	for i, f := range e.Faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "\n")
}

// source is the origin of a value.
type source struct {
	line     int
	variable string
}

// report collects faults and the position of each key.
type report struct {
	file    string
	sources map[string]source // by key
	faults  []Fault
}

// add reports a fault at key, or at the nearest enclosing section in the file.
func (r *report) add(key, problem, remedy string) {
	f := Fault{File: r.file, Key: key, Problem: problem, Remedy: remedy}
	for at := key; ; at = parent(at) {
		if s, ok := r.sources[at]; ok {
			f.Line, f.Variable = s.line, s.variable
			break
		}
		if at == "" {
			break
		}
	}
	r.faults = append(r.faults, f)
}

// unsound reports whether the value at key is already known to be invalid, so that no further fault should
// be reported: a fault was found at key, within it or around it.
func (r *report) unsound(key string) bool {
	within := func(inner, outer string) bool {
		rest, ok := strings.CutPrefix(inner, outer)
		return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
	}
	return slices.ContainsFunc(r.faults, func(f Fault) bool {
		return within(f.Key, key) || within(key, f.Key) && f.Key != ""
	})
}

// err is nil without faults.
func (r *report) err() error {
	if len(r.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(r.faults, func(a, b Fault) int {
		return cmp.Or(cmp.Compare(a.Variable, b.Variable), cmp.Compare(a.Line, b.Line))
	})
	return &ConfigError{Faults: r.faults}
}

// join appends a key to the path of its section.
func join(section, key string) string {
	if section == "" {
		return key
	}
	return section + "." + key
}

// shown is the part of a key that a message may contain. If the space after the colon is missing in the file, YAML
// reads the value, which may be a secret, as part of the key.
func shown(key string) string {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_- "
	end := 0
	for end < len(key) && end < 40 && strings.IndexByte(letters, key[end]) >= 0 {
		end++
	}
	if end < len(key) || end == 0 {
		return key[:end] + "…"
	}
	return key
}

// item is the path of the i-th element of a list.
func item(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// parent is the path of the section or list around key; "" is the whole file.
func parent(key string) string { return key[:max(strings.LastIndexAny(key, ".["), 0)] }

// instead is the remedy for an unknown word: it suggests the most similar known word, or lists all of them.
func instead(word string, known []string) string {
	if likely := nearest(word, known); likely != "" {
		return "did you mean " + likely + "?"
	}
	if len(known) == 0 {
		return "remove it"
	}
	return "write one of " + strings.Join(slices.Sorted(slices.Values(known)), ", ")
}

// nearest is the most similar known word; "" if no known word is similar.
func nearest(word string, known []string) string {
	word = strings.ToLower(strings.TrimSuffix(shown(word), "…"))
	best, least := "", 1+max(1, len(word)/3)
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := distance(word, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, drop or replace to turn a into b. A word longer than 64 letters is
// distant from every key.
func distance(a, b string) int {
	if len(a) > 64 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
