package app

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/handlers"
)

// ListenTLS names the PEM files of a listener. Without Cert it speaks plain HTTP. ClientCA holds the authorities of
// client certificates; without it, no client is asked for a certificate.
type ListenTLS struct {
	Cert     string `yaml:"cert,omitempty"` // the certificate, followed by those of intermediate authorities
	Key      string `yaml:"key,omitempty"`
	ClientCA string `yaml:"client_ca,omitempty"`
}

// enabled reports whether the listener speaks TLS.
func (t ListenTLS) enabled() bool { return t.Cert != "" }

// scheme is the URL scheme of the listener.
func (t ListenTLS) scheme() string {
	if t.enabled() {
		return "https"
	}
	return "http"
}

// CallbackScheme is the URL scheme of listen: https with TLS.
func (c *Config) CallbackScheme() string { return c.TLS.scheme() }

// AdminScheme is the URL scheme of admin.listen.
func (c *Config) AdminScheme() string { return c.Admin.TLS.scheme() }

// ClientCert describes client certificates by exactly one of its keys.
type ClientCert struct {
	SubjectCN string `yaml:"subject_cn,omitempty"` // common name of the subject
	SANDNS    string `yaml:"san_dns,omitempty"`    // one of the DNS names
	SHA256    string `yaml:"sha256,omitempty"`     // fingerprint of the certificate, hex
}

// credential creates the domain's description from c.
func (c ClientCert) credential() kycbridge.ClientCertCredential {
	return kycbridge.ClientCertCredential{SubjectCN: c.SubjectCN, SANDNS: strings.ToLower(c.SANDNS),
		SHA256: fingerprint(c.SHA256)}
}

// fingerprint is a digest in lower case, without the colons that openssl writes.
func fingerprint(text string) string { return strings.ToLower(strings.ReplaceAll(text, ":", "")) }

// AdminCert are the client certificates of one person or system that may use the admin API.
type AdminCert struct {
	Name      string `yaml:"name"`
	SubjectCN string `yaml:"subject_cn,omitempty"`
	SANDNS    string `yaml:"san_dns,omitempty"`
	SHA256    string `yaml:"sha256,omitempty"`

	Rights []string `yaml:"rights,omitempty"` // empty: all
}

// cert is a without its name and rights.
func (a AdminCert) cert() ClientCert {
	return ClientCert{SubjectCN: a.SubjectCN, SANDNS: a.SANDNS, SHA256: a.SHA256}
}

// open reports whether any token or certificate gives access to the admin API.
func (a Admin) open() bool { return len(a.Tokens)+len(a.ClientCerts) > 0 }

// certificates are the client certificates that give access to the admin API.
func (a Admin) certificates() []handlers.ClientCertificate {
	var out []handlers.ClientCertificate
	for _, c := range a.ClientCerts {
		granted := rights(c.Rights)
		if len(granted) == 0 {
			granted = kycbridge.AllRights()
		}
		out = append(out, handlers.ClientCertificate{Name: c.Name, Rights: granted,
			ClientCertCredential: c.cert().credential()})
	}
	return out
}

// OAuth2 are the clients that fetch access tokens at POST /oauth2/token and present them on callbacks.
type OAuth2 struct {
	Clients  []OAuth2Client `yaml:"clients,omitempty"`
	Lifetime time.Duration  `yaml:"lifetime,omitempty"` // of a token; 0: an hour
}

// OAuth2Client is a client of the client-credentials grant.
type OAuth2Client struct {
	ID     string `yaml:"id"`
	Secret Secret `yaml:"secret"`
}

// The lifetime of an access token: by default, and its limits. A single token cannot be revoked.
const (
	tokenLifetime      = time.Hour
	shortTokenLifetime = time.Minute
	longTokenLifetime  = 24 * time.Hour
)

// credential creates the domain's credential for an account from o.
func (o OAuth2) credential(audience string) kycbridge.OAuth2Credential {
	if len(o.Clients) == 0 {
		return kycbridge.OAuth2Credential{}
	}
	out := kycbridge.OAuth2Credential{Audience: audience, Lifetime: o.Lifetime}
	if out.Lifetime == 0 {
		out.Lifetime = tokenLifetime
	}
	for _, client := range o.Clients {
		out.Clients = append(out.Clients, kycbridge.OAuth2Client{ID: client.ID, Secret: client.Secret.Reveal()})
	}
	return out
}

// listenTLS checks the files of a listener.
func (c checker) listenTLS(key string, t ListenTLS) {
	switch {
	case t == ListenTLS{}:
		return
	case t.Cert == "" && t.Key == "":
		c.fault(key+".client_ca", "is written without cert and key", "write both, or remove it: a listener without them "+
			"speaks plain HTTP and sees no certificates")
		return
	case t.Cert == "" || t.Key == "":
		c.fault(key, "has only one of cert and key", "write both or neither")
		return
	}
	_, faults := t.load()
	for _, f := range faults {
		path := map[string]string{"cert": t.Cert, "key": t.Key, "client_ca": t.ClientCA}[f.key]
		c.fault(join(key, f.key), f.problem+pathShown(path), f.remedy)
	}
}

