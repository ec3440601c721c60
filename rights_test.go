package kycbridge_test

import (
	"testing"

	"kycbridge"
)

// TestNamelessToken: tokens without a name are distinguishable in the log, by names that do not depend on the tokens.
func TestNamelessToken(t *testing.T) {
	a, b := kycbridge.NamelessToken(1, "one secret"), kycbridge.NamelessToken(2, "another secret")
	if a.Name != "token-1" || b.Name != "token-2" {
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
	empty := kycbridge.NamelessToken(1, "")
	if _, ok := kycbridge.FindToken([]kycbridge.AdminToken{empty}, ""); ok {
		t.Error("an empty token admits")
	}
}
