package app

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"kycbridge"
	"kycbridge/event"
	"kycbridge/internal/archive"
	"kycbridge/publisher"
)

const (
	// inspectRate is how many stored payloads are read per second to check them.
	inspectRate = 5000
	// scrubRate is how many bytes of the files of an embedded store are read per second.
	scrubRate = 16 << 20
	// inspectPause is the quiet time before a requested inspection.
	inspectPause = time.Second
	// inspectAgain is the time before a failed inspection is retried.
	inspectAgain = 30 * time.Second
	// namedInLog limits the missing messages in a log line.
	namedInLog = 10
)

// integrity is the result of the last inspection.
type integrity struct {
	missing     map[string]*atomic.Int64 // messages, by stream
	unaccounted atomic.Int64             // payloads with an unknown disposition
	files       atomic.Int64             // damaged files of an embedded store, found at the start and by scrubs
	at          atomic.Int64             // Unix time

	// regenerated are the payloads whose lost events are already being regenerated. Those that are still lost afterwards
	// are not regenerated again: it would not end.
	regenerated map[uint64]bool
}

// watchIntegrity checks the stored messages at the start, after a reconnection, and at intervals, until
// Stop.
func (a *App) watchIntegrity() {
	state := &integrity{missing: map[string]*atomic.Int64{}}
	for _, stream := range a.names().Inspected() {
		state.missing[stream] = &atomic.Int64{}
	}
	if a.embedded != nil {
		state.files.Store(int64(a.embedded.Damaged()))
	}
	a.metrics.watchIntegrity(state)
	a.untilStop(func(ctx context.Context) { a.inspectAll(ctx, state) })
}

// reinspect requests an inspection, unless one is already requested.
func (a *App) reinspect() {
	select {
	case a.inspectNow <- struct{}{}:
	default:
	}
}

// inspectAll inspects until ctx ends.
func (a *App) inspectAll(ctx context.Context, state *integrity) {
	var reported string
	for ctx.Err() == nil {
		wait := a.config.Integrity.Scrub
		if bus := a.bus.Load(); bus == nil {
			wait = inspectPause
		} else if words, err := a.inspect(ctx, bus, state, reported); err != nil {
			a.log.Warn("stored messages could not be inspected, trying again", zap.Error(err))
			wait = inspectAgain
		} else {
			reported = words
		}
		if a.waitForInspection(ctx, wait) && wait > inspectAgain {
			a.scrub(ctx, state)
		}
	}
}

