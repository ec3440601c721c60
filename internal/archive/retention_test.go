package archive

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"kycbridge"
	"kycbridge/event"
	testwait "kycbridge/test/wait"
)

// shelfOfTime is a store in memory with a virtual clock. Messages are in the order of their sequences.
type shelfOfTime struct {
	Archive
	now     time.Time
	aged    map[kycbridge.Shelf][]kycbridge.Aged
	removed map[kycbridge.Shelf]map[uint64]time.Time
	holds   map[kycbridge.Key]kycbridge.Hold
	events  []kycbridge.EventMeta
	gone    map[kycbridge.Key]time.Time // when events were erased
	claimed int
	shared  map[kycbridge.AccountKey]kycbridge.AccountRetention // by other processes
	stored  []storedPayload
	t       *testing.T
}

// storedPayload is a payload in the order of the log, and when it is processed.
type storedPayload struct {
	kycbridge.Aged
	processed time.Time
}

// Position is before the first payload that is not processed.
func (s *shelfOfTime) Position(context.Context) (kycbridge.Position, error) {
	for _, p := range s.stored {
		if p.processed.After(s.now) {
			return kycbridge.Position{Floor: p.Seq - 1}, nil
		}
	}
	return kycbridge.Position{Floor: 1 << 60}, nil
}

func (s *shelfOfTime) Dispositions(_ context.Context, since time.Time, each func(kycbridge.Disposition) error) error {
	for _, p := range s.stored {
		if p.processed.After(s.now) || p.processed.Before(since) {
			continue
		}
		d := kycbridge.Disposition{Seq: p.Seq, StoredAt: p.At, At: p.processed}
		if p.Seq%5 == 0 { // of an early version
			d.StoredAt = time.Time{}
		}
		if err := each(d); err != nil {
			return err
		}
	}
	return nil
}

func (s *shelfOfTime) Hold(_ context.Context, k kycbridge.Key) (*kycbridge.Hold, error) {
	h, ok := s.holds[k]
	if !ok {
		return nil, nil
	}
	return &h, nil
}

// legal is the store as Holds.
type legal struct{ *shelfOfTime }

func (l legal) PutHold(_ context.Context, h kycbridge.Hold) error {
	l.holds[h.Key()] = h
	return nil
}

func (l legal) Holds(context.Context) ([]kycbridge.Hold, error) {
	return slices.Collect(maps.Values(l.holds)), nil
}

func (s *shelfOfTime) ClaimOne(_ context.Context, k kycbridge.Key, now time.Time) (func(), error) {
	if h, ok := s.holds[k]; ok && h.Holds(now) {
		return nil, &kycbridge.HeldError{Hold: h}
	}
	s.claimed++
	return func() { s.claimed-- }, nil
}

func (s *shelfOfTime) ClaimAny(ctx context.Context) ([]kycbridge.Hold, func(), error) {
	s.claimed++
	all, err := legal{s}.Holds(ctx)
	return all, func() { s.claimed-- }, err
}

func (s *shelfOfTime) Aged(_ context.Context, shelf kycbridge.Shelf, a kycbridge.AccountKey, before time.Time,
	from uint64, each func(kycbridge.Aged) error,
) error {
	for _, m := range s.aged[shelf] {
		if !m.At.Before(before) {
			return nil
		}
		of := kycbridge.AccountKey{Provider: m.Provider, Account: m.Account}
		if m.Seq < from || a != (kycbridge.AccountKey{}) && a != of {
			continue
		}
		if each(m) != nil {
			return nil
		}
	}
	return nil
}

func (s *shelfOfTime) Expire(
	_ context.Context, shelf kycbridge.Shelf, a kycbridge.AccountKey, seqs []uint64, whole bool,
) error {
	if s.claimed == 0 {
		s.t.Error("removed without a claim")
	}
	for _, seq := range seqs {
		s.removed[shelf][seq] = s.now
	}
	last, removed := seqs[len(seqs)-1], s.removed[shelf]
	s.aged[shelf] = slices.DeleteFunc(s.aged[shelf], func(m kycbridge.Aged) bool {
		if whole && m.Seq <= last && a == (kycbridge.AccountKey{Provider: m.Provider, Account: m.Account}) &&
			removed[m.Seq].IsZero() {
			s.t.Errorf("%d would be removed with others", m.Seq)
		}
		return !removed[m.Seq].IsZero()
	})
	return nil
}

func (s *shelfOfTime) OldestEvent(context.Context) (time.Time, error) { return time.Time{}, nil }

func (s *shelfOfTime) Retentions(context.Context) (map[kycbridge.AccountKey]kycbridge.AccountRetention, error) {
	return s.shared, nil
}

