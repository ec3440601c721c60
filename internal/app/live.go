package app

import (
	"reflect"
	"slices"

	"kycbridge"
	"kycbridge/handlers"
	"kycbridge/internal/keys"
	"kycbridge/internal/poll"
)

// live holds everything that a reload of the configuration replaces. A live value is not changed once it is in use:
// an operation that has loaded it works with the same value to its end.
type live struct {
	config   *Config // the configuration in use: keys that need a restart have the values of the start
	accounts kycbridge.Accounts
	policies map[kycbridge.AccountKey]poll.Policy
	holders  handlers.Holders // of the admin API and the console
	sealer   *sealer          // of events; nil: events are not encrypted
	master   *keys.Master     // of stored bodies, if it replaces the previous one
}

// newLive creates the live value of c; accounts were built from c.
func newLive(c *Config, accounts kycbridge.Accounts) (*live, error) {
	events, err := newSealer(c)
	if err != nil {
		return nil, err
	}
	return &live{config: c, accounts: accounts, sealer: events,
		holders: handlers.Holders{Tokens: c.Admin.tokens(), Certificates: c.Admin.certificates()}}, nil
}

// liveAccounts finds the accounts in use at each call.
type liveAccounts struct{ *system }

// Find returns the account, or ErrNotFound.
func (l liveAccounts) Find(provider, account string) (*kycbridge.Account, error) {
	return l.live.Load().accounts.Find(provider, account)
}

// All returns the accounts in use.
func (l liveAccounts) All() kycbridge.Accounts { return l.live.Load().accounts }

// policy is how the sessions of an account are polled. A poll in progress may belong to an account that was
// removed.
func (s *system) policy(key kycbridge.AccountKey) poll.Policy {
	if p, ok := s.live.Load().policies[key]; ok {
		return p
	}
	return defaultPolling
}

// sameAPI reports whether l, which may be nil, has the account of c with the same API, limits and settings.
func (l *live) sameAPI(key kycbridge.AccountKey, c Account) bool {
	if l == nil {
		return false
	}
	i := l.config.account(key)
	if i < 0 {
		return false
	}
	was := l.config.Accounts[i]
	of := func(a Account) []any { return []any{a.API, a.Limits, a.Auth.Keys, a.Confirm, a.Own} }
	return reflect.DeepEqual(of(was), of(c))
}

// account is the index of an account; -1 if it does not exist.
func (c *Config) account(key kycbridge.AccountKey) int {
	return slices.IndexFunc(c.Accounts, func(a Account) bool {
		return a.Provider == key.Provider && a.Name == key.Account
	})
}
