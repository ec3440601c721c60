// Package kycbridge is the domain of the bridge between identity-verification providers and a NATS
// bus: payloads as they came, observations that mappings make of them, events that consumers
// receive, and the path between them (Intake, Normalizer). It uses the standard library only.
package kycbridge
