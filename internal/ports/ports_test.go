package ports

import (
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestFree: the ports differ, can be listened on, and are not among those that the system gives to connections.
func TestFree(t *testing.T) {
	addresses, err := Free(t.Context(), 50)
	if err != nil {
		t.Fatal(err)
	}
	ephemeral := 32768
	if raw, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		if first, err := strconv.Atoi(strings.Fields(string(raw))[0]); err == nil {
			ephemeral = first
		}
	}
	for _, address := range addresses {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close() // a second listener on the same port fails
		if port := l.Addr().(*net.TCPAddr).Port; port >= ephemeral && ephemeral > end {
			t.Errorf("%d is among the ports of outgoing connections, from %d on", port, ephemeral)
		}
	}
}
