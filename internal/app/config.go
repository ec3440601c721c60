// Package app assembles kycbridge: it reads the configuration, holds the table of providers, and starts and stops
// the services.
//
// The configuration is a YAML file (docs/configure.md), read once and strictly: an unknown key is a fault, and all
// faults are reported together, each with its line. Three things can replace a value written in the file:
//
//   - ${NAME} anywhere in a value is the environment variable NAME; $${ is a literal ${. Keys and the
//     contents of secret files are not expanded. Within [ ] and { } YAML requires quotes around it:
//     ["${NAME}"].
//   - Every secret has a variant with the suffix _file: password_file, bearer_file. The file contains
//     the secret, or one secret per line if the key takes several. Relative names are relative to the
//     working directory, as are all file names in the configuration.
//   - KYCBRIDGE_ and the key in capitals, its levels joined by _ or __, overrides a key outside the
//     accounts: KYCBRIDGE_DATA_DIR, KYCBRIDGE_STORE_URL, KYCBRIDGE_ADMIN__TOKENS_FILE. The names are
//     matched with the existing keys, so underscores within a key need no escaping. Lists are separated
//     by commas, the value is not expanded, and an empty variable counts as unset. A variable with this
//     prefix that names no key is a fault, unless the file refers to it, it is KYCBRIDGE_CONFIG,
//     KYCBRIDGE_API or KYCBRIDGE_TOKEN, or Kubernetes sets it for a service called kycbridge.
package app

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"kycbridge/normalize"
)

// Config is the effective configuration: defaults, file and environment. Its secrets are hidden when it is printed,
// logged or encoded.
type Config struct {
	Listen         string     `yaml:"listen"`
	TLS            ListenTLS  `yaml:"tls,omitempty"` // of listen
	Admin          Admin      `yaml:"admin"`
	PublicURL      string     `yaml:"public_url,omitempty"`
	Proxy          string     `yaml:"proxy,omitempty"` // through which providers are called
	DataDir        string     `yaml:"data_dir"`
	Embedded       Embedded   `yaml:"embedded"`
	Store          Server     `yaml:"store"`
	Bus            Server     `yaml:"bus"`
	TrustedProxies []string   `yaml:"trusted_proxies,omitempty"` // CIDRs or addresses
	Receive        Receive    `yaml:"receive"`
	Normalize      Normalize  `yaml:"normalize"`
	Integrity      Integrity  `yaml:"integrity"`
	Encryption     Encryption `yaml:"encryption,omitempty"`
	Retention      Retention  `yaml:"retention"`
	Names          Names      `yaml:"names"`
	Log            Log        `yaml:"log"`
	Tracing        Tracing    `yaml:"tracing"`
	Accounts       []Account  `yaml:"accounts"`
}

// Admin is the operators' listener. Without tokens it has only health and metrics.
type Admin struct {
	Listen   string       `yaml:"listen"`
	Tokens   []AdminToken `yaml:"tokens,omitempty"`
	MaxStart int          `yaml:"max_start"` // bytes of the body of a start, documents and videos included

	TLS         ListenTLS   `yaml:"tls,omitempty"`
	ClientCerts []AdminCert `yaml:"client_certs,omitempty"` // that give access to the API, as a token does
}

// Embedded is the client port of the embedded NATS server.
type Embedded struct {
	Listen string `yaml:"listen"` // host:port, or none for no port
	Users  []User `yaml:"users,omitempty"`
}

// noPort is the value of Embedded.Listen if no client outside the process may connect.
const noPort = "none"

// Address is the address of the client port; "" without a port.
func (e Embedded) Address() string {
	if e.Listen == noPort {
		return ""
	}
	return e.Listen
}

// User may connect to the embedded server. Publish and Subscribe are the permitted subjects.
type User struct {
	Username  string   `yaml:"username"`
	Password  Secret   `yaml:"password"`
	Publish   []string `yaml:"publish,omitempty"`
	Subscribe []string `yaml:"subscribe,omitempty"`
}

// embeddedURL is the value of Server.URL for the server within the process.
const embeddedURL = "embedded"

// Server is one NATS connection. URL is "embedded" or one or more addresses separated by commas.
type Server struct {
	URL             string `yaml:"url"`
	CredentialsFile string `yaml:"credentials_file,omitempty"` // in the format of nats.go: JWT and seed
	Username        string `yaml:"username,omitempty"`
	Password        Secret `yaml:"password,omitempty"`
	Token           Secret `yaml:"token,omitempty"`
	TLS             TLS    `yaml:"tls,omitempty"`
	Replicas        int    `yaml:"replicas,omitempty"` // of streams created on an external cluster; 0: 1
	// Readers are the server's accounts that are served over separate connections.
	Readers []string `yaml:"readers,omitempty"`
}

// IsEmbedded reports whether s is the server within the process.
func (s Server) IsEmbedded() bool { return s.URL == embeddedURL }

// TLS names PEM files.
type TLS struct {
	CA   string `yaml:"ca,omitempty"`
	Cert string `yaml:"cert,omitempty"`
	Key  string `yaml:"key,omitempty"`
}

