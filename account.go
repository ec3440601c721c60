package kycbridge

import (
	"net/netip"

	"kycbridge/event"
)

// Account is one set of credentials at one provider with its settings.
type Account struct {
	Name           string // token: lower-case letters, digits, '-' and '_'
	Provider       Provider
	Environment    event.Environment
	Profile        event.Profile
	Credentials    Credentials
	AllowIPs       []netip.Prefix // empty: any address
	RejectInvalid  bool           // answer 400 or 422 if a payload is quarantined
	TrustFramework string         // named: verified_claims on final approvals
	Settings       Settings
	API            API // empty: the provider cannot be polled
}

// Accounts finds an account by provider and name.
type Accounts map[AccountKey]*Account

// AccountKey identifies an account.
type AccountKey struct{ Provider, Account string }

// Find returns the account, or ErrNotFound.
func (a Accounts) Find(provider, account string) (*Account, error) {
	found, ok := a[AccountKey{provider, account}]
	if !ok {
		return nil, ErrNotFound
	}
	return found, nil
}
