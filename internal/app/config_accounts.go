package app

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"kycbridge"
)

// shortSecret is the length below which a secret is warned of.
const shortSecret = 8

// BuildAccounts makes the domain's accounts of c, each with its provider out of table.
func (c *Config) BuildAccounts(table map[string]kycbridge.Provider) (kycbridge.Accounts, error) {
	out := make(kycbridge.Accounts, len(c.Accounts))
	for _, a := range c.Accounts {
		provider, ok := table[a.Provider]
		if !ok {
			return nil, fmt.Errorf("build account %s: no provider %s", a.Name, a.Provider)
		}
		key := kycbridge.AccountKey{Provider: a.Provider, Account: a.Name}
		if out[key] != nil {
			return nil, fmt.Errorf("build account %s: twice at provider %s", a.Name, a.Provider)
		}
		out[key] = a.build(provider)
	}
	return out, nil
}

// build makes the domain's account of a.
func (a Account) build(provider kycbridge.Provider) *kycbridge.Account {
	profile := kycbridge.Profile(a.PII)
	if profile == "" {
		profile = kycbridge.ProfileFull
	}
	confirm := provider.ConfirmByDefault
	if a.Confirm != nil {
		confirm = *a.Confirm
	}
	return &kycbridge.Account{
		Name:           a.Name,
		Provider:       provider,
		Environment:    kycbridge.Environment(a.Environment),
		Profile:        profile,
		Credentials:    a.Auth.credentials(),
		AllowIPs:       prefixes(a.AllowIPs),
		RejectInvalid:  a.RejectInvalid,
		TrustFramework: a.TrustFramework,
		Settings: kycbridge.Settings{
			Confirm:        confirm,
			Checker:        a.Checker,
			ManualReview:   a.ManualReview,
			RenewalOverdue: a.RenewalOverdue,
			Policy:         maps.Clone(a.Policy),
			FlowStatuses:   maps.Clone(a.FlowStatuses),
		},
	}
}

// credentials makes the domain's credentials of a.
func (a Auth) credentials() kycbridge.Credentials {
	out := kycbridge.Credentials{
		Bearer:     reveal(a.Bearer),
		HMAC:       kycbridge.HMACCredential{Secrets: reveal(a.HMAC.Secrets), Header: a.HMAC.Header, Tolerance: a.HMAC.Tolerance},
		Keys:       reveal(a.Keys),
		Placements: slices.Clone(a.Placements),
		KeyHeaders: slices.Clone(a.KeyHeaders),
		URLTokens:  reveal(a.URLTokens),
	}
	for _, b := range a.Basic {
		out.Basic = append(out.Basic, kycbridge.BasicCredential{Username: b.Username, Password: b.Password.Reveal()})
	}
	for _, h := range a.Headers {
		out.Headers = append(out.Headers, kycbridge.HeaderCredential{Name: h.Name, Value: h.Value.Reveal()})
	}
	return out
}

func reveal(secrets []Secret) []string {
	var out []string
	for _, s := range secrets {
		out = append(out, s.Reveal())
	}
	return out
}

// Warnings are what is allowed in c but hardly meant, one sentence each, without any value.
func Warnings(c *Config) []string {
	var out []string
	short := func(key string, secrets ...Secret) {
		for _, s := range secrets {
			if s != "" && len(s) < shortSecret {
				out = append(out, fmt.Sprintf("%s: a secret is shorter than %d characters", key, shortSecret))
			}
		}
	}
	short("admin.tokens", c.Admin.Tokens...)
	for i, u := range c.Embedded.Users {
		short(item("embedded.users", i)+".password", u.Password)
	}
	short("store.password", c.Store.Password)
	short("store.token", c.Store.Token)
	short("bus.password", c.Bus.Password)
	short("bus.token", c.Bus.Token)
	for i, a := range c.Accounts {
		a.warn(item("accounts", i), short)
		if a.TrustFramework != "" && a.PII == string(kycbridge.ProfileNone) {
			out = append(out, item("accounts", i)+".trust_framework: has no effect with pii: none")
		}
	}
	return out
}

// warn hands every secret of a to short.
func (a Account) warn(key string, short func(string, ...Secret)) {
	for i, b := range a.Auth.Basic {
		short(item(key+".auth.basic", i)+".password", b.Password)
	}
	for i, h := range a.Auth.Headers {
		short(item(key+".auth.headers", i)+".value", h.Value)
	}
	short(key+".auth.bearer", a.Auth.Bearer...)
	short(key+".auth.hmac.secrets", a.Auth.HMAC.Secrets...)
	short(key+".auth.keys", a.Auth.Keys...)
	short(key+".auth.url_tokens", a.Auth.URLTokens...)
	for _, name := range slices.Sorted(maps.Keys(a.API)) {
		if secretAPIKey(name) {
			short(strings.Join([]string{key, "api", name}, "."), Secret(a.API[name]))
		}
	}
}
