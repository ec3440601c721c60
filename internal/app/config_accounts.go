package app

import (
	"fmt"
	"reflect"
	"slices"

	"kycbridge"
	"kycbridge/event"
)

// BuildAccounts creates the domain's accounts from c, each with its provider from table.
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

// build creates the domain's account from a, in which the defaults are filled in.
func (a Account) build(provider kycbridge.Provider) *kycbridge.Account {
	return &kycbridge.Account{
		Name:           a.Name,
		Provider:       provider,
		Environment:    event.Environment(a.Environment),
		Profile:        event.Profile(a.PII),
		Credentials:    a.Auth.credentials(a.Provider + "/" + a.Name),
		AllowIPs:       prefixes(a.AllowIPs),
		RejectInvalid:  a.RejectInvalid,
		TrustFramework: a.TrustFramework,
		Settings:       a.settings(provider),
	}
}

// credentials creates the domain's credentials from a. Access tokens are valid for the account audience only.
func (a Auth) credentials(audience string) kycbridge.Credentials {
	hmac := kycbridge.HMACCredential{Secrets: reveal(a.HMAC.Secrets), Header: a.HMAC.Header, Tolerance: a.HMAC.Tolerance}
	out := kycbridge.Credentials{
		Bearer:     reveal(a.Bearer),
		HMAC:       hmac,
		Keys:       reveal(a.Keys),
		Placements: slices.Clone(a.Placements),
		KeyHeaders: slices.Clone(a.KeyHeaders),
		URLTokens:  reveal(a.URLTokens),
		OAuth2:     a.OAuth2.credential(audience),
	}
	for _, cert := range a.ClientCerts {
		out.ClientCerts = append(out.ClientCerts, cert.credential())
	}
	for _, b := range a.Basic {
		out.Basic = append(out.Basic, kycbridge.BasicCredential{Username: b.Username, Password: b.Password.Reveal()})
	}
	for _, h := range a.Headers {
		out.Headers = append(out.Headers, kycbridge.HeaderCredential{Name: h.Name, Value: h.Value.Reveal()})
	}
	return out
}

// aboutKeys are the keys of an auth section that specify where a callback may contain the credentials under keys.
var aboutKeys = []string{"placements", "key_headers"}

// kinds are the keys of a that hold credentials.
func (a Auth) kinds() []string {
	return slices.DeleteFunc(written(a), func(key string) bool { return slices.Contains(aboutKeys, key) })
}

// settings creates the domain's settings from a.
func (a Account) settings(provider kycbridge.Provider) kycbridge.Settings {
	out := kycbridge.Settings{Confirm: a.Confirm != nil && *a.Confirm}
	if provider.Decode != nil {
		out.Own = provider.Decode(a.Own)
	}
	return out
}

// written are the keys of a section (a struct) that have a value. An empty list or table does not count as a value.
func written(section any) (out []string) {
	v := reflect.ValueOf(section)
	for i, key := range keysOf(v.Type()) {
		if !isEmpty(v.Field(i)) {
			out = append(out, key)
		}
	}
	return out
}

func isEmpty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Struct:
		return len(written(v.Interface())) == 0
	}
	return v.IsZero()
}

func reveal(secrets []Secret) []string {
	var out []string
	for _, s := range secrets {
		out = append(out, s.Reveal())
	}
	return out
}
