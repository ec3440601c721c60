package handlers

import (
	"net/http"
	"net/netip"
	"strings"
)

// addressAllowed reports whether the client's address is in one of the prefixes; without prefixes any
// address is allowed. An unknown address is in none.
func addressAllowed(r *http.Request, allow, trustedProxies []netip.Prefix) bool {
	return len(allow) == 0 || within(clientAddress(r, trustedProxies), allow)
}

// clientAddress is the direct peer unless that is a trusted proxy; then it is the rightmost entry of
// X-Forwarded-For that is not a trusted proxy itself, since everything left of that entry is unverified.
// The zero Addr means that it is unknown.
func clientAddress(r *http.Request, trustedProxies []netip.Prefix) netip.Addr {
	address := parseAddress(r.RemoteAddr)
	if !within(address, trustedProxies) {
		return address
	}
	lines := r.Header.Values("X-Forwarded-For")
	for i := len(lines) - 1; i >= 0; i-- {
		for rest, more := lines[i], true; more; {
			var entry string
			rest, entry, more = cutLast(rest)
			address = parseAddress(strings.TrimSpace(entry))
			if !within(address, trustedProxies) {
				return address
			}
		}
	}
	return address
}

// cutLast splits a list at its last comma.
func cutLast(list string) (before, last string, more bool) {
	if i := strings.LastIndexByte(list, ','); i >= 0 {
		return list[:i], list[i+1:], true
	}
	return "", list, false
}

// parseAddress parses an address with or without a port. IPv4 in IPv6 becomes IPv4, a zone is dropped.
func parseAddress(s string) netip.Addr {
	address, err := netip.ParseAddr(strings.Trim(s, "[]"))
	if err != nil {
		withPort, err := netip.ParseAddrPort(s)
		if err != nil {
			return netip.Addr{}
		}
		address = withPort.Addr()
	}
	return address.Unmap().WithZone("")
}

func within(address netip.Addr, prefixes []netip.Prefix) bool {
	for _, p := range prefixes {
		if p.Contains(address) {
			return true
		}
	}
	return false
}