// waitForInspection waits until the next inspection, and reports whether its interval has passed. With an interval
// of 0 it waits for a request only.
func (a *App) waitForInspection(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	if wait == 0 {
		timer.Stop()
	}
	select {
	case <-a.inspectNow:
		sleep(ctx, inspectPause)
		return false
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// inspect builds a report, repairs what it can, and logs its verdict unless it is the same as before. It
// returns the verdict.
func (a *App) inspect(ctx context.Context, bus *publisher.Bus, state *integrity, before string) (string, error) {
	tool := a.Archive()
	began := time.Now()
	r, err := tool.Account(ctx, archive.Filter{}, limitRate(ctx, inspectRate))
	if err != nil {
		if ctx.Err() != nil {
			return before, nil
		}
		return before, err
	}
	state.take(r)
	if from, n := r.PassedOver(); n > 0 {
		a.log.Warn("stored payloads were passed over: they are processed now", zap.Int("payloads", n),
			zap.Uint64("from", from))
		if err := a.store.WorkAgain(ctx, from); err != nil {
			a.log.Warn("they cannot be processed yet", zap.Error(err))
		}
	}
	asked := a.refetchMissing(ctx, bus, r.Missing)
	verdict := r.Verdict()
	ends := lostEnds(ctx, bus, r.Lost)
	if from := state.firstNew(ends); from > 0 {
		a.log.Error("events are missing: they are regenerated from stored payloads, and say so in restoredtime",
			zap.String("stream", a.names().EventStream()), zap.Uint64("from_payload", from))
		if err := bus.Regenerate(ctx, from); err != nil {
			return before, err
		}
		a.reinspect()
	}
	state.regenerated = ends
	if r.MissingAll+len(r.LostRecords) == 0 {
		a.log.Debug("stored messages inspected", zap.String("verdict", verdict), zap.Duration("took", time.Since(began)))
		return "", nil
	}
	if verdict != before && len(r.LostRecords) > 0 {
		a.log.Error("records are lost: nothing is erased or imported until the loss is accepted",
			zap.Stringers("lost", r.LostRecords), zap.String("see", "kycbridge payloads report"))
	}
	if verdict != before && r.MissingAll > 0 {
		a.log.Error("stored messages are missing or damaged", zap.Int("messages", r.MissingAll),
			zap.Strings("first", firstLines(r.Missing)),
			zap.Int("asked_again", asked), zap.String("see", "kycbridge payloads report"))
	}
	return verdict, nil
}

// checkStoreEnd detects, before any payload is accepted, whether the payload log has lost its end.
// Maintain retries after a failure.
func (a *App) checkStoreEnd(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	repaired, err := a.store.Repair(ctx)
	repaired.Log(a.log)
	if err != nil {
		a.log.Warn("cannot check the end of the payload log, trying again", zap.Error(err))
	}
}

// checkEventsEnd detects, before any event is published, whether the event stream has lost events: then revisions
// are assigned again, and events must state this in restoredtime. After a failure, Maintain and each publication
// try again.
func (a *App) checkEventsEnd(ctx context.Context, bus *publisher.Bus) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := bus.DeclareRestored(ctx, event.ParseInstant(a.config.Integrity.Restored)); err != nil {
		a.log.Warn("cannot record that the streams were restored", zap.Error(err))
	}
	if a.embedded != nil && a.config.Bus.IsEmbedded() && a.embedded.DamagedIn(a.names().EventStream()) {
		// The first inspection finds the payloads of the lost events.
		if err := bus.Regenerate(ctx, 0); err != nil {
			a.log.Warn("cannot record that events were lost", zap.Error(err))
		}
	}
	repaired, err := bus.Repair(ctx)
	repaired.Log(a.log)
	if err != nil {
		a.log.Warn("cannot check the end of the event stream, trying again", zap.Error(err))
	}
}

// lostEnds finds the payloads whose lost event was the last of its verification, or one of the last, so that
// its revision is assigned again.
func lostEnds(ctx context.Context, bus *publisher.Bus, lost []archive.Loss) map[uint64]bool {
	ends := map[uint64]bool{}
	for _, l := range lost {
		if l.Revision == 0 {
			continue
		}
		last, err := bus.Last(ctx, kycbridge.Key{Provider: l.Provider, Account: l.Account, VerificationID: l.VerificationID},
			true)
		if err == nil && (last.Data == nil || last.Data.Revision < l.Revision) {
			ends[l.Seq] = true
		}
	}
	return ends
}

// firstNew is the first of the payloads that the last inspection did not find; 0: none.
func (s *integrity) firstNew(ends map[uint64]bool) (first uint64) {
	for seq := range ends {
		if !s.regenerated[seq] && (first == 0 || seq < first) {
			first = seq
		}
	}
	return first
}

// firstLines describes the first missing messages.
func firstLines(missing []archive.Missing) []string {
	var out []string
	for _, m := range missing[:min(len(missing), namedInLog)] {
		out = append(out, m.Line())
	}
	return out
}

// take stores the numbers of a report.
func (s *integrity) take(r archive.Report) {
	counts := map[string]int64{}
	for _, m := range r.Missing {
		counts[m.Stream]++
	}
	for _, l := range r.LostRecords {
		counts[l.Stream] += int64(l.Reached - l.Last)
	}
	for stream, n := range s.missing {
		n.Store(counts[stream])
	}
	s.unaccounted.Store(int64(r.LostAll))
	s.at.Store(time.Now().Unix())
}

// scrub reads the files of an embedded store that were not read for a while.
func (a *App) scrub(ctx context.Context, state *integrity) {
	if a.embedded == nil {
		return
	}
	damaged, err := a.embedded.Scrub(ctx, scrubRate)
	if err != nil && ctx.Err() == nil {
		a.log.Warn("the files of the embedded store could not be read", zap.Error(err))
	}
	state.files.Store(int64(a.embedded.Damaged() + damaged))
}

// refetchMissing requests the results of verifications with missing payloads again, if the account has an API. It
// returns the number of requests.
func (a *App) refetchMissing(ctx context.Context, bus *publisher.Bus, missing []archive.Missing) (n int) {
	for _, m := range missing {
		account := a.live.Load().accounts[kycbridge.AccountKey{Provider: m.Key.Provider, Account: m.Key.Account}]
		if m.Content != kycbridge.ContentPayloads || m.Refetched || account == nil || account.API.Fetch == nil {
			continue
		}
		if m.Why == archive.Unfinished {
			continue // it was being erased
		}
		reference := a.referenceOf(ctx, bus, account, m.Key)
		if reference == "" {
			continue
		}
		if err := a.refetch(ctx, publisher.LostPayload{Seq: m.Seq, Key: m.Key, Mark: m.Mark,
			Reference: reference}); err != nil {
			a.log.Warn("cannot request the result of a lost payload again", zap.Error(err))
			return n
		}
		n++
	}
	return n
}

// refetch schedules an immediate poll of a verification, and records this.
func (a *App) refetch(ctx context.Context, p publisher.LostPayload) error {
	now := time.Now().UTC()
	w := kycbridge.Watch{Provider: p.Key.Provider, Account: p.Key.Account, Reference: p.Reference,
		Trigger: kycbridge.NoTrigger, TriggeredAt: now, Since: now, IgnoreSeen: true}
	if err := a.store.Trigger(ctx, w); err != nil {
		return err
	}
	return a.store.RecordRefetched(ctx, p)
}

// referenceOf is the provider's id of a verification that can be fetched; "" if no stored message contains it.
func (a *App) referenceOf(ctx context.Context, bus *publisher.Bus, account *kycbridge.Account, k kycbridge.Key) string {
	is := func(reference string) bool {
		return reference != "" && event.VerificationID(k.Provider, k.Account, reference) == k.VerificationID
	}
	if last, err := bus.Last(ctx, k, true); err == nil && last.Data != nil {
		if slices.Contains(account.Provider.CallbackOnly, last.Data.Provider.Product) {
			return "" // the API does not have its result
		}
		if reference := last.Data.Provider.References[account.Provider.ReferenceName]; is(reference) {
			return reference
		}
	}
	found := ""
	_ = a.store.History(ctx, k, func(p kycbridge.Payload) error { // an error leaves it unknown
		if is(p.Reference) {
			found = p.Reference
		}
		return nil
	})
	return found
}

// fetchLost requests the results of payloads that the start has found damaged and unprocessed, if their
// verification is still known.
func (a *App) fetchLost(ctx context.Context) error {
	for _, p := range a.embedded.Lost(a.names()) {
		account := a.live.Load().accounts[kycbridge.AccountKey{Provider: p.Key.Provider, Account: p.Key.Account}]
		if p.Reference == "" || account == nil || account.API.Fetch == nil {
			continue
		}
		if err := a.refetch(ctx, p); err != nil {
			return fmt.Errorf("have a result fetched whose payload is damaged: %w", err)
		}
	}
	return nil
}

// limitRate returns a function that limits its callers to perSecond calls.
func limitRate(ctx context.Context, perSecond int) func(done int) {
	began := time.Now()
	return func(done int) {
		if due := time.Duration(done) * time.Second / time.Duration(perSecond); done%64 == 0 && time.Since(began) < due {
			sleep(ctx, due-time.Since(began))
		}
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// watchIntegrity adds the results of inspections.
func (m *metrics) watchIntegrity(s *integrity) {
	for stream, n := range s.missing {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kycbridge_integrity_missing_messages",
			Help: "Stored messages that are gone without a reason, cannot be read or were altered, at the last " +
				"inspection; 1000 of all streams at most.",
			ConstLabels: prometheus.Labels{"stream": stream}}, func() float64 { return float64(n.Load()) }))
	}
	for name, about := range map[string]struct {
		help  string
		value *atomic.Int64
	}{
		"kycbridge_integrity_unaccounted_payloads": {
			"Stored payloads of which nobody can tell what became, at the last inspection.", &s.unaccounted},
		"kycbridge_integrity_damaged_files": {
			"Files of the embedded store that the start has found damaged and lost something of, or a scrub has.", &s.files},
		"kycbridge_integrity_inspected_seconds": {"When what is stored was last inspected, Unix time; 0: not yet.", &s.at},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: about.help},
			func() float64 { return float64(about.value.Load()) }))
	}
}
