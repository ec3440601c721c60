package app

import (
	"context"
	"fmt"
	"sync"
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
	// inspectRate is how many stored payloads a second are read to see whether they are whole.
	inspectRate = 5000
	// scrubRate is how many bytes a second of the files of an embedded store.
	scrubRate = 16 << 20
	// inspectPause is how long after a reason to look nothing else must happen first.
	inspectPause = time.Second
	// inspectAgain is how long after one that failed the next inspection is tried.
	inspectAgain = 30 * time.Second
	// namedInLog is how many of what is missing stand in the log line.
	namedInLog = 10
)

// integrity is what the last inspection has found.
type integrity struct {
	missing     map[string]*atomic.Int64 // messages, by stream
	unaccounted atomic.Int64             // payloads of which nobody can tell what became
	files       atomic.Int64             // damaged files of an embedded store, found by the start and by scrubs
	at          atomic.Int64             // Unix time
}

// watchIntegrity compares what is stored with what should be, at the start, when a connection is back,
// and from time to time, until Stop.
func (a *App) watchIntegrity() {
	state := &integrity{missing: map[string]*atomic.Int64{}}
	for _, stream := range a.names().Inspected() {
		state.missing[stream] = &atomic.Int64{}
	}
	if a.embedded != nil {
		state.files.Store(int64(a.embedded.Damaged()))
	}
	a.metrics.watchIntegrity(state)
	life, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.inspectAll(life, state) })
	a.stops = append(a.stops, func() { end(); running.Wait() })
}

// reinspect has everything looked at soon.
func (a *App) reinspect() {
	select {
	case a.look <- struct{}{}:
	default:
	}
}

// inspectAll inspects until ctx ends.
func (a *App) inspectAll(ctx context.Context, state *integrity) {
	var said string
	for ctx.Err() == nil {
		wait := a.config.Integrity.Scrub
		if bus := a.bus.Load(); bus == nil {
			wait = inspectPause
		} else if words, err := a.inspect(ctx, bus, state, said); err != nil {
			a.log.Warn("what is stored could not be inspected, trying again", zap.Error(err))
			wait = inspectAgain
		} else {
			said = words
		}
		if a.idle(ctx, wait) && wait > inspectAgain {
			a.scrub(ctx, state)
		}
	}
}

