// Package test contains the end-to-end tests: the whole processing in one process, real processes that are
// killed, an unavailable NATS server, replicas, and the benchmarks.
package test
