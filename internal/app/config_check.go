package app

import (
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"kycbridge/event"
	"kycbridge/internal/signing"
	"kycbridge/publisher"
)

// checker checks the content of a configuration, after the reader has checked its form.
type checker struct {
	*report
	config  *Config
	catalog Catalog
}

// check reports every fault of config.
func check(r *report, config *Config, catalog Catalog) {
	c := checker{r, config, catalog}
	c.listeners()
	c.listenTLS("tls", config.TLS)
	c.listenTLS("admin.tls", config.Admin.TLS)
	c.adminCerts()
	c.holders()
	c.embedded()
	c.publicURL()
	c.require("data_dir", config.DataDir, "write a directory, such as ./data")
	c.server("store", config.Store)
	c.server("bus", config.Bus)
	c.cidrs("trusted_proxies", config.TrustedProxies)
	c.adminTokens()
	c.limits()
	c.names()
	c.oneOf("log.level", config.Log.Level, "debug", "info", "warn", "error")
	c.oneOf("log.format", config.Log.Format, "json", "console")
	if e := config.Tracing.Endpoint; e != "" && !webURL(e) {
		c.fault("tracing.endpoint", "is not the address of a web server", "write one such as http://127.0.0.1:4318/v1/traces")
	}
	if s := config.Tracing.Sample; s < 0 || s > 1 {
		c.fault("tracing.sample", "is out of 0 to 1", "write a share such as 0.1")
	}
	if key := config.Integrity.SigningKey; key != "" {
		if _, err := signing.Parse(key.Reveal()); err != nil {
			c.fault("integrity.signing_key", "is no signing key: "+err.Error(),
				"write PEM, or name its file in signing_key_file")
		}
	}
	if config.Integrity.Log && config.Integrity.SigningKey == "" {
		c.fault("integrity.log", "needs a key that signs the log", "name one in integrity.signing_key_file; "+signing.Advice)
	}
	c.masterKeys(config.Encryption)
	c.encryption()
	c.accounts()
	c.retention()
}

// fault reports a fault unless the value at key is already known to be invalid.
func (c checker) fault(key, problem, remedy string) {
	if !c.unsound(key) {
		c.add(key, problem, remedy)
	}
}

func (c checker) require(key, value, remedy string) {
	if value == "" {
		c.fault(key, "is missing", remedy)
	}
}

func (c checker) oneOf(key, value string, known ...string) {
	if !slices.Contains(known, value) {
		c.fault(key, "is not a known value", instead(value, known))
	}
}

func (c checker) atLeast(key string, value, least float64) {
	if value < least {
		c.fault(key, "is too small", "write "+strconv.FormatFloat(least, 'f', -1, 64)+" or more")
	}
}

// positive checks a duration; zero is permitted if it means the default.
func (c checker) positive(key string, d time.Duration, zero bool) {
	if d < 0 || d == 0 && !zero {
		c.fault(key, "is not longer than zero", "write a positive duration such as 30s")
	}
}

// secrets reports the empty secrets of a list: an empty secret would match an empty header.
func (c checker) secrets(key string, list []Secret) {
	for i, s := range list {
		if s == "" {
			c.fault(item(key, i), "is an empty secret", "write the secret or remove it")
		}
	}
}

func (c checker) cidrs(key string, list []string) {
	for i, s := range list {
		if _, ok := prefix(s); !ok {
			c.fault(item(key, i), "is neither a CIDR nor an address", "write one such as 192.0.2.0/24")
		}
	}
}

// listeners checks that the addresses of the three listeners are valid and differ. Without a client port, the
// embedded server's is not checked.
func (c checker) listeners() {
	ports := []struct{ key, address, remedy string }{
		{"listen", c.config.Listen, "write one such as 127.0.0.1:8080"},
		{"admin.listen", c.config.Admin.Listen, "write one such as 127.0.0.1:8081"},
		{"embedded.listen", c.config.Embedded.Listen, "write one such as 127.0.0.1:4222, or none"},
	}
	if c.config.Embedded.Listen == noPort {
		ports = ports[:2]
	}
	seen := map[string]string{}
	for _, p := range ports {
		_, port, ok := hostPort(p.address)
		if !ok {
			c.fault(p.key, "is not host:port", p.remedy)
			continue
		}
		if other, taken := seen[p.address]; taken && port != 0 {
			c.fault(p.key, "is the address of "+other, "write another port")
		}
		seen[p.address] = p.key
	}
}

