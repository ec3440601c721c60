package app

import (
	"context"
	"sync"

	"kycbridge"
	"kycbridge/publisher"
)

// polling are the consumers of due sessions, one for each account with an API.
type polling struct {
	life    context.Context // of the polls
	running sync.WaitGroup
	of      map[kycbridge.AccountKey]*duePolls
}

// duePolls is the consumer of one account.
type duePolls struct {
	workers int
	end     context.CancelFunc // stops taking sessions; polls in progress finish
	done    chan struct{}
	unwatch func() // removes its metrics
}

// startPolls starts the consumers of the accounts in use; Stop ends them.
func (a *App) startPolls() {
	life, end := context.WithCancel(context.Background())
	a.polling = &polling{life: life, of: map[kycbridge.AccountKey]*duePolls{}}
	a.onStop(func() { end(); a.polling.running.Wait() })
	a.pollAccounts()
}

// pollAccounts ends the consumers of accounts that were removed or no longer have an API, and starts missing
// consumers. If the number of workers has changed, the new consumer starts when the previous one has finished.
func (a *App) pollAccounts() {
	now, p := a.live.Load(), a.polling
	wanted := map[kycbridge.AccountKey]int{}
	for _, c := range now.config.Accounts {
		key := kycbridge.AccountKey{Provider: c.Provider, Account: c.Name}
		if now.accounts[key].API.Fetch != nil {
			wanted[key] = workersFor(c.Limits)
		}
	}
	last := map[kycbridge.AccountKey]chan struct{}{}
	for key, d := range p.of {
		if wanted[key] != d.workers {
			d.end()
			d.unwatch()
			last[key] = d.done
			delete(p.of, key)
		}
	}
	for key, workers := range wanted {
		if p.of[key] == nil {
			p.of[key] = a.pollAccount(key, workers, last[key])
		}
	}
}

// pollAccount starts the consumer of an account, after the previous one, if any, has finished.
func (a *App) pollAccount(key kycbridge.AccountKey, workers int, before <-chan struct{}) *duePolls {
	p := a.polling
	ctx, end := context.WithCancel(p.life)
	d := &duePolls{workers: workers, end: end, done: make(chan struct{}), unwatch: a.metrics.watchDue(key, a.store)}
	work := a.tracing.tracePoll(a.poller.Work)
	due := publisher.PollOptions{Account: key, Workers: workers, Exclusive: a.config.Store.IsEmbedded(), Log: a.log,
		Work: func(ctx context.Context, w kycbridge.Watch, again bool) error {
			ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
			defer cancel()
			defer context.AfterFunc(p.life, cancel)()
			return work(ctx, w, again)
		}}
	p.running.Go(func() {
		defer close(d.done)
		if before != nil {
			<-before
		}
		a.ended(ctx, "poller", a.store.ConsumeDue(ctx, due))
	})
	return d
}
