package event

import (
	"strings"
	"testing"
)

// TestNoMRZ: a line of a machine-readable zone that a recogniser has read as a name, a number or anything else is in no
// event, in no profile. Long ids and fillers of forms remain.
func TestNoMRZ(t *testing.T) {
	for _, line := range []string{
		"P<UTOSAMPLE<<TESTA<<<<<<<<<<<<<<<<<<<<<<<<<<",
		"X0000002<3UTO8807306F3201101<<<<<<<<<<<<<<08",
		"I<UTOX000000020<<<<<<<<<<<<<<<",
		"X0000002<3UTO8807306F3201101ZE184226B1234510", // full: it has no filler
		"read: I<UTOX000000020<<<<<<<<<<<<<<<\n8807306F3201101UTO<<<<<<<<<<<8",
	} {
		for _, profile := range []Profile{ProfileFull, ProfileMasked, ProfileNone, ProfileEncrypted} {
			eachString("", published(t, line, profile), func(pointer, s string) {
				if strings.Contains(s, "UTO") && !ownIDs[pointer] {
					t.Errorf("%s: %s holds %q", profile, pointer, s)
				}
			})
		}
	}
	for _, other := range []string{"Testa <<Example>> Sample", "NAME<<<<<<", strings.Repeat("A1", 30),
		"4F5B20D1C3A947E08B6D2F91ACE05738F1"} {
		if hidden := hideMRZ(other, aadhaarMask); hidden != other {
			t.Errorf("%q is hidden: %q", other, hidden)
		}
	}
}
