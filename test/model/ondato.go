package model

// Ondato maps a message of Ondato to a fact: the row of the contract for its event, status and statusReason.
func Ondato(event, status, reason string) Fact {
	switch event {
	case "idv":
		if f, ok := ondatoSession[status]; ok {
			return f
		}
		return Fact{Word: Progress, Status: "unknown", Mentions: outcomes[status], Reason: "unmapped_status"}
	case "KycIdentification.Created", "KycIdentification.Processed", "KycIdentification.Expired":
		if outcome := outcomes[status]; outcome != "" { // Reading: the event decides nothing, and the status may revoke
			return Fact{Word: Progress, Status: "unknown", Reason: "contradiction", Mentions: outcome}
		}
		return Fact{Word: Progress, Status: ondatoProgress[event]}
	case "KycIdentification.Updated":
		return Fact{Word: Remark, Outcome: outcomes[status], Rank: 1}
	case "fetched":
		switch status {
		case "Awaiting":
			return Fact{Word: Reopen, Status: "processing", Outcome: "none", Rank: 1}
		case "Unfinished":
			return Fact{Word: Progress, Status: "in_progress", Mentions: "none"}
		case "Escalated": // not known
			return Fact{Word: Doubt, Reason: "unmapped_status", Rank: 1}
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

var ondatoProgress = map[string]string{
	"KycIdentification.Created": "in_progress", "KycIdentification.Processed": "processing",
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
