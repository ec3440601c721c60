package test

import (
	"bytes"
	"encoding/json"
	"testing"

	"kycbridge/event"
	"kycbridge/test/fixture"
)

// TestReferenceIsTelephoneNumber: a caller's reference that is the telephone number in the same body is masked or left
// out, also if the number is in no claim.
func TestReferenceIsTelephoneNumber(t *testing.T) {
	cases, err := fixture.Load()
	if err != nil {
		t.Fatal(err)
	}
	const number = "5550100001" // phone_number and phoneNumber in both bodies
	references := map[string]string{"kwikid/get-details-approved": `"user-0001"`,
		"signzy/get-journey-completed-full": `"ref-1"`}
	want := map[event.Profile]string{event.ProfileFull: number, event.ProfileMasked: "****0001", event.ProfileNone: ""}
	tried := 0
	for _, c := range cases {
		reference := references[c.Dir()]
		if reference == "" {
			continue
		}
		tried++
		c.Body = bytes.ReplaceAll(c.Body, []byte(reference), []byte(`"`+number+`"`))
		for c.Profile = range want {
			out, err := eventOf(c)
			if err != nil {
				t.Fatal(err)
			}
			var e event.Event
			if err := json.Unmarshal(out, &e); err != nil {
				t.Fatal(err)
			}
			if e.Data.ExternalReference != want[c.Profile] {
				t.Errorf("%s, %s: %q", c.Dir(), c.Profile, e.Data.ExternalReference)
			}
			if hidden := c.Profile != event.ProfileFull; hidden && bytes.Contains(out, []byte(number)) {
				t.Errorf("%s, %s: the event contains the number", c.Dir(), c.Profile)
			}
		}
	}
	if tried != len(references) {
		t.Errorf("%d cases", tried)
	}
}
