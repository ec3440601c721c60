package simulated

import (
	"slices"
	"time"

	"kycbridge/internal/simulate"
)

// look is the state of a journey at a moment of a script.
type look struct {
	system, manual string    // decisions; "" is null
	steps          [2]string // status of document and selfie
	frozen         bool      // is_completed: nothing can be submitted
	end            bool      // decided; if the script ends here, the decision does not change
	result         form      // the template of the result
	redo           []string  // steps that a reviewer requests again
}

// form is a result's template.
type form string

const (
	started form = "started"
	passed  form = "passed"
	failed  form = "failed"
)

// The vendor's statuses of a step, an invented decision, and the vendor's decision for a resubmission.
const (
	missing     = "Not Submitted"
	checking    = "In Progress"
	submitted   = "Submitted"
	unpublished = "Escalated"
	resubmit    = "Resubmission Requested"
)

var (
	none = [2]string{missing, missing}
	both = [2]string{submitted, submitted}
)

// looks are the states of the scripts. final_decision is the manual decision if it exists and is not a
// resubmission request, else the system's.
var looks = map[string]look{
	"started":     {system: "Incomplete", steps: none, result: started},
	"document":    {system: "Incomplete", steps: [2]string{submitted, checking}, result: started},
	"submitted":   {system: "Incomplete", steps: both, frozen: true, result: started},
	"incomplete":  {system: "Incomplete", steps: none, frozen: true, result: started},
	"complete":    {system: "Complete", steps: both, frozen: true, end: true, result: passed},
	"rejected":    {system: "Rejected", steps: both, frozen: true, end: true, result: failed},
	"refer":       {system: "Refer", steps: both, frozen: true, result: failed},
	"approved":    {system: "Refer", manual: "Approved", steps: both, frozen: true, end: true, result: failed},
	"overruled":   {system: "Complete", manual: "Rejected", steps: both, frozen: true, end: true, result: passed},
	"unpublished": {system: unpublished, steps: both, frozen: true, result: failed},
	"resubmission": {system: "Refer", manual: resubmit, steps: [2]string{missing, submitted}, result: failed,
		redo: []string{"0"}},
	"resubmitted": {system: "Refer", manual: resubmit, steps: both, frozen: true, result: failed},
	"mended":      {system: "Complete", manual: "Approved", steps: both, frozen: true, end: true, result: passed},
}

func (l look) final() string {
	if l.manual == "" || l.manual == resubmit {
		return l.system
	}
	return l.manual
}

// The webhooks, by the vendor's exact names (https://docs.idwise.com/docs/webhooks-overview).
const (
	stepsDone = "Finished User Steps"
	done      = "Finished Journey"
	reviewed  = "Manually Reviewed"
	updated   = "Updated Journey"
	required  = "Verification Update Required"
)

// review lists the webhooks that one review triggers.
var review = []string{done, reviewed, updated}

// scriptOf returns the script of a person. IDWise sends nothing about a person who leaves or never comes.
func scriptOf(person string) simulate.Script {
	opened := simulate.Script{simulate.At(0, "started"), simulate.At(40*time.Second, "document")}
	decided := func(state string) simulate.Script {
		return append(slices.Clone(opened),
			simulate.At(80*time.Second, "submitted", stepsDone),
			simulate.At(3*time.Minute, state, done))
	}
	switch person {
	case simulate.Reject:
		return decided("rejected")
	case simulate.Review, simulate.SecondLook:
		return append(decided("refer"), simulate.At(2*time.Hour, "approved", review...))
	case simulate.Flip:
		return append(decided("complete"), simulate.At(26*time.Hour, "overruled", review...))
	case simulate.Resubmit:
		return append(decided("refer"),
			simulate.At(10*time.Minute, "resubmission", append(slices.Clone(review), required)...),
			simulate.At(15*time.Minute, "resubmitted", stepsDone),
			simulate.At(17*time.Minute, "mended", review...))
	case simulate.Abandon:
		return opened
	case simulate.Expire:
		return opened[:1]
	case simulate.Unknown:
		return decided("unpublished")
	}
	return decided("complete")
}

// restOf returns the part of sc from the first completed state after age, moved to 0: what follows once the
// API's caller has submitted the steps. If sc has no such part, the person is approved.
func restOf(sc simulate.Script, age time.Duration) simulate.Script {
	from := slices.IndexFunc(sc, func(b simulate.Beat) bool { return b.At > age && looks[b.State].frozen })
	if from < 0 {
		sc = scriptOf(simulate.Approve)
		from = slices.IndexFunc(sc, func(b simulate.Beat) bool { return looks[b.State].frozen })
	}
	begin := sc[from].At
	var out simulate.Script
	for _, b := range sc[from:] {
		b.At -= begin
		out = append(out, b)
	}
	return out
}
