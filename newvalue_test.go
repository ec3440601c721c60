package kycbridge

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNewWordsAreHarmless(t *testing.T) {
	got := harmlessValues([]NewValue{
		{NewWord, "/a", "Frozen"}, {NewWord, "/a", "Testa"}, {NewWord, "/a", "Testa Sample"}, {NewField, "/riskLevel", ""},
		{NewWord, "/c", "ACME_ID"}, {NewField, "/TestaSample", ""},
	}, "acme")
	want := []NewValue{{NewField, "/*", ""}, {NewWord, "/a", ""}, {NewWord, "/a", "Frozen"}, {NewWord, "/c", "ACME_ID"},
		{NewField, "/riskLevel", ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestPayloadIDsAreNotPersonal: text that does not look like an id is not used as one.
func TestPayloadIDsAreNotPersonal(t *testing.T) {
	for id, want := range map[string]string{
		"e0000000-0000-4000-8000-000000000012": "p.a.e0000000-0000-4000-8000-000000000012", "evt_1": "p.a.evt_1",
		"234123412346": "p.a.digest", "Testa": "p.a.digest", "testa.sample": "p.a.digest", "a b1": "p.a.digest",
		"": "p.a.digest",
	} {
		if got := PayloadID("p", "a", id, "digest"); got != want {
			t.Errorf("%q is %s", id, got)
		}
	}
}
