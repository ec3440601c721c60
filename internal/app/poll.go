package app

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/document"
	"kycbridge/event"
	"kycbridge/internal/poll"
	"kycbridge/internal/rest"
	"kycbridge/normalize"
	"kycbridge/publisher"
)

// defaultPolling applies to every provider without a policy of its own. Callbacks report most changes; the polls
// find changes whose callback was lost.
var defaultPolling = poll.Policy{
	Interval: 10 * time.Minute,
	Jitter:   .2,
	Deadline: 72 * time.Hour,
	First:    time.Minute,
	Rechecks: []time.Duration{5 * time.Second, time.Minute, 10 * time.Minute},
}

// connectAPIs sets in l the polling policy of each account, and the provider's API of each account with API
// credentials. It reuses the API in before (nil at the start) if nothing has changed that the API depends on: a
// reused API keeps its rate limits and access tokens.
func (a *App) connectAPIs(l, before *live) {
	table := map[string]normalize.Entry{}
	for _, e := range providers() {
		table[e.Name] = e
	}
	l.policies = map[kycbridge.AccountKey]poll.Policy{}
	for _, c := range l.config.Accounts {
		key := kycbridge.AccountKey{Provider: c.Provider, Account: c.Name}
		e := table[c.Provider]
		l.policies[key] = defaultPolling.OverriddenBy(poll.Policy{
			Interval: e.Polling.Interval, Intervals: e.Polling.Intervals, First: e.Polling.First,
		}).OverriddenBy(c.Poll.policy())
		if len(c.API) > 0 && e.NamesURL && a.config.PublicURL == "" {
			a.log.Warn("public_url is missing: the provider of this account is told no address for callbacks, so results are "+
				"only asked for",
				zap.String("provider", c.Provider), zap.String("account", c.Name))
		}
		if len(c.API) > 0 && e.Connect != nil {
			account := l.accounts[key]
			if before.sameAPI(key, c) {
				account.API = before.accounts[key].API
				continue
			}
			account.API = e.Connect(normalize.API(c.API), account.Settings, a.restOptions(key, c))
		}
	}
}

// restOptions limit and count the calls of an account.
func (a *App) restOptions(key kycbridge.AccountKey, c Account) rest.Options {
	return rest.Options{
		Timeout:           normalize.API(c.API).Duration("timeout"),
		RequestsPerSecond: c.Limits.RequestsPerSecond,
		Concurrency:       c.Limits.Concurrency,
		MaxAnswer:         a.config.Receive.MaxBody,
		Secrets:           c.secrets(),
		Observe:           func(call, outcome string, took time.Duration) { a.called(key, call, outcome, took) },
		Proxy:             a.config.proxy(),
		Paused:            func(paused bool) { a.apiPaused(key, paused) },
	}
}

// proxy is the configured proxy, which was checked when the configuration was read; nil: none.
func (c *Config) proxy() *url.URL {
	if c.Proxy == "" {
		return nil
	}
	proxy, err := url.Parse(c.Proxy)
	if err != nil {
		return nil
	}
	return proxy
}

// secrets are the credentials exchanged with a provider, which must not be shown.
func (a Account) secrets() []string {
	var out []string
	for name, value := range a.API {
		if secretAPIKey(name) {
			out = append(out, value)
		}
	}
	return append(out, reveal(a.Auth.Keys)...)
}

func (a *App) apiPaused(key kycbridge.AccountKey, paused bool) {
	a.metrics.paused(key, paused)
	a.day.Paused(key, paused)
	fields := []zap.Field{zap.String("provider", key.Provider), zap.String("account", key.Account)}
	if paused {
		a.log.Warn("most calls to the provider fail: no more are sent for a while", fields...)
	} else {
		a.log.Info("the provider is called again", fields...)
	}
}

// policy is the configured polling policy.
func (p Poll) policy() poll.Policy {
	return poll.Policy{Interval: p.Interval, Intervals: p.Intervals, Jitter: p.Jitter, Deadline: p.Deadline,
		Rechecks: p.Rechecks}
}

// newPoller creates the poller, which also accepts new watches for the API.
func (a *App) newPoller() *poll.Poller {
	return &poll.Poller{
		Accounts:   liveAccounts{a.system},
		Policy:     a.policy,
		Intake:     a.receiver(),
		Timers:     a.store,
		Tombstones: a.store,
		History:    a.store,
		State:      a.lastState,
		Now:        time.Now,
		Log:        a.log,
		Observe:    a.metrics.polled,
	}
}

// lastState is the last published state of a verification; nil if none was published.
func (a *App) lastState(ctx context.Context, k kycbridge.Key, fresh bool) (*event.Data, error) {
	bus := a.bus.Load()
	if bus == nil {
		return nil, fmt.Errorf("read last event: %w: the bus has not been reached yet", kycbridge.ErrUnavailable)
	}
	last, err := bus.Last(ctx, k, fresh)
	if err == nil && !last.Read && last.Data != nil && last.Data.Status.Terminal() {
		last, err = bus.Last(ctx, k, true) // another process may have published a reopening
	}
	if err != nil {
		return nil, fmt.Errorf("read last event: %w: %w", kycbridge.ErrUnavailable, err)
	}
	return last.Data.Published(), nil
}

// startPolling polls open sessions until Stop.
func (a *App) startPolling() {
	a.startPolls()
	watches := publisher.WatchOptions{Exclusive: a.config.Store.IsEmbedded(), Take: a.takeWatch, Log: a.log}
	a.metrics.watchOpen(a.store.Watched)
	a.untilStop(func(ctx context.Context) { a.ended(ctx, "poller", a.store.ConsumeWatches(ctx, watches)) })
}

// workersFor is how many sessions of an account are polled concurrently.
func workersFor(l Limits) int {
	if l.Concurrency > 0 {
		return l.Concurrency
	}
	return rest.DefaultConcurrency
}

// takeWatch sets up a watch that was requested on the bus. An invalid request is logged and dropped: no
// caller waits for an answer.
func (a *App) takeWatch(ctx context.Context, key kycbridge.AccountKey, body []byte) error {
	refuse := func(why string) error {
		a.metrics.refusedWatch()
		a.invalidWatchLogs.Do(func() {
			a.log.Warn("a request to watch a verification was dropped: "+why, zap.Int("bytes", len(body)))
		})
		return nil
	}
	account, err := a.live.Load().accounts.Find(key.Provider, key.Account)
	if err != nil {
		return refuse("no such account")
	}
	object, faults := document.Decode(body)
	if len(faults) > 0 {
		return refuse("it is no JSON object")
	}
	for member, value := range map[string]string{"provider": key.Provider, "account": key.Account} {
		if said, ok := object[member]; ok && said != value {
			return refuse("it names another account than its subject")
		}
		object[member] = value
	}
	if faults := a.schemas.ValidateAPI("WatchRequest", map[string]any(object)); len(faults) > 0 {
		return refuse("it does not match the schema WatchRequest of the API: " + faults[0].Message)
	}
	r := kycbridge.WatchRequest{Reference: object.Text("reference"), ExternalReference: object.Text("external_reference")}
	r.Deadline = event.ParseInstant(object.Text("deadline"))
	if !r.Deadline.IsZero() && r.Deadline.Before(time.Now()) {
		return refuse("its deadline has passed")
	}
	_, err = a.poller.Watch(ctx, account, r)
	if errors.Is(err, kycbridge.ErrUnsupported) {
		return refuse("the account has no api section")
	}
	return err
}
