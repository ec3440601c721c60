// Package freeport picks ports for servers of tests.
package freeport

import (
	"net"
	"strconv"
	"testing"

	"kycbridge/internal/ports"
)

// Address is the address of a port of 127.0.0.1 on which nothing listens.
func Address(t testing.TB) string {
	t.Helper()
	addresses, err := ports.Free(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return addresses[0]
}

// New is the port of Address.
func New(t testing.TB) int {
	t.Helper()
	_, text, err := net.SplitHostPort(Address(t))
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// Local is the address of a port.
func Local(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
