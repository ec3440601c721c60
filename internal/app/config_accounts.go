package app

import (
	"fmt"
	"maps"
	"slices"

	"kycbridge"
)

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

// kinds are the keys of a that hold credentials.
func (a Auth) kinds() []string {
	return written([]writtenKey{
		{"basic", len(a.Basic) > 0},
		{"bearer", len(a.Bearer) > 0},
		{"headers", len(a.Headers) > 0},
		{"url_tokens", len(a.URLTokens) > 0},
		{"hmac", len(a.HMAC.Secrets) > 0 || a.HMAC.Header != "" || a.HMAC.Tolerance != 0},
		{"keys", len(a.Keys) > 0},
	})
}

// settings are the keys of a that a mapping may read.
func (a Account) settings() []string {
	return written([]writtenKey{
		{"checker", a.Checker},
		{"manual_review", a.ManualReview},
		{"renewal_overdue", a.RenewalOverdue != ""},
		{"policy", len(a.Policy) > 0},
		{"flow_statuses", len(a.FlowStatuses) > 0},
	})
}

// writtenKey is a key and whether the configuration says anything there.
type writtenKey struct {
	name string
	is   bool
}

func written(keys []writtenKey) []string {
	var out []string
	for _, k := range keys {
		if k.is {
			out = append(out, k.name)
		}
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
