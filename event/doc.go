// Package event is the canonical verification event: its types and vocabulary, its validation (Check), the
// differences of two states (Differences), and the protection of personal data (Protect). It uses the
// standard library only, so that consumers written in Go can import it: Decode decodes the body of a
// message, and Event.Accepted is the rule for accepting a person.
// docs/consume.md explains subjects, order and repetitions.
package event
