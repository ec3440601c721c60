package simulate

import "time"

// ondatoState is what the API tells at one moment: the words of the IDV and of the KYC identification.
type ondatoState struct {
	IDV     string
	Asked   bool // the applicant has been asked for consent
	Consent bool
	KYC     string // "": there is no identification yet
	Reason  string
	// Evidence is how much of the document shows: "" nothing, "sent" its images, "read" all of it,
	// "refused" next to nothing.
	Evidence     string
	CrossChecked bool
}

// final reports whether the identification holds a verdict.
func (st ondatoState) final() bool { return st.KYC == "Approved" || st.KYC == "Rejected" }

// over reports whether the IDV ended without a verdict.
func (st ondatoState) over() bool { return st.IDV == "Expired" || st.IDV == "Aborted" }

// ondatoStates are the moments of the scripts by name.
// Source of the words: https://ondato.atlassian.net/wiki/x/7ILWi and the vendor's Webhooks page.
func ondatoStates() map[string]ondatoState {
	at := func(idv, kyc, reason, evidence string) ondatoState {
		return ondatoState{IDV: idv, Asked: true, Consent: true, KYC: kyc, Reason: reason, Evidence: evidence}
	}
	byHand := func(st ondatoState) ondatoState {
		st.CrossChecked = true
		return st
	}
	return map[string]ondatoState{
		"pending":             {IDV: "Pending"},
		"opened":              {IDV: "InProgress"},
		"expired":             {IDV: "Expired"},
		"aborted":             {IDV: "Aborted", Asked: true},
		"consented":           at("InProgress", "", "", ""),
		"capturing":           at("InProgress", "Unfinished", "", ""),
		"processed":           at("InProgress", "Awaiting", "", "sent"),
		"approved":            at("InProgress", "Approved", "AutomaticallyIdentified", "read"),
		"approved, done":      at("Completed", "Approved", "AutomaticallyIdentified", "read"),
		"waiting, done":       at("Completed", "Awaiting", "", "sent"),
		"reviewed, done":      byHand(at("Completed", "Approved", "ManuallyIdentified", "read")),
		"overturned, done":    byHand(at("Completed", "Rejected", "PossibleFraudAttempt", "read")),
		"poor photo":          at("InProgress", "Rejected", "PoorPhotoQuality", "refused"),
		"fraud":               at("InProgress", "Rejected", "PossibleFraudAttempt", "refused"),
		"fraud, done":         at("Completed", "Rejected", "PossibleFraudAttempt", "refused"),
		"unpublished":         at("InProgress", "Postponed", "", "sent"),
		"unpublished, done":   at("Completed", "Postponed", "", "sent"),
		"submitted once more": at("InProgress", "Awaiting", "", "sent"),
	}
}

// Webhooks of the scripts.
const (
	ondatoConsented = "IdentityVerification.Consented"
	ondatoChanged   = "IdentityVerification.StatusChanged"
	ondatoCreated   = "KycIdentification.Created"
	ondatoProcessed = "KycIdentification.Processed"
	ondatoApproved  = "KycIdentification.Approved"
	ondatoRejected  = "KycIdentification.Rejected"
	ondatoPostponed = "KycIdentification.Postponed" // unpublished
)

// ondatoScript is what becomes of a verification that person takes.
func ondatoScript(person string) script {
	opened := script{{0, "pending", nil}, {30 * time.Second, "opened", []string{ondatoChanged}}}
	captured := append(opened[:2:2],
		beat{70 * time.Second, "consented", []string{ondatoConsented}},
		beat{90 * time.Second, "capturing", []string{ondatoCreated}},
		beat{4 * time.Minute, "processed", []string{ondatoProcessed}})
	approved := func(sc script, at time.Duration) script {
		return append(sc[:len(sc):len(sc)],
			beat{at, "approved", []string{ondatoApproved}},
			beat{at + 2*time.Second, "approved, done", []string{ondatoChanged}})
	}
	switch person {
	case Reject:
		return append(captured,
			beat{5 * time.Minute, "fraud", []string{ondatoRejected}},
			beat{5*time.Minute + 2*time.Second, "fraud, done", []string{ondatoChanged}})
	case Review, SecondLook:
		return append(captured,
			beat{4*time.Minute + 5*time.Second, "waiting, done", []string{ondatoChanged}},
			beat{2 * time.Hour, "reviewed, done", []string{ondatoApproved}})
	case Flip:
		return append(approved(captured, 5*time.Minute), beat{26 * time.Hour, "overturned, done", []string{ondatoRejected}})
	case Resubmit:
		return approved(append(captured,
			beat{5 * time.Minute, "poor photo", []string{ondatoRejected}},
			beat{15 * time.Minute, "submitted once more", []string{ondatoProcessed}}), 16*time.Minute)
	case Abandon:
		return append(opened, beat{100 * time.Second, "aborted", []string{ondatoChanged}})
	case Expire, Supersede:
		return script{opened[0], {7 * 24 * time.Hour, "expired", []string{ondatoChanged}}}
	case Unknown:
		return append(captured,
			beat{5 * time.Minute, "unpublished", []string{ondatoPostponed}},
			beat{5*time.Minute + 2*time.Second, "unpublished, done", []string{ondatoChanged}})
	}
	return approved(captured, 5*time.Minute)
}