// adminCerts checks the client certificates that give access to the API.
func (c checker) adminCerts() {
	for i, a := range c.config.Admin.ClientCerts {
		key := item("admin.client_certs", i)
		c.require(key+".name", a.Name, "write who or what has the certificate: it stands in the log")
		if strings.Contains(a.Name, ":") || strings.HasPrefix(a.Name, "token-") {
			c.fault(key+".name", "cannot stand in the access log", "write one without a colon that does not begin with token-")
		}
		c.rights(key, a.Rights)
		c.clientCert(key, a.cert())
	}
	if len(c.config.Admin.ClientCerts) > 0 && c.config.Admin.TLS.ClientCA == "" {
		c.fault("admin.client_certs", "admits nobody without admin.tls.client_ca",
			"write admin.tls with cert, key and client_ca, or remove it")
	}
}

// clientCerts checks the client certificates that authenticate callbacks of an account.
func (c checker) clientCerts(key string, certs []ClientCert) {
	for i, cert := range certs {
		c.clientCert(item(key, i), cert)
	}
	if len(certs) > 0 && c.config.TLS.ClientCA == "" {
		c.fault(key, "admits nobody without tls.client_ca",
			"write tls with cert, key and client_ca; behind a proxy that ends TLS use another kind of credential")
	}
}

// clientCert checks that a certificate is described by exactly one key.
func (c checker) clientCert(key string, cert ClientCert) {
	switch n := len(written(cert)); {
	case n == 0:
		c.fault(key, "describes no certificate", "write one of subject_cn, san_dns, sha256")
	case n > 1:
		c.fault(key, "has several of subject_cn, san_dns and sha256", "write one of them")
	}
	raw, err := hex.DecodeString(fingerprint(cert.SHA256))
	if cert.SHA256 != "" && (err != nil || len(raw) != sha256.Size) {
		c.fault(key+".sha256", "is not a SHA-256 fingerprint",
			"write its 64 hex digits: openssl x509 -noout -fingerprint -sha256 -in client.pem")
	}
	if strings.ContainsAny(cert.SANDNS, "*/: ") {
		c.fault(key+".san_dns", "is not a DNS name", "write a whole name such as gateway.example.com")
	}
}

// oauth2 checks the clients of an account. A client id identifies the account, so no two accounts may share one.
func (c checker) oauth2(key string, account int) {
	o := c.config.Accounts[account].Auth.OAuth2
	for i, client := range o.Clients {
		at := item(key+".clients", i)
		c.require(at+".id", client.ID, "write the id that the provider is given")
		c.require(at+".secret", string(client.Secret), "write secret or secret_file")
		if client.ID != "" && !regexp.MustCompile(`^[!-9;-~]{1,128}$`).MatchString(client.ID) {
			c.fault(at+".id", "holds characters that cannot stand there", "write visible ASCII characters without a colon")
		}
		if j := slices.IndexFunc(c.config.Accounts[:account], func(other Account) bool {
			return slices.ContainsFunc(other.Auth.OAuth2.Clients,
				func(taken OAuth2Client) bool { return taken.ID == client.ID && client.ID != "" })
		}); j >= 0 {
			c.fault(at+".id", "is a client of "+item("accounts", j)+" already", "write another id for each account")
		}
	}
	if o.Lifetime != 0 && (o.Lifetime < shortTokenLifetime || o.Lifetime > longTokenLifetime) {
		c.fault(key+".lifetime", "is out of 1m to 24h", "write one such as 1h")
	}
	if len(o.Clients) == 0 && o.Lifetime != 0 {
		c.fault(key+".clients", "is missing beside lifetime", "write clients with id and secret")
	}
}

// soonExpired is how long before a certificate expires the warnings and alerts begin.
const soonExpired = 14 * 24 * time.Hour

// tls warns of certificates that expire soon, or that providers would refuse.
func (w *warnings) tls(c *Config) {
	for _, l := range []struct {
		key string
		tls ListenTLS
	}{{"tls", c.TLS}, {"admin.tls", c.Admin.TLS}} {
		files, _ := l.tls.load()
		if files == nil {
			continue
		}
		leaf := files.leaf()
		if f := files.untimely; f != nil {
			w.add(l.key+"."+f.key, f.problem+", so it is refused; "+f.remedy)
		} else if time.Until(leaf.NotAfter) < soonExpired {
			w.add(l.key+".cert", "expires on "+leaf.NotAfter.UTC().Format(time.DateOnly))
		}
		if u, err := url.Parse(c.PublicURL); l.key == "tls" && err == nil && c.PublicURL != "" &&
			leaf.VerifyHostname(u.Hostname()) != nil {
			w.add(l.key+".cert", "is not valid for the host of public_url, so senders refuse it unless a proxy stands in front")
		}
	}
}
