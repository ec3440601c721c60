package document

import "testing"

// TestPointersAreNotPersonal: a name that may be a number, an address or a sentence is not repeated.
func TestPointersAreNotPersonal(t *testing.T) {
	for token, want := range map[string]string{
		"documentNumber": "/documentNumber", "Address Line 2": "/Address Line 2", "a/b~c": "/a~1b~0c", "0": "/0",
		"123456":     "/123456",
		"1990-02-01": "/*", "234123412346": "/*", "२३४१२३४१२३४६": "/*", "+370 600 00001": "/*", "203.0.113.7": "/*",
		"2001:db8::7":       "/*",
		"testa@example.com": "/*", "{\"x\":1}": "/*",
	} {
		if got := Join("", token); got != want {
			t.Errorf("%q becomes %q, want %q", token, got, want)
		}
	}
}
