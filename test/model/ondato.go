package model

// Ondato maps a message of Ondato to a fact: the row of the contract for its event, status and statusReason.
func Ondato(event, status, reason string) Fact {
	switch event {
	case "idv":
		return ondatoSession[status]
	case "KycIdentification.Created":
		return Fact{Word: Progress, Status: "in_progress"}
	case "KycIdentification.Processed":
		return Fact{Word: Progress, Status: "processing"}
	case "KycIdentification.Updated":
		return Fact{Word: Remark, Outcome: outcomes[status], Rank: 1}
	case "fetched":
		if status == "Awaiting" {
			return Fact{Word: Reopen, Status: "processing", Outcome: "none", Rank: 1}
		}
		return ondatoVerdict(status, reason)
	case "KycIdentification.Approved", "KycIdentification.Rejected":
		if event != "KycIdentification."+status {
			return Fact{Word: Doubt, Reason: "contradiction", Rank: 1}
		}
		return ondatoVerdict(status, reason)
	}
	panic(event)
}

var outcomes = map[string]string{"Approved": "approved", "Rejected": "rejected"}

var ondatoSession = map[string]Fact{
	"Pending":    {Word: Progress, Status: "created"},
	"InProgress": {Word: Progress, Status: "in_progress"},
	"Suspended":  {Word: Progress, Status: "in_progress", Actions: true},
	"Completed":  {Word: Progress, Status: "processing"},
	"Aborted":    {Word: End, Status: "abandoned"},
	"Expired":    {Word: End, Status: "expired"},
}

// ondatoVerdict maps a verdict. Only two reasons show whether it is a machine's or a person's.
func ondatoVerdict(status, reason string) Fact {
	f := Fact{Word: Verdict, Status: "completed", Outcome: outcomes[status], Final: true, Stage: "system", Rank: 1}
	switch reason {
	case "AutomaticallyIdentified":
		f.Rank = 0
	case "ManuallyIdentified":
		f.Stage, f.Rank = "manual_review", 2
	}
	return f
}
