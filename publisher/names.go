// Package publisher stores payloads and publishes events on NATS JetStream: the embedded server,
// connections, streams, the payload log with group commit, the event log with compare-and-set.
package publisher

import (
	"strings"

	"kycbridge"
	"kycbridge/event"
)

// Names are the prefixes of streams and subjects. The tokens after them are internal (provider, account,
// UUIDs), never external text.
type Names struct {
	Subject string // "kyc"
	Stream  string // "KYC"
}

// Stream names.
func (n Names) payloads() string     { return n.Stream + "_PAYLOADS" }
func (n Names) events() string       { return n.Stream + "_EVENTS" }
func (n Names) quarantine() string   { return n.Stream + "_QUARANTINE" }
func (n Names) refused() string      { return n.Stream + "_REFUSED" }
func (n Names) polls() string        { return n.Stream + "_POLLS" }
func (n Names) starts() string       { return n.Stream + "_STARTS" }
func (n Names) dispositions() string { return n.Stream + "_DISPOSITIONS" }
func (n Names) tombstones() string   { return n.Stream + "_TOMBSTONES" }
func (n Names) index() string        { return n.Stream + "_INDEX" }
func (n Names) ledger() string       { return n.Stream + "_LOG" }
func (n Names) keyPages() string     { return n.Stream + "_KEYS" }
func (n Names) access() string       { return n.Stream + "_ACCESS" }
func (n Names) holds() string        { return n.Stream + "_HOLDS" }

// accessOf is the subject of the records of an operation.
func (n Names) accessOf(operation string) string { return n.join("access", operation) }

// disposition is the subject of dispositions.
func (n Names) disposition() string { return n.join("disposition") }

// EventStream is the name of the stream that consumers read.
func (n Names) EventStream() string { return n.events() }

// EventSubjects matches every event.
func (n Names) EventSubjects() string { return n.Subject + ".event.v1.>" }

// puts matches the subjects on which the event stream receives events: the subjects of events with "put" in place
// of "event". Only kycbridge publishes on them.
func (n Names) puts() string { return n.Subject + ".put.v1.>" }

// put is the subject on which an event is published, so that the stream stores it.
func (n Names) put(k kycbridge.Key, kind event.Kind) string {
	return n.join("put.v1", k.Provider, k.Account, string(kind), k.VerificationID)
}

func (n Names) payload(k kycbridge.Key) string {
	return n.join("payload", k.Provider, k.Account, k.VerificationID)
}

func (n Names) event(k kycbridge.Key, kind event.Kind) string {
	return n.join("event.v1", k.Provider, k.Account, string(kind), k.VerificationID)
}

// anyEvent matches the events of one verification, whatever their kind.
func (n Names) anyEvent(k kycbridge.Key) string { return n.event(k, "*") }

func (n Names) quarantined(provider, account, reason string) string {
	return n.join("quarantine", provider, account, reason)
}

func (n Names) refusal(provider, account string) string {
	return n.join("refused", provider, account)
}

// tombstone is the subject that records the erasure of a verification.
func (n Names) tombstone(k kycbridge.Key) string {
	return n.join("tombstone", k.Provider, k.Account, k.VerificationID)
}

// ledgerLeaves is the subject of batches of the tamper-evident log.
func (n Names) ledgerLeaves() string { return n.join("log.leaves") }

// checkpoint is the subject of signed states of the tamper-evident log.
func (n Names) checkpoint() string { return n.join("checkpoint.v1") }

// keyPage is the subject of a page with keys of bodies on a shelf.
func (n Names) keyPage(shelf kycbridge.Shelf, id string) string {
	return n.join("key", string(shelf), id)
}

// bar is the subject that blocks a verification in the payload log during its erasure.
func (n Names) bar(k kycbridge.Key) string { return n.payload(k) + ".bar" }

// probe is the subject of test writes to the payload log.
func (n Names) probe() string { return n.join("payload.probe.bar") }

// isBar reports whether a subject of the payload log is the subject of a bar or a probe, not of a payload.
func isBar(subject string) bool { return strings.HasSuffix(subject, ".bar") }

// due is the subject on which the timer of a watch delivers its message; arguments may be the wildcards "*" and ">".
func (n Names) due(provider, account, verification string) string {
	return n.join("poll.due", provider, account, verification)
}

func (n Names) timer(k kycbridge.Key) string {
	return n.join("poll.at", k.Provider, k.Account, k.VerificationID)
}

// watches matches external requests to watch.
func (n Names) watches() string { return n.watch(kycbridge.AccountKey{Provider: "*", Account: "*"}) }

func (n Names) watch(a kycbridge.AccountKey) string { return n.join("watch", a.Provider, a.Account) }

func (n Names) join(tokens ...string) string {
	return n.Subject + "." + strings.Join(tokens, ".")
}
