package schemas

import (
	"os"
	"path/filepath"
	"testing"

	"kycbridge/document"
)

const testdata = "../test/fixture/testdata"

func newSet(tb testing.TB) *Set {
	tb.Helper()
	set, err := New()
	if err != nil {
		tb.Fatal(err)
	}
	return set
}

func fixtureBody(tb testing.TB, dir string) []byte {
	tb.Helper()
	body, err := os.ReadFile(filepath.Join(testdata, filepath.FromSlash(dir), "body.json"))
	if err != nil {
		tb.Fatal(err)
	}
	return body
}

func decoded(tb testing.TB, body []byte) map[string]any {
	tb.Helper()
	doc, faults := document.Decode(body)
	if faults != nil {
		tb.Fatalf("decode: %v", faults)
	}
	return doc
}
