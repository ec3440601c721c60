package simulated

import (
	"time"

	"kycbridge/internal/simulate"
)

// state is what the API returns at one moment: the statuses of the IDV and of the KYC identification.
type state struct {
	IDV     string
	Asked   bool // the applicant has been asked for consent
	Consent bool
	KYC     string // "": the identification does not exist yet
	Reason  string
	// Evidence is how much of the document the API returns: "" nothing, "sent" its images, "read" all of it,
	// "refused" almost nothing.
	Evidence     string
	CrossChecked bool
}

// final reports whether the identification has a verdict.
func (st state) final() bool { return st.KYC == "Approved" || st.KYC == "Rejected" }

// over reports whether the IDV ended without a verdict.
func (st state) over() bool { return st.IDV == "Expired" || st.IDV == "Aborted" }

// states returns the states in the scripts by name.
// Source of the statuses: https://ondato.atlassian.net/wiki/x/7ILWi and the vendor's Webhooks page.
func states() map[string]state {
	at := func(idv, kyc, reason, evidence string) state {
		return state{IDV: idv, Asked: true, Consent: true, KYC: kyc, Reason: reason, Evidence: evidence}
	}
	byHand := func(st state) state {
		st.CrossChecked = true
		return st
	}
	return map[string]state{
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
	consentedHook = "IdentityVerification.Consented"
	changedHook   = "IdentityVerification.StatusChanged"
	createdHook   = "KycIdentification.Created"
	processedHook = "KycIdentification.Processed"
	approvedHook  = "KycIdentification.Approved"
	rejectedHook  = "KycIdentification.Rejected"
	postponedHook = "KycIdentification.Postponed" // not documented by the vendor
)

// scriptOf returns the script of a verification of person.
func scriptOf(person string) simulate.Script {
	opened := simulate.Script{simulate.At(0, "pending"), simulate.At(30*time.Second, "opened", changedHook)}
	captured := append(opened[:2:2],
		simulate.At(70*time.Second, "consented", consentedHook),
		simulate.At(90*time.Second, "capturing", createdHook),
		simulate.At(4*time.Minute, "processed", processedHook))
	approved := func(sc simulate.Script, at time.Duration) simulate.Script {
		return append(sc[:len(sc):len(sc)],
			simulate.At(at, "approved", approvedHook),
			simulate.At(at+2*time.Second, "approved, done", changedHook))
	}
	switch person {
	case simulate.Reject:
		return append(captured,
			simulate.At(5*time.Minute, "fraud", rejectedHook),
			simulate.At(5*time.Minute+2*time.Second, "fraud, done", changedHook))
	case simulate.Review, simulate.SecondLook:
		return append(captured,
			simulate.At(4*time.Minute+5*time.Second, "waiting, done", changedHook),
			simulate.At(2*time.Hour, "reviewed, done", approvedHook))
	case simulate.Flip:
		return append(approved(captured, 5*time.Minute), simulate.At(26*time.Hour, "overturned, done", rejectedHook))
	case simulate.Resubmit:
		return approved(append(captured,
			simulate.At(5*time.Minute, "poor photo", rejectedHook),
			simulate.At(15*time.Minute, "submitted once more", processedHook)), 16*time.Minute)
	case simulate.Abandon:
		return append(opened, simulate.At(100*time.Second, "aborted", changedHook))
	case simulate.Expire, simulate.Supersede:
		return simulate.Script{opened[0], simulate.At(7*24*time.Hour, "expired", changedHook)}
	case simulate.Unknown:
		return append(captured,
			simulate.At(5*time.Minute, "unpublished", postponedHook),
			simulate.At(5*time.Minute+2*time.Second, "unpublished, done", changedHook))
	}
	return approved(captured, 5*time.Minute)
}
