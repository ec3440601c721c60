package app

import (
	"bytes"
	"maps"
	"reflect"
	"slices"
	"strings"

	"kycbridge/internal/regular"
)

// LoadConfig reads the file at path ("": no file), overrides it with the KYCBRIDGE_ variables of environ and checks
// the result. The error is a *ConfigError with every fault.
func LoadConfig(path string, environ []string, catalog Catalog) (*Config, error) {
	config, _, err := loadConfig(path, environ, catalog)
	return config, err
}

// loadConfig is LoadConfig that also returns the files that it has read: path, those with
// secrets, and those of the listeners.
func loadConfig(path string, environ []string, catalog Catalog) (*Config, fileDigests, error) {
	read := fileDigests{}
	var raw []byte
	if path != "" {
		var err error
		raw, err = readFile(path)
		read.add(path, raw, err)
		if err != nil {
			fault := Fault{File: regular.Named(path), Problem: "cannot be read: " + err.Error(), Remedy: "name a readable file"}
			if fault.File == "" {
				fault.Problem = "the configuration file " + fault.Problem
			}
			return nil, read, &ConfigError{[]Fault{fault}}
		}
		if len(bytes.TrimSpace(raw)) == 0 { // it was cut while it was written: without accounts callbacks are answered 404
			return nil, read, &ConfigError{[]Fault{{File: path, Problem: "is empty",
				Remedy: "write the configuration into it, or omit it for the defaults, without accounts"}}}
		}
	}
	config, err := parseFiles(path, raw, environ, catalog, read)
	return config, read, err
}

// parseFiles is loadConfig after the file at path has been read. It adds the other files to read.
func parseFiles(path string, raw []byte, environ []string, catalog Catalog, read fileDigests) (*Config, error) {
	r := &reader{
		report:      report{file: path, sources: map[string]source{}},
		environment: map[string]string{},
		referenced:  map[string]bool{},
		files:       read,
		settings:    catalog.settings(),
	}
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok {
			r.environment[name] = value
		}
	}
	config := defaults()
	r.read(raw, &config)
	r.override(environ, &config)
	for _, tls := range []ListenTLS{config.TLS, config.Admin.TLS} {
		read.addNow(tls.Cert, tls.Key, tls.ClientCA)
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

// variablePrefix is the prefix of the environment variables that override keys.
const variablePrefix = "KYCBRIDGE_"

// override stores the values of KYCBRIDGE_ variables. It runs after read, when the variables that the file
// references are known.
func (r *reader) override(environ []string, config *Config) {
	keys := variableKeys(config)
	for _, e := range slices.Sorted(slices.Values(environ)) {
		name, value, _ := strings.Cut(e, "=")
		short, ours := strings.CutPrefix(name, variablePrefix)
		if !ours || value == "" {
			continue
		}
		short = strings.ReplaceAll(short, "__", "_")
		k, known := keys[short]
		switch other := r.sources[k.key].variable; {
		case !known:
			r.unknownVariable(name, short, slices.Collect(maps.Keys(keys)))
		case other != "" && other != name:
			r.faults = append(r.faults, Fault{Variable: name, Key: k.key,
				Problem: "is set by " + other + " too", Remedy: "set one of them"})
		default:
			r.sources[k.key] = source{variable: name}
			r.store(k.key, r.values(k, value), k.into)
		}
	}
}

// values are the value of the variable of k, or the contents of the file that it names.
func (r *reader) values(k variableKey, value string) []string {
	several := k.into.Kind() == reflect.Slice
	values := []string{value}
	switch {
	case k.file:
		values = r.secrets(k.key, value, k.want)
	case several:
		values = strings.Split(value, ",")
	}
	if several {
		for i := range values {
			values[i] = strings.TrimSpace(values[i])
		}
	}
	return values
}

// unknownVariable reports a variable that names no key. Kubernetes sets variables with the same prefix for a
// service called kycbridge.
func (r *reader) unknownVariable(name, short string, known []string) {
	if r.referenced[name] || slices.Contains([]string{"CONFIG", "API", "TOKEN", "PORT"}, short) ||
		strings.HasPrefix(short, "PORT_") || strings.HasPrefix(short, "SERVICE_") {
		return
	}
	for i := range known {
		known[i] = strings.ToLower(known[i])
	}
	remedy := "remove it, or correct its name"
	if likely := nearest(short, known); likely != "" {
		remedy = "did you mean " + variablePrefix + strings.ToUpper(likely) + "?"
	}
	r.faults = append(r.faults, Fault{Variable: name, Problem: "names no key", Remedy: remedy})
}

// variableKey is a key that a variable may override, with the target of its value.
type variableKey struct {
	key  string
	into reflect.Value
	file bool // the variable names the file with the secret
	want fileContent
}

// variableKeys are the keys outside the accounts by the variable's name without prefix: KEY, SECTION_KEY
// and the _FILE variants of secrets.
func variableKeys(config *Config) map[string]variableKey {
	out := map[string]variableKey{}
	var walk func(section string, v reflect.Value)
	walk = func(section string, v reflect.Value) {
		for i, name := range keysOf(v.Type()) {
			key, field := join(section, name), v.Field(i)
			name = strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
			switch {
			case field.Kind() == reflect.Struct:
				walk(key, field)
				continue
			case field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.Struct && !secretType(field.Type()):
				continue
			case secretType(field.Type()):
				out[name+"_FILE"] = variableKey{key: key, into: field, file: true, want: secretsIn(v, i)}
			}
			out[name] = variableKey{key: key, into: field}
		}
	}
	walk("", reflect.ValueOf(config).Elem())
	return out
}
