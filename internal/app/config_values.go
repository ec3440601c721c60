package app

import (
	"errors"
	"io"
	"math"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"kycbridge"
	"kycbridge/internal/regular"
)

// text is the text of a scalar with its variables replaced.
func (r *reader) text(key string, n *yaml.Node) (string, bool) {
	switch {
	case n.Kind == yaml.AliasNode:
		r.add(key, "is an alias", "write the value itself")
	case n.Kind != yaml.ScalarNode:
		r.add(key, "wants a single value", "write key: value")
	case n.Tag == "!!binary":
		r.add(key, "is binary", "write text")
	default:
		return r.expand(key, n.Value)
	}
	return "", false
}

var (
	variable     = regexp.MustCompile(`\$\$\{|\$\{[^}]*\}?`)
	variableName = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)
)

// expand replaces ${NAME} by the variable and $${ by ${.
func (r *reader) expand(key, text string) (string, bool) {
	sound, broken, last := true, false, ""
	out := variable.ReplaceAllStringFunc(text, func(found string) string {
		name := variableName.FindStringSubmatch(found)
		switch {
		case found == "$${" || broken:
			return "${"
		case name == nil:
			r.add(key, "${ begins no variable", "write ${NAME}, or $${ for the characters themselves")
			broken = true
			return ""
		}
		value, set := r.environment[name[1]]
		if !set {
			r.add(key, "the variable "+name[1]+" is not set", "set it, or write $${ for the characters ${")
			sound = false
		}
		last = name[1]
		r.referenced[name[1]] = true
		return value
	})
	if sound && !broken && out == "" && last != "" {
		// A variable that is missing on its way through the definition of a container arrives empty. The key would count
		// as left out: a public_url, a proxy or a limit would silently not apply.
		r.add(key, "the variable "+last+" is empty", "give it a value, or leave the key out")
		return "", false
	}
	return out, sound && !broken
}

// set stores text in v, a string, Secret, bool, int, float64 or time.Duration. It returns false if text is
// invalid.
func (r *reader) set(key, text string, v reflect.Value) bool {
	before := len(r.faults)
	var err error
	switch into := v.Addr().Interface().(type) {
	case *AdminToken:
		into.Token = Secret(text)
	case *time.Duration:
		if *into, err = time.ParseDuration(text); err != nil {
			r.add(key, "is not a duration", "write one such as 30s, 5m or 25h")
		}
	case *Age:
		age := time.Duration(0)
		if text != "0" { // for ever
			age, err = kycbridge.ParseAge(text)
		}
		if *into = Age(age); err != nil {
			r.add(key, "is not a duration", "write one such as 30d or 12h, or 0 for ever")
		}
	case *bool:
		if *into = text == "true"; !*into && text != "false" {
			r.add(key, "is neither true nor false", "write one of the two")
		}
	case *int:
		if *into, err = strconv.Atoi(text); err != nil {
			r.add(key, "is not a whole number", "write one in digits")
		}
	case *float64:
		if *into, err = strconv.ParseFloat(text, 64); err != nil || math.IsNaN(*into) || math.IsInf(*into, 0) {
			r.add(key, "is not a number", "write one such as 0.5")
		}
	default:
		v.SetString(text)
	}
	return len(r.faults) == before
}

// store stores texts in v: all of them if v is a list, else the first. It stores nothing if texts is empty or one
// text is invalid.
func (r *reader) store(key string, texts []string, v reflect.Value) {
	switch {
	case len(texts) == 0:
		return
	case v.Kind() != reflect.Slice:
		r.set(key, texts[0], v)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(texts), len(texts))
	for i, text := range texts {
		if !r.set(key, text, list.Index(i)) {
			return
		}
	}
	v.Set(list)
}

// secrets reads a secret file. It returns nil after a fault.
func (r *reader) secrets(key, file string, want fileContent) []string {
	raw, err := readFile(file)
	r.files.add(file, raw, err)
	if err != nil {
		r.add(key, "the file cannot be read: "+err.Error()+pathShown(file), "name a readable file")
		return nil
	}
	text := strings.TrimPrefix(string(raw), byteOrderMark)
	isKey := strings.HasPrefix(text, "-----BEGIN ") || strings.HasPrefix(text, "{")
	if want == wholeFile && strings.TrimSpace(text) != "" || want == oneSecret && isKey {
		return []string{text} // in PEM and JSON too, all lines are one secret
	}
	var out []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); line != "" {
			out = append(out, line)
		}
	}
	switch {
	case slices.ContainsFunc(out, isNoSecret):
		r.add(key, "the file holds characters that no secret has"+pathShown(file),
			"write the secret into it as text in UTF-8, without control characters")
		return nil
	case len(out) == 0:
		r.add(key, "the file is empty"+pathShown(file), "write the secret into it")
	case len(out) > 1 && want == oneSecret:
		r.add(key, "the file holds several lines"+pathShown(file), "write one secret into it")
		return nil
	}
	return out
}

// byteOrderMark is what some editors write at the beginning of a file in UTF-8.
const byteOrderMark = "\ufeff"

// isNoSecret reports whether a line cannot be a secret: it is not UTF-8 (but UTF-16, for example), or has control
// characters, as of a terminal. No provider and no operator could send it.
func isNoSecret(line string) bool {
	return !utf8.ValidString(line) || strings.ContainsFunc(line, unicode.IsControl)
}

// pathShown is the path of a file for the end of a problem; "" if the text may be a secret.
func pathShown(path string) string {
	if regular.Named(path) == "" {
		return ""
	}
	return " (" + path + ")"
}

// maxFile limits the configuration file and each secret file.
const maxFile = 1 << 20

// readFile reads a regular file up to maxFile. The error does not repeat the name.
func readFile(path string) (raw []byte, err error) {
	f, err := regular.Open(path)
	if err == nil {
		defer f.Close()
		raw, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	}
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		return nil, pathError.Err
	}
	if len(raw) > maxFile {
		return nil, errors.New("larger than 1 MiB")
	}
	return raw, err
}
