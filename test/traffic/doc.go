// Package traffic generates callbacks for a running kycbridge and checks the result: generated
// verifications, callers that repeat unanswered requests, a ledger of accepted payloads, and the histories
// in the stream.
package traffic
