package app

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
	"kycbridge/normalize/credential"
	"kycbridge/schemas"
)

// trialAccount is the default name of the account.
const trialAccount = "try"

// TrialAccounts are the accounts of a configuration for commands without a store. Every account has its provider
// from the table.
func TrialAccounts(config *Config) (kycbridge.Accounts, error) {
	set, err := schemas.New()
	if err != nil {
		return nil, fmt.Errorf("compile schemas: %w", err)
	}
	return config.BuildAccounts(Providers(set))
}

// AccountOf is the account of a provider for a command: the account with this name, or the only account if name is
// empty.
func AccountOf(accounts kycbridge.Accounts, provider, name string) (*kycbridge.Account, error) {
	var names []string
	for k := range accounts {
		if k.Provider == provider {
			names = append(names, k.Account)
		}
	}
	slices.Sort(names)
	switch {
	case name != "" && !slices.Contains(names, name):
		return nil, fmt.Errorf("there is no account %s of %s in the configuration; it has %s", name, provider,
			cmp.Or(strings.Join(names, ", "), "none"))
	case name == "" && len(names) == 0:
		return nil, fmt.Errorf("the configuration has no account of %s", provider)
	case name == "" && len(names) > 1:
		return nil, fmt.Errorf("the configuration has several accounts of %s: write --account, one of %s", provider,
			strings.Join(names, ", "))
	case name == "":
		name = names[0]
	}
	return accounts[kycbridge.AccountKey{Provider: provider, Account: name}], nil
}

// PlainAccounts are one account of each provider with default settings: complete events, verdicts from
// callbacks.
func PlainAccounts() (kycbridge.Accounts, error) {
	set, err := schemas.New()
	if err != nil {
		return nil, fmt.Errorf("compile schemas: %w", err)
	}
	out := kycbridge.Accounts{}
	for name, provider := range Providers(set) {
		out[kycbridge.AccountKey{Provider: name, Account: trialAccount}] = &kycbridge.Account{
			Name: trialAccount, Provider: provider, Environment: event.EnvironmentTest, Profile: event.ProfileFull}
	}
	return out, nil
}

// DefaultNames are the default names in events.
func DefaultNames() Names { return defaults().Names }

// ProviderNames are the names of the table of providers, sorted.
func ProviderNames() []string { return slices.Sorted(maps.Keys(ProviderCatalog().ConfirmByDefault)) }

// NewTrial is a trial of a body that is received by an account now.
func NewTrial(account *kycbridge.Account, names Names, body []byte, at time.Time) archive.Trial {
	return archive.Trial{Account: account, Body: body, Via: event.ViaCallback, ReceivedAt: at, Now: at,
		Mapping: Mapping, TypePrefix: names.TypePrefix, SourcePrefix: names.SourcePrefix}
}

// Authentic returns the position of the credential with which an account accepts a request, or why the account
// refuses it.
func Authentic(
	account *kycbridge.Account, header http.Header, query url.Values, body []byte, at time.Time,
) (placement string, err error) {
	placement, err = account.Provider.Verify(account.Credentials,
		kycbridge.Request{Header: header, Query: query, Body: body, ReceivedAt: at})
	if refused, ok := errors.AsType[*kycbridge.RefusedError](err); ok {
		return "", errors.New(refused.Why)
	}
	return placement, err
}

// Present adds a credential of the account to a request. It reports false if the account has none.
func Present(account *kycbridge.Account, header http.Header, query url.Values, body []byte, at time.Time) bool {
	present := credential.Present
	if account.Provider.Present != nil {
		present = account.Provider.Present
	}
	return present(account.Credentials, header, query, body, at)
}
