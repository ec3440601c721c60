package oracle

import "time"

// Weight is the effect of a callback on a verification.
type Weight int

// The weights.
const (
	Nothing  Weight = iota // leads to no event
	Progress               // the progress of the process
	Ended                  // ended without a verdict
	Verdict                // a decision
)

// State is the state of a verification: status and outcome.
type State struct{ Status, Outcome string }

// Fact is the content of one callback, by the contract.
type Fact struct {
	Weight  Weight
	At      time.Time // the provider's time
	Untimed bool      // its time is too far in the future to be trusted
	State   State
	Person  bool // decided by a person
	Machine bool // decided by a machine; neither: not stated
	Attempt int  // 1 or 2; 0: not numbered
}

// Allowed are the permitted states of a verification after all facts, in any order.
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

// newest is the state of the newest verdict, except that a machine's never replaces a person's.
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

// undecided returns the permitted states without a verdict: an end is final, else the newest progress or any
// untimed one.
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

// undated returns the permitted states with untimed verdicts: verdicts that agree are valid, those that differ need
// a review.
func undated(verdicts []Fact) map[State]bool {
	for _, f := range verdicts {
		if f.State != verdicts[0].State {
			return only(State{"in_review", "review"})
		}
	}
	return only(verdicts[0].State)
}

// renewed returns the permitted states with two attempts: the second attempt counts. Until it has a verdict of its
// own, an earlier approval may remain; a rejected verification is open again.
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
	out[State{"processing", "none"}] = true // from facts of the session, which continue beside those of the attempt
	return out
}
