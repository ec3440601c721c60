package app

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"kycbridge/event"
	"kycbridge/test/fixture"
	"kycbridge/test/wait"
)

// TestEventsWithoutFreeText puts a name into every leaf of every fixture, and in place of every member name, one at a
// time, and searches for it in the events of the profiles that promise that a reader learns no person's name. A
// recipient of the profile encrypted gets the event as with full.
func TestEventsWithoutFreeText(t *testing.T) {
	w := newPayloadViewer(t)
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	events := 0
	for _, c := range cases {
		var doc any
		if json.Unmarshal(c.Body, &doc) != nil {
			continue
		}
		n, names := leaves(doc), memberNames(doc)
		for at := range n + names {
			if wait.Race && at%8 > 0 {
				continue
			}
			seed := seeds[at%len(seeds)]
			body := seeded(t, doc, at, seed)
			if at >= n {
				body = renamed(t, doc, at-n, seed)
			}
			done := w.work(t, w.payload(c, body))
			if done.Event == nil {
				continue
			}
			events++
			for _, p := range []event.Profile{event.ProfileMasked, event.ProfileNone, event.ProfileEncrypted} {
				text := published(t, *done.Event, p)
				if found := strings.Index(strings.ToLower(text), "zqxv"); found >= 0 {
					t.Errorf("%s, %s, leaf %d of %d, %q: ...%s...", p, c.Dir(), at, n, seed,
						text[max(0, found-160):min(len(text), found+40)])
				}
			}
		}
	}
	if least := 1000; !wait.Race && events < least {
		t.Errorf("only %d events: too little to prove anything", events)
	}
	t.Logf("%d events", events)
}

// published is what a reader without keys sees of e under profile p, except the ids that a caller or a provider gives
// and the names of flows.
func published(t *testing.T, e event.Event, p event.Profile) string {
	t.Helper()
	d := e.Data
	full := inJSON(t, d)
	event.Protect(&d, p)
	if e.Data = d; p != event.ProfileEncrypted {
		for _, f := range e.Check() {
			t.Errorf("%s: %s %s", p, f.Path, f.Message)
		}
	}
	if p == event.ProfileEncrypted {
		content, err := event.TakePersonal(&d)
		if err != nil {
			t.Fatal(err)
		}
		opened := d
		if err := event.RestorePersonal(&opened, content); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(full, inJSON(t, opened)); diff != "" {
			t.Errorf("decrypted: %s", diff)
		}
	}
	d.ExternalReference, d.Provider.References = "", nil
	d.Provider.Product, d.Provider.FlowID, d.Provider.FlowVersion = "", "", ""
	return inJSON(t, d)
}

// memberNames counts the names of members in v.
func memberNames(v any) (n int) {
	eachName(v, func(name string) string { n++; return name })
	return n
}

// renamed is a document with another name for one of its members.
func renamed(t *testing.T, doc any, at int, name string) []byte {
	t.Helper()
	n := -1
	body, err := json.Marshal(eachName(doc, func(was string) string {
		if n++; n == at {
			return name
		}
		return was
	}))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(body)
}

// eachName copies v with every member name replaced, in a fixed order.
func eachName(v any, replace func(string) string) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			member := v[name]
			out[replace(name)] = eachName(member, replace)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = eachName(v[i], replace)
		}
		return out
	}
	return v
}
