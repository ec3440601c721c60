package kycbridge

import "testing"

// TestParts: a full name without parts counts as given names; it is split only at the parts that the
// caller has given.
func TestParts(t *testing.T) {
	for name, tt := range map[string]struct {
		person Person
		want   [3]string
	}{
		"parts": {Person{GivenName: "Testa", MiddleName: "Q", FamilyName: "Sample"},
			[3]string{"Testa", "Q", "Sample"}},
		"whole":                 {Person{Name: " Testa Q Sample "}, [3]string{"Testa Q Sample", "", ""}},
		"whole with its middle": {Person{Name: "Testa Q Sample", MiddleName: "Q"}, [3]string{"Testa Q Sample", "", ""}},
		"whole and parts": {Person{Name: "T. Q. Sample", GivenName: "Testa", FamilyName: "Sample"},
			[3]string{"Testa", "", "Sample"}},
		"whole and family name": {Person{Name: "Testa Q Sample", FamilyName: "Sample"}, [3]string{"Testa Q", "", "Sample"}},
		"and middle name": {Person{Name: "Testa Q Sample", MiddleName: "Q", FamilyName: "Sample"},
			[3]string{"Testa", "Q", "Sample"}},
		"whole and given name": {Person{Name: "Testa Q Sample", GivenName: "Testa"}, [3]string{"Testa", "", "Q Sample"}},
		"family name first":    {Person{Name: "Sample Testa", FamilyName: "Sample"}, [3]string{"Testa", "", "Sample"}},
		"part of another name": {Person{Name: "Testa Sample", FamilyName: "Other"}, [3]string{"", "", "Other"}},
		"part within a word":   {Person{Name: "Testasample", FamilyName: "sample"}, [3]string{"", "", "sample"}},
		"mononym":              {Person{Name: "Testa"}, [3]string{"Testa", "", ""}},
		"only family name":     {Person{FamilyName: "Sample"}, [3]string{"", "", "Sample"}},
		"nobody":               {Person{}, [3]string{}},
	} {
		if given, middle, family := tt.person.Parts(); [3]string{given, middle, family} != tt.want {
			t.Errorf("%s: %q, %q, %q", name, given, middle, family)
		}
	}
}
