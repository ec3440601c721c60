package publisher

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kycbridge"
)

// TestDispositionsAsStored: entries of earlier versions are read, entries of this one are read back, and
// earlier versions can read them too, since they ignore everything after the third element.
func TestDispositionsAsStored(t *testing.T) {
	t.Parallel()
	all := cmp.AllowUnexported(disposition{})
	field, word := newValue{Kind: kycbridge.NewField, Pointer: "/a"}, newValue{Kind: kycbridge.NewWord, Pointer: "/b",
		Value: "Frozen"}
	for text, want := range map[string]disposition{
		`[7,2]`:           {seq: 7, revision: 2},
		`[7,0,"ignored"]`: {seq: 7, why: "ignored"},
		`[7,2,"",[["/a"],["/b","Frozen"],["/c",""]]]`: {seq: 7, revision: 2,
			fresh: []newValue{field, word, {Kind: kycbridge.NewWord, Pointer: "/c"}}},
		`[7,0,"old",[["/a"]]]`: {seq: 7, why: "old", fresh: []newValue{field}},
		`[7,2,"",[["/a","object","type"]]]`: {seq: 7, revision: 2,
			fresh: []newValue{{kycbridge.NewType, "/a", "object"}}},
		`[7,0,"\"\u003cé\\"]`: {seq: 7, why: "\"<é\\"},
		`[7,2,"",null,1772442000,17,"00000000-0000-5000"]`: {seq: 7, revision: 2, storedAt: 1772442000, mark: 17,
			verification: "00000000-0000-5000"},
	} {
		var got disposition
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, all); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
		body, err := json.Marshal(got)
		if err != nil || string(body) != text {
			t.Errorf("%s is written as %s, %v", text, body, err)
		}
		batch, err := written([]disposition{got, got})
		if err != nil || string(batch) != "["+text+","+text+"]" {
			t.Errorf("two of %s are written as %s, %v", text, batch, err)
		}
		var seq uint64
		var revision int
		var why string
		earlier := []any{&seq, &revision, &why}
		if err := json.Unmarshal(body, &earlier); err != nil || seq != want.seq || revision != want.revision ||
			why != want.why {
			t.Errorf("an earlier version reads %s as %d %d %q, %v", text, seq, revision, why, err)
		}
	}
	var got disposition
	for _, odd := range []string{`[7,0,"",[[]]]`, `[7,0,"",[["/a","b","type","c"]]]`} {
		if json.Unmarshal([]byte(odd), &got) == nil {
			t.Errorf("took %s", odd)
		}
	}
}

// TestDispositionsFitAMessage: a message holds many small entries, or few large ones, and at least one.
func TestDispositionsFitAMessage(t *testing.T) {
	t.Parallel()
	large := disposition{}
	for range 32 {
		large.fresh = append(large.fresh, newValue{Kind: kycbridge.NewField, Pointer: "/" + strings.Repeat("p", 600)})
	}
	for name, test := range map[string]struct {
		waiting []disposition
		want    int
	}{
		"none":    {nil, 0},
		"few":     {make([]disposition, 3), 3},
		"as many": {make([]disposition, dispositionsAtOnce), dispositionsAtOnce},
		"many":    {make([]disposition, 3000), dispositionsAtOnce},
		"large ones": {[]disposition{large, large, large, large, large, large, large, large, large, large, large, large,
			large, large}, 13},
	} {
		got := fitting(test.waiting)
		body, err := written(test.waiting[:got])
		if got != test.want || err != nil || len(body) > 2*dispositionsBytes {
			t.Errorf("%s: %d in %d bytes, want %d; %v", name, got, len(body), test.want, err)
		}
	}
}