// idle waits until it is time to inspect, and reports whether that was for the time alone. 0 is for ever.
func (a *App) idle(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	if wait == 0 {
		timer.Stop()
	}
	select {
	case <-a.look:
		sleep(ctx, inspectPause)
		return false
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// inspect accounts for everything, does what can be done about what is wrong, and says what was not
// said before. It returns what it said.
func (a *App) inspect(ctx context.Context, bus *publisher.Bus, state *integrity, before string) (string, error) {
	tool := a.Archive()
	began := time.Now()
	r, err := tool.Account(ctx, archive.Filter{}, pace(ctx, inspectRate))
	if err != nil {
		if ctx.Err() != nil {
			return before, nil
		}
		return before, err
	}
	state.take(r)
	if from, n := r.PassedOver(); n > 0 {
		a.log.Warn("stored payloads were passed over: they are worked now", zap.Int("payloads", n), zap.Uint64("from", from))
		if err := a.store.WorkAgain(ctx, from); err != nil {
			a.log.Warn("they cannot be worked yet", zap.Error(err))
		}
	}
	asked := a.askAgain(ctx, bus, r.Missing)
	said := r.Verdict()
	if from := lostEnds(ctx, bus, r.Lost); from > 0 && said != before {
		a.log.Error("events are gone: they are made again from stored payloads, and say so in restoredtime",
			zap.String("stream", a.names().EventStream()), zap.Uint64("from_payload", from))
		if err := bus.Regenerate(ctx, from); err != nil {
			return before, err
		}
		a.reinspect()
	}
	if r.MissingAll == 0 {
		a.log.Debug("stored messages inspected", zap.String("verdict", said), zap.Duration("took", time.Since(began)))
		return "", nil
	}
	if said != before {
		a.log.Error("stored messages are missing or damaged", zap.Int("messages", r.MissingAll), zap.Strings("first", first(r.Missing)),
			zap.Int("asked_again", asked), zap.String("see", "kycbridge payloads report"))
	}
	return said, nil
}

// lookAtStore finds out, before any payload is taken, whether the payload log has lost its end. What
// fails is tried again by Tend.
func (a *App) lookAtStore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	mended, err := a.store.Repair(ctx)
	mended.Log(a.log)
	if err != nil {
		a.log.Warn("cannot look at the end of the payload log, trying again", zap.Error(err))
	}
}

// lookAtEvents finds out, before any event is published, whether the event stream has lost some: then
// revisions come again, and events must say so. What fails is tried again by Tend and by each event.
func (a *App) lookAtEvents(ctx context.Context, bus *publisher.Bus) {
	ctx, cancel := context.WithTimeout(ctx, connectPatience)
	defer cancel()
	if err := bus.DeclareRestored(ctx, event.ParseInstant(a.config.Integrity.Restored)); err != nil {
		a.log.Warn("cannot write down that the streams were restored", zap.Error(err))
	}
	if a.embedded != nil && a.config.Bus.IsEmbedded() && a.embedded.DamagedIn(a.names().EventStream()) {
		// Which payloads they came of, the first inspection finds out.
		if err := bus.Regenerate(ctx, 0); err != nil {
			a.log.Warn("cannot write down that events were lost", zap.Error(err))
		}
	}
	mended, err := bus.Repair(ctx)
	mended.Log(a.log)
	if err != nil {
		a.log.Warn("cannot look at the end of the event stream, trying again", zap.Error(err))
	}
}

// lostEnds finds the first payload whose event was the last of its verification, or one of the last,
// and is lost, so that its revision comes again; 0: there is none.
func lostEnds(ctx context.Context, bus *publisher.Bus, lost []archive.Loss) (from uint64) {
	for _, l := range lost {
		if l.Revision == 0 || from != 0 && l.Seq >= from {
			continue
		}
		last, err := bus.Last(ctx, kycbridge.Key{Provider: l.Provider, Account: l.Account, VerificationID: l.VerificationID},
			true)
		if err == nil && (last.Data == nil || last.Data.Revision < l.Revision) {
			from = l.Seq
		}
	}
	return from
}

// first are the first of what is missing, in words.
func first(missing []archive.Missing) []string {
	var out []string
	for _, m := range missing[:min(len(missing), namedInLog)] {
		out = append(out, m.Line())
	}
	return out
}

// take keeps the numbers of a report.
func (s *integrity) take(r archive.Report) {
	counts := map[string]int64{}
	for _, m := range r.Missing {
		counts[m.Stream]++
	}
	for stream, n := range s.missing {
		n.Store(counts[stream])
	}
	s.unaccounted.Store(int64(r.LostAll))
	s.at.Store(time.Now().Unix())
}

// scrub reads the files of an embedded store that have not been read for a while.
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

// askAgain has the result fetched once more of verifications whose payloads are gone, where the account
// has an API, and returns of how many.
func (a *App) askAgain(ctx context.Context, bus *publisher.Bus, missing []archive.Missing) (n int) {
	for _, m := range missing {
		account := a.accounts[kycbridge.AccountKey{Provider: m.Key.Provider, Account: m.Key.Account}]
		if m.Content != kycbridge.ContentPayloads || m.Refetched || account == nil || account.API.Fetch == nil {
			continue
		}
		reference := a.referenceOf(ctx, bus, account, m.Key)
		if reference == "" {
			continue
		}
		if err := a.fetchAgain(ctx, publisher.LostPayload{Seq: m.Seq, Key: m.Key, Mark: m.Mark, Reference: reference}); err != nil {
			a.log.Warn("cannot have a result fetched whose payload is gone", zap.Error(err))
			return n
		}
		n++
	}
	return n
}

// fetchAgain makes a look at a verification due now, and writes that down.
func (a *App) fetchAgain(ctx context.Context, p publisher.LostPayload) error {
	now := time.Now().UTC()
	w := kycbridge.Watch{Provider: p.Key.Provider, Account: p.Key.Account, Reference: p.Reference, Trigger: kycbridge.NoTrigger, TriggeredAt: now, Since: now, IgnoreSeen: true}
	if err := a.store.Trigger(ctx, w); err != nil {
		return err
	}
	return a.store.RecordRefetched(ctx, p)
}

// referenceOf is the provider's id of a verification; "" if nothing that is left tells it.
func (a *App) referenceOf(ctx context.Context, bus *publisher.Bus, account *kycbridge.Account, k kycbridge.Key) string {
	is := func(reference string) bool {
		return reference != "" && event.VerificationID(k.Provider, k.Account, reference) == k.VerificationID
	}
	if last, err := bus.Last(ctx, k, true); err == nil && last.Data != nil {
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

// fetchLost has the results fetched of payloads that the start has found damaged and that nobody had
// worked, as far as they still name their verification.
func (a *App) fetchLost(ctx context.Context) error {
	for _, p := range a.embedded.Lost(a.names()) {
		account := a.accounts[kycbridge.AccountKey{Provider: p.Key.Provider, Account: p.Key.Account}]
		if p.Reference == "" || account == nil || account.API.Fetch == nil {
			continue
		}
		if err := a.fetchAgain(ctx, p); err != nil {
			return fmt.Errorf("have a result fetched whose payload is damaged: %w", err)
		}
	}
	return nil
}

// pace holds back whoever calls it for each of many things to so many a second.
func pace(ctx context.Context, perSecond int) func(done int) {
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

// watchIntegrity adds what inspections have found.
func (m *metrics) watchIntegrity(s *integrity) {
	for stream, n := range s.missing {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "kycbridge_integrity_missing_messages",
			Help:        "Stored messages that are gone without a reason, cannot be read or were altered, at the last inspection; 1000 of all streams at most.",
			ConstLabels: prometheus.Labels{"stream": stream}}, func() float64 { return float64(n.Load()) }))
	}
	for name, about := range map[string]struct {
		help  string
		value *atomic.Int64
	}{
		"kycbridge_integrity_unaccounted_payloads": {"Stored payloads of which nobody can tell what became, at the last inspection.", &s.unaccounted},
		"kycbridge_integrity_damaged_files":        {"Files of the embedded store that the start has found damaged and lost something of, or a scrub has.", &s.files},
		"kycbridge_integrity_inspected_seconds":    {"When what is stored was last inspected, Unix time; 0: not yet.", &s.at},
	} {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: about.help}, func() float64 { return float64(about.value.Load()) }))
	}
}
