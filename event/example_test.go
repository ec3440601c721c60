package event_test

import (
	"fmt"

	"kycbridge/event"
)

// A consumer stores the newest processed event of each verification, and acts on newer ones.
func Example() {
	handled := map[string]event.Event{}
	for _, body := range []string{
		`{"data":{"verification_id":"3f2a","revision":2,"decision":{"outcome":"approved","final":true}}}`,
		`{"data":{"verification_id":"3f2a","revision":1,"decision":{"outcome":"none","final":false}}}`, // arrives late
		`{"data":{"verification_id":"3f2a","revision":3,"decision":{"outcome":"rejected","final":true}}}`,
	} {
		e, err := event.Decode([]byte(body))
		if err != nil {
			fmt.Println("not an event:", err)
			continue
		}
		last, known := handled[e.Data.VerificationID]
		switch {
		case known && !e.NewerThan(&last):
			fmt.Println("revision", e.Data.Revision, "is known already")
			continue
		case e.Accepted():
			fmt.Println("revision", e.Data.Revision, "admits")
		default:
			fmt.Println("revision", e.Data.Revision, "does not admit")
		}
		handled[e.Data.VerificationID] = e
	}
	// Output:
	// revision 2 admits
	// revision 1 is known already
	// revision 3 does not admit
}
