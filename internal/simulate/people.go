package simulate

import (
	"slices"
	"strings"
	"time"
)

// The people that take verifications. Each provider says with a script how each of them looks there;
// one that a provider cannot show behaves as Approve.
const (
	Approve    = "approve"    // is approved
	Reject     = "reject"     // is rejected
	Review     = "review"     // goes to a reviewer, who approves
	Flip       = "flip"       // is approved, and rejected later
	Resubmit   = "resubmit"   // has to redo a step, and is approved then
	Abandon    = "abandon"    // leaves in the middle; the provider may never say so
	Expire     = "expire"     // never opens the link
	Supersede  = "supersede"  // gets a newer link, which ends this session
	SecondLook = "secondlook" // is approved by a maker and then by a checker
	Unknown    = "unknown"    // gets a status that nobody has published
)

// People are all of them.
func People() []string {
	return []string{Approve, Reject, Review, Flip, Resubmit, Abandon, Expire, Supersede, SecondLook, Unknown}
}

// PersonOf finds who takes a verification: the person whose name stands in the reference, else fallback.
func PersonOf(externalReference, fallback string) string {
	for _, word := range strings.FieldsFunc(strings.ToLower(externalReference),
		func(r rune) bool { return r < 'a' || r > 'z' }) {
		if slices.Contains(People(), word) {
			return word
		}
	}
	return fallback
}

// Beat is one moment of a script: after so much life time since the beginning the verification is in
// a state, and these callbacks go out. State is the provider's own word or a key of its tables.
type Beat struct {
	At        time.Duration
	State     string
	Callbacks []string
}

// At makes a beat.
func At(at time.Duration, state string, callbacks ...string) Beat {
	return Beat{At: at, State: state, Callbacks: callbacks}
}

// Script is what happens to one verification, in order of time; the first beat is at 0.
type Script []Beat

// Now is the beat that holds after so much life time.
func (sc Script) Now(age time.Duration) Beat {
	current := sc[0]
	for _, b := range sc {
		if b.At <= age {
			current = b
		}
	}
	return current
}

// Last reports whether the last beat has come.
func (sc Script) Last(age time.Duration) bool { return age >= sc[len(sc)-1].At }

// Then is sc and what follows it.
func (sc Script) Then(more ...Beat) Script { return append(sc[:len(sc):len(sc)], more...) }
