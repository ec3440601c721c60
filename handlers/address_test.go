package handlers

import (
	"net/http"
	"net/netip"
	"testing"

	"kycbridge"
)

func TestClientAddress(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, c := range []struct {
		name, peer string
		forwarded  []string
		want       string // "" is an unknown address
	}{
		{"direct", "192.0.2.1:1", nil, "192.0.2.1"},
		{"direct, header not believed", "192.0.2.1:1", []string{"198.51.100.1"}, "192.0.2.1"},
		{"proxy", "10.0.0.1:1", []string{"198.51.100.1"}, "198.51.100.1"},
		{"rightmost untrusted", "10.0.0.1:1", []string{"203.0.113.9, 198.51.100.1, 10.2.2.2"}, "198.51.100.1"},
		{"several lines are one list", "10.0.0.1:1", []string{"203.0.113.9,198.51.100.1", "10.2.2.2,10.3.3.3"},
			"198.51.100.1"},
		{"proxy, no header", "10.0.0.1:1", nil, "10.0.0.1"},
		{"all trusted", "10.0.0.1:1", []string{"10.9.9.9, 10.8.8.8"}, "10.9.9.9"},
		{"entry with a port", "10.0.0.1:1", []string{"198.51.100.1:99"}, "198.51.100.1"},
		{"IPv6", "[fd00::1]:1", []string{"[2001:db8::1]:99"}, "2001:db8::1"},
		{"IPv6 in brackets", "[fd00::1]:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"IPv4 in IPv6", "[::ffff:10.0.0.1]:1", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"nonsense stops the search", "10.0.0.1:1", []string{"198.51.100.1, unknown"}, ""},
		{"empty entry stops the search", "10.0.0.1:1", []string{"198.51.100.1, "}, ""},
		{"no peer", "@", []string{"198.51.100.1"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.forwarded}}
			got := clientAddress(r, trusted)
			if got.IsValid() != (c.want != "") || got.IsValid() && got.String() != c.want {
				t.Errorf("%v, want %q", got, c.want)
			}
		})
	}
}

// TestForwardedFor sends the header through a real connection, whose peer is on loopback.
func TestForwardedFor(t *testing.T) {
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	accounts := account("ondato", "acme",
		func(a *kycbridge.Account) { a.AllowIPs = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")} })
	for _, c := range []struct {
		name, forwarded string
		trusted         []netip.Prefix
		status          int
	}{
		{"believed", "198.51.100.7", loopback, 200},
		{"spoofed on the left", "198.51.100.7, 203.0.113.1", loopback, 403},
		{"no proxy trusted", "198.51.100.7", nil, 403},
		{"nothing forwarded", "", loopback, 403},
	} {
		base := serve(t, NewCallbacks(CallbackOptions{Accounts: accounts, Receiver: receiverFunc(accept),
			CallbackLimits: CallbackLimits{TrustedProxies: c.trusted}}))
		got := post(t, base+acme, "{}", func(r *http.Request) { r.Header.Set("X-Forwarded-For", c.forwarded) })
		if got.status != c.status {
			t.Errorf("%s: %d, want %d", c.name, got.status, c.status)
		}
	}
}
