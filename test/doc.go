// Package test holds the end-to-end tests: the whole path in process, real processes that are
// killed, a NATS server that goes away, replicas, and the benchmarks.
package test