// Receive limits the cost of callbacks.
type Receive struct {
	MaxBody           int           `yaml:"max_body"` // bytes
	Concurrency       int           `yaml:"concurrency"`
	RequestsPerSecond float64       `yaml:"requests_per_second"` // of all accounts together; 0: no limit
	Timeout           time.Duration `yaml:"timeout"`
	Drain             time.Duration `yaml:"drain"` // how long a shutdown waits for callbacks in flight
}

// Normalize configures the processing of stored payloads.
type Normalize struct {
	Workers     int `yaml:"workers"`
	MaxAttempts int `yaml:"max_attempts"` // of one payload, before it is quarantined
}

// Integrity configures the checks of stored messages.
type Integrity struct {
	Scrub    time.Duration `yaml:"scrub"`              // interval between complete checks; 0: at starts only
	Restored string        `yaml:"restored,omitempty"` // when the streams were restored from an older copy
	// Log enables the tamper-evident log, which SigningKey signs.
	Log bool `yaml:"log,omitempty"`
	// SigningKey holds PEM blocks: the private key that signs events, and further keys that are published.
	SigningKey Secret `yaml:"signing_key,omitempty"`
}

// Encryption configures the master keys of stored bodies and the keys of accounts with pii: encrypted. Without a
// master key, stored bodies are not encrypted.
type Encryption struct {
	// Key holds lines of an id and 32 bytes in base64; the first one is used for new pages.
	Key   Secret     `yaml:"key,omitempty" file:"whole"`
	Vault KeyService `yaml:"vault,omitempty"`

	// EventKey holds the service's own private keys: events are encrypted to the first, so that kycbridge can read
	// them back; the others decrypt earlier events.
	EventKey   Secret      `yaml:"event_key,omitempty"`
	Recipients []Recipient `yaml:"recipients,omitempty"`
}

// KeyService is a key of the transit engine of HashiCorp Vault or OpenBao. If Encryption.Key is configured too, the
// service wraps new keys, and Encryption.Key only unwraps earlier ones.
type KeyService struct {
	Address   string `yaml:"address,omitempty"`
	Mount     string `yaml:"mount,omitempty"` // "": transit
	Key       string `yaml:"key,omitempty"`   // the name of the key
	Token     Secret `yaml:"token,omitempty"`
	Namespace string `yaml:"namespace,omitempty"`
	CA        string `yaml:"ca,omitempty"` // PEM file; "": the system's authorities
}

// enabled reports whether stored bodies are encrypted.
func (e Encryption) enabled() bool { return e.Key != "" || e.Vault != (KeyService{}) }

// Recipient is a consumer that can decrypt events.
type Recipient struct {
	KeyID string `yaml:"key_id,omitempty"` // "": the id of the key itself
	Key   Secret `yaml:"key"`              // public: PEM, a JSON Web Key, or a set of them
}

// Names are the prefixes of names that consumers see.
type Names struct {
	SubjectPrefix string `yaml:"subject_prefix"`
	StreamPrefix  string `yaml:"stream_prefix"`
	TypePrefix    string `yaml:"type_prefix"`
	SourcePrefix  string `yaml:"source_prefix"`
}

// Log configures what is logged and how.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // json, console
}

// Tracing configures the receiver of OpenTelemetry traces; without an endpoint no traces are sent.
type Tracing struct {
	Endpoint string  `yaml:"endpoint,omitempty"` // OTLP over HTTP: http://collector:4318/v1/traces
	Sample   float64 `yaml:"sample"`             // share of the traces that begin here, 0 to 1
}

// Account is one set of credentials at one provider.
type Account struct {
	Name           string   `yaml:"name"`
	Provider       string   `yaml:"provider"`
	Environment    string   `yaml:"environment"`
	Auth           Auth     `yaml:"auth"`
	AllowIPs       []string `yaml:"allow_ips,omitempty"` // CIDRs or addresses
	API            API      `yaml:"api,omitempty"`
	PII            string   `yaml:"pii"`
	PIIKeys        []string `yaml:"pii_keys,omitempty"` // key ids of the recipients under pii: encrypted; empty: all
	Confirm        *bool    `yaml:"confirm,omitempty"`  // unset: the provider's default
	RejectInvalid  bool     `yaml:"reject_invalid"`
	Poll           Poll     `yaml:"poll,omitempty"`
	Limits         Limits   `yaml:"limits,omitempty"`
	TrustFramework string   `yaml:"trust_framework,omitempty"`

	Retention AccountRetention `yaml:"retention,omitempty"`
	Own       Own              `yaml:",inline"` // settings that only this provider has
}

// Auth lists the accepted credentials of callbacks.
type Auth struct {
	Basic      []Basic  `yaml:"basic,omitempty"`
	Bearer     []Secret `yaml:"bearer,omitempty"`
	Headers    []Header `yaml:"headers,omitempty"`
	HMAC       HMAC     `yaml:"hmac,omitempty"`
	Keys       []Secret `yaml:"keys,omitempty"`
	Placements []string `yaml:"placements,omitempty"`
	KeyHeaders []string `yaml:"key_headers,omitempty"`
	URLTokens  []Secret `yaml:"url_tokens,omitempty"`

	ClientCerts []ClientCert `yaml:"client_certs,omitempty"`
	OAuth2      OAuth2       `yaml:"oauth2,omitempty"`
}

