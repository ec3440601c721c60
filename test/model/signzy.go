package model

// SignzyBody contains the members of a Signzy journey that determine the state.
type SignzyBody struct {
	Status   string // currentStatus
	Step     string // "": none
	Ended    bool   // completedAt is present, in any form
	Policy   bool   // the account has one
	Refuted  bool   // the evidence shows another person
	Doubtful bool   // an objection in the evidence that does not justify a rejection
}

// Signzy maps a journey to a fact: the row of the contract for currentStatus and step. The provider gives no
// verdict. A policy of the account approves only if there is no objection.
func Signzy(b SignzyBody) Fact {
	isComplete, isOver := b.Step == "COMPLETE", b.Step == "RETRIES_EXCEEDED"
	switch {
	case b.Status == "COMPLETED" && isOver || b.Status == "TERMINATED" && isComplete:
		return Fact{Word: Doubt, Reason: "contradiction", Rank: 1}
	case b.Status == "COMPLETED" && b.Step != "" && !isComplete:
		return Fact{Word: Doubt, Reason: "unmapped_status", Rank: 1}
	case b.Status != "COMPLETED" && b.Status != "TERMINATED" && b.Ended:
		return Fact{Word: Doubt, Reason: "unmapped_status", Rank: 1}
	case b.Status != "COMPLETED" && b.Status != "TERMINATED":
		// Reading: the status of an open journey is progress. Whatever it means, it is no approval.
		return Fact{Word: Progress, Status: "unknown", Mentions: "none", Reason: "unmapped_status"}
	case b.Status == "TERMINATED":
		// Reading: a journey has one end. One that failed was not completed, so a policy cannot have approved it.
		return Fact{Word: End, Status: "failed", Mentions: "none"}
	}
	f := Fact{Word: Verdict, Status: "completed", Outcome: "none", Rank: 1}
	if !b.Policy {
		return f
	}
	f.Stage = "policy"
	switch {
	case b.Refuted:
		f.Outcome, f.Final = "rejected", true
	case b.Doubtful || b.Step == "":
		f.Status, f.Outcome = "in_review", "review"
	default:
		f.Outcome, f.Final = "approved", true
	}
	return f
}
