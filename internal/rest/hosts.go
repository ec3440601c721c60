package rest

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// Allowed says why a file is not to be fetched from rawURL; nil: it may be. An address that came in
// a provider's body could point anywhere, into our own network too, so its host must be one of
// hosts: the same name or number letter by letter, in either case. A host that is listed without a
// port is meant on the scheme's own; any other port must be listed with it ("127.0.0.1:8080",
// "[::1]:8080"). The scheme is https, or http where the listed host is this machine. No error
// repeats the address: whoever has it may read the file.
func Allowed(rawURL string, hosts []string) error {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" {
		return errors.New("the file's address cannot be read")
	}
	if u.User != nil {
		return errors.New("the file's address holds user information")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
		return errors.New("the file's address is not https")
	}
	for _, h := range hosts {
		if listed(u, h) {
			return nil
		}
	}
	return errors.New("the file's host is not on the list")
}

// listed compares ASCII only: other letters may fold to a listed name.
func listed(u *url.URL, host string) bool {
	name, port := split(host)
	if port == "" {
		port = ownPort(u.Scheme)
	}
	own := u.Port()
	if own == "" {
		own = ownPort(u.Scheme)
	}
	return name != "" && own == port && lower(u.Hostname()) == lower(name)
}

// split takes the port off a listed host; "" where there is none.
func split(host string) (name, port string) {
	if name, port, err := net.SplitHostPort(host); err == nil {
		return name, port
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), ""
}

func ownPort(scheme string) string {
	if scheme == "http" {
		return "80"
	}
	return "443"
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// lower folds ASCII letters and leaves all others alone.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
