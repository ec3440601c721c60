package model

// KwikIDSession contains the members of a KwikID session that determine the decision.
type KwikIDSession struct {
	Status   string // session_status
	Feedback string // type of the agent's feedback; "": none
	Audit    string // audit_result; "": none
	Locked   bool   // audit_lock is set
	Revisit  bool   // the checker requests another review
	Checker  bool   // in this account a checker follows each maker
}

var kwikidRows = map[string]Fact{
	"waiting":              {Word: Progress, Status: "created"},
	"vkyc_requested":       {Word: Submit, Status: "in_progress", Asked: true},
	"agent_alloted":        {Word: Submit, Status: "in_progress", Asked: true},
	"kyc_request_accepted": {Word: Submit, Status: "in_progress", Asked: true},
	"kyc_request_rejected": {Word: Progress, Status: "requires_input", Actions: true},
	"kyc_rejected":         {Word: End, Status: "canceled"},
	"session_expired":      {Word: End, Status: "expired"},
	"user_abandoned":       {Word: End, Status: "abandoned"},
}

var outcomesOfAudit = map[string]string{"0": "rejected", "1": "approved"}

// KwikID maps a session to a fact: the row of the contract for its status. The checker's verdict takes precedence
// over the maker's.
func KwikID(s KwikIDSession) Fact {
	row, isRow := kwikidRows[s.Status]
	isApproved := s.Status == "kyc_result_approved"
	maker := "rejected"
	switch {
	case isRow:
		return kwikidUndecided(row, s)
	case isApproved:
		maker = "approved"
	case s.Status != "kyc_result_rejected":
		return kwikidUndecided(Fact{Word: Progress, Status: "unknown", Mentions: "none", Reason: "unmapped_status"}, s)
	}
	isAgain := s.Feedback == "Reopen" || s.Feedback == "Reschedule"
	checker := Fact{Word: Verdict, Status: "completed", Final: true, Stage: "checker", Rank: 2, Maker: maker}
	checker.Cross.API = outcomesOfAudit[s.Audit]
	switch {
	case isApproved && (s.Feedback == "Reject" || isAgain), !isApproved && s.Feedback == "Approve":
		return Fact{Word: Doubt, Reason: "contradiction", Rank: 1}
	case s.Audit != "" && s.Audit != "0" && s.Audit != "1":
		return Fact{Word: Doubt, Reason: "unmapped_status", Stage: "checker", Rank: 2}
	case s.Revisit:
		return Fact{Word: Reopen, Status: "in_review", Outcome: "none", Rank: 1, Maker: maker}
	case s.Audit == "0":
		checker.Outcome = "rejected"
		return checker
	case s.Audit == "1" && isApproved:
		checker.Outcome = "approved"
		return checker
	case s.Audit == "1":
		checker.Status, checker.Outcome, checker.Final = "in_review", "review", false
		return checker
	case isAgain:
		return Fact{Word: Resubmit, Status: "requires_input", Outcome: "resubmit", Stage: "maker", Actions: true}
	case s.Locked:
		return Fact{Word: Verdict, Status: "in_review", Outcome: "none", Stage: "maker", Maker: maker}
	}
	return kwikidMaker(maker, s.Checker)
}

// kwikidUndecided adds what a session without a verdict of the maker contains about the checker.
//
// Reading: no approval remains beside it unless the checker approves. A rejection of a session that has ended, or whose
// status is not known, is a doubt in any case.
func kwikidUndecided(f Fact, s KwikIDSession) Fact {
	switch {
	case s.Audit == "0" && (f.Word == End || f.Status == "unknown"):
		return Fact{Word: Doubt, Reason: "contradiction", Stage: "checker", Rank: 2}
	case s.Audit == "0":
		f.Mentions = "rejected"
	case s.Audit != "" && s.Audit != "1" || s.Revisit || s.Locked && s.Audit == "":
		f.Mentions = "none"
	}
	return f
}

// KwikIDWebhook maps a webhook to a fact for an account that decides from its label.
func KwikIDWebhook(checker bool, outcome string, second bool) Fact {
	if checker {
		return Fact{Word: Verdict, Status: "completed", Outcome: outcome, Final: true, Stage: "checker", Rank: 2,
			Cross: Cross{Webhook: outcome}}
	}
	return kwikidMaker(outcome, second)
}

// kwikidMaker maps the maker's verdict. If a checker follows, it is only a step and not a decision yet.
func kwikidMaker(outcome string, second bool) Fact {
	if second {
		f := Fact{Word: Progress, Status: "in_review", Maker: outcome}
		if outcome == "rejected" {
			f.Mentions = outcome
		}
		return f
	}
	return Fact{Word: Verdict, Status: "completed", Outcome: outcome, Final: true, Stage: "maker", Maker: outcome}
}
