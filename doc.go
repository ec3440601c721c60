// Package kycbridge is the domain of the bridge between identity-verification providers and a NATS bus:
// payloads as received, observations that mappings derive from them, events that consumers receive
// (package event), and the processing between them (Intake, Normalizer).
package kycbridge
