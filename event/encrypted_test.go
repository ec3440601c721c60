package event

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPersonalIsTheList: the encrypted members are exactly those in the list of personal places.
func TestPersonalIsTheList(t *testing.T) {
	var d Data
	fillAll(&d)
	content, err := TakePersonal(&d)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(content, &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "pii")
	var want []string
	for _, pointer := range personalPlaces {
		want = append(want, strings.TrimPrefix(pointer, "/"))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(members))); diff != "" {
		t.Errorf("encrypted members and personalPlaces (-list +encrypted):\n%s", diff)
	}
	for i, m := range new(Data).personal().members() {
		if m.present || !slices.Contains(personalPlaces, m.pointer) {
			t.Errorf("member %d, %s", i, m.pointer)
		}
	}
	if len(d.personal().members()) != len(personalPlaces) {
		t.Error("Check knows other members than the list")
	}
	if clear := asJSON(t, d); strings.Contains(clear, "s33d") {
		t.Errorf("in clear: %s", clear)
	}
}

// fillAll fills the personal members of d.
func fillAll(d *Data) {
	d.ExternalReference = "s33d"
	d.Documents = []Document{{DocumentID: "s33d"}}
	d.ExtractedClaims = Claims{"name": "s33d"}
	d.VerifiedClaims = &VerifiedClaims{Claims: Claims{"name": "s33d"}}
	d.Media = []Media{{ProviderRef: "s33d"}}
	d.Session = &Session{Channel: "s33d"}
	d.Extensions = map[string]any{"a": "s33d"}
}

// TestEncryptedCheck: an event of the profile encrypted that is not encrypted, or only in part, is refused.
func TestEncryptedCheck(t *testing.T) {
	var d Data
	fillAll(&d)
	d.PII.Profile = ProfileEncrypted
	var f faults
	d.checkEncrypted(&f)
	if len(f) != 1+len(personalPlaces) {
		t.Errorf("%v", f)
	}
	if _, err := TakePersonal(&d); err != nil {
		t.Fatal(err)
	}
	f = nil
	d.PII.JWE = map[string]string{"k": "a..b.c.d"}
	d.checkJWE(&f)
	d.checkEncrypted(&f)
	if len(f) != 0 {
		t.Errorf("%v", f)
	}
	for _, bad := range []string{"", "a.b.c.d", "a.b..d.e", "a.b.c.d.e.f", "a.b.c.d.é", "a.b.c.d.e="} {
		f = nil
		d.PII.JWE["k"] = bad
		if d.checkJWE(&f); len(f) != 1 {
			t.Errorf("%q passes", bad)
		}
	}
}
