package simulated

import (
	"time"

	"kycbridge/internal/simulate"
)

// The states of a simulated journey. Signzy has published no status but those of an end; the other
// words are made up, in its style.
const (
	sent      = "sent"      // the link was not opened: get-journey does not know the journey
	waiting   = "waiting"   // known, and nothing captured
	capturing = "capturing" // a document was captured
	done      = "done"      // COMPLETED
	unknown   = "unknown"   // ended with a status that nobody has seen
)

// evidenced is a script with the evidence that the journey shows from its ends on.
type evidenced struct {
	simulate.Script
	evidence map[time.Duration]string // the name of a file, by the time of the beat
}

// When things happen, in life time. A callback goes out at each end.
const (
	opens    = time.Minute
	ends     = 3 * time.Minute
	endsLate = 6 * time.Minute  // after a step was taken again
	turns    = 20 * time.Minute // a reviewer at the client's side has the evidence computed again
)

// scriptOf is what a person does.
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
	case simulate.Expire, simulate.Supersede: // Signzy knows no newer link of a journey
		return evidenced{Script: simulate.Script{first, simulate.At(opens, waiting)}}
	case simulate.Unknown:
		return ended(ends, unknown, "middling")
	}
	return ended(ends, done, "good")
}

// wordsOf are currentStatus, step and message of a state.
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
