package test

import "slices"

// vocabularies are the places and words of decisions, by provider, from the providers' documents.
var vocabularies = map[string]vocabulary{
	"ondato": {
		paths: []string{"type", "payload/status", "payload/statusReason", "status", "statusReason"},
		words: quoted("Approved", "Approved", "Approved", "Rejected", "Awaiting", "Unfinished", "Completed", "Pending",
			"InProgress", "Suspended", "Aborted", "Expired",
			"APPROVED", "approved", "AutomaticallyIdentified", "ManuallyIdentified", "PossibleFraudAttempt",
			"KycIdentification.Approved", "KycIdentification.Approved",
			"KycIdentification.Rejected", "KycIdentification.Updated", "KycIdentification.Created",
			"KycIdentification.Processed", "KycIdentification.Expired",
			"IdentityVerification.StatusChanged", "KybIdentification.Approved", "Form.Completed"),
		scratch: []string{
			`{"id":"d0100000-0000-4000-8000-000000000001","createdUtc":"2025-03-02T09:00:00Z","type":"KycIdentification.Approved","payload":{"id":"d0300000-0000-4000-8000-000000000101","identityVerificationId":"d0200000-0000-4000-8000-000000000001","status":"Approved"}}`,
			`{"id":"d0300000-0000-4000-8000-000000000101","identityVerificationId":"d0200000-0000-4000-8000-000000000001","createdUtc":"2025-03-02T09:00:00Z","status":"Approved"}`,
		},
	},
	"idwise": {
		paths: []string{"event", "body/systemDecision", "body/manualDecision", "body/finalDecision", "system_decision",
			"manual_decision", "final_decision", "body/action"},
		words: slices.Concat(quoted("Complete", "Complete", "Complete", "Approved", "Approved", "Refer", "Rejected",
			"Incomplete", "Resubmission Requested", "Manual Review",
			"Finished Journey", "Finished Journey", "Updated Journey", "Manually Reviewed", "AML Monitor Update",
			"Finished Step", "Finished User Steps", "Finished Spot Check",
			"Finished Ongoing Check", "KYC Renewal Deadline Exceeded", "Verification Update Required"),
			[]string{`null`, `null`, `null`}),
		scratch: []string{
			`{"event":"Finished Journey","body":{"eventId":"d0700000-0000-4000-8000-000000000061","journeyId":"65f0000000000000000d0001","referenceNo":"case-1","systemDecision":"Complete"}}`,
			`{"journey_id":"65f0000000000000000d0001","system_decision":"Complete","manual_decision":null,"final_decision":null,"documents":{}}`,
		},
	},
	"kwikid": {
		paths: []string{"event", "type", "session_data/session_status", "session_data/audit_result",
			"session_data/audit_lock", "session_data/auditor_feedback",
			"session_data/auditor_fdbk", "session_data/feedback/type", "session_data/feedback", "status"},
		words: slices.Concat(quoted("kyc_result_approved", "kyc_result_approved", "kyc_result_approved",
			"kyc_result_rejected", "kyc_rejected", "waiting", "session_expired",
			"user_abandoned", "Maker Approved", "Maker Rejected", "Checker Approved", "Checker Approved", "Checker Rejected",
			"1", "1", "0", "true", "false", "Approve", "Reject",
			"Reopen", "Reschedule", "REVISIT", "to be revisited", "Approved", `{"type":"Reject"}`, `{"type":"Approve"}`),
			[]string{`1`, `0`, `true`, `false`, `null`, `200`, `{"type":"Reject"}`, `{"type":"Approve"}`}),
		scratch: []string{
			`{"status":200,"session_data":{"session_id":"d0900000-0000-4000-8000-000000000001","session_status":"kyc_result_approved"}}`,
			`{"event":"Checker Approved","session_id":"d0900000-0000-4000-8000-000000000001"}`,
		},
	},
	"signzy": {
		paths: []string{"currentStatus", "step", "currentStatus", "selfieAnalysis/faceMatch/verified",
			"selfieAnalysis/faceMatch/matchPercentage",
			"selfieAnalysis/passiveLiveliness/liveness", "selfieAnalysis/passiveLiveliness/score",
			"documentIntelligence/completeStatus/overallStatus",
			"documentIntelligence/idExpired", "capturedData/idType2", "documentIntelligence2"},
		words: slices.Concat(quoted("COMPLETED", "COMPLETED", "COMPLETE", "COMPLETE", "TERMINATED", "RETRIES_EXCEEDED",
			"IN_PROGRESS", "EXPIRED", "True", "True", "False", "None", "NA",
			"99%", "0%", "12.5%", "Passport", "Approved"), []string{`true`, `true`, `false`, `0.9`, `0.1`, `0`, `1`}),
		scratch: []string{
			`{"journeyId":"DEVCASE016","currentStatus":"COMPLETED","step":"COMPLETE","completedAt":1740906319271,"documentIntelligence":{"completeStatus":{"overallStatus":"True"},"idExpired":"False"},"selfieAnalysis":{"passiveLiveliness":{"liveness":true,"score":0.99},"faceMatch":{"verified":true,"matchPercentage":"97.50%"}}}`,
			`{"result":{"data":{"journeyId":"DEVCASE016","currentStatus":"COMPLETED","step":"COMPLETE"}}}`,
		},
	},
}

// quoted are words as JSON strings.
func quoted(words ...string) []string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = text(w)
	}
	return out
}
