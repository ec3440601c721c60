package model

// IDWise maps a message of IDWise to a fact: the row of the contract for its event and decisions. An
// account without confirmation decides from the bodies of callbacks.
func IDWise(event, system, manual, final string) Fact {
	switch event {
	case "summary":
		return Fact{Word: Progress, Status: "in_progress"}
	case "Finished Step", "Step Submitted":
		return Fact{Word: Submit, Status: "in_progress"}
	case "Finished User Steps":
		return Fact{Word: Submit, Status: "processing"}
	case "Verification Update Required":
		return Fact{Word: Resubmit, Status: "requires_input", Outcome: "resubmit", Actions: true,
			Stage: "manual_review", Rank: 2}
	case "KYC Renewal Deadline Exceeded":
		return Fact{Word: Reopen, Status: "expired", Outcome: "none", Actions: true, Rank: 1}
	}
	f := idwiseDecision(system, manual, final)
	f.Repeats = event == "result" || event == "AML Monitor Update"
	return f
}

// idwiseDecision maps the reviewer's decision, or the system's if there is no reviewer's. The final decision is
// only compared with it.
func idwiseDecision(system, manual, final string) Fact {
	f := idwiseSystem[system]
	word := system
	switch manual {
	case "Resubmission Requested":
		f = Fact{Word: Resubmit, Status: "requires_input", Outcome: "resubmit", Actions: true,
			Stage: "manual_review", Rank: 2}
		word = system // the final decision repeats it
	case "Approved", "Rejected":
		f = Fact{Word: Verdict, Status: "completed", Outcome: outcomes[manual], Final: true,
			Stage: "manual_review", Rank: 2}
		word = manual
	}
	if final != "" && final != word && final != mirror[word] {
		f = Fact{Word: Doubt, Reason: "contradiction", Stage: f.Stage, Rank: max(1, f.Rank)}
	}
	return f
}

// mirror contains the final decision that older documentation gives for a system's decision.
var mirror = map[string]string{"Complete": "Approved"}

var idwiseSystem = map[string]Fact{
	"Incomplete": {Word: Progress, Status: "in_progress"},
	"Complete":   {Word: Verdict, Status: "completed", Outcome: "approved", Final: true, Stage: "system"},
	"Refer":      {Word: Verdict, Status: "in_review", Outcome: "review", Stage: "system"},
	"Rejected":   {Word: Verdict, Status: "completed", Outcome: "rejected", Final: true, Stage: "system"},
}
