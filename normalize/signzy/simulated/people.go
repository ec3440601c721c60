package simulated

import (
	"time"

	"kycbridge/internal/simulate"
)

// The states of a simulated journey. Signzy has published only the statuses of an end; the other statuses are
// invented, in its style.
const (
	sent      = "sent"      // the link was not opened yet: get-journey does not know the journey
	waiting   = "waiting"   // the journey is known, and nothing is captured
	capturing = "capturing" // a document was captured
	done      = "done"      // COMPLETED
	unknown   = "unknown"   // ended with an invented status
)

// evidenced is a script with the evidence that the journey contains from each of its ends on.
type evidenced struct {
	simulate.Script
	evidence map[time.Duration]string // file names, by the time of the beat
}

// When the events of a script occur, in simulated time. A callback is sent at each end.
const (
	opens    = time.Minute
	ends     = 3 * time.Minute
	endsLate = 6 * time.Minute  // after the applicant repeated a step
	turns    = 20 * time.Minute // a reviewer of the client has the evidence computed again
)

// scriptOf returns the script of a person.
func scriptOf(person string) evidenced {
	first, second := simulate.At(0, sent), simulate.At(opens, capturing)
	end := func(at time.Duration, state string) simulate.Beat { return simulate.At(at, state, getCall) }
	ended := func(at time.Duration, state, evidence string) evidenced {
		return evidenced{
			Script: simulate.Script{first, second, end(at, state)}, evidence: map[time.Duration]string{at: evidence},
		}
	}
	switch person {
	case simulate.Reject:
		return ended(ends, done, "bad")
	case simulate.Review:
		return ended(ends, done, "middling")
	case simulate.Flip:
		return evidenced{
			Script:   simulate.Script{first, second, end(ends, done), end(turns, done)},
			evidence: map[time.Duration]string{ends: "good", turns: "bad"},
		}
	case simulate.Resubmit:
		return ended(endsLate, done, "attempts")
	case simulate.Abandon:
		return evidenced{Script: simulate.Script{first, second}}
	case simulate.Expire, simulate.Supersede: // Signzy does not know newer links of a journey
		return evidenced{Script: simulate.Script{first, simulate.At(opens, waiting)}}
	case simulate.Unknown:
		return ended(ends, unknown, "middling")
	}
	return ended(ends, done, "good")
}

// wordsOf returns currentStatus, step and message of a state.
func wordsOf(state string) (status, step, message string) {
	switch state {
	case done:
		return "COMPLETED", "COMPLETE", "Journey Completed"
	case unknown:
		return "HELD_BACK", "HELD_BACK", "Journey Held Back"
	case capturing:
		return "IN_PROGRESS", "DOCUMENT_CAPTURE", "Journey In Progress"
	}
	return "IN_PROGRESS", "LINK_SENT", "Journey Link Sent"
}
