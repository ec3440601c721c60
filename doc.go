// Package kycbridge is the domain of the bridge between identity-verification providers and a NATS
// bus: payloads as they came, observations that mappings make of them, events that
// consumers receive (package event), and the path between them (Intake, Normalizer).
package kycbridge