// operatorName is the embedded server's user for the process itself.
const operatorName = "kycbridge"

// embedded checks the users of the embedded server, and that other machines cannot connect to it without a
// user.
func (c checker) embedded() {
	e := c.config.Embedded
	host, _, ok := hostPort(e.Address())
	if ok && !loopback(host) && len(e.Users) == 0 {
		c.fault("embedded.listen", "is open to other machines, and embedded.users is empty", "write 127.0.0.1 or give users")
	}
	seen := map[string]bool{}
	for i, u := range e.Users {
		key := item("embedded.users", i)
		c.require(key+".username", u.Username, "write a name")
		c.require(key+".password", string(u.Password), "write password or password_file")
		switch {
		case u.Username == operatorName:
			c.fault(key+".username", "is the name of the server's own user", "write another name")
		case seen[u.Username] && u.Username != "":
			c.fault(key+".username", "is another user's already", "write another name")
		}
		seen[u.Username] = true
		c.userSubjects(key, u)
	}
}

// userSubjects checks that the subjects of a user of the embedded server do not exceed a consumer's
// permissions.
func (c checker) userSubjects(key string, u User) {
	n := publisher.Names{Subject: c.config.Names.SubjectPrefix, Stream: c.config.Names.StreamPrefix}
	for i, s := range u.Publish {
		switch at := item(key+".publish", i); {
		case !subject(s):
			c.fault(at, "is not a subject", "write one such as "+n.Subject+".watch.*.*")
		case !n.MayPublish(s):
			c.fault(at, "reaches more than a consumer may ask for",
				"write "+n.Subject+".watch.*.* if the user asks for watches, or leave publish away: a user without subjects may "+
					"read all events")
		}
	}
	for i, s := range u.Subscribe {
		switch at := item(key+".subscribe", i); {
		case !subject(s):
			c.fault(at, "is not a subject", "write one such as "+n.EventSubjects())
		case !n.MaySubscribe(s):
			c.fault(at, "reaches more than events",
				"write "+n.EventSubjects()+" or a part of it such as "+n.Subject+".event.v1.<provider>.>, or leave subscribe "+
					"away: a user without subjects may read all events")
		}
	}
}

// subject reports whether s is a valid subject.
func subject(s string) bool {
	return !strings.ContainsAny(s, " \t\r\n") && !slices.Contains(strings.Split(s, "."), "")
}

// hostPort splits a listen address.
func hostPort(address string) (host string, port int, ok bool) {
	host, text, err := net.SplitHostPort(address)
	if err != nil || strings.ContainsAny(host, " /@") {
		return "", 0, false
	}
	n, err := strconv.ParseUint(text, 10, 16)
	return host, int(n), err == nil
}

// loopback reports whether host is reachable from this machine only.
func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

func (c checker) publicURL() {
	if c.config.Proxy != "" && !webURL(c.config.Proxy) {
		c.fault("proxy", "is not the address of a web proxy",
			"write one such as http://proxy.example.com:3128, without user and query")
	}
	if c.config.PublicURL != "" && !webURL(c.config.PublicURL) {
		c.fault("public_url", "is not the address of a web server",
			"write one such as https://kyc.example.com, without user and query")
	}
}

// webURL reports whether s is an http or https address with a host and without secrets.
func webURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil &&
		u.RawQuery == "" && u.Fragment == ""
}

