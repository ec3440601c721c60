package kycbridge

import (
	"slices"

	"kycbridge/event"
)

// A checker's approval beside a maker's rejection needs a manual review: no provider describes a checker who overrules
// a maker. The two may come in one body, which its mapping handles, or in two.

// makersStep is the maker's verdict in a chain of decisions; nil if there is none.
func makersStep(steps []event.DecisionStep) *event.DecisionStep {
	at := slices.IndexFunc(steps, func(s event.DecisionStep) bool { return s.Stage == event.StageMaker })
	if at < 0 {
		return nil
	}
	return &steps[at]
}

// makersOutcome is the outcome of makersStep; "" if there is none.
func makersOutcome(steps []event.DecisionStep) event.Outcome {
	if step := makersStep(steps); step != nil {
		return step.Outcome
	}
	return ""
}

func approvesAsChecker(d event.Decision) bool {
	return d.Stage == event.StageChecker && d.Outcome == event.OutcomeApproved
}

// MakersVerdict is a maker's verdict, and when it was given.
type MakersVerdict struct {
	Step event.DecisionStep
	Moment
}

// maker is the maker's verdict that f contains. A checker's approval without one has the maker's newest stored one.
func (f Fact) maker() *MakersVerdict {
	switch step := makersStep(f.Decisions); {
	case step != nil:
		return &MakersVerdict{*step, f.moment()}
	case approvesAsChecker(f.Decision):
		return f.Known.Maker
	}
	return nil
}

// withMaker is the observation of f, with the maker's verdict that f.maker adds unless d contains a newer one.
func (d *Revision) withMaker(f Fact) Observation {
	o, v := f.Observation, f.maker()
	if v != nil && makersStep(o.Decisions) == nil && (d.Memory.Maker == nil || v.after(*d.Memory.Maker)) {
		o.Decisions = append([]event.DecisionStep{v.Step}, o.Decisions...)
	}
	return o
}

// recordMaker records when the maker's verdict in the chain of decisions was given, if that is the one of f.
func (d *Revision) recordMaker(f Fact) {
	v, step := f.maker(), makersStep(d.Decisions)
	if v != nil && step != nil && *step == v.Step {
		d.Memory.Maker = &v.Moment
	}
}

// overrulesMaker reports whether f is a checker's approval without the maker's verdict, and the known one is a
// rejection.
func (d *Revision) overrulesMaker(f Fact) bool {
	return approvesAsChecker(f.Decision) && makersOutcome(f.Decisions) == "" &&
		makersOutcome(d.Decisions) == event.OutcomeRejected
}

// review turns the current approval of a checker into a review. The steps are added to the chain of decisions.
func (d *Revision) review(steps []event.DecisionStep) {
	verdict := *d.Memory.Verdict
	verdict.Approves = false
	d.Memory.Verdict = &verdict
	o := Observation{Status: event.StatusInReview, StatusDetail: d.StatusDetail, Decision: d.Decision, Decisions: steps}
	o.Decision.Outcome, o.Decision.Final = event.OutcomeReview, false
	o.Reasons = []event.Reason{{Code: "review.manual_review_required"}}
	d.setStatus(o)
}

// makerRefutes reports whether f is a maker's rejection from before the current approval of a checker, and no newer
// verdict of the maker is known. One from after the approval counts like any other verdict.
func (d *Revision) makerRefutes(f Fact) bool {
	m, at := &d.Memory, f.moment()
	isNewest := (m.Maker == nil || !m.Maker.after(at)) && (f.Known.Maker == nil || !f.Known.Maker.after(at))
	return isNewest && d.concernsMaker(f) && m.Verdict != nil && (f.isOutdated(d) || f.Known.Outranked)
}

// concernsMaker reports whether f is a maker's rejection, and a checker's approval is current.
func (d *Revision) concernsMaker(f Fact) bool {
	return approvesAsChecker(d.Decision) && makersOutcome(f.Decisions) == event.OutcomeRejected
}
