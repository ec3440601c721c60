package simulate

import (
	"slices"
	"time"
)

// idwiseLook is how a journey looks at a moment of a script.
type idwiseLook struct {
	system, manual string     // decisions; "" is null
	steps          [2]string  // status of document and selfie
	frozen         bool       // is_completed: nothing can be handed in
	end            bool       // decided, and nobody will decide otherwise where the script ends
	result         idwiseForm // which template the result is made of
	redo           []string   // steps that a reviewer wants again
}

// idwiseForm is a result's template.
type idwiseForm string

const (
	idwiseStarted idwiseForm = "started"
	idwisePassed  idwiseForm = "passed"
	idwiseFailed  idwiseForm = "failed"
)

// The vendor's status of a step, and one decision that no vendor has published.
const (
	idwiseMissing     = "Not Submitted"
	idwiseChecking    = "In Progress"
	idwiseSubmitted   = "Submitted"
	idwiseUnpublished = "Escalated"
	idwiseResubmit    = "Resubmission Requested"
)

var (
	idwiseNone = [2]string{idwiseMissing, idwiseMissing}
	idwiseBoth = [2]string{idwiseSubmitted, idwiseSubmitted}
)

// idwiseLooks are the states of the scripts. final_decision is the manual decision if there is one
// that ends something, else the system's.
var idwiseLooks = map[string]idwiseLook{
	"started":      {system: "Incomplete", steps: idwiseNone, result: idwiseStarted},
	"document":     {system: "Incomplete", steps: [2]string{idwiseSubmitted, idwiseChecking}, result: idwiseStarted},
	"submitted":    {system: "Incomplete", steps: idwiseBoth, frozen: true, result: idwiseStarted},
	"incomplete":   {system: "Incomplete", steps: idwiseNone, frozen: true, result: idwiseStarted},
	"complete":     {system: "Complete", steps: idwiseBoth, frozen: true, end: true, result: idwisePassed},
	"rejected":     {system: "Rejected", steps: idwiseBoth, frozen: true, end: true, result: idwiseFailed},
	"refer":        {system: "Refer", steps: idwiseBoth, frozen: true, result: idwiseFailed},
	"approved":     {system: "Refer", manual: "Approved", steps: idwiseBoth, frozen: true, end: true, result: idwiseFailed},
	"overruled":    {system: "Complete", manual: "Rejected", steps: idwiseBoth, frozen: true, end: true, result: idwisePassed},
	"unpublished":  {system: idwiseUnpublished, steps: idwiseBoth, frozen: true, result: idwiseFailed},
	"resubmission": {system: "Refer", manual: idwiseResubmit, steps: [2]string{idwiseMissing, idwiseSubmitted}, result: idwiseFailed, redo: []string{"0"}},
	"resubmitted":  {system: "Refer", manual: idwiseResubmit, steps: idwiseBoth, frozen: true, result: idwiseFailed},
	"mended":       {system: "Complete", manual: "Approved", steps: idwiseBoth, frozen: true, end: true, result: idwisePassed},
}

func (l idwiseLook) final() string {
	if l.manual == "" || l.manual == idwiseResubmit {
		return l.system
	}
	return l.manual
}

// The webhooks, by the vendor's exact names (https://docs.idwise.com/docs/webhooks-overview).
const (
	idwiseStepsDone = "Finished User Steps"
	idwiseDone      = "Finished Journey"
	idwiseReviewed  = "Manually Reviewed"
	idwiseUpdated   = "Updated Journey"
	idwiseRequired  = "Verification Update Required"
)

// idwiseReview is what one review sets off.
var idwiseReview = []string{idwiseDone, idwiseReviewed, idwiseUpdated}

// idwiseScript says how a person looks at IDWise. Nothing tells of one who leaves, or never comes.
func idwiseScript(person string) script {
	opened := script{{0, "started", nil}, {40 * time.Second, "document", nil}}
	decided := func(state string) script {
		return append(slices.Clone(opened),
			beat{80 * time.Second, "submitted", []string{idwiseStepsDone}},
			beat{3 * time.Minute, state, []string{idwiseDone}})
	}
	switch person {
	case Reject:
		return decided("rejected")
	case Review, SecondLook:
		return append(decided("refer"), beat{2 * time.Hour, "approved", idwiseReview})
	case Flip:
		return append(decided("complete"), beat{26 * time.Hour, "overruled", idwiseReview})
	case Resubmit:
		return append(decided("refer"),
			beat{10 * time.Minute, "resubmission", append(slices.Clone(idwiseReview), idwiseRequired)},
			beat{15 * time.Minute, "resubmitted", []string{idwiseStepsDone}},
			beat{17 * time.Minute, "mended", idwiseReview})
	case Abandon:
		return opened
	case Expire:
		return opened[:1]
	case Unknown:
		return decided("unpublished")
	}
	return decided("complete")
}

// idwiseRest is the part of sc from the first hand-in after age, beginning at 0: what follows once our
// caller has handed in the steps. A person who would never have done so is approved.
func idwiseRest(sc script, age time.Duration) script {
	from := slices.IndexFunc(sc, func(b beat) bool { return b.at > age && idwiseLooks[b.state].frozen })
	if from < 0 {
		sc = idwiseScript(Approve)
		from = slices.IndexFunc(sc, func(b beat) bool { return idwiseLooks[b.state].frozen })
	}
	begin := sc[from].at
	var out script
	for _, b := range sc[from:] {
		b.at -= begin
		out = append(out, b)
	}
	return out
}
