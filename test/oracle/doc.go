// Package oracle holds a kycbridge binary to its promise from outside. It posts generated callbacks,
// listens to the bus, breaks processes, disks and NATS in an order that a seed gives, and then judges
// what is stored and published by what was answered. It shares no code with the product: what a
// verification must come to is written down here a second time, from the contract.
//
// One run is a World: servers (kycbridge processes, a nats-server), traffic (Verifications with their
// Deliveries), faults, and a Judge. Run puts them together.
package oracle
