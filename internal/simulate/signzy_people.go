package simulate

import "time"

// The states of a simulated journey. Signzy has published no status but those of an end; the other
// words are made up, in its style.
const (
	signzySent      = "sent"      // the link was not opened: get-journey does not know the journey
	signzyWaiting   = "waiting"   // known, and nothing captured
	signzyCapturing = "capturing" // a document was captured
	signzyDone      = "done"      // COMPLETED
	signzyUnknown   = "unknown"   // ended with a status that nobody has seen
)

// signzyScript is a script with the evidence that the journey shows from its ends on.
type signzyScript struct {
	script
	evidence map[time.Duration]string // the name of a file, by the time of the beat
}

// When things happen, in life time. A callback goes out at each end.
const (
	signzyOpens    = time.Minute
	signzyEnds     = 3 * time.Minute
	signzyEndsLate = 6 * time.Minute  // after a step was taken again
	signzyTurns    = 20 * time.Minute // a reviewer at the client's side has the evidence computed again
)

// signzyPerson is what a person does.
func signzyPerson(person string) signzyScript {
	sent := beat{state: signzySent}
	capturing := beat{at: signzyOpens, state: signzyCapturing}
	end := func(at time.Duration, state string) beat {
		return beat{at: at, state: state, callbacks: []string{signzyGetCall}}
	}
	switch person {
	case Reject:
		return signzyScript{script{sent, capturing, end(signzyEnds, signzyDone)}, map[time.Duration]string{signzyEnds: "bad"}}
	case Review:
		return signzyScript{script{sent, capturing, end(signzyEnds, signzyDone)}, map[time.Duration]string{signzyEnds: "middling"}}
	case Flip:
		return signzyScript{
			script{sent, capturing, end(signzyEnds, signzyDone), end(signzyTurns, signzyDone)},
			map[time.Duration]string{signzyEnds: "good", signzyTurns: "bad"},
		}
	case Resubmit:
		return signzyScript{script{sent, capturing, end(signzyEndsLate, signzyDone)}, map[time.Duration]string{signzyEndsLate: "attempts"}}
	case Abandon:
		return signzyScript{script{sent, capturing}, nil}
	case Expire, Supersede: // Signzy knows no newer link of a journey
		return signzyScript{script{sent, beat{at: signzyOpens, state: signzyWaiting}}, nil}
	case Unknown:
		return signzyScript{script{sent, capturing, end(signzyEnds, signzyUnknown)}, map[time.Duration]string{signzyEnds: "middling"}}
	}
	return signzyScript{script{sent, capturing, end(signzyEnds, signzyDone)}, map[time.Duration]string{signzyEnds: "good"}}
}

// signzyWords are currentStatus, step and message of a state.
func signzyWords(state string) (status, step, message string) {
	switch state {
	case signzyDone:
		return "COMPLETED", "COMPLETE", "Journey Completed"
	case signzyUnknown:
		return "HELD_BACK", "HELD_BACK", "Journey Held Back"
	case signzyCapturing:
		return "IN_PROGRESS", "DOCUMENT_CAPTURE", "Journey In Progress"
	}
	return "IN_PROGRESS", "LINK_SENT", "Journey Link Sent"
}
