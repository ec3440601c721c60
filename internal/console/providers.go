package console

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"kycbridge"
)

// providerView is an account with its activity in this process.
type providerView struct {
	Account
	Key       string // for links within the page
	Callbacks []tally
	Refusals  []tally
	Calls     []tally
	LastTaken time.Time // last accepted callback
	LastCall  time.Time // last successful call
	Paused    bool
	Fresh     []seenValue
	Chart     chart
}

// tally is how often something happened, and when last.
type tally struct {
	Name string
	counted
}

// providersView are all accounts.
type providersView struct {
	Rows    []providerView
	Unknown []tally // callbacks to unknown accounts
}

// providers shows each account, its traffic and the settings for its provider.
func (c *Console) providers(v visit) error {
	return c.show(v, "providers", "Providers", c.Day.providers(c.Accounts()))
}

func (d *Day) providers(accounts []Account) (view providersView) {
	now := d.now()
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, account := range accounts {
		one := providerView{Account: account, Key: account.Provider + "-" + account.Name}
		a := d.account(kycbridge.AccountKey{Provider: account.Provider, Account: account.Name})
		if a == nil {
			view.Rows = append(view.Rows, one)
			continue
		}
		for _, t := range tallies(a.callbacks) {
			if !taken(t.Name) {
				one.Refusals = append(one.Refusals, t)
				continue
			}
			one.Callbacks = append(one.Callbacks, t)
			one.LastTaken = later(one.LastTaken, t.Last)
		}
		one.Calls = tallies(a.calls)
		for _, t := range one.Calls {
			if strings.HasSuffix(t.Name, " ok") {
				one.LastCall = later(one.LastCall, t.Last)
			}
		}
		one.Paused, one.Fresh = a.paused, slices.Clone(a.fresh)
		one.Chart = chartOf("Callbacks in the last day", now, []*accountDay{a}, callbackSeries)
		view.Rows = append(view.Rows, one)
	}
	none := kycbridge.AccountKey{Provider: kycbridge.UnknownAccount, Account: kycbridge.UnknownAccount}
	if a, ok := d.accounts[none]; ok {
		view.Unknown = tallies(a.callbacks)
	}
	return view
}

func tallies(m map[string]*counted) []tally {
	out := make([]tally, 0, len(m))
	for _, name := range slices.Sorted(maps.Keys(m)) {
		out = append(out, tally{name, *m[name]})
	}
	slices.SortStableFunc(out, func(x, y tally) int { return cmp.Compare(y.Count, x.Count) })
	return out
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
