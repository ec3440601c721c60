// Package oracle tests the guarantees of a kycbridge binary from outside. It posts generated callbacks,
// subscribes to the bus, injects faults into processes, disks and NATS in a seeded order, and then
// compares stored payloads and published events with the answers. It shares no code with the product: the
// required result of a verification is implemented here a second time, from the contract.
//
// One run is a World: servers (kycbridge processes, a nats-server), traffic (Verifications with their
// Deliveries), faults, and a Judge. Run combines them.
package oracle
