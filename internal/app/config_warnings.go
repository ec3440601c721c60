package app

import (
	"fmt"
	"maps"
	"net/url"
	"slices"

	"kycbridge/event"
)

// shortSecret is the length below which a secret causes a warning.
const shortSecret = 8

// Warnings are permitted settings of c that are probably unintended, or have no effect: one sentence each,
// without any value.
func Warnings(c *Config) []string {
	var w warnings
	if !c.Admin.open() && slices.ContainsFunc(c.Accounts, func(a Account) bool { return len(a.API) > 0 }) {
		w.add("admin.tokens", "empty, so nobody can start or watch a verification over HTTP")
	}
	for _, t := range c.Admin.Tokens {
		w.short("admin.tokens", t.Token)
	}
	w.tls(c)
	w.embedded(c)
	w.encryption(c)
	w.short("encryption.vault.token", c.Encryption.Vault.Token)
	w.short("store.password", c.Store.Password)
	w.short("store.token", c.Store.Token)
	w.short("bus.password", c.Bus.Password)
	w.short("bus.token", c.Bus.Token)
	for i, a := range c.Accounts {
		w.account(item("accounts", i), a)
	}
	return w
}

// warnings collects sentences.
type warnings []string

func (w *warnings) add(key, problem string) { *w = append(*w, key+": "+problem) }

func (w *warnings) short(key string, secrets ...Secret) {
	for _, s := range secrets {
		if s != "" && len(s) < shortSecret {
			w.add(key, fmt.Sprintf("a secret is shorter than %d characters", shortSecret))
		}
	}
}

func (w *warnings) embedded(c *Config) {
	if c.Embedded.Address() == "" && c.Bus.IsEmbedded() {
		w.add("embedded.listen", "none, and the events are in this server: nobody can read them")
	}
	if c.Embedded.Address() == "" && len(c.Embedded.Users) > 0 {
		w.add("embedded.users", "has no effect with embedded.listen: none")
	}
	for i, u := range c.Embedded.Users {
		w.short(item("embedded.users", i)+".password", u.Password)
	}
}

func (w *warnings) account(key string, a Account) {
	for i, b := range a.Auth.Basic {
		w.short(item(key+".auth.basic", i)+".password", b.Password)
	}
	for i, h := range a.Auth.Headers {
		w.short(item(key+".auth.headers", i)+".value", h.Value)
	}
	w.short(key+".auth.bearer", a.Auth.Bearer...)
	w.short(key+".auth.hmac.secrets", a.Auth.HMAC.Secrets...)
	w.short(key+".auth.keys", a.Auth.Keys...)
	w.short(key+".auth.url_tokens", a.Auth.URLTokens...)
	for i, client := range a.Auth.OAuth2.Clients {
		w.short(item(key+".auth.oauth2.clients", i)+".secret", client.Secret)
	}
	if len(a.Auth.kinds()) == 0 {
		w.add(key+".auth", "has no credential: every callback is refused, and results are only asked for")
	}
	for _, name := range slices.Sorted(maps.Keys(a.API)) {
		at := key + ".api." + name
		if secretAPIKey(name) {
			w.short(at, Secret(a.API[name]))
		}
		if u, err := url.Parse(a.API[name]); err == nil && u.Scheme == "http" && !loopback(u.Hostname()) {
			w.add(at, "is plain http: credentials and persons' data can be read on the way")
		}
	}
	if len(a.API) == 0 && len(written(a.Poll))+len(written(a.Limits)) > 0 {
		w.add(key+".poll", "poll and limits have no effect without api")
	}
	if a.TrustFramework != "" && a.PII == string(event.ProfileNone) {
		w.add(key+".trust_framework", "has no effect with pii: none")
	}
}