func (s *shelfOfTime) OwnAges(context.Context) ([]string, error)                  { return nil, nil }
func (s *shelfOfTime) Expired(context.Context, kycbridge.Shelf) (int, error)      { return 0, nil }
func (s *shelfOfTime) TidyErasures(context.Context, kycbridge.Shelf) error        { return nil }
func (s *shelfOfTime) Erase(context.Context, kycbridge.Shelf, uint64, bool) error { return nil }
func (s *shelfOfTime) Put(context.Context, kycbridge.Kept) (kycbridge.Stored, error) {
	return kycbridge.Stored{}, nil
}
func (s *shelfOfTime) DestroyKeys(context.Context, kycbridge.Shelf, []string) error { return nil }
func (s *shelfOfTime) DestroyKeysOf(context.Context, string, kycbridge.Shelf, []string) error {
	return nil
}
func (s *shelfOfTime) DestroyLeft(context.Context, string) (kycbridge.Left, error) {
	return kycbridge.Left{}, nil
}
func (s *shelfOfTime) Erasing(context.Context, kycbridge.Shelf, []uint64) error { return nil }
func (s *shelfOfTime) Unfinished(context.Context, kycbridge.Shelf) ([]kycbridge.Aged, error) {
	return nil, nil
}

func (s *shelfOfTime) CountRevisions(context.Context, kycbridge.Key) (int, error) { return 0, nil }
func (s *shelfOfTime) NewestRevision(context.Context, kycbridge.Key) (int, error) { return 0, nil }
func (s *shelfOfTime) Revisions(context.Context, kycbridge.Key, func(kycbridge.State) error) error {
	return nil
}

