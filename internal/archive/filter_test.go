package archive

import (
	"strings"
	"testing"
)

// TestFilterNames: a filter with a name that no configuration can contain is refused before the store sees it.
func TestFilterNames(t *testing.T) {
	for name, ok := range map[string]bool{"acme": true, "0-a_b": true, strings.Repeat("a", 63): true,
		strings.Repeat("a", 64): false, "a.b": false, "*": false, "A": false, " ": false} {
		for _, f := range []Filter{{Provider: name}, {Account: name}} {
			if err := f.Check(); (err == nil) != ok {
				t.Errorf("%+v: %v", f, err)
			}
		}
	}
}
