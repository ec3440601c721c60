package simulate

import (
	"slices"
	"strings"
	"time"
)

// The people that take verifications. Each provider has a script for each of them; a person that a
// provider cannot represent behaves as Approve.
const (
	Approve    = "approve"    // is approved
	Reject     = "reject"     // is rejected
	Review     = "review"     // goes to a reviewer, who approves
	Flip       = "flip"       // is approved, and rejected later
	Resubmit   = "resubmit"   // has to redo a step, and is approved then
	Abandon    = "abandon"    // leaves in the middle; the provider may never report it
	Expire     = "expire"     // never opens the link
	Supersede  = "supersede"  // gets a newer link, which ends this session
	SecondLook = "secondlook" // is approved by a maker and then by a checker
	Unknown    = "unknown"    // gets an undocumented status
)

// People are all people.
func People() []string {
	return []string{Approve, Reject, Review, Flip, Resubmit, Abandon, Expire, Supersede, SecondLook, Unknown}
}

// PersonOf returns the person whose name the external reference contains, else fallback.
func PersonOf(externalReference, fallback string) string {
	for _, word := range strings.FieldsFunc(strings.ToLower(externalReference),
		func(r rune) bool { return r < 'a' || r > 'z' }) {
		if slices.Contains(People(), word) {
			return word
		}
	}
	return fallback
}

// Beat is one step of a script: at At, in simulated time since the beginning, the verification enters
// State, and Callbacks are sent. State is a value of the provider or a key of its tables.
type Beat struct {
	At        time.Duration
	State     string
	Callbacks []string
}

// At makes a beat.
func At(at time.Duration, state string, callbacks ...string) Beat {
	return Beat{At: at, State: state, Callbacks: callbacks}
}

// Script is the course of one verification, in order of time; the first beat is at 0.
type Script []Beat

// Now is the current beat at an age in simulated time.
func (sc Script) Now(age time.Duration) Beat {
	current := sc[0]
	for _, b := range sc {
		if b.At <= age {
			current = b
		}
	}
	return current
}

// Last reports whether the last beat has been reached.
func (sc Script) Last(age time.Duration) bool { return age >= sc[len(sc)-1].At }

// Then is sc followed by more.
func (sc Script) Then(more ...Beat) Script { return append(sc[:len(sc):len(sc)], more...) }
