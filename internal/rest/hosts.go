package rest

import (
	"errors"
	"net"
	"net/url"
	"strings"
)

// Allowed returns an error unless a file may be fetched from rawURL. An address from a provider's body
// could point anywhere, even into the internal network. Its host must therefore be one of hosts: exactly
// the same name or IP address, regardless of case. A host that is listed without a port means the default
// port of the scheme; any other port must be listed with the host ("127.0.0.1:8080", "[::1]:8080"). The
// scheme must be https; http is allowed if the listed host is a loopback address. No error contains the
// address: anyone who has it may be able to read the file.
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

// listed ignores the case of ASCII letters only: Unicode case folding could turn another name into a listed one.
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

// split separates a listed host from its port, which is "" if the host has none.
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

// lower converts only ASCII letters to lower case.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, s)
}
