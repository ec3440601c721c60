package kycbridge_test

import (
	"strings"
	"testing"

	"kycbridge"
)

// TestNamelessToken: tokens without a name are distinguishable in the log, and the log does not reveal
// them.
func TestNamelessToken(t *testing.T) {
	a, b := kycbridge.NamelessToken("one secret"), kycbridge.NamelessToken("another secret")
	if a.Name == b.Name || strings.Contains(a.Name, "secret") || len(a.Name) != len("token-")+8 {
		t.Error(a.Name, b.Name)
	}
	for _, right := range kycbridge.AllRights() {
		if !a.Rights.Has(right) {
			t.Errorf("%s is missing", right)
		}
	}
	all := []kycbridge.AdminToken{a, b}
	for text, want := range map[string]string{"one secret": a.Name, "another secret": b.Name, "": "", "other": ""} {
		if found, ok := kycbridge.FindToken(all, text); found.Name != want || ok != (want != "") {
			t.Errorf("%q: %s", text, found.Name)
		}
	}
	empty := kycbridge.NamelessToken("")
	if _, ok := kycbridge.FindToken([]kycbridge.AdminToken{empty}, ""); ok {
		t.Error("an empty token admits")
	}
}