// server checks a NATS connection.
func (c checker) server(key string, s Server) {
	if !s.IsEmbedded() {
		c.natsURL(key+".url", s.URL)
	}
	kinds := 0
	for _, given := range []bool{s.CredentialsFile != "", s.Username != "" || s.Password != "", s.Token != ""} {
		if given {
			kinds++
		}
	}
	switch {
	case kinds > 1:
		c.fault(key, "has several kinds of credentials", "write one of credentials_file, username with password, token")
	case s.IsEmbedded() && kinds > 0:
		c.fault(key, "has credentials for the embedded server, which asks for none", "remove them, or write the server's url")
	case s.Username == "" && s.Password != "":
		c.fault(key+".username", "is missing beside the password", "write it")
	case s.Username != "" && s.Password == "":
		c.fault(key+".password", "is missing beside the username", "write password or password_file")
	}
	switch {
	case s.Replicas < 0 || s.Replicas > 5:
		c.fault(key+".replicas", "is not a number of replicas", "write 1, 3 or 5")
	case s.IsEmbedded() && s.Replicas > 1:
		c.fault(key+".replicas", "is more than the embedded server, which is one, can keep",
			"write 1, or the url of a cluster")
	}
	for i, name := range s.Readers {
		if !regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(name) || slices.Contains(s.Readers[:i], name) {
			c.fault(item(key+".readers", i), "is not the name of a reader",
				"write the one that stands in kyc.reader.<reader>.> of the server's accounts, once")
		}
	}
	if s.IsEmbedded() && len(s.Readers) > 0 {
		c.fault(key+".readers", "has no meaning for the embedded server", "write embedded.users")
	}
	if (s.TLS.Cert == "") != (s.TLS.Key == "") {
		c.fault(key+".tls", "has only one of cert and key", "write both or neither")
	}
}

func (c checker) natsURL(key, addresses string) {
	for address := range strings.SplitSeq(addresses, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			c.fault(key, "is not the address of a NATS server", "write embedded or one such as nats://nats.example.com:4222")
			return
		}
		if u.User != nil {
			c.fault(key, "holds a credential", "write it as username and password, token or credentials_file")
			return
		}
	}
}

// limits checks the numbers of receiving and of processing.
func (c checker) limits() {
	r, n := c.config.Receive, c.config.Normalize
	c.atLeast("admin.max_start", float64(c.config.Admin.MaxStart), 1<<20)
	if c.config.Admin.MaxStart > 1<<30 {
		c.fault("admin.max_start", "is more than a start can hold", "write 1073741824 (1 GiB) or less")
	}
	c.atLeast("receive.max_body", float64(r.MaxBody), 1024)
	if r.MaxBody > 64<<20 {
		c.fault("receive.max_body", "is more than a message can hold", "write 67108864 (64 MiB) or less")
	}
	c.atLeast("receive.concurrency", float64(r.Concurrency), 1)
	c.atLeast("receive.requests_per_second", r.RequestsPerSecond, 0)
	c.positive("receive.timeout", r.Timeout, false)
	c.positive("receive.drain", r.Drain, true)
	c.atLeast("normalize.workers", float64(n.Workers), 1)
	c.atLeast("normalize.max_attempts", float64(n.MaxAttempts), 1)
	c.positive("integrity.scrub", c.config.Integrity.Scrub, true)
	if at := c.config.Integrity.Restored; at != "" &&
		(event.ParseInstant(at).IsZero() || event.ParseInstant(at).After(time.Now())) {
		c.fault("integrity.restored", "is no time in the past",
			"write when the streams were put back, such as 2026-03-02T09:00:00Z")
	}
}

// names checks the prefixes of subjects, streams, types and sources.
func (c checker) names() {
	for _, n := range []struct{ key, value, pattern, example string }{
		{"names.subject_prefix", c.config.Names.SubjectPrefix, `^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`, "kyc"},
		{"names.stream_prefix", c.config.Names.StreamPrefix, `^[A-Za-z0-9_-]{1,32}$`, "KYC"},
		{"names.type_prefix", c.config.Names.TypePrefix, `^[a-z0-9-]+(\.[a-z0-9_-]+)*$`, "io.kycbridge"},
		{"names.source_prefix", c.config.Names.SourcePrefix,
			`^(/[A-Za-z0-9._~-]+)+$|^https?://[A-Za-z0-9._~/:-]*[A-Za-z0-9._~-]$`, "/kycbridge"},
	} {
		if !regexp.MustCompile(n.pattern).MatchString(n.value) {
			c.fault(n.key, "holds characters that cannot stand there", "write one such as "+n.example)
		}
	}
}
