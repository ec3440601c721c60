// Package event is the canonical verification event: its types and vocabulary, what makes one valid (Check),
// how two states differ (Differences), and what of a person may be published (Protect). It uses the standard
// library only, so that consumers written in Go can import it: Decode reads the body of a message, and
// Event.Accepted is the rule by which a person may be let in.
//
// docs/consume.md explains subjects, order and repetitions.
package event
