package app

import (
	"encoding/json"
	"fmt"
	"io"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v3"
)

// redacted replaces a secret in output.
const redacted = "[redacted]"

// Secret is a string that no printer, encoder or logger shows. Reveal returns it to the code that needs
// it.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String hides the secret; an empty one stays empty.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return redacted
}

// Format hides the secret from every verb of fmt, %x and %#v included.
func (s Secret) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// MarshalText hides the secret from JSON and other text encodings.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalYAML hides the secret.
func (s Secret) MarshalYAML() (any, error) { return s.String(), nil }

// API holds the settings of one account's REST client, by key. The valid keys depend on the provider
// (Catalog.APIKeys); credentials are hidden like a Secret.
type API map[string]string

// secretAPIKey reports whether the value of an api key is a credential.
func secretAPIKey(key string) bool {
	for _, word := range []string{"password", "token", "secret", "key"} {
		if key == word || strings.HasSuffix(key, "_"+word) {
			return true
		}
	}
	return false
}

// read reads the section; its keys are checked later. A list is joined by commas.
func (a *API) read(r *reader, section string, entries []entryNode) {
	out := API{}
	for _, e := range entries {
		base, isFile := strings.CutSuffix(e.key, "_file")
		switch {
		case isFile && secretAPIKey(base):
			for _, secret := range r.secretFile(join(section, base), e, entries, oneSecret) {
				out[base] = secret
			}
		case e.value.Kind == yaml.SequenceNode:
			var texts []string
			r.list(e.path, e.value, reflect.ValueOf(&texts).Elem())
			out[e.key] = strings.Join(texts, ",")
		default:
			var text string
			if r.value(e.path, e.value, reflect.ValueOf(&text).Elem()) {
				out[e.key] = text
			}
		}
	}
	*a = out
}

// visible is a with its credentials hidden.
func (a API) visible() map[string]string {
	out := make(map[string]string, len(a))
	for k, v := range a {
		if secretAPIKey(k) {
			v = Secret(v).String()
		}
		out[k] = v
	}
	return out
}

// String hides the credentials.
func (a API) String() string { return fmt.Sprint(a.visible()) }

// Format hides the credentials from every verb of fmt.
func (a API) Format(f fmt.State, _ rune) { io.WriteString(f, a.String()) }

// MarshalJSON hides the credentials.
func (a API) MarshalJSON() ([]byte, error) { return json.Marshal(a.visible()) }

// MarshalYAML hides the credentials.
func (a API) MarshalYAML() (any, error) { return a.visible(), nil }
