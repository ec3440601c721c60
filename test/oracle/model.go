package oracle

import "time"

// Weight says what a callback can do to a verification.
type Weight int

// The weights.
const (
	Nothing  Weight = iota // makes no event
	Progress               // where the process is
	Ended                  // over without a verdict
	Verdict                // what was decided
)

// State is where a verification stands: status and outcome.
type State struct{ Status, Outcome string }

// Fact is what one callback says, by the contract.
type Fact struct {
	Weight  Weight
	At      time.Time // as the provider states it
	Untimed bool      // its time lies so far ahead that nobody can trust it
	State   State
	Person  bool // decided by a person
	Machine bool // decided by a machine; neither: the provider does not say
	Attempt int  // 1 or 2; 0: the provider does not number it
}

// Allowed are the states in which a verification may stand once all facts have been told, in any order.
func Allowed(facts []Fact) map[State]bool {
	var verdicts, others []Fact
	for _, f := range facts {
		switch f.Weight {
		case Verdict:
			verdicts = append(verdicts, f)
		case Progress, Ended:
			others = append(others, f)
		}
	}
	second := ofAttempt(facts, 2)
	switch {
	case len(second) > 0:
		return renewed(verdicts, second)
	case len(verdicts) == 0:
		return undecided(others)
	case verdicts[0].Untimed:
		return undated(verdicts)
	}
	return only(newest(verdicts))
}

func only(s State) map[State]bool { return map[State]bool{s: true} }

func ofAttempt(facts []Fact, attempt int) (out []Fact) {
	for _, f := range facts {
		if f.Attempt == attempt {
			out = append(out, f)
		}
	}
	return out
}

// newest is the newest verdict, but that a machine's never replaces a person's.
func newest(verdicts []Fact) State {
	left := append([]Fact(nil), verdicts...)
	var standing Fact
	for len(left) > 0 {
		first := 0
		for i := range left {
			if left[i].At.Before(left[first].At) {
				first = i
			}
		}
		if f := left[first]; !standing.Person || !f.Machine {
			standing = f
		}
		left = append(left[:first], left[first+1:]...)
	}
	return standing.State
}

// undecided: an end stands; else the newest sign of progress, or any of those without a time.
func undecided(others []Fact) map[State]bool {
	out := map[State]bool{}
	var last Fact
	for _, f := range others {
		if f.Weight == Ended {
			return only(f.State)
		}
		if f.Untimed {
			out[f.State] = true
		} else if last.At.IsZero() || f.At.After(last.At) {
			last = f
		}
	}
	if !last.At.IsZero() {
		out[last.State] = true
	}
	return out
}

// undated: verdicts without a time that agree stand; those that differ are for a person to look at.
func undated(verdicts []Fact) map[State]bool {
	for _, f := range verdicts {
		if f.State != verdicts[0].State {
			return only(State{"in_review", "review"})
		}
	}
	return only(verdicts[0].State)
}

// renewed: the second attempt counts. Until it has a verdict of its own, an approval that came before it
// stands; a rejection is open again.
func renewed(verdicts, second []Fact) map[State]bool {
	if own := ofAttempt(verdicts, 2); len(own) > 0 {
		return only(newest(own))
	}
	out := map[State]bool{}
	for _, f := range second {
		out[f.State] = true
	}
	for _, f := range ofAttempt(verdicts, 1) {
		if f.State.Outcome == "approved" {
			out[f.State] = true
		}
	}
	out[State{"in_progress", "none"}] = true
	out[State{"processing", "none"}] = true // the session's own signs go on beside the attempt's
	return out
}
