package app

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/internal/archive"
)

const (
	// retainEvery is the longest interval between two rounds of the retention, retainLeast the shortest. A short
	// retention has shorter intervals.
	retainEvery = 10 * time.Minute
	retainLeast = time.Second
	// retainOthers is the interval between rounds that include accounts that are no longer configured, and finish
	// erasures; retainAgain is how soon such a round is repeated after an error.
	retainOthers, retainAgain = 24 * time.Hour, retainEvery
)

// retainInterval is a tenth of the shortest retention, within limits.
func retainInterval(r kycbridge.Retention) time.Duration {
	interval := retainEvery
	add := func(age time.Duration) {
		if age > 0 {
			interval = max(min(interval, age/10), retainLeast)
		}
	}
	add(r.Payloads)
	add(r.Quarantine)
	for a := range r.Accounts {
		add(r.Of(kycbridge.ClassPayloads, a))
		add(r.Of(kycbridge.ClassEvents, a))
	}
	return interval
}

// retain removes what is older than its retention until ctx ends.
func (a *App) retain(ctx context.Context) {
	a.warnOwnAges(ctx)
	a.shareRetention(ctx)
	tick := time.NewTicker(retainInterval(a.config.retention()))
	defer tick.Stop()
	var others time.Time // from when on accounts that are not configured are included
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if a.bus.Load() == nil {
			continue
		}
		a.shareRetention(ctx)
		withOthers := !time.Now().Before(others)
		all, err := a.Archive().Retain(ctx, false, withOthers)
		if withOthers {
			others = nextOthers(time.Now(), err)
		}
		a.retained(all)
		if err != nil && ctx.Err() == nil {
			a.log.Warn("retention: not everything that is old was removed; the next attempt follows", zap.Error(err))
		}
	}
}

// shareRetention tells other processes, which may have other accounts, how long the accounts of this one are kept.
func (a *App) shareRetention(ctx context.Context) {
	used := a.live.Load()
	err := a.store.ShareRetention(ctx, slices.Collect(maps.Keys(used.accounts)), used.config.retention())
	if err != nil && ctx.Err() == nil {
		a.log.Warn("retention: other processes were not told for how long the accounts of this one are kept; the next "+
			"attempt follows", zap.Error(err))
	}
}

// nextOthers is from when on a round includes accounts that are not configured again, after one that ended with err.
func nextOthers(now time.Time, err error) time.Time {
	if err != nil {
		return now.Add(retainAgain)
	}
	return now.Add(retainOthers)
}

// retained logs and counts what a round has removed.
func (a *App) retained(all []archive.Aging) {
	for _, r := range all {
		if r.Due == 0 {
			continue
		}
		a.metrics.removed.WithLabelValues(string(r.Class)).Add(float64(r.Due))
		a.log.Info("retention: removed", zap.String("class", string(r.Class)), zap.String("provider", r.Provider),
			zap.String("account", r.Account), zap.Int("removed", r.Due), zap.Int("held", r.Held))
	}
}

// warnOwnAges warns of streams whose age the operator has limited on the server.
func (a *App) warnOwnAges(ctx context.Context) {
	streams, err := a.store.OwnAges(ctx)
	if err != nil || len(streams) == 0 {
		return
	}
	a.log.Warn("the server removes old messages of these streams itself, also those of held verifications: write the "+
		"age as retention into the configuration, and remove it from the streams with nats stream edit --max-age=-1",
		zap.Strings("streams", streams))
}
