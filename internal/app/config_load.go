package app

import (
	"errors"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
)

// maxFile bounds the configuration file and each secret file.
const maxFile = 1 << 20

// LoadConfig reads the file at path ("": none), lays the KYCBRIDGE_ variables of environ over it and
// checks the whole. The error is a *ConfigError with every fault that was found.
func LoadConfig(path string, environ []string, catalog Catalog) (*Config, error) {
	var raw []byte
	if path != "" {
		var err error
		if raw, err = readFile(path); err != nil {
			return nil, &ConfigError{[]Fault{{File: path, Problem: "cannot be read: " + reason(err), Remedy: "name a readable file"}}}
		}
	}
	return parseConfig(path, raw, environ, catalog)
}

// parseConfig is LoadConfig behind the reading of the file.
func parseConfig(path string, raw []byte, environ []string, catalog Catalog) (*Config, error) {
	r := &reader{
		report:      report{file: path, sources: map[string]source{}},
		environment: variables(environ),
		referred:    map[string]bool{},
	}
	k := koanf.New(".")
	if err := errors.Join(k.Load(content(raw), r), k.Load(r.overrides(environ), nil)); err != nil {
		r.add("", "cannot be read", "write YAML")
	}
	config := defaults()
	if !lay(k, &config) && len(r.faults) == 0 {
		r.add("", "holds a value of a wrong type", "compare it with the documentation") // the reader has looked at every type
	}
	check(&r.report, &config, catalog)
	if err := r.err(); err != nil {
		return nil, err
	}
	for i := range config.Accounts {
		config.Accounts[i].complete(catalog)
	}
	return &config, nil
}

// lay puts what k holds over config. The decoder's own messages quote values, so they stay here.
func lay(k *koanf.Koanf, config *Config) bool {
	return k.UnmarshalWithConf("", config, koanf.UnmarshalConf{
		Tag:           "yaml",
		DecoderConfig: &mapstructure.DecoderConfig{TagName: "yaml", ErrorUnused: true, Result: config},
	}) == nil
}

// content is a koanf.Provider of bytes that were read before.
type content []byte

// ReadBytes returns the bytes.
func (c content) ReadBytes() ([]byte, error) { return c, nil }

// Read is not supported: content has to be parsed.
func (c content) Read() (map[string]any, error) {
	return nil, errors.New("content is read as bytes")
}

// variables is environ by name; the last of several wins, as it does for os.Getenv's caller.
func variables(environ []string) map[string]string {
	out := make(map[string]string, len(environ))
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			out[name] = value
		}
	}
	return out
}

// variablePrefix begins the environment variables that override keys.
const variablePrefix = "KYCBRIDGE_"

// overrides is a koanf.Provider of the keys that environ overrides. It comes after the file, so that
// it knows which variables the file refers to.
func (r *reader) overrides(environ []string) koanf.Provider {
	keys := variableKeys()
	set := map[string]string{} // by key, the variable that set it
	return env.Provider(".", env.Opt{
		Prefix:      variablePrefix,
		EnvironFunc: func() []string { return slices.Sorted(slices.Values(environ)) },
		TransformFunc: func(name, value string) (string, any) {
			if value == "" {
				return "", nil
			}
			short := strings.ReplaceAll(strings.TrimPrefix(name, variablePrefix), "__", "_")
			found, ok := keys[short]
			if !ok {
				r.unknownVariable(name, short, slices.Collect(maps.Keys(keys)))
				return "", nil
			}
			if other, twice := set[found.key]; twice && other != name {
				r.faults = append(r.faults, Fault{Variable: name, Key: found.key, Problem: "is set by " + other + " too", Remedy: "set one of them"})
				return "", nil
			}
			set[found.key] = name
			r.sources[found.key] = source{variable: name}
			return r.override(found, value)
		},
	})
}

// override converts the value of one variable; an empty key means that it was faulty.
func (r *reader) override(found variableKey, value string) (string, any) {
	texts := []string{value}
	if found.file {
		var ok bool
		if texts, ok = r.secrets(found.key, value, found.list()); !ok {
			return "", nil
		}
	} else if found.list() {
		texts = strings.Split(value, ",")
	}
	if !found.list() {
		v, ok := r.convert(found.key, texts[0], found.typ)
		if !ok {
			return "", nil
		}
		return found.key, v
	}
	var out []any
	for _, text := range texts {
		v, ok := r.convert(found.key, strings.TrimSpace(text), found.typ.Elem())
		if !ok {
			return "", nil
		}
		out = append(out, v)
	}
	return found.key, out
}

// unknownVariable reports a variable that names no key. Kubernetes announces a service called
// kycbridge in variables of the same prefix.
func (r *reader) unknownVariable(name, short string, known []string) {
	if r.referred[name] || short == "CONFIG" || short == "API" || short == "TOKEN" || short == "PORT" ||
		strings.HasPrefix(short, "PORT_") || strings.HasPrefix(short, "SERVICE_") {
		return
	}
	remedy := "remove it, or correct its name"
	if likely := instead(strings.ToLower(short), lower(known)); strings.HasPrefix(likely, "did") {
		remedy = "did you mean " + variablePrefix + strings.ToUpper(strings.TrimSuffix(strings.TrimPrefix(likely, "did you mean "), "?")) + "?"
	}
	r.faults = append(r.faults, Fault{Variable: name, Problem: "names no key", Remedy: remedy})
}

func lower(words []string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = strings.ToLower(w)
	}
	return out
}

// variableKey is a key that a variable may override.
type variableKey struct {
	key  string
	typ  reflect.Type
	file bool // the variable names the file that holds the secret
}

func (v variableKey) list() bool { return v.typ.Kind() == reflect.Slice }

// variableKeys are the keys outside the accounts by the variable's name without prefix: KEY,
// SECTION_KEY and the _FILE twins of secrets.
func variableKeys() map[string]variableKey {
	out := map[string]variableKey{}
	var walk func(section string, t reflect.Type)
	walk = func(section string, t reflect.Type) {
		for _, f := range keysOf(t) {
			key := join(section, f.key)
			switch {
			case f.typ.Kind() == reflect.Struct:
				walk(key, f.typ)
			case f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.Struct:
			default:
				name := strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
				out[name] = variableKey{key: key, typ: f.typ}
				if secretType(f.typ) {
					out[name+"_FILE"] = variableKey{key: key, typ: f.typ, file: true}
				}
			}
		}
	}
	walk("", reflect.TypeFor[Config]())
	return out
}

// readFile reads a file up to maxFile.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(raw) > maxFile {
		err = errors.New("larger than 1 MiB")
	}
	return raw, err
}

// reason is why a file could not be read, without its name.
func reason(err error) string {
	if pathError, ok := errors.AsType[*os.PathError](err); ok {
		return pathError.Err.Error()
	}
	return err.Error()
}
