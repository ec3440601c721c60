// Package traffic is what tests send to a running kycbridge and how they judge what came of it:
// generated lives of verifications, callers that repeat what was not answered, a ledger of what was
// promised, and the histories that the stream holds.
package traffic