func (s *shelfOfTime) Published(
	_ context.Context, provider, account string, _ time.Time, each func(kycbridge.EventMeta) error,
) error {
	for _, e := range s.events {
		if e.Provider == provider && e.Account == account {
			if err := each(e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *shelfOfTime) EraseEvents(context.Context, kycbridge.Key) (int, error) { return 0, nil }
func (s *shelfOfTime) Send(context.Context, string, []byte, string) error      { return nil }
func (s *shelfOfTime) Encode(*event.Event) ([]byte, error)                     { return nil, nil }
func (s *shelfOfTime) Unindex(context.Context, kycbridge.Key) (int, error)     { return 0, nil }
func (s *shelfOfTime) ExpireEvents(_ context.Context, k kycbridge.Key, until uint64) (int, error) {
	before := len(s.events)
	s.events = slices.DeleteFunc(s.events, func(e kycbridge.EventMeta) bool { return e.Key == k && e.Seq <= until })
	s.gone[k] = s.now
	return before - len(s.events), nil
}

// span is an interval in which a verification is held.
type span struct{ from, to time.Time }

// model computes when each message should be removed: in the first round after its age at which no hold
// covers it. It has the whole history beforehand and uses nothing of the code under test.
type model struct {
	rounds []time.Time
	spans  map[kycbridge.Key][]span
}

// hold begins a hold, which replaces the one before.
func (m *model) hold(k kycbridge.Key, from, until time.Time) {
	m.release(k, from)
	if until.IsZero() {
		until = from.AddDate(1000, 0, 0)
	}
	m.spans[k] = append(m.spans[k], span{from, until})
}

func (m *model) release(k kycbridge.Key, at time.Time) {
	if n := len(m.spans[k]); n > 0 && at.Before(m.spans[k][n-1].to) {
		m.spans[k][n-1].to = at
	}
}

// removal is when a message is removed that is processed at a time; zero: never.
func (m *model) removal(k kycbridge.Key, stored, processed time.Time, age time.Duration) time.Time {
	for _, round := range m.rounds {
		held := slices.ContainsFunc(m.spans[k], func(s span) bool { return !round.Before(s.from) && round.Before(s.to) })
		if age != 0 && round.Sub(stored) > age && !round.Before(processed) && !held {
			return round
		}
	}
	return time.Time{}
}

// TestRetentionModel: over five years of virtual time, with accounts and classes of different retention, of this
// process and of another one, holds, replaced holds, releases and holds that end by themselves, each message is removed
// in the round that the model computes.
func TestRetentionModel(t *testing.T) {
	seeds := uint64(4)
	if testwait.Slowdown > 1 { // no concurrency: the run without the race detector uses all seeds
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { retentionRun(t, rand.New(rand.NewPCG(seed, 7))) })
	}
}

const virtualDay = 24 * time.Hour

func retentionRun(t *testing.T, random *rand.Rand) {
	ages := []time.Duration{0, 3 * virtualDay, 30 * virtualDay, 400 * virtualDay, 3 * 365 * virtualDay}
	age := func() time.Duration { return ages[random.IntN(len(ages))] }
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	s := &shelfOfTime{t: t, now: start, aged: map[kycbridge.Shelf][]kycbridge.Aged{},
		removed: map[kycbridge.Shelf]map[uint64]time.Time{kycbridge.ShelfPayloads: {}, kycbridge.ShelfQuarantine: {}},
		holds:   map[kycbridge.Key]kycbridge.Hold{}, gone: map[kycbridge.Key]time.Time{}}
	rules := kycbridge.Retention{Payloads: age(), Quarantine: age(), Events: age(),
		Accounts: map[kycbridge.AccountKey]kycbridge.AccountRetention{}}
	accounts, payloadAges, eventAges := kycbridge.Accounts{}, map[string]time.Duration{}, map[string]time.Duration{}
	quarantineAges := map[string]time.Duration{}
	for _, name := range []string{"a", "b", "c", "former"} {
		quarantineAges[name] = rules.Quarantine
		payloadAges[name], eventAges[name] = rules.Payloads, rules.Events
		k := kycbridge.AccountKey{Provider: "ondato", Account: name}
		if name == "former" {
			continue // the account is no longer configured
		}
		accounts[k] = &kycbridge.Account{}
		if random.IntN(3) > 0 {
			own, ownEvents := age(), age()
			payloadAges[name], eventAges[name] = own, ownEvents
			rules.Accounts[k] = kycbridge.AccountRetention{Payloads: &own, Events: &ownEvents}
		}
	}
	payloads, quarantine := age(), age()
	payloadAges["beside"], quarantineAges["beside"] = payloads, quarantine // an account of another process
	s.shared = map[kycbridge.AccountKey]kycbridge.AccountRetention{{Provider: "ondato", Account: "beside"}: {
		Payloads: &payloads, Quarantine: &quarantine}}
	for _, ages := range []map[string]time.Duration{payloadAges, quarantineAges} {
		for _, own := range ages { // a mistake in a name must not cost an account its longer retention
			if former := ages["former"]; own == 0 || former == 0 {
				ages["former"] = 0
			} else {
				ages["former"] = max(former, own)
			}
		}
	}
	a := &s.Archive
	*a = Archive{Accounts: accounts, Retention: rules, Holds: legal{s}, Claims: s, Ageing: s, DispositionLog: s,
		ShelfWriter: s, gap: 1, Events: s, Bus: s, Unindex: s, Now: func() time.Time { return s.now }}
	m := &model{spans: map[kycbridge.Key][]span{}}
	all := map[kycbridge.Shelf][]kycbridge.Aged{}
	keys := map[kycbridge.Key]bool{}
	lastEvent := map[kycbridge.Key]kycbridge.EventMeta{}
	processedAt := map[uint64]time.Time{} // by sequence; zero: a quarantined payload
	seq := uint64(0)
	for s.now.Before(start.AddDate(5, 0, 0)) {
		s.now = s.now.Add(time.Duration(1 + random.Int64N(int64(12*time.Hour))))
		k := kycbridge.Key{Provider: "ondato", Account: []string{"a", "b", "c", "former", "beside"}[random.IntN(5)],
			VerificationID: fmt.Sprint(random.IntN(40))}
		until := time.Time{}
		if random.IntN(2) == 0 {
			until = s.now.Add(time.Duration(random.Int64N(int64(500 * virtualDay))))
		}
		switch random.IntN(12) {
		case 0:
			if err := a.putHold(t, k, until); err != nil {
				t.Fatal(err)
			}
			m.hold(k, s.now, until)
		case 1:
			if h, ok := s.holds[k]; ok && h.Holds(s.now) {
				h.Released = s.now
				s.holds[k] = h
			}
			m.release(k, s.now)
		case 2, 3, 4, 5:
			m.rounds = append(m.rounds, s.now)
			if _, err := a.Retain(t.Context(), false, true); err != nil {
				t.Fatal(err)
			}
		case 6:
			if keys[k] { // one event of each verification
				continue
			}
			keys[k] = true
			seq++
			e := kycbridge.EventMeta{Key: k, Seq: seq, At: s.now, Kind: event.KindCompleted}
			if random.IntN(4) == 0 {
				e.Kind = event.KindUpdated
			}
			lastEvent[k] = e
			s.events = append(s.events, e)
		default:
			seq++
			shelf := []kycbridge.Shelf{kycbridge.ShelfPayloads, kycbridge.ShelfQuarantine}[random.IntN(2)]
			one := kycbridge.Aged{Key: k, Seq: seq, At: s.now}
			if shelf == kycbridge.ShelfPayloads {
				p := storedPayload{one, s.now}
				if random.IntN(40) == 0 {
					p.processed = s.now.Add(time.Duration(random.Int64N(int64(200 * virtualDay))))
				}
				s.stored, processedAt[seq] = append(s.stored, p), p.processed
			}
			s.aged[shelf], all[shelf] = append(s.aged[shelf], one), append(all[shelf], one)
		}
	}
	for shelf, messages := range all {
		for _, one := range messages {
			retained := quarantineAges[one.Account]
			if shelf == kycbridge.ShelfPayloads {
				retained = payloadAges[one.Account]
			}
			want := m.removal(one.Key, one.At, processedAt[one.Seq], retained)
			if got := s.removed[shelf][one.Seq]; !want.Equal(got) {
				t.Errorf("%s of %s, stored %s, kept for %s, held %v: removed %s, not %s", shelf, one.Account, one.At, retained,
					m.spans[one.Key], got, want)
			}
		}
	}
	for k, e := range lastEvent {
		want := m.removal(k, e.At, time.Time{}, eventAges[k.Account])
		if e.Kind == event.KindUpdated || k.Account == "former" || k.Account == "beside" {
			want = time.Time{} // it has not ended, or no retention is configured for it
		}
		if got := s.gone[k]; !want.Equal(got) {
			t.Errorf("events of %s, last %s: removed %s, not %s", k.Account, e.At, got, want)
		}
	}
	if len(s.removed[kycbridge.ShelfPayloads]) == 0 && payloadAges["former"] > 0 {
		t.Error("nothing was removed")
	}
}

// failsFor is a store that cannot read the aged messages of one account, or what is left of begun erasures.
type failsFor struct {
	*shelfOfTime
	account kycbridge.AccountKey
}

var errUnread = errors.New("cannot be read")

func (f failsFor) Aged(ctx context.Context, shelf kycbridge.Shelf, a kycbridge.AccountKey, before time.Time,
	from uint64, each func(kycbridge.Aged) error,
) error {
	if a == f.account {
		return errUnread
	}
	return f.shelfOfTime.Aged(ctx, shelf, a, before, from, each)
}

func (failsFor) Unfinished(context.Context, kycbridge.Shelf) ([]kycbridge.Aged, error) {
	return nil, errUnread
}

// TestRetentionContinuesAfterAnError: what cannot be read of one account, or of the erasures that a killed process has
// begun, is reported, and keeps nothing of the other accounts.
func TestRetentionContinuesAfterAnError(t *testing.T) {
	start := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	s := &shelfOfTime{t: t, now: start.Add(2 * virtualDay), aged: map[kycbridge.Shelf][]kycbridge.Aged{},
		removed: map[kycbridge.Shelf]map[uint64]time.Time{kycbridge.ShelfPayloads: {}, kycbridge.ShelfQuarantine: {}}}
	accounts := kycbridge.Accounts{}
	for i, name := range []string{"a", "b", "former"} {
		k := kycbridge.Key{Provider: "ondato", Account: name, VerificationID: name}
		s.aged[kycbridge.ShelfPayloads] = append(s.aged[kycbridge.ShelfPayloads],
			kycbridge.Aged{Key: k, Seq: uint64(i) + 1, At: start})
		s.aged[kycbridge.ShelfQuarantine] = slices.Clone(s.aged[kycbridge.ShelfPayloads])
		if name != "former" {
			accounts[kycbridge.AccountKey{Provider: "ondato", Account: name}] = &kycbridge.Account{}
		}
	}
	f := failsFor{s, kycbridge.AccountKey{Provider: "ondato", Account: "a"}}
	tool := &Archive{Accounts: accounts, Retention: kycbridge.Retention{Payloads: virtualDay, Quarantine: virtualDay},
		Holds: legal{s}, Claims: s, Ageing: f, DispositionLog: s, ShelfWriter: f, gap: 1, Events: s, Bus: s, Unindex: s,
		Now: func() time.Time { return s.now }}
	if _, err := tool.Retain(t.Context(), false, true); !errors.Is(err, errUnread) {
		t.Errorf("the error is not reported: %v", err)
	}
	for shelf, removed := range s.removed {
		if len(removed) != 2 || !removed[1].IsZero() {
			t.Errorf("%s: removed %v, want those of the accounts b and former", shelf, removed)
		}
	}
}

func (a *Archive) putHold(t *testing.T, k kycbridge.Key, until time.Time) error {
	return a.Holds.PutHold(t.Context(), kycbridge.Hold{Provider: k.Provider, Account: k.Account,
		VerificationID: k.VerificationID, Reason: "case", By: "alice", Since: a.Now(), Until: until})
}