// Basic is a user of HTTP Basic.
type Basic struct {
	Username string `yaml:"username"`
	Password Secret `yaml:"password"`
}

// Header is a static header.
type Header struct {
	Name  string `yaml:"name"`
	Value Secret `yaml:"value"`
}

// HMAC configures a signature. An empty Header and a zero Tolerance mean the provider's defaults.
type HMAC struct {
	Secrets   []Secret      `yaml:"secrets,omitempty"`
	Header    string        `yaml:"header,omitempty"`
	Tolerance time.Duration `yaml:"tolerance,omitempty"`
}

// Poll configures how often an open session is polled. Zero values mean the provider's defaults.
type Poll struct {
	Interval  time.Duration            `yaml:"interval,omitempty"`
	Intervals map[string]time.Duration `yaml:"intervals,omitempty"` // by the provider's status
	Jitter    float64                  `yaml:"jitter,omitempty"`    // share of the interval, 0 to 1
	Deadline  time.Duration            `yaml:"deadline,omitempty"`
	Rechecks  []time.Duration          `yaml:"rechecks,omitempty"` // further polls after a callback without a new result
}

// Limits limit the calls to a provider's API. Zero values mean the provider's defaults.
type Limits struct {
	RequestsPerSecond float64 `yaml:"requests_per_second,omitempty"`
	Concurrency       int     `yaml:"concurrency,omitempty"`
}

// Catalog is the configuration part of the table of providers, so that the loader contains no provider's
// name.
type Catalog struct {
	Names            []string
	AuthKeys         map[string][]string            // by provider: the kinds of credentials that its Verify reads
	Placements       map[string][]string            // by provider: the permitted positions of a key of auth.keys
	Settings         map[string][]normalize.Setting // by provider: the keys of an account that only it has
	APIKeys          map[string][]string            // by provider; timeout is valid for all
	APINeeds         map[string][]string            // by provider: the required keys
	APIWords         map[string]map[string][]string // by provider: the permitted values of a key
	ConfirmByDefault map[string]bool
	Setups           map[string]normalize.Setup // by provider: the requirements of a new account
}

// defaults is the configuration without a file. It is usable without changes.
func defaults() Config {
	return Config{
		Listen:    "127.0.0.1:8080",
		Admin:     Admin{Listen: "127.0.0.1:8081", MaxStart: 64 << 20},
		DataDir:   "./data",
		Embedded:  Embedded{Listen: "127.0.0.1:4222"},
		Store:     Server{URL: embeddedURL},
		Bus:       Server{URL: embeddedURL},
		Receive:   Receive{MaxBody: 1 << 20, Concurrency: 512, Timeout: 10 * time.Second, Drain: 15 * time.Second},
		Normalize: Normalize{Workers: 128, MaxAttempts: 5},
		Integrity: Integrity{Scrub: 24 * time.Hour},
		Retention: defaultRetention(),
		Names:     Names{SubjectPrefix: "kyc", StreamPrefix: "KYC", TypePrefix: "io.kycbridge", SourcePrefix: "/kycbridge"},
		Log:       Log{Level: "info", Format: "json"},
		Tracing:   Tracing{Sample: 1},
	}
}

// complete fills in the defaults of an account.
func (a *Account) complete(catalog Catalog) {
	if a.PII == "" {
		a.PII = "full"
	}
	if a.Confirm == nil {
		confirm, _ := catalog.confirmByDefault(*a)
		a.Confirm = &confirm
	}
}

// Serves returns an error if no other process can take the roles that r lacks: only this process reaches an
// embedded store.
func (c *Config) Serves(r Roles) error {
	lacks := ""
	switch {
	case !c.Store.IsEmbedded():
		return nil
	case !r.Receive:
		lacks = "receive"
	case !r.Normalize:
		lacks = "normalize"
	case !r.Poll && slices.ContainsFunc(c.Accounts, func(a Account) bool { return len(a.API) > 0 }):
		lacks = "poll"
	default:
		return nil
	}
	return fmt.Errorf("no role %s with store.url: embedded: no other process can do it with this store; write the url "+
		"of an external NATS, or leave --role away", lacks)
}

// Redacted is the effective configuration as YAML, every secret as [redacted].
func (c *Config) Redacted() ([]byte, error) { return yaml.Marshal(c) }

// Proxies are the trusted proxies, parsed; LoadConfig has checked them.
func (c *Config) Proxies() []netip.Prefix { return prefixes(c.TrustedProxies) }

// prefixes parses valid texts.
func prefixes(texts []string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range texts {
		if p, ok := prefix(s); ok {
			out = append(out, p)
		}
	}
	return out
}

// prefix parses a CIDR, or an address as a prefix of full length.
func prefix(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		addr, err := netip.ParseAddr(s)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, false
		}
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	return p.Masked(), true
}
