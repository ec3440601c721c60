package kycbridge

import (
	"net/netip"

	"kycbridge/event"
)

// Account is one set of credentials at one provider with its settings.
type Account struct {
	Name           string            // token: lower-case letters, digits, '-' and '_'
	Provider       Provider          // with its name and abilities
	Environment    event.Environment // test or live; in every event
	Profile        event.Profile     // how much personal data the events contain
	Credentials    Credentials       // of its callbacks
	AllowIPs       []netip.Prefix    // empty: any address
	RejectInvalid  bool              // answer 400 or 422 if a payload is quarantined
	TrustFramework string            // if set, final approvals have verified_claims
	Settings       Settings          // for reading its payloads
	API            API               // empty: the provider cannot be polled
}

// AccountFinder finds the account of a provider by its name, or returns ErrNotFound. After a change of the
// configuration it may find other accounts; a found account itself never changes.
type AccountFinder interface {
	Find(provider, account string) (*Account, error)
}

// Accounts is a fixed set of accounts.
type Accounts map[AccountKey]*Account

// AccountKey identifies an account by the name of its provider and its own name.
type AccountKey struct{ Provider, Account string }

// Find returns the account, or ErrNotFound.
func (a Accounts) Find(provider, account string) (*Account, error) {
	found, ok := a[AccountKey{provider, account}]
	if !ok {
		return nil, ErrNotFound
	}
	return found, nil
}

// All returns the accounts themselves.
func (a Accounts) All() Accounts { return a }
